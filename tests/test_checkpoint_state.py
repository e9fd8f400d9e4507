"""What a checkpoint keeps, and how it is put back: the very dtypes, all or nothing, and nothing that was not declared.

pytest tests/test_checkpoint_state.py
"""
import collections
import copy
import os
import random
import signal
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.runs.parts import *
from optimloop.basics.course import *
from test_checkpoints import DieAfter, Dies, differs, make, outcome

torch.set_num_threads(1)

# The dtypes of an optimizer's state

def odd_state(p, master=None, n=None, seen=None, history=None, **kwargs):
    "A stepper that keeps state of other types than its parameter's"
    master = p.data.to(torch.float64 if p.dtype==torch.float32 else torch.float32) if master is None else master
    n,seen = torch.zeros((), dtype=torch.int32) if n is None else n,p.data>0 if seen is None else seen|(p.data>0)
    history = [] if history is None else history
    return dict(master=master.add_(p.grad.to(master.dtype), alpha=-.01), n=n+1, seen=seen,
        history=[*history[-2:], p.grad.abs().max().double()], label='odd')

def odd_step(p, lr, master, n, seen, history, **kwargs):
    p.data.copy_(torch.where(seen, master - lr*1e-3*n*history[0].to(master.dtype), master))

def own(ps, lr, **kwargs): return Optimizer(ps, [odd_state, odd_step], engine='loop', lr=lr)

torch_opts = {o for o in torch.optim.__all__ if isinstance(getattr(torch.optim, o), type)
    and o not in ('Optimizer','LBFGS','SparseAdam','Muon')}
