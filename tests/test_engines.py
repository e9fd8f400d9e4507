"""The three engines agree: for any optimizer, on tensors of any shapes, in groups, with gradients that come and go.

pytest tests/test_engines.py
"""
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings, strategies as st
from torch import nn

from optimloop.optimizers import engines
from optimloop.optimizers.engines import *
from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

torch.set_num_threads(1)
builders = dict(
    sgd=SGD, momentum=partial(SGD, mom=.9, wd=.1), l2=partial(SGD, wd=.1, decouple_wd=False), rmsprop=RMSProp, adam=Adam,
    nesterov=Nesterov, radam=RAdam, qhadam=QHAdam, lion=Lion, adan=Adan, ademamix=AdEMAMix, larc=Larc, lars=partial(Larc, clip=False), lamb=Lamb,
    lookahead=lambda ps, **kwargs: Lookahead(Adam(ps, **kwargs)), ranger=ranger)
# elementwise on CPU: equal to the last bit; those that take norms of a whole tensor too, because they see it whole
shapes = st.lists(st.lists(st.integers(0, 7), max_size=4).map(tuple) | st.sampled_from([(20_000,), (300,1000), (1,), ()]), min_size=1, max_size=9)
scripts = st.fixed_dictionaries(dict(
    shapes=shapes, seed=st.integers(0, 99), dtype=st.sampled_from([torch.float32]*3 + [torch.float64, torch.bfloat16, torch.float16]),
    cut=st.integers(0, 9), lacking=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 8))), frozen=st.none() | st.tuples(st.integers(0, 4), st.integers(1, 3)),
    strided=st.sets(st.integers(0, 8)), rate=st.floats(1e-4, .1)))

def parameters(shapes, seed, dtype, strided):
    g = torch.Generator().manual_seed(seed)
    res = []
    for i,shape in enumerate(shapes):
        p = torch.randn(shape, generator=g).to(dtype)
        if i in strided and p.ndim>1: p = p.transpose(0, 1).contiguous().transpose(0, 1)
        res.append(nn.Parameter(p))
    return res,g

def walk(builder, engine, shapes, seed, dtype, cut, lacking, frozen, strided, rate, steps=5):
    ps,g = parameters(shapes, seed, dtype, strided)
    cut = min(cut, len(ps)-1)
    groups = [dict(params=ps[:cut]), dict(params=ps[cut:], lr=rate)] if cut else ps
    opt = builder(groups, lr=.01, engine=engine)
    for i in range(steps):
        if frozen and frozen[0]==i: opt.freeze()
        if frozen and sum(frozen)==i: opt.unfreeze()
        for j,p in enumerate(ps):
            grad = torch.randn(p.shape, generator=g).to(dtype)
            p.grad = grad if p.requires_grad and (i,j) not in lacking else None
        opt.set_hyper('lr', [o*.9 for o in (g['lr'] for g in opt.param_groups)])
        opt.step()
    return ps,[dict(opt.state[p]) for p in ps],opt

def equal(a, b):
    "To the last bit; in half precision PyTorch itself rounds the last elements of a tensor in another way than the rest"
    if not isinstance(a, torch.Tensor): return a==b
    a,b = a.nan_to_num(),b.nan_to_num()
    if a.dtype in (torch.float32,torch.float64): return torch.equal(a, b)
    return torch.allclose(a.float(), b.float(), rtol=16*torch.finfo(a.dtype).eps, atol=16*torch.finfo(a.dtype).eps)

@pytest.fixture(params=[(engines.SMALL,engines.SLICE), (10,64)], ids=['packed','sliced'])
def sizes(request, monkeypatch):
    "Everything in packs, or nearly everything in slices"
    monkeypatch.setattr(engines, 'FEW', 0)
    monkeypatch.setattr(engines, 'SMALL', request.param[0])
    monkeypatch.setattr(engines, 'SLICE', request.param[1])

@pytest.mark.parametrize('name', builders)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(script=scripts)
def test_batched_is_the_loop(name, sizes, script):
    (ps,ss,_),(qs,ts,opt) = (walk(builders[name], o, **script) for o in ('loop','batched'))
    assert 'loop' not in how_run(opt), f'{name} is not recorded: {opt}'
    for p,q in zip(ps, qs): assert equal(p.data, q.data)
    for s,t in zip(ss, ts):
        assert s.keys()==t.keys()
        for k in s: assert equal(s[k], t[k]), k

@pytest.mark.parametrize('name', builders)
def test_compiled_is_close_to_the_loop(name):
    script = dict(shapes=[(3,), (20_000,), (4,5), (300,100), (7,), (9,9)], seed=0, dtype=torch.float32, cut=3, lacking={(1,0),(3,4)}, frozen=(2,1), strided=set(), rate=.05)
    (ps,*_),(qs,*_) = (walk(builders[name], o, **script) for o in ('loop','compiled'))
    for p,q in zip(ps, qs):
        assert not torch.equal(p, torch.zeros_like(p))
        assert (p-q).abs().max() <= 1e-6*p.abs().max(), name
