"""What each of several processes does for tests/test_sharded.py: it steps parameters that are sharded over all of them,
and the same parameters whole, by the same gradients.

python tests/sharded_cases.py 3               # all cases over 3 processes
python tests/sharded_cases.py 2 errors        # some of them
python tests/sharded_cases.py 2 sweep         # every optimizer, engine and width, on models of FSDP; 4 minutes
"""
import copy, gc, json, os, subprocess, sys, tempfile, time, traceback, weakref
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.checkpoint.state_dict import (StateDictOptions, get_model_state_dict, get_optimizer_state_dict,
    set_model_state_dict, set_optimizer_state_dict)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.linalg import vector_norm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from optimloop.all import *
from optimloop.basics.gradients import all_finite, clip_grads

# Rates such that each step is well above the resolution of single precision
averages = [partial(average_grad, dampening=True), average_sqr_grad, step_stat]
builders = dict(
    sgd=SGD, momentum=partial(SGD, mom=.9, wd=.1), l2=partial(SGD, wd=.1, decouple_wd=False),
    rmsprop=RMSProp, rmsprop_mom=partial(RMSProp, mom=.9), adam=Adam, adam_l2=partial(Adam, decouple_wd=False),
    nesterov=Nesterov, radam=RAdam, qhadam=QHAdam, lion=Lion, adan=Adan, ademamix=AdEMAMix,
    larc=partial(Larc, trust_coeff=1.), lars=partial(Larc, clip=False, trust_coeff=1.), lamb=Lamb,
    lookahead=lambda ps, **kw: Lookahead(Adam(ps, **kw), k=2), ranger=partial(ranger, k=3), muon=Muon,
    muon_lamb=partial(Muon, rest=[*averages, lamb_step], sqr_mom=.9),
    cautious=lambda ps, **kw: Optimizer(ps, cautious(average_grad, momentum_step), **kw),
    clip_value=lambda ps, **kw: Optimizer(ps, clip_value(sgd_step), max_value=.1, **kw),
    clip_norm=lambda ps, **kw: Optimizer(ps, clip_norm(average_grad, momentum_step), max_norm=.5, **kw))
engines = 'loop','batched','sharded','compiled'
cases = {}
def case(f): cases[f.__name__] = f

def whole(o): return o.full_tensor() if isinstance(o, DTensor) else o

def far(ps, qs, start):
    "The largest difference, as a part of the way that the parameter has come"
    def one(p, q, s):
        diff,way = (whole(p.detach()).double()-q.detach().double()).norm(),(q.detach()-s).double().norm()
        return (diff/way).item() if way else float(diff>0)
    return max(map(one, ps, qs, start))

def check_state(ps, qs, a, b, tol):
    "The same names in the same order, the same kinds, the same values"
    for p,q in zip(ps, qs):
        assert list(a.state[p])==list(b.state[q])
        for k,v in b.state[q].items():
            mine = a.state[p][k]
            if not isinstance(v, torch.Tensor): assert type(mine) is type(v) and (isinstance(v, list) or mine==v)
            else:
                cut = isinstance(p, DTensor) and 0<v.ndim and v.shape==q.shape
                assert (mine.dtype,isinstance(mine, DTensor))==(v.dtype,cut), k
                assert (whole(mine).double()-v.double()).norm() <= tol*v.double().norm(), k

# --- Models of FSDP ---
def net(width, seed=0):
    torch.manual_seed(seed)
    def block(): return nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.GELU())
    return nn.Sequential(nn.Embedding(11, width), nn.Flatten(), nn.Linear(3*width, width), block(), block(),
                         nn.Linear(width, 5, bias=False))

def shard(model, **kwargs):
    for o in model[3:5]: fully_shard(o, **kwargs)
    return fully_shard(model, **kwargs)

def backward(model, i):
    g = torch.Generator().manual_seed(i)
    x,y = torch.randint(0, 11, (8,3), generator=g),torch.randint(0, 5, (8,), generator=g)
    model.zero_grad()
    F.cross_entropy(model(x).float(), y).backward()