opts = {'own':own, 'Adam':Adam, 'Lamb':Lamb, 'ranger':ranger,
    **{f'torch {o}':partial(OptimWrapper, opt=getattr(torch.optim, o)) for o in sorted(torch_opts)},
    'torch fused Adam':partial(OptimWrapper, opt=partial(torch.optim.Adam, fused=True)),
    'torch decaying NAdam':partial(OptimWrapper, opt=partial(torch.optim.NAdam, momentum_decay=.1)),
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
    new = lambda: [nn.Parameter(torch.linspace(-1, 1, 6, dtype=dtype).view(2, 3).clone()),
        nn.Parameter(torch.ones(3, dtype=dtype)), nn.Parameter(torch.ones((), dtype=dtype))]
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
    """Parameters of another dtype than when the state was saved: what had theirs goes with them, the rest does not,
    as without the dtypes, or from torch's own optimizer"""
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
        bad = [{**before, 'param_groups':[{**before['param_groups'][0], 'lr':'fast'}]}] if new is Adam else [
            {**before, 'flags':{7:{}}}, {**before, 'flags':3}]
        for o in bad:
            with pytest.raises(ValueError, match='this state is damaged'): opt.load_state_dict(o)
            assert not differs(opt.state_dict(), before)
        hooks = opt.register_load_state_dict_pre_hook(lambda o,
            sd: {**sd, 'param_groups':[{**sd['param_groups'][0], 'lr':.7}]}),opt.register_load_state_dict_post_hook(
            lambda o: seen.append(o.param_groups[0]['lr']))
        opt.load_state_dict(before)
        assert seen==[.7] and opt.lr==.7
        for o in hooks: o.remove()

# All or nothing

def everything(learn, *but):
    "All that a file could change; `but` for parts that a fit begins anew, whatever it finds"
    state = {k:o[0](learn) for k,o in run_parts.items() if k not in but}
    state['callbacks'] = {k:{a:b for a,b in v.items() if a!='seconds'} if k=='recorder' else v for k,
        v in state['callbacks'].items() if k not in but}
    # in no order, as the flags come from a set
    state['optimizer']['state'] = dict(sorted(state['optimizer']['state'].items()))
    return copy.deepcopy(dict(state, opt=[{k:v for k,v in g.items() if k!='params'} for g in learn.opt.param_groups],
        grad=[p.requires_grad for p in learn.model.parameters()]))

class Picky(Callback):
    "Refuses at the last moment, when all else was put back"
    order,refuses = 90,None
    def __init__(self): self.n = 0
    def before_batch(self): self.n += 1
    def state_dict(self): return dict(n=self.n)
    def load_state_dict(self, state):
        self.n,error,self.refuses = state['n'],self.refuses,None
        if error: raise error

def with_state(*cbs): return dict(cbs=[partial(EMA, .7), partial(GradientAccumulation, 10), *cbs])

def broken_off(folder, *cbs, n=8, fit=lambda learn: learn.fit(3), **kwargs):
    "The newest file of a run that died"
    with pytest.raises(Dies): fit(make(folder, {}, **with_state(*cbs, partial(DieAfter, n)), **kwargs))
    return max((folder/'checkpoints').glob('0*'))

def changed(part, f): return lambda state: (f(state[part]),)
two_groups = lambda m: [list(m[:2].parameters()), list(m[2:].parameters())]
misfits = { # what is said of it: another Learner, what to change in the file, is it seen by `learn.resume`?
    'the optimizer has 2 groups': (dict(splitter=two_groups),None,True),
    'hyper-parameter': (dict(opt_func=partial(SGD, mom=.9)),None,True),
    'of another model. missing in the file: 0.weight': ({},changed('weights', lambda o: o['model'].pop('0.weight')),
        True),
    'of another type: 0.weight: torch.float64 in the file': ({},
        changed('weights', lambda o: o['model'].update({'0.weight':o['model']['0.weight'].double()})),False),
    r'0.bias: \(7,\) in the file, \(6,\) in the model': ({},
        changed('weights', lambda o: o['model'].update({'0.bias':torch.zeros(7)})),True),
    'no place in this one': ({},changed('weights', lambda o: o['changed'].append('0.weight')),True),
    'of another loss function': ({},changed('loss', lambda o: o.update(weight=torch.ones(1))),True),
    'gradients in the file are of other parameters: 0.bias': ({},
        changed('gradients', lambda o: o.update({'0.bias':torch.zeros(9)})),False),
    'the averages are of another model': ({},changed('callbacks', lambda o: o['ema']['state']['avg'].pop('0.weight')),
        True), 'the state of ema does not fit': ({},changed('callbacks', lambda o: o.update(ema=[1])),True),
    'the state of recorder does not fit': ({},changed('callbacks', lambda o: o['recorder'].pop('values')),True),
    'saved optimizer cannot be put back': ({},changed('optimizer', lambda o: o['param_groups'][0].pop('params')),True),
    'saved random': ({},changed('random', lambda o: o.pop('cpu')),False),
    "the place of the run in the checkpoint makes no sense: epoch '1'": ({},
        changed('run', lambda o: o.update(epoch='1')),False)}

@pytest.mark.parametrize('msg', misfits)
def test_refused_resume_changes_nothing(msg, tmp_path):
    "Whatever does not fit: a sentence, and all is as it was"
    kwargs,change,seen = misfits[msg]
    state = load_state(broken_off(tmp_path/'run', Picky))
    if change: change(state)
    learn = make(tmp_path/'other', {}, **with_state(Picky), **kwargs)
    learn.fit(1)
    save_state(bad := tmp_path/'bad', state)
    for go_on,but in ((lambda: learn.resume(bad)), ()),((lambda: learn.fit(3, resume=bad)), ('recorder','random')):
        if not but and not seen: continue
        before = everything(learn, *but)
        with pytest.raises(ValueError, match=msg): go_on()
        assert not differs(before, everything(learn, *but))
    learn.fit(1)

@pytest.mark.parametrize('error', [ValueError('not me'),KeyError('me'),KeyboardInterrupt(),RuntimeError('no')])
def test_refused_at_the_last_moment(error, tmp_path):
    "What only the callback itself can judge, or Ctrl-C: what was there comes back"
    file = broken_off(tmp_path/'run', Picky)
    (learn := make(tmp_path/'other', {}, **with_state(Picky))).fit(1)
    for go_on in (lambda: learn.resume(file)),(lambda: learn.fit(3, resume=file)):
        before,learn.picky.refuses = everything(learn, 'recorder', 'random'),error
        with pytest.raises(ValueError if isinstance(error, KeyError) else type(error)): go_on()
        assert not differs(before, everything(learn, 'recorder', 'random'))
    learn.save('x')
    (other := make(tmp_path/'other', {}, **with_state(Picky))).fit(2)
    before,other.picky.refuses = everything(other),error
    with pytest.raises(ValueError if isinstance(error, KeyError) else type(error)): other.load('x')
    assert not differs(before, everything(other))
    assert not differs(before['weights'], read_weights(other)) and differs(read_weights(other),
        read_weights(learn.load('x')))

def test_cannot_put_back(tmp_path):
    "Should even that fail, it is said what was changed"
    (learn := make(tmp_path, {})).fit(1)
    def put(learn, o): raise ValueError('broken')
    with pytest.raises(ValueError) as e:
        put_parts(learn, dict(weights=read_weights(learn), mine=1), dict(run_parts, mine=(lambda learn: 2,put)))
    assert any('mine: changed in part, and what was there before could not be put back (ValueError: broken)' in o
        for o in e.value.__notes__)

def test_refused_load_changes_nothing(tmp_path):
    "EMA, weights, optimizer, loss function"
    new = lambda **kwargs: make(tmp_path, {}, **with_state(), **kwargs)
    (learn := new()).fit(1)
    file = learn.save('x')
    state = load_state(file)
    for msg,change in {'the averages are of another': changed('cbs', lambda o: o['ema']['avg'].pop('0.weight')),
        'missing in the file: 0.weight': changed('model', lambda o: o.pop('0.weight')),
            'of another shape: 0.weight': changed('model', lambda o: o.update({'0.weight':torch.ones(1)})),
            'they differ in 0.weight': changed('opt', lambda o: o['param_groups'][0]['params'].remove('0.weight')),
            "optimizer's state cannot be put back": changed('opt', lambda o: o['param_groups'][0].pop('params')),
            'damaged: lr': changed('opt', lambda o: o['param_groups'][0].update(lr='x')),
            'loss function': lambda o: o.update(loss=dict(a=torch.ones(1)))}.items():
        bad = copy.deepcopy(state)
        change(bad)
        save_state(file, bad)
        (other := new()).fit(2)
        before = everything(other)
        with pytest.raises(ValueError, match=msg): other.load('x')
        assert not differs(before, everything(other)), msg
        fresh = new()
        with pytest.raises(ValueError, match=msg): fresh.load('x')
        assert fresh.opt is None
    save_state(file, {k:v for k,v in state.items() if k!='loss'}) # of an earlier version
    assert not differs(read_optimizer(new().load('x')), state['opt'])
    (other := new(opt_func=partial(SGD, mom=.9))).fit(1)
    with pytest.warns(UserWarning, match="the optimizer's state was not loaded"): other.load('x', strict=False)
    assert not differs(read_weights(other)['model'], state['model'])

def test_saved_before_the_first_fit(tmp_path):
    (learn := make(tmp_path, {}, **with_state())).save('x')
    learn.fit(1)
    assert learn.load('x').ema.n_steps==0 and not learn.ema.avg
    learn.fit(1)

# Runs that go on

def several(folder, deaths, new, fit=lambda learn, **kwargs: learn.fit(3, **kwargs)):
    "Train what `new` makes, dying as told, and resuming each time"
    for death in [*deaths, None]:
        learn = new(folder)
        if death is None: fit(learn, resume=True)
        else:
            with learn.added_cbs(DieAfter(*death) if isinstance(death, tuple)
                else DieAfter(death)), pytest.raises((Dies,KeyboardInterrupt)):
                fit(learn, resume=True)
    return learn

def same_end(tmp_path, new, deaths=(5, 4), what=outcome, **kwargs):
    truth,again = (several(tmp_path/k, d, new, **kwargs) for k,d in dict(truth=(), again=deaths).items())
    assert not differs(what(truth), what(again))
    return truth,again

def with_model(net, **kwargs):
    def new(folder):
        learn = make(folder, {}, **kwargs)
        torch.manual_seed(3)
        learn.model = net()
        return learn
    return new

class Queue(nn.Module):
    "Buffers that grow, appear, are `None` at first, change their type, and go"
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 1)
        for k in 'grows','none','gone','kind': self.register_buffer(k, None if k=='none' else torch.zeros(2))
        self.register_buffer('aside', torch.zeros(1), persistent=False)
    def forward(self, x):
        if self.training:
            out = self.body(x).detach().flatten()
            self.grows,self.aside = torch.cat([self.grows, out])[-30:],torch.cat([self.aside, out])[-9:]
            if self.none is None: self.none,self.gone,self.kind = out[:2],None,torch.zeros(2, dtype=torch.int64)
            if not hasattr(self, 'appears'): self.register_buffer('appears', torch.zeros(()))
            self.none,self.appears,self.kind = self.none+out[:1],self.appears+out.mean(),self.kind+1
        more = 0 if self.none is None else .01*(self.none.mean()+self.grows.mean()+self.aside.sum())
        return self.body(x) + more

