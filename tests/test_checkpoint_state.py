"""What a checkpoint keeps, and how it is put back: the very dtypes, all or nothing, and nothing that was not declared.

pytest tests/test_checkpoint_state.py
"""
import collections
import copy
import math
import os
import random
import signal
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from optimloop import checkpoints
from optimloop.callbacks import *
from optimloop.checkpoints import *
from optimloop.learner import *
from optimloop.mixed_precision import *
from optimloop.more_optimizers import *
from optimloop.optimizer import *
from optimloop.schedulers import *
from optimloop.tracking import *
from optimloop.training_callbacks import *
from optimloop.wrapping import *
from test_checkpoints import DieAfter, Dies, arrays, differs, lives, make, outcome, signed

torch.set_num_threads(1)

# The dtypes of an optimizer's state

def odd_state(p, master=None, n=None, seen=None, history=None, **kwargs):
    "A stepper that keeps state of other types than its parameter's"
    master = p.data.to(torch.float64 if p.dtype==torch.float32 else torch.float32) if master is None else master
    n,seen = torch.zeros((), dtype=torch.int32) if n is None else n,p.data>0 if seen is None else seen|(p.data>0)
    history = [] if history is None else history
    return dict(master=master.add_(p.grad.to(master.dtype), alpha=-.01), n=n+1, seen=seen, history=[*history[-2:], p.grad.abs().max().double()], label='odd')

def odd_step(p, lr, master, n, seen, history, **kwargs):
    p.data.copy_(torch.where(seen, master - lr*1e-3*n*history[0].to(master.dtype), master))

def own(ps, lr, **kwargs): return Optimizer(ps, [odd_state, odd_step], engine='loop', lr=lr)

torch_opts = {o for o in torch.optim.__all__ if isinstance(getattr(torch.optim, o), type) and o not in ('Optimizer','LBFGS','SparseAdam','Muon')}
opts = {'own':own, 'Adam':Adam, 'Lamb':Lamb, 'ranger':ranger, **{f'torch {o}':partial(OptimWrapper, opt=getattr(torch.optim, o)) for o in sorted(torch_opts)},
    'torch fused Adam':partial(OptimWrapper, opt=partial(torch.optim.Adam, fused=True)), 'torch decaying NAdam':partial(OptimWrapper, opt=partial(torch.optim.NAdam, momentum_decay=.1)),
    'torch averaging ASGD':partial(OptimWrapper, opt=partial(torch.optim.ASGD, t0=3., lambd=.1))}

def steps(opt, ps, seeds):
    for seed in seeds:
        g = torch.Generator().manual_seed(seed)
        for p in ps: p.grad = torch.randn(p.shape, generator=g).to(p.dtype)
        opt.step()

def kinds(o, path=''):
    "The dtype of each tensor of a state, and the type of what is none, by path"
    if isinstance(o, dict): return {k:v for key,o in o.items() for k,v in kinds(o, f'{path}.{key}').items()}
    if isinstance(o, (list,tuple)): return {k:v for i,o in enumerate(o) for k,v in kinds(o, f'{path}.{i}').items()}
    return {path: o.dtype if isinstance(o, torch.Tensor) else type(o)}

@pytest.mark.parametrize('dtype', [torch.float32,torch.float64,torch.bfloat16])
@pytest.mark.parametrize('name', opts)
def test_dtypes(name, dtype, tmp_path):
    "State comes back in the dtype that it had, through memory and through a file, and the path goes on to the last bit"
    new = lambda: [nn.Parameter(torch.linspace(-1, 1, 6, dtype=dtype).view(2, 3).clone()), nn.Parameter(torch.ones(3, dtype=dtype)), nn.Parameter(torch.ones((), dtype=dtype))]
    opt = opts[name](ps := new(), lr=.1)
    if dtype==torch.float64 and 'fused' in name: torch.set_default_dtype(torch.float64)
    try:
        steps(opt, ps, range(5))
        state,weights = opt.state_dict(),[p.detach().clone() for p in ps]
        steps(opt, ps, range(5, 9))
        for saved in state, load_state(save_state(tmp_path/'x', state)):
            again = opts[name](qs := new(), lr=.1)
            for q,w in zip(qs, weights): q.data.copy_(w)
            before = copy.deepcopy(saved)
            again.load_state_dict(saved)
            assert not differs(before, saved) and kinds(again.state_dict()['state'])==kinds(state['state'])
            steps(again, qs, range(5, 9))
            for p,q in zip(ps, qs): assert torch.equal(p, q), name
            assert not differs(opt.state_dict(), again.state_dict())
    finally: torch.set_default_dtype(torch.float32)

@pytest.mark.parametrize('name', ['Adam','torch AdamW','torch NAdam'])
def test_other_parameters(name):
    "Parameters of another dtype than when the state was saved: what had theirs goes with them, the rest does not, as without the dtypes, or from torch's own optimizer"
    wide,narrow = ([nn.Parameter(torch.ones(3, dtype=dtype))] for dtype in (torch.float32,torch.bfloat16))
    steps(opt := opts[name](wide, lr=.1), wide, range(3))
    bare = [] if name=='Adam' else [opt.opt.state_dict()]
    for saved in opt.state_dict(),*bare:
        (again := opts[name](narrow, lr=.1)).load_state_dict(saved)
        now = {k:v.dtype for k,v in again.state[narrow[0]].items() if isinstance(v, torch.Tensor)}
        assert all(d==(torch.float32 if k in ('step','mu_product') else torch.bfloat16) for k,d in now.items()), now
        steps(again, narrow, range(3))

def test_load_is_all_or_nothing():
    "Damaged numbers and flags are refused, and nothing has changed; hooks see what they saw"
    for new in Adam,partial(OptimWrapper, opt=torch.optim.AdamW):
        steps(opt := new(ps := [nn.Parameter(torch.ones(3))], lr=.1), ps, range(3))
        before,seen = opt.state_dict(),[]
        bad = [{**before, 'param_groups':[{**before['param_groups'][0], 'lr':'fast'}]}] if new is Adam else [{**before, 'flags':{7:{}}}, {**before, 'flags':3}]
        for o in bad:
            with pytest.raises(ValueError, match='this state is damaged'): opt.load_state_dict(o)
            assert not differs(opt.state_dict(), before)
        hooks = opt.register_load_state_dict_pre_hook(lambda o, sd: {**sd, 'param_groups':[{**sd['param_groups'][0], 'lr':.7}]}),opt.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]['lr']))
        opt.load_state_dict(before)
        assert seen==[.7] and opt.lr==.7
        for o in hooks: o.remove()
