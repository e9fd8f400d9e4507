"""What each of several processes does for tests/test_sharded.py: it steps a model that is sharded over them, and the
same model whole, by the same gradients.

python tests/sharded_cases.py N              # all optimizers, engines and widths over N processes; minutes
python tests/sharded_cases.py N adam lamb    # some optimizers
"""
import os, subprocess, sys, tempfile, time, traceback
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from optimloop.all import *

builders = dict(
    sgd=SGD, momentum=partial(SGD, mom=.9, wd=.1), l2=partial(SGD, wd=.1, decouple_wd=False),
    rmsprop=RMSProp, rmsprop_mom=partial(RMSProp, mom=.9), adam=Adam, adam_l2=partial(Adam, decouple_wd=False),
    nesterov=Nesterov, radam=RAdam, qhadam=QHAdam, lion=Lion, adan=Adan, ademamix=AdEMAMix, larc=Larc,
    lars=partial(Larc, clip=False), lamb=Lamb, lookahead=lambda ps, **kw: Lookahead(Adam(ps, **kw), k=2),
    ranger=partial(ranger, k=3), muon=Muon, muon_lamb=partial(Muon, rest=[average_grad, average_sqr_grad, step_stat, lamb_step], sqr_mom=.9),
    cautious=lambda ps, **kw: Optimizer(ps, cautious(average_grad, momentum_step), **kw),
    clip_value=lambda ps, **kw: Optimizer(ps, clip_value(sgd_step), max_value=1e-3, **kw),
    clip_norm=lambda ps, **kw: Optimizer(ps, [clip_norm(average_grad, momentum_step)], max_norm=.01, **kw))
engines = 'loop','batched','sharded','compiled'

def net(width, seed=0):
    torch.manual_seed(seed)
    block = lambda: nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.GELU())
    return nn.Sequential(nn.Embedding(11, width), nn.Flatten(), nn.Linear(3*width, width), block(), block(),
                         nn.Linear(width, 5, bias=False))

def shard(model, **kwargs):
    for o in model[3:5]: fully_shard(o, **kwargs)
    return fully_shard(model, **kwargs)

def backward(model, i, rows=8):
    g = torch.Generator().manual_seed(i)
    x,y = torch.randint(0, 11, (rows,3), generator=g),torch.randint(0, 5, (rows,), generator=g)
    model.zero_grad()
    F.cross_entropy(model(x).float(), y).backward()

def whole(o): return o.full_tensor() if hasattr(o, 'full_tensor') else o

def copy_grads(model, ref):
    for p,q in zip(model.parameters(), ref.parameters()):
        q.grad = None if p.grad is None else whole(p.grad).detach().clone()

def far(ps, qs, start):
    "The largest difference, as a part of the way that the parameter has come"
    def one(p, q, s):
        way = (q.detach()-s).norm()
        return ((whole(p.detach())-q.detach()).norm()/way).item() if way else float(not torch.equal(whole(p.detach()), q))
    return max(map(one, ps, qs, start))

def compare(build, engine, width, steps=5, lr=.01, **kwargs):
    "How far a sharded model ends from a whole one"
    model,ref = shard(net(width), **kwargs),net(width)
    start = [p.detach().clone() for p in ref.parameters()]
    opt,plain = build(model.parameters(), lr=lr, engine=engine),build(ref.parameters(), lr=lr, engine='batched')
    for i in range(steps):
        backward(model, i)
        copy_grads(model, ref)
        for o in (opt,plain):
            o.lr = lr*(1-i/10)
            o.step()
        for p,q in zip(model.parameters(), ref.parameters()): # both leave the gradients alike
            torch.testing.assert_close(whole(p.grad), q.grad, rtol=1e-5, atol=1e-8)
    check_state(model, opt, plain, ref)
    return far([*model.parameters()], [*ref.parameters()], start)

def check_state(model, opt, plain, ref):
    for p,q in zip(model.parameters(), ref.parameters()):
        a,b = opt.state[p],plain.state[q]
        assert list(a)==list(b), (list(a),list(b))
        for k,v in b.items():
            if not isinstance(v, torch.Tensor): assert type(a[k]) is type(v) and a[k]==v, (k,a[k],v)
            else:
                assert v.ndim==0 or hasattr(a[k], 'full_tensor'), k
                assert a[k].dtype==v.dtype and (whole(a[k])-v).norm() <= 1e-5*v.norm(), (k,(whole(a[k])-v).norm()/v.norm())

def main(names):
    bad = 0
    for width in (13,16,100):
        for name in names or builders:
            for engine in engines:
                t = time.perf_counter()
                try: res = compare(builders[name], engine, width)
                except Exception as e:
                    res = f'{type(e).__name__}: {str(e)[:300]}'
                    if os.environ.get('TRACE'): traceback.print_exc()
                ok = isinstance(res, float) and res<=1e-5
                bad += not ok
                if dist.get_rank()==0: print('ok ' if ok else 'BAD', name, engine, width, res, f'{time.perf_counter()-t:.2f}s', flush=True)
    return bad

def launch(n, args, **kwargs):
    "Run this file in `n` processes"
    with tempfile.TemporaryDirectory() as d:
        env = dict(os.environ, STORE=f'{d}/store', WORLD=str(n), OMP_NUM_THREADS='1', PYTHONPATH=str(Path(__file__).resolve().parents[1]))
        ps = [subprocess.Popen([sys.executable, __file__, str(n), *args], env=dict(env, RANK=str(i)), **kwargs) for i in range(n)]
        return max(p.wait() for p in ps)

if __name__=='__main__':
    n,*names = sys.argv[1:]
    if 'RANK' not in os.environ: sys.exit(launch(int(n), names))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f"file://{os.environ['STORE']}", rank=int(os.environ['RANK']), world_size=int(n))
    bad = main(names)
    dist.destroy_process_group()
    sys.exit(bool(bad))