def test_buffers(tmp_path):
    truth,again = same_end(tmp_path, with_model(Queue))
    assert set(again.model.state_dict())=={'body.weight','body.bias','grows','none','appears',
        'kind'} and again.model.kind.dtype==torch.int64 and again.model.gone is None
    assert torch.equal(truth.model.aside, again.model.aside) and len(again.model.aside)==9
    file = max((tmp_path/'again'/'checkpoints').glob('0*'))
    looked = with_model(Queue)(tmp_path/'look').resume(file)
    assert torch.equal(looked.model.grows, again.model.grows)
    with pytest.raises(ValueError, match='missing in the file: extra'):
        with_model(lambda: nn.ModuleDict(dict(extra=nn.Linear(1, 1))))(tmp_path/'look').resume(file)
    with pytest.raises(ValueError, match='unexpected.*body.bias'):
        q = Queue()
        q.body = nn.Linear(4, 1, bias=False)
        with_model(lambda: q)(tmp_path/'look').resume(file)

def test_buffer_where_none_belongs(tmp_path):
    "A batch norm's statistics are no buffer that appears: the file is of another model"
    learn = with_model(lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1)))(tmp_path/'a')
    learn.fit(1)
    file = max((tmp_path/'a'/'checkpoints').glob('0*'))
    with pytest.raises(ValueError, match='unexpected.*running_mean'):
        with_model(lambda: nn.Sequential(nn.GroupNorm(1, 4), nn.Linear(4, 1)))(tmp_path/'b').resume(file)