def compare(name, engine, width, steps=5, lr=.05, **kwargs):
    "How far a sharded model ends from a whole one that gets the same gradients"
    model,ref = shard(net(width), **kwargs),net(width)
    ps,qs = [*model.parameters()],[*ref.parameters()]
    start = [q.detach().clone() for q in qs]
    a,b = builders[name](ps, lr=lr, engine=engine),builders[name](qs, lr=lr, engine='batched')
    for i in range(steps):
        backward(model, i)
        for p,q in zip(ps, qs): q.grad = whole(p.grad).detach().clone()
        for o in (a,b):
            o.lr = lr*(1-i/10)
            o.step()
    check_state(ps, qs, a, b, 1e-5)
    return far(ps, qs, start)

def compare_all(names, engine, width, **kwargs):
    gaps = {o:compare(o, engine, width, **kwargs) for o in names}
    assert not (bad := {k:o for k,o in gaps.items() if o>1e-5}), bad

@case
def fsdp_batched(): compare_all(builders, 'batched', 13, steps=4)
@case
def fsdp_loop(): compare_all(('adam','lamb','muon','cautious','ranger','larc'), 'loop', 13, steps=3)
@case
def fsdp_sharded(): compare_all(('adam','lamb','muon'), 'sharded', 16, steps=3)
@case
def fsdp_in_half():
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    compare_all(('adam','lamb','muon','larc'), 'batched', 13, mp_policy=policy, steps=3)

@case
def fsdp_of_tensor_parallel():
    "Cut by columns or rows, and then by FSDP"
    n = dist.get_world_size()
    for grid in ((n,1),(1,n)) if n==2 else ():
        mesh = init_device_mesh('cpu', grid, mesh_dim_names=('data','model'))
        for name in ('adam','lamb','muon'):
            torch.manual_seed(0)
            ref = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 12))
            model = copy.deepcopy(ref)
            parallelize_module(model, mesh['model'], {'0':ColwiseParallel(), '2':RowwiseParallel()})
            fully_shard(model, mesh=mesh['data'])
            ps,qs = [*model.parameters()],[*ref.parameters()]
            start,a,b = [q.detach().clone() for q in qs],builders[name](ps, lr=.05),builders[name](qs, lr=.05)
            for i in range(3):
                model.zero_grad()
                model(torch.ones(4, 12)*(i+1)).square().mean().backward()
                for p,q in zip(ps, qs): q.grad = whole(p.grad).detach().clone()
                a.step(), b.step()
            assert far(ps, qs, start)<=1e-5, (name,grid)

def sweep():
    "All optimizers, engines and widths; a line for each, and whether all are near enough"
    good = True
    for width in (13,16,100):
        for name in builders:
            gaps = {e:compare(name, e, width) for e in engines}
            good &= max(gaps.values())<=1e-5
            if dist.get_rank()==0: print(width, name, *(f'{k} {o:.1e}' for k,o in gaps.items()), flush=True)
    return good

# --- Tensors of any shape ---
shapes = [(13,4), (13,), (1,5), (2,), (7,3,2), (16,16), (300,40), (1,)] # several processes have nothing of some

def params(shapes=shapes, dtype=torch.float32, placements=None, mesh=None, seed=0):
    "DTensors, and the same as whole tensors"
    g = torch.Generator().manual_seed(seed)
    mesh = mesh or init_device_mesh('cpu', (dist.get_world_size(),))
    os = [torch.randn(s, generator=g).to(dtype) for s in shapes]
    ps = [distribute_tensor(o.clone(), mesh, placements or [Shard(0)]*mesh.ndim) for o in os]
    return list(map(nn.Parameter, ps)),list(map(nn.Parameter, os))

def like(o, p):
    o = o.clone()
    return distribute_tensor(o, p.device_mesh, p.placements) if isinstance(p, DTensor) else o

def set_grads(ps, qs, i, lacking=()):
    g = torch.Generator().manual_seed(100+i)
    for j,(p,q) in enumerate(zip(ps, qs)):
        q.grad = torch.randn(q.shape, generator=g).to(q.dtype)
        p.grad = like(q.grad, p)
        if (i,j) in lacking or not q.requires_grad: p.grad = q.grad = None

