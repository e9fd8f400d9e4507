"""The three engines agree: for any optimizer, on tensors of any shapes, in groups, with gradients that come and go.

pytest tests/test_engines.py
"""
import copy, pickle
from functools import partial

import pytest
import torch
from fastcore.test import ExceptionExpected, test_eq as eq
from hypothesis import HealthCheck, given, settings, strategies as st
from torch import Tensor, nn

from optimloop.optimizers import engines
from optimloop.optimizers.engines import *
from optimloop.all import *
from optimloop.basics.course import *

torch.set_num_threads(1)
builders = dict(
    sgd=SGD, momentum=partial(SGD, mom=.9, wd=.1), l2=partial(SGD, wd=.1, decouple_wd=False), rmsprop=RMSProp,
    adam=Adam,
    nesterov=Nesterov, radam=RAdam, qhadam=QHAdam, lion=Lion, adan=Adan, ademamix=AdEMAMix, larc=Larc,
    lars=partial(Larc, clip=False), lamb=Lamb,
    lookahead=lambda ps, **kwargs: Lookahead(Adam(ps, **kwargs)), ranger=ranger)
# elementwise on CPU: equal to the last bit; those that take norms of a whole tensor too, because they see it whole
shapes = st.lists(st.lists(st.integers(0, 7), max_size=4).map(tuple)
                  | st.sampled_from([(20_000,), (300,1000), (1,), ()]), min_size=1, max_size=9)
scripts = st.fixed_dictionaries(dict(
    shapes=shapes, seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.float32]*3 + [torch.float64, torch.bfloat16, torch.float16]),
    cut=st.integers(0, 9), lacking=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 8))),
    frozen=st.none() | st.tuples(st.integers(0, 4), st.integers(1, 3)),
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
    "To the last bit; in half precision PyTorch itself rounds the last elements of a tensor otherwise than the rest"
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
    script = dict(shapes=[(3,), (20_000,), (4,5), (300,100), (7,), (9,9)], seed=0, dtype=torch.float32, cut=3,
                  lacking={(1,0),(3,4)}, frozen=(2,1), strided=set(), rate=.05)
    (ps,*_),(qs,*_) = (walk(builders[name], o, **script) for o in ('loop','compiled'))
    for p,q in zip(ps, qs):
        assert not torch.equal(p, torch.zeros_like(p))
        assert (p-q).abs().max() <= 1e-6*p.abs().max(), name

def params(*shapes, seed=0, dtype=torch.float32):
    "Parameters of these shapes, with gradients"
    g = torch.Generator().manual_seed(seed)
    res = [nn.Parameter(torch.randn(s, generator=g).to(dtype)) for s in shapes]
    for p in res: p.grad = torch.randn(p.shape, generator=g).to(dtype)
    return res

def test_other_layouts():
    "Channels last, transposed gradients, windows onto something larger, half precision"
    # other layouts: channels last, transposed gradients, windows onto something larger, half precision
    def odd_layouts(engine):
        g = torch.Generator().manual_seed(0)
        base = torch.randn(60, generator=g)
        ps = [torch.randn(2,3,4,4, generator=g).to(memory_format=torch.channels_last),
              torch.randn(3,5, generator=g).t(), base[:30].view(5,6), base[30::2],
              torch.randn(40, generator=g).half(), torch.randn(40, generator=g).bfloat16(),
              torch.randn(600,600, generator=g).t()]
        ps = [nn.Parameter(o) for o in ps]
        opt = Adam(ps, lr=.1, engine=engine)
        for i in range(4):
            for p in ps: p.grad = torch.randn(p.shape, generator=g).to(p.dtype)
            ps[-1].grad = ps[-1].grad.t().contiguous().t()
            opt.step()
        return [p.data for p in ps]
    assert all(map(torch.equal, odd_layouts('loop'), odd_layouts('batched')))

def test_changes_between_steps():
    "What is done to state, parameters and groups between the steps is seen"
    # what others do to state, parameters and groups between the steps is seen
    def meddled(engine):
        ps = params(*[(5,)]*6)
        opt = Adam(ps, lr=.1, engine=engine)
        kept = None
        for i in range(12):
            if i==2: opt.state[ps[0]]['do_wd'] = False
            if i==3: opt.state[ps[1]]['grad_avg'].zero_()
            if i==4: opt.state[ps[2]]['sqr_avg'] = torch.ones(5)
            if i==5: ps[3].data = torch.ones(5)
            if i==6: opt.load_state_dict(opt.state_dict())
            if i==7: opt.add_param_group(dict(params=params((2,), (3,), seed=3), lr=.5))
            if i==8: opt = copy.deepcopy(opt); ps = [p for g in opt.param_groups for p in g['params']]
            if i==9: opt = pickle.loads(pickle.dumps(opt)); ps = [p for g in opt.param_groups for p in g['params']]
            if i==10: opt.clear_state()
            if i==11: opt.param_groups[0]['params'].pop()
            for p in ps: p.grad = torch.full_like(p, (-1.)**i)
            opt.step()
            kept = kept or opt.state[ps[0]]
        return [p.data for p in ps] + [s[k] for p in ps for s in [opt.state[p]] for k in s if isinstance(s[k], Tensor)]
    assert all(map(torch.equal, meddled('loop'), meddled('batched')))

def test_what_is_left_behind():
    "Gradients are left as the loop leaves them; mistakes change nothing; memory that is shared"
    # sparse gradients; changed gradients are left as the loop leaves them; mistakes change nothing
    emb = [nn.Embedding(9, 2, sparse=True, _weight=torch.ones(9,2)) for _ in range(2)]
    for e,engine in zip(emb, ('loop','batched')):
        more = params((3,), (4,), (5,), (6,))
        e(torch.tensor([1,4])).sum().backward()
        Optimizer([e.weight, *more], [sgd_step], engine, lr=.1).step()
    eq(emb[0].weight.data, emb[1].weight.data)
    def grads_after(engine):
        ps = params((3,), (4,), (5,), (6,), (7,))
        SGD(ps, lr=.1, wd=.1, decouple_wd=False, engine=engine).step()
        return [p.grad for p in ps]
    assert all(map(torch.equal, grads_after('loop'), grads_after('batched')))
    def late_error(p, lr, step, **kwargs):
        if step==2: raise OSError('late')
    ps = params((3,), (4,), (5,), (6,), (7,))
    opt = Optimizer(ps, [step_stat, sgd_step, late_error], lr=.1)
    opt.step()
    before = [p.data.clone() for p in ps]
    with ExceptionExpected(OSError): opt.step()
    assert all(map(torch.equal, [p.data for p in ps], before))
    eq(opt.state[ps[0]]['step'], 1)
    def twins(engine):
        ps = params(*[(3,)]*5)
        ps[1].data = ps[0].data
        Adam(ps, .1, engine=engine).step()
        return [p.data for p in ps]
    assert all(map(torch.equal, twins('loop'), twins('batched')))
    with ExceptionExpected(ValueError, regex="there is no engine 'fast': choose from loop, batched"):
        Adam(ps, .1, engine='fast')
    opt.engine = 'loop'
    eq(opt.engine, 'loop')
    with ExceptionExpected(ValueError, regex="there is no engine 'lop'"): opt.engine = 'lop'
    eq(opt.engine, 'loop')