class Wrapped(nn.Module):
    "A part that is called `module`, beside a twin of its names; one layer under two names; tied weights"
    def __init__(self):
        super().__init__()
        self.module,self.norm = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)),nn.BatchNorm1d(4)
        self.add_module('0', nn.Linear(4, 4))
        self.again,self.last = self.module[0],nn.Linear(4, 4)
        self.last.weight = self._modules['0'].weight
    def forward(self, x):
        return self.last(self.norm(self.again(self._modules['0'](self.module(x))))).mean(1, keepdim=True)

@pytest.mark.parametrize('compiled', [(), (0,), (1,)])
def test_names(compiled, tmp_path):
    "Names are those of the model, however it is wrapped"
    lives_done = []
    def new(folder):
        learn = with_model(Wrapped, cbs=[partial(GradientAccumulation, 10), BnFreeze])(folder)
        learn.model.module.requires_grad_(False)
        if folder.name=='again' and len(lives_done) in compiled:
            learn.model = torch.compile(learn.model, backend='eager')
        if folder.name=='again': lives_done.append(1)
        return learn
    truth,again = same_end(tmp_path, new, [5],
        what=lambda learn: [*learn.model.state_dict().values(), learn.recorder.losses])
    state = load_state(max((tmp_path/'again'/'checkpoints').glob('0*')))
    assert {'module.0.weight','0.weight','again.weight','last.weight'} <= set(state['weights']['model'])
    assert [k for k in state['weights']['eval']]==[] or 'module.1' in state['weights']['eval']

def test_torn_twins(tmp_path):
    "Tied here, and two different weights in the file: not loaded in silence"
    net = lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    with_model(net)(tmp_path).save('x')
    def tied():
        res = net()
        res[1].weight = res[0].weight
        return res
    with pytest.raises(ValueError, match='one in the model, and two in the file: 0.weight and 1.weight'):
        with_model(tied)(tmp_path).load('x')