def pair(ps, qs, build, engine='batched', steps=4, tol=1e-5, lacking=(), each=None, state=True):
    "Step DTensors and whole tensors; `each` is called before each step with its number and both optimizers"
    start = [q.detach().clone() for q in qs]
    torch.manual_seed(0); a = build(ps, engine=engine)
    torch.manual_seed(0); b = build(qs, engine='loop')
    for i in range(steps):
        if each: each(i, a, b)
        ps,qs = [[p for g in o.param_groups for p in g['params']] for o in (a,b)]
        set_grads(ps, qs, i, lacking)
        for o in (a,b): # what is drawn is the same
            torch.manual_seed(i)
            o.step()
        for p,q in zip(ps, qs):
            if q.grad is not None: torch.testing.assert_close(whole(p.grad), q.grad)
    assert far(ps, qs, start)<=tol, far(ps, qs, start)
    if state: check_state(ps, qs, a, b, max(tol, 1e-7))
    return a

@case
def exact():
    "In double precision, where rounding hides nothing"
    for name,engine in [(k,'batched') for k in builders] + [(k,'loop') for k in ('adan','lamb','muon')]:
        pair(*params(dtype=torch.float64), partial(builders[name], lr=.01), engine, tol=1e-11, steps=3)

def mean_step(p, lr, **kwargs): p.data.sub_(p.grad*p.grad.mean()*lr)
def sum_step(p, lr, **kwargs): p.data.sub_(p.grad*(p.grad.sum()*lr))
def amax_step(p, lr, **kwargs): p.data.sub_(p.grad*(p.grad.amax()*lr))
def amin_step(p, lr, **kwargs): p.data.sub_(p.grad*(p.grad.amin()*lr))
def max_step(p, lr, **kwargs): p.data.sub_(p.grad*(p.grad.max()*lr))
def min_step(p, lr, **kwargs): p.data.sub_(p.grad*(p.grad.min()*lr))
def count_step(p, lr, **kwargs): p.data.sub_(p.grad*((p.grad>0).sum()*lr))
def norm_step(p, lr, order, **kwargs): p.data.sub_(p.grad*(vector_norm(p.grad, order)*lr))
def kept_step(p, lr, seen=None, **kwargs):
    n = p.grad.norm()
    p.data.sub_(p.grad*n*lr)
    return {'seen': n if seen is None else torch.maximum(seen, n), 'size': p.grad.abs().mean()}

@case
def numbers():
    "Each number that notes may make of a whole tensor"
    for f in (mean_step, sum_step, amax_step, amin_step, max_step, min_step, count_step, kept_step):
        a = pair(*params(dtype=torch.float64), lambda ps, **kw: Optimizer(ps, f, lr=.01, **kw), tol=1e-9)
        assert 'sharded, by tensor' in repr(a), repr(a)
    for o in (1,2,3,.5,float('inf'),float('-inf'),-1,0,0.):
        def build(ps, **kw): return Optimizer(ps, norm_step, lr=.01, order=o, **kw)
        a = pair(*params(dtype=torch.float64), build, tol=1e-9)
        assert 'sharded, by tensor' in repr(a), repr(a)

@case
def not_finite():
    for bad in (float('nan'), float('inf')):
        for f in (amax_step, amin_step, sum_step, mean_step):
            ps,qs = params()
            a,b = Optimizer(ps, f, lr=.1),Optimizer(qs, f, lr=.1, engine='loop')
            set_grads(ps, qs, 0)
            for p,q in zip(ps, qs):
                q.grad.view(-1)[-1] = bad
                p.grad = like(q.grad, p)
            for o in (a,b): o.step()
            for p,q in zip(ps, qs): assert torch.equal(whole(p.data).isfinite(), q.isfinite()), (f.__name__,bad)

@case
def nothing_here():
    "One row each: all but the first process have nothing at all"
    for name in ('adam','lamb','larc','muon','cautious','lion'):
        pair(*params([(1,5), (1,), (1,3,3)]), partial(builders[name], lr=.01))