class HalvesAfterTrain(Callback):
    "Changes things after training, and before and within validation"
    keeps = 'n','drawn'
    def __init__(self): self.n,self.drawn = 0,[]
    def after_train(self): self.opt.lr,self.n = self.opt.lr/2,self.n+1
    def before_validate(self):
        self.n += 10
        with torch.no_grad(): self.model[0].bias.add_(.01)
    def after_batch(self): self.drawn.append((self.epoch,self.iter,self.training,float(torch.rand(()))))
    def after_validate(self): self.n += 100

class Late(HalvesAfterTrain): order = 5000

@pytest.mark.parametrize('death', [(2, 'before_validate'), (9, 'after_pred'),
    (2, 'before_validate', KeyboardInterrupt), (2, 'after_epoch'), (2, 'after_train'), (2, 'before_train')])
@pytest.mark.parametrize('cb,every', [(HalvesAfterTrain,dict(every_batches=1)), (Late,dict(every_epochs=9))])
def test_dies_around_validation(death, cb, every, tmp_path):
    "Whatever was changed between training and validation is done once; callbacks of any order are within what is saved"
    truth,again = same_end(tmp_path, lambda folder: make(folder, {}, cbs=[cb, partial(GradientAccumulation, 10)],
        checkpoint=every), [death])
    assert next(o for o in again.cbs if isinstance(o, cb)).n==3*111 and again.opt.lr==.02/8

def test_told_in_validation(tmp_path):
    "SIGTERM there: saved as it was before validation"
    class Told(Exception): pass
    def told(*args): raise Told
    class Tells(Callback):
        def before_validate(self):
            if self.epoch==1: os.kill(os.getpid(), signal.SIGTERM)
    old = signal.signal(signal.SIGTERM, told)
    try:
        new = lambda folder: make(folder, {}, cbs=[HalvesAfterTrain], checkpoint=dict(every_epochs=9))
        truth = several(tmp_path/'truth', [], new)
        with (learn := new(tmp_path/'again')).added_cbs(Tells), pytest.raises(Told): learn.fit(3)
        assert not differs(outcome(truth), outcome(several(tmp_path/'again', [], new)))
    finally: signal.signal(signal.SIGTERM, old)

@pytest.mark.parametrize('death', [6, 18])
@pytest.mark.parametrize('judge', [TerminateOnNaN, partial(NaNPolicy, 'skip'), partial(NaNPolicy, 'rollback', 2)])
@pytest.mark.parametrize('half', [False, True])
def test_after_the_last_batch(death, judge, half, tmp_path):
    "The step that is made with what is left is judged by the last loss"
    cbs = [partial(GradientAccumulation, 15), judge,
        *([partial(MixedPrecision, init_scale=2.**12, growth_interval=2)] if half else [])]
    same_end(tmp_path, lambda folder: make(folder, {}, cbs=cbs), [death])

class Uncertainty(nn.Module):
    "Weighs two tasks by parameters of its own"
    def __init__(self):
        super().__init__()
        self.logvars = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.register_buffer('n', torch.zeros((), dtype=torch.int64))
    def forward(self, pred, y):
        if self.training: self.n += 1
        errors = torch.stack([(pred-y).pow(2).mean(), (pred-y).abs().mean()]).double()
        return ((-self.logvars).exp()*errors + self.logvars).sum().float()
    def method(self, pred, y): return self(pred, y)

@pytest.mark.parametrize('kind', ['module','method','partial','hidden'])
def test_loss_with_parameters(kind, tmp_path):
    "They are kept wherever the loss function has them; trained, if the splitter returns them"
    def new(folder):
        loss = Uncertainty()
        learn = make(folder, {}, cbs=[partial(GradientAccumulation, 10)],
            splitter=lambda m: [[*m.parameters()], [loss.logvars]])
        learn.loss_func = dict(module=loss, method=loss.method, partial=partial(loss.method), hidden=lambda pred,
            y: loss(pred, y))[kind]
        learn.weighs = loss
        return learn
    truth,again = same_end(tmp_path, new, [5, 4],
        what=lambda learn: (outcome(learn), learn.weighs.logvars.detach(), None if kind=='hidden' else learn.weighs.n))
    assert again.weighs.logvars.abs().min()>0
    again.save('x')
    loaded = new(tmp_path/'again').load('x')
    if kind!='hidden': assert torch.equal(loaded.weighs.logvars, again.weighs.logvars)

def histories(fits):
    "The histories after each fit, by a program that looks at them"
    def program(learn, **kwargs):
        learn.looks = []
        for i,f in enumerate(fits):
            f(learn, **kwargs)
            learn.looks.append((learn.recorder.losses, learn.recorder.values, learn.recorder.epoch_ends,
                learn.recorder.hps, learn.recorder.smooth_loss, learn.train_iter))
    return program

two = lambda **more: [lambda learn, **kwargs: learn.fit(2, **more, **kwargs), lambda learn,
    **kwargs: learn.fit_one_cycle(2, **kwargs), lambda learn, **kwargs: learn.fit(1, **more, **kwargs)]
torch_steps = lambda every: partial(TorchScheduler, partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=.7),
    every)
@pytest.mark.parametrize('cbs', [(), (torch_steps('step'),), (torch_steps('epoch'),),
    (partial(CSVLogger, append=False),), (CSVLogger,), (partial(SaveModel, at_end=True),),
    (partial(ReduceLROnPlateau, 1, .5, min_delta=.5),), (partial(EarlyStopping, 1, min_delta=.5),),
    (partial(NaNPolicy, 'rollback', 2), GradientClip)])
def test_several_fits(cbs, tmp_path):
    "Killed in any of several fits, those that are over have their history, and the others go on"
    fits = two() if not any('TorchScheduler' in str(o) or 'Plateau' in str(o) for o in cbs) else [two()[i]
        for i in (0,2,0)]
    what = lambda learn: (outcome(learn), learn.looks)
    truth = several(tmp_path/'truth', [], lambda folder: make(folder, {}, cbs=cbs), fit=histories(fits))
    for n in 8,20:
        folder = tmp_path/f'{n}'
        again = several(folder, [n] if 'Early' not in str(cbs) else [n//2], lambda folder: make(folder, {}, cbs=cbs),
            fit=histories(fits))
        a,b = what(truth),what(again)
        assert not differs(a[0], b[0]), n
        for i,(x,y) in enumerate(zip(a[1], b[1])): assert not differs(x[:-1], y[:-1]), (n, i)
        if any('CSV' in str(o) for o in cbs):
            rows = [[row.split(',')[:-1] for row in (f/'history.csv').read_text().splitlines()]
                for f in (tmp_path/'truth',folder)]
            assert rows[0]==rows[1]

@pytest.mark.parametrize('inner_checkpoint', [False, True])
def test_told_in_a_fit_within(inner_checkpoint, tmp_path):
    "SIGTERM while a callback trains another model: a short fit is waited for, a long one is not"
    class Told(Exception): pass
    def told(*args): raise Told
    class Trains(Callback):
        run_valid,transient = False,'batches'
        def __init__(self, seconds): self.seconds,self.batches = seconds,0
        def after_batch(self):
            if (self.epoch,self.iter)!=(1,2): return
            inner = make(tmp_path/'inner', {}, checkpoint=dict() if inner_checkpoint else None)
            def tell():
                self.batches += 1
                if self.batches==2: os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(.02 if self.seconds else 0)
            inner.fit(200 if self.seconds else 1, cbs=EveryN(1, lambda inner: tell()))
    old = signal.signal(signal.SIGTERM, told)
    try:
        for seconds,newest in (0, 'epoch1_batch3'),(20, 'epoch1_batch0'):
            learn = make(tmp_path/f'{seconds}', {}, cbs=[partial(Trains, seconds)])
            learn.checkpoint._patience,learn.checkpoint.every_batches = .3,None
            start = time.monotonic()
            with pytest.raises(Told): learn.fit(3)
            assert time.monotonic()-start<10 and newest in max(o
                for o in os.listdir(tmp_path/f'{seconds}'/'checkpoints') if o[0]=='0'), seconds
            assert signal.getsignal(signal.SIGTERM) is told and not learn.running
    finally: signal.signal(signal.SIGTERM, old)

# What callbacks keep

class Tally(Callback):
    "Keeps all sorts of things"
    keeps = 'recent','by_label','counts','ordered','kinds','table'
    def __init__(self):
        self.recent,self.by_label,self.counts = collections.deque(maxlen=3),collections.defaultdict(
            lambda: torch.zeros(1)),collections.Counter()
        self.ordered,self.kinds,self.table = collections.OrderedDict(),set(),collections.defaultdict(list)
    def after_batch(self):
        if not self.training: return
        self.recent.append(float(self.loss))
        k = self.iter%3
        self.by_label[k] += 1
        self.counts[k] += 1
        self.ordered[k] = self.iter
        self.ordered.move_to_end(k, last=False)
        self.kinds.add(k)
        self.table[k].append(self.iter)

@pytest.mark.parametrize('cls', [Tally, type('Heir', (Tally,),
    dict(keeps='more', more=0, name='tally', before_train=lambda self: object.__setattr__(self, 'more', self.more+1)))])
def test_containers(cls, tmp_path):
    """A deque, a defaultdict and their like are kept, with their length and what makes the missing ones; what base
    classes keep, too"""
    truth,again = same_end(tmp_path, lambda folder: make(folder, {}, cbs=[cls]), what=lambda learn: None)
    a,b = truth.tally,again.tally
    for k in Tally.keeps: assert type(getattr(a, k)) is type(getattr(b, k)) and getattr(a, k)==getattr(b, k), k
    assert list(a.ordered)==list(b.ordered) and b.recent.maxlen==3 and b.by_label['new']==0 and b.table['new']==[]
    if cls is not Tally: assert a.more==b.more==3

def test_defaultdict_of_ones_own(tmp_path):
    "A factory that is no type stays where it is"
    class Sums(Callback):
        keeps,run_valid = 'sums',False
        def __init__(self): self.sums = collections.defaultdict(lambda: 100)
        def after_batch(self): self.sums[self.iter] += 1
    _,again = same_end(tmp_path, lambda folder: make(folder, {}, cbs=[Sums]), what=lambda learn: dict(learn.sums.sums))
    assert again.sums.sums['new']==100

class Forgets(Callback):
    "Changes what it does not declare"
    keeps,transient = 'said','passing'
    def __init__(self):
        self.said = self.passing = 0
        self.number,self.queue,self.own,self.net,self.fixed = 0,collections.deque(
            maxlen=2),torch.Generator(),nn.Linear(1, 1),[1,2]
        self.thing = type('Thing', (), {})()
        self.thing.n = 0; self.weights = torch.zeros(3); self.rates = np.zeros(2); self.python = random.Random(0)
    def after_batch(self):
        for k in 'said','passing','number': setattr(self, k, getattr(self, k)+1)
        self.queue.append(1)
        torch.rand(1, generator=self.own)
        self.thing.n += 1
        self.weights += 1
        self.rates[0] += 1
        self.python.random()
        with torch.no_grad(): self.net.weight += 1
        self.late = 1

def test_undeclared(tmp_path):
    """What changes and is not declared is named once, at the first save after training has begun, with the line to
    write; nothing else is"""
    class Counts(Callback):
        def __init__(self): self.count,self.setting,self.net = 0,[3,4],None
        def before_fit(self): self.net = self.learn.model
        def after_batch(self): self.count += 1
    with pytest.warns(UserWarning) as told: make(tmp_path, {}, cbs=[Forgets, Counts]).fit(2)
    told = [str(o.message) for o in told if 'what is not saved' in str(o.message)]
    assert len(told)==2 and told[1].startswith(
        "Counts keeps what is not saved: count. A run that is resumed begins it anew, and may differ. "
        "Write in the class `keeps = 'count',`; or, if nothing depends on it, `transient = 'count',`")
    names = 'number, queue, own, net, thing, weights, rates, python, late'
    assert told[0].startswith(f'Forgets keeps what is not saved: {names}. ')
    assert 'give the class `state_dict`' in told[0]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        make(tmp_path/'own', {}, **with_state(GradientClip, partial(NaNPolicy, 'rollback'), SampleByLoss, CSVLogger,
            EarlyStopping, SaveModel, partial(EveryN, 2, GradientClip), partial(MixedPrecision, 'bf16'))).fit(2)

class Victim(Callback):
    keeps,folder,keep = 'n',None,3
    def __init__(self, folder=None): self.n,self.to = 0,folder
    def before_batch(self): self.n += 1

def test_only_what_is_declared(tmp_path):
    "A file cannot set what a class does not name: no other folder is touched, and no file elsewhere is written"
    precious = tmp_path/'precious'
    precious.mkdir()
    for i in range(9): (precious/f'00000{i}_epoch0_batch{i}.safetensors').write_text('mine')
    cbs = [partial(Victim, tmp_path), partial(SaveModel, at_end=True), partial(EveryN, 2, Victim)]
    state = load_state(broken_off(tmp_path/'run', *cbs))
    evil = dict(folder=str(precious), keep=1, fname='../../outside', to=str(precious), __class__='x', before_batch='x',
        _learn=None, path=str(precious))
    for k in 'victim','save_model','checkpoint':
        state['callbacks'].setdefault(k, dict(kept={}, state=None))['kept'].update(evil)
    state['callbacks']['every_2_victim']['of']['kept'].update(evil)
    state['callbacks']['gradient_accumulation']['kept']['n_acc'] = 1
    save_state(bad := tmp_path/'bad.safetensors', state)
    learn = make(tmp_path/'run', {}, **with_state(*cbs))
    with pytest.warns(UserWarning,
        match='victim: the checkpoint and the class differ in what the callback keeps: .*folder.* '
            'That is not put back'):
        learn.fit(3, resume=bad)
    assert len(list(precious.iterdir()))==9 and learn.checkpoint.keep==3 and learn.checkpoint.folder is None
    assert learn.victim.to==tmp_path and learn.save_model.fname=='model'
    assert learn.gradient_accumulation.n_acc==10 and not list(tmp_path.glob('outside*')) and learn.victim.folder is None

def test_checkpoint_comes_last(tmp_path):
    "Inside another callback it would not see the run; and what comes after it would be missing in the file"
    with pytest.raises(ValueError, match='add it to the Learner, and use its every_batches'):
        make(tmp_path, {}, cbs=[partial(EveryN, 3, Checkpoint)], checkpoint=None).fit(1)
    class Later(Victim): run_after = Checkpoint
    with pytest.raises(ValueError, match='later comes after the Checkpoint'): make(tmp_path, {}, cbs=[Later]).fit(1)

def test_other_rate(tmp_path):
    """A rate that was changed between two lives is not ignored in silence; one that was not, or is scheduled, is no
    matter"""
    rate = lambda lr, **more: (lambda learn, **kwargs: learn.fit(3, lr=lr, **more, **kwargs))
    with pytest.raises(Dies): rate(.02)(make(tmp_path, {}, cbs=[DieAfter(5)]))
    with pytest.warns(UserWarning,
        match=r'fit is called with another lr 0.01 \(then 0.02\), wd 0.1 \(then 0.01\) than when the run began'), \
            pytest.raises(Dies):
        rate(.01, wd=.1)(make(tmp_path, {}, cbs=[DieAfter(5)]), resume=True)
    with pytest.warns(UserWarning, match='another lr'), pytest.raises(Dies):
        rate(.01)(make(tmp_path, {}, cbs=[DieAfter(5)]), resume=True)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        rate(.02)(make(tmp_path, {}), resume=True)

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 3, sparse=True)
        self.out = nn.Linear(3, 1)
    def forward(self, x): return self.out(self.table(x[:,:1].long()).mean(1))

def test_sparse_gradients(tmp_path):
    "Gradients that are sparse and wait for a step"
    new = with_model(Words, cbs=[partial(GradientAccumulation, 10)], opt_func=SGD)
    same_end(tmp_path, new, [3, 5])
    bare = with_model(Words, cbs=[partial(GradientAccumulation, 10)], opt_func=SGD, checkpoint=None)(tmp_path/'bare')
    bare.fit(3)
    assert not differs(outcome(bare)['model'], outcome(several(tmp_path/'truth2', [], new))['model'])