@case
def mixed():
    "Shards beside replicated and plain tensors, of several dtypes, one of them a number"
    for name in ('adam','lamb','muon','l2','cautious','ranger'):
        ps,qs = params()
        for placements,dtype in (([Replicate()],torch.float32), ([Shard(1)],torch.float32), ([Shard(0)],torch.float64)):
            more = params([(6,4),(5,8)], dtype, placements, seed=3)
            ps,qs = ps+more[0],qs+more[1]
        for o in (torch.ones(3,3), torch.arange(4.), torch.tensor(.5)):
            ps.append(nn.Parameter(o.clone())), qs.append(nn.Parameter(o))
        ps.append(nn.Parameter(distribute_tensor(torch.tensor(2.), ps[0].device_mesh, [Replicate()])))
        qs.append(nn.Parameter(torch.tensor(2.)))
        pair(ps, qs, partial(builders[name], lr=.01))

@case
def meshes():
    "Two dimensions, in which one may be replicated"
    n = dist.get_world_size()
    grids = [(n,1),(1,n)] + [(2,n//2)]*(n==4)
    for grid in grids:
        mesh = init_device_mesh('cpu', grid)
        for placements in ([Replicate(),Shard(0)], [Shard(0),Replicate()], [Shard(0),Shard(1)], [Shard(0),Shard(0)]):
            for name in ('adam','lamb','muon','cautious'):
                ps,qs = params([(13,4),(5,6),(1,3),(8,9)], mesh=mesh, placements=placements)
                pair(ps, qs, partial(builders[name], lr=.01), steps=3)

@case
def half():
    "As near as in tests/test_engines.py, and few numbers differ: torch rounds the last ones of a tensor otherwise"
    for dtype in (torch.bfloat16, torch.float16):
        for name in ('adam','momentum','muon','lion','lamb','cautious'):
            ps,qs = params(dtype=dtype)
            pair(ps, qs, partial(builders[name], lr=.1), tol=1., state=False)
            for p,q in zip(ps, qs):
                p,q,eps = whole(p.detach()),q.detach(),torch.finfo(dtype).eps
                torch.testing.assert_close(p, q, rtol=16*eps, atol=16*eps)
                assert name=='muon' or q.numel()<1000 or (p!=q).sum() <= .02*q.numel(), (name,dtype)

@case
def groups():
    "Rates of their own, gradients that come and go, frozen groups, flags"
    lacking = {(0,1),(1,2),(2,0),(2,1),(3,5),(0,7),(1,7)}
    def each(i, a, b):
        for o in (a,b):
            if i==1: o.freeze_to(1)
            if i==2: o.unfreeze()
            if i==3: o.state[o.param_groups[0]['params'][0]]['do_wd'],o.lr = False,.02
    for name in ('adam','lamb','muon','momentum'):
        for engine in ('loop','batched'):
            def build(ps, **kw): return builders[name]([ps[:3],ps[3:]], lr=slice(.001,.01), **kw)
            pair(*params(), build, engine, lacking=lacking, each=each, steps=6)

# --- Steppers of all kinds ---
def sorted_step(p, lr, **kwargs): p.data.sub_(p.grad.flatten().sort().values.view(p.shape), alpha=lr)
def row_step(p, lr, **kwargs): p.data.sub_(p.grad/(p.grad.norm(dim=-1, keepdim=True)+1), alpha=lr)
def item_step(p, lr, **kwargs): p.data.sub_(p.grad if p.grad.sum().item()>0 else p.grad.sign(), alpha=lr)
def if_step(p, lr, **kwargs): p.data.sub_(p.grad if p.grad.mean()>0 else p.grad.sign(), alpha=lr)
def set_step(p, lr, **kwargs):
    p.data.sub_(p.grad, alpha=lr)
    p.data[0] = 0
    p.data.view(-1)[-1:].add_(1.)
def window_step(p, lr, **kwargs):
    first = p.data[:1]
    p.data.sub_(p.grad, alpha=lr)
    first.mul_(2)
def grad_step(p, lr, **kwargs):
    p.grad.clamp_(-.5, .5)
    p.grad[:1] = .25
    p.data.sub_(p.grad, alpha=lr)
def checking_step(p, lr, **kwargs):
    assert isinstance(p, torch.Tensor)
    p.data.sub_(p.grad, alpha=lr)
def drawing_step(p, lr, **kwargs): p.data.sub_(torch.randn_like(p.data)*lr + p.grad*lr)
def list_step(p, lr, history=(), **kwargs):
    history = [*history, p.grad.clone()][-2:]
    p.data.sub_(sum(history)*lr)
    return {'history': history}
def factored_step(p, lr, row=None, **kwargs):
    g = p.grad.flatten(1) if p.ndim>1 else p.grad[None]
    row = g.square().mean(1) if row is None else row.lerp(g.square().mean(1), .1)
    p.data.sub_((g/(row[:,None].sqrt()+.1)).view(p.shape), alpha=lr)
    return {'row':row}
def new_data_step(p, lr, **kwargs): p.data = p.data - p.grad*lr
def cumsum_step(p, lr, avg=None, **kwargs):
    avg = p.grad.cumsum(0) if avg is None else avg.mul_(.9).add_(p.grad.cumsum(0))
    p.data.sub_(avg, alpha=lr)
    return {'avg':avg}
def stacked_step(p, lr, **kwargs):
    x = torch.stack([p.data, p.grad])
    p.data.copy_(x[0]-lr*x[1])
def rolled_step(p, lr, **kwargs): p.data.add_(torch.cat([p.grad[1:], p.grad[:1]]), alpha=-lr)
def with_row_step(p, lr, **kwargs): p.data.sub_(p.grad*p.data.mean(0, keepdim=True), alpha=lr)
def looked_up():
    kept = {}
    def looked_up_step(p, lr, **kwargs):
        kept[p] = kept.get(p, 0) + p.grad
        p.data.sub_(kept[p], alpha=lr)
    return looked_up_step
class Counting:
    n,__name__ = 0,'counting'
    def __call__(self, p, lr, **kwargs):
        self.n += 1
        p.data.sub_(p.grad, alpha=lr*self.n)
odd = [sorted_step, row_step, item_step, if_step, set_step, window_step, grad_step, checking_step, drawing_step,
       list_step, factored_step, new_data_step, cumsum_step, stacked_step, rolled_step, with_row_step]

@case
def any_stepper():
    for f in odd: pair(*params(), lambda ps, **kw: Optimizer(ps, f, lr=.1, **kw), steps=3)
    for make in (looked_up, Counting): pair(*params(), lambda ps, **kw: Optimizer(ps, make(), lr=.1, **kw), steps=3)

@case
def any_stepper_in_the_loop():
    for f in (sorted_step, window_step, checking_step, list_step, factored_step):
        pair(*params(), lambda ps, **kw: Optimizer(ps, f, lr=.1, **kw), 'loop', steps=3)

def sorted_grad(p, **kwargs): return p.grad.sort(0).values

@case
def made_of_any():
    lists = [[average_grad, average_sqr_grad, step_stat, row_step], [Chain(average_grad, row_step), momentum_step],
        [clip_norm(sorted_step, average_grad, momentum_step)], [cautious(row_step)], [l2_reg, sorted_step],
        [WithGrad(sorted_grad, sgd_step)]]
    for cbs in lists: pair(*params(), lambda ps, **kw: Optimizer(ps, cbs, lr=.05, **kw))
    for inner in (Muon, Lamb): pair(*params(), lambda ps, **kw: Lookahead(inner(ps, lr=.01, **kw), k=2), steps=5)

@case
def collectives():
    most = dict(adam=0, sgd=0, lion=0, adan=0, ranger=0, lamb=1, larc=1, cautious=1, clip_norm=1, muon=9)
    for name,n in most.items():
        ps,qs = params([(20,16)]*9 + [(16,)]*6)
        opt = builders[name](ps, lr=.01)
        for i in range(3):
            set_grads(ps, qs, i)
            with CommDebugMode() as mode: opt.step()
            assert mode.get_total_counts()==n, (name, i, n, mode.get_comm_counts())

@case
def errors():
    "A stepper that fails leaves everything as the loop does, or as it was"
    def fails(p, lr, step, **kwargs):
        if step==3 and p.numel()==13: raise OSError('late')
    for engine in ('batched','loop'):
        ps,qs = params()
        a,b = (Optimizer(o, [step_stat, sgd_step, fails], lr=.1, engine=e) for o,e in ((ps,engine),(qs,'loop')))
        for i in range(3):
            set_grads(ps, qs, i)
            for o in (a,b):
                try:
                    o.step()
                    assert i<2
                except OSError: assert i==2
        for p,q in zip(ps, qs):
            torch.testing.assert_close(whole(p.data), q.data)
            assert a.state[p]==b.state[q]

@case
def meddled():
    "What is done to state, parameters and engine between the steps is seen"
    def each(i, a, b):
        fa,fb = (o.param_groups[0]['params'] for o in (a,b))
        for o,f in ((a,fa),(b,fb)):
            if i==1: o.state[f[0]]['grad_avg'].zero_()
            if i in (2,3): o.state[f[1]]['sqr_avg'] = like(torch.ones(13), f[1]) if i==2 else torch.ones(13)
            if i==4: o.load_state_dict(o.state_dict())
            if i==8: o.clear_state()
            if i==9: f[5].detach().fill_(1)
            if i==10: o.load_state_dict(b.state_dict()) # of whole tensors
            if i==12: f.pop()
            if i==13: o.add_param_group(dict(params=[f.pop()], lr=.02))
        a.engine = {5:'loop', 6:'sharded', 7:'batched'}.get(i, a.engine)
        if i==11: fa[5]._local_tensor,fb[5].data = torch.zeros_like(fa[5].to_local()),torch.zeros(16,16) # as FSDP may
    for name in ('adam','adam_l2'): pair(*params(), partial(builders[name], lr=.01), each=each, steps=15)

@case
def memory():
    "Nothing keeps parameters or state alive when an optimizer is gone"
    def run():
        ps,qs = params()
        for name in ('adam','lamb','muon'):
            opt = builders[name](ps, lr=.1)
            for i in range(3):
                set_grads(ps, qs, i)
                opt.step()
        return list(map(weakref.ref, [*ps, *(p._local_tensor for p in ps), opt]))
    gc.collect()
    gc.disable()
    try: assert not any(o() is not None for o in run())
    finally: gc.enable()

@case
def empty():
    "A tensor without numbers"
    for name in ('adam','lamb','muon','cautious'):
        pair(*params([(0,4), (13,4), (3,0)]), partial(builders[name], lr=.01))

@case
def copies():
    ps,qs = params()
    a,b = Adam(ps, .1),Adam(qs, .1)
    def walk(opt, ps):
        for i in range(3):
            set_grads(ps, qs, i)
            opt.step()
    walk(a, ps), walk(b, qs)
    saved = copy.deepcopy(a.state_dict())
    rs,_ = params()
    for p,r in zip(ps, rs): r.detach().copy_(p.detach())
    c = Adam(rs, .1)
    c.load_state_dict(saved)
    walk(a, ps), walk(b, qs), walk(c, rs)
    for p,q,r in zip(ps, qs, rs): assert torch.equal(whole(p.data), q.data) and torch.equal(whole(r.data), q.data)

@case
def checkpoint():
    full = partial(StateDictOptions, full_state_dict=True)
    kinds = None,full(cpu_offload=True),StateDictOptions(flatten_optimizer_state_dict=True)
    for name in ('adam','larc','muon'):
        for options in kinds:
            def make(seed):
                model = shard(net(13, seed))
                return model,builders[name](model.parameters(), lr=.01)
            def walk(model, opt, steps):
                for i in steps:
                    backward(model, i)
                    opt.step()
            (model,opt),(again,new) = make(0),make(1)
            walk(model, opt, (0,1))
            saved = copy.deepcopy(get_model_state_dict(model)),get_optimizer_state_dict(model, opt, options=options)
            walk(model, opt, (2,3))
            set_model_state_dict(again, saved[0])
            if options and options.full_state_dict: options = full(broadcast_from_rank0=True)
            set_optimizer_state_dict(again, new, saved[1], options=options)
            walk(again, new, (2,3))
            for p,q in zip(model.parameters(), again.parameters()): assert torch.equal(p.to_local(), q.to_local()), name

@case
def gradients():
    "All processes agree on what is finite, and on the common norm"
    first,last = dist.get_rank()==0,dist.get_rank()==dist.get_world_size()-1
    def fresh():
        ps,qs = params()
        plain = [nn.Parameter(torch.ones(s)) for s in ((3,3),(4,))]
        set_grads(ps+plain, qs+[nn.Parameter(o.detach().clone()) for o in plain], 0)
        return ps,qs,plain
    ps,qs,plain = fresh()
    assert all_finite([p.grad for p in ps+plain]) and all_finite([])
    for bad in (float('nan'), float('inf')):
        for j in range(len(ps)):
            ps,qs,plain = fresh()
            if first: ps[j].grad.to_local().view(-1)[0] = bad
            assert not all_finite([p.grad for p in ps]) and not all_finite(p.grad for p in ps+plain)
    ps,qs,plain = fresh()
    if last: plain[0].grad[0,0] = float('nan')
    assert not all_finite([p.grad for p in plain+ps])
    for with_plain in (False,True):
        ps,qs,plain = fresh()
        more = [nn.Parameter(o.detach().clone()) for o in plain]
        for o,p in zip(more, plain): o.grad = p.grad.clone()
        if not with_plain: more = plain = []
        norm,want = clip_grads(ps+plain, .5),torch.nn.utils.clip_grad_norm_(qs+more, .5)
        torch.testing.assert_close(norm, want)
        for p,q in zip(ps+plain, qs+more): torch.testing.assert_close(whole(p.grad), q.grad)

@case
def moving_average():
    "As EMA averages"
    ps,qs = params()
    avg,want = [p.detach().clone() for p in ps],[q.detach().clone() for q in qs]
    set_grads(ps, qs, 0)
    for o in (ps,qs): Adam(o, .1).step()
    torch._foreach_lerp_(avg, [p.detach() for p in ps], .3)
    torch._foreach_lerp_(want, [q.detach() for q in qs], .3)
    for a,b in zip(avg, want): torch.testing.assert_close(whole(a), b)

@case
def gradients_to_add_up():
    "A gradient of which each process has a summand"
    ps,qs = params([(13,4),(5,)]*3, placements=[Replicate()])
    for name in ('adam','lamb','l2','muon'):
        a,b = builders[name](ps, lr=.1),builders[name](qs, lr=.1)
        start = [q.detach().clone() for q in qs]
        for i in range(3):
            set_grads(ps, qs, i)
            share = 1/dist.get_world_size()
            for p in ps: p.grad = DTensor.from_local(p.grad.to_local()*share, p.device_mesh, [Partial()])
            a.step(), b.step()
        assert far(ps, qs, start)<=1e-5

@case
def remarks():
    ps,qs = params()
    assert 'weight_decay (gathered)' in repr(Muon(ps, .1)) and 'adam_step (sharded)' in repr(Adam(ps, .1))
    assert 'lamb_step (sharded, by tensor)' in repr(Lamb(ps, .1))
    assert '(' not in repr(Adam(ps, .1, engine='loop')).split(';')[0]

def run(names):
    "From the names of cases to '' or what went wrong"
    res = {}
    for k in names:
        start = time.perf_counter()
        try: cases[k]()
        except Exception: res[k] = traceback.format_exc()
        else: res[k] = ''
        print(dist.get_rank(), k, res[k] or 'ok', f'{time.perf_counter()-start:.1f}s', flush=True)
        if res[k]: break # the others wait for what does not come
    return res

def work(rank, n, folder, *names):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=int(rank), world_size=int(n))
    res = dict(sweep='' if sweep() else 'too far') if names==('sweep',) else run(names or cases)
    Path(folder, f'{rank}.json').write_text(json.dumps(res))
    dist.destroy_process_group()

def launch(n, *names, timeout=600, **kwargs):
    "What went wrong in `n` processes, a dictionary for each; those that hang are ended"
    with tempfile.TemporaryDirectory() as d:
        env,own = dict(os.environ, OMP_NUM_THREADS='1'),[sys.executable, __file__, 'work']
        ps = [subprocess.Popen([*own, str(i), str(n), d, *names], env=env, **kwargs) for i in range(n)]
        end = time.monotonic()+timeout
        for p in ps:
            try: p.wait(max(1, end-time.monotonic()))
            except subprocess.TimeoutExpired: p.kill()
        files = [Path(d, f'{i}.json') for i in range(n)]
        return [json.loads(f.read_text()) if f.exists() else {} for f in files]

if __name__=='__main__':
    first,*rest = sys.argv[1:]
    if first=='work': work(*rest)
    else: sys.exit(not all(o and not any(o.values()) for o in launch(int(first), *rest)))
