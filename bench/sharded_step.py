"""How long a step takes on parameters that lie in several processes, and how many collectives it needs.

`python bench/sharded_step.py` starts its own processes (2, over gloo) with a thread of torch each, and prints a line
for each optimizer and way to run it:
  ms           median over the rounds of the time of a step, in the slowest process
  /local       times the batched engine on plain tensors of the size of the parts, in the same round; median
  collectives  those of a step
The ways: `DTensor` is the loop over the DTensors themselves, as they compute; loop, batched and compiled are our
engines; `torch` is torch's AdamW (foreach). In a round each is measured once; each round starts with another one."""
import argparse, os, subprocess, sys, tempfile, time
from statistics import median

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import cpu_name
from optimloop import all as ol
from optimloop.optimizer import run_loop

builders = dict(adam=lambda ps, **kw: ol.Adam(ps, 1e-3, **kw), lamb=lambda ps, **kw: ol.Lamb(ps, 1e-3, **kw),
                muon=lambda ps, **kw: ol.Muon(ps, 1e-3, **kw))

def params(shapes, mesh):
    "DTensors with gradients, and plain tensors of the size of their parts"
    from torch.distributed.tensor import Shard, distribute_tensor
    g = torch.Generator().manual_seed(0)
    def one(shape): return distribute_tensor(torch.randn(shape, generator=g), mesh, [Shard(0)])
    ps = [nn.Parameter(one(s)) for s in shapes]
    for p in ps: p.grad = one(p.shape)
    qs = [nn.Parameter(p.to_local().detach().clone()) for p in ps]
    for p,q in zip(ps, qs): q.grad = p.grad.to_local().clone()
    return ps,qs

class OverDTensors:
    "The loop over DTensors"
    def __init__(self, opt): self.opt = opt
    @torch.no_grad()
    def step(self): run_loop(self.opt)

def entrants(name, shapes, mesh, compiled):
    build = builders[name]
    res = dict(local=build(params(shapes, mesh)[1]), DTensor=OverDTensors(build(params(shapes, mesh)[0])))
    for engine in ('loop','batched',*(['compiled'] if compiled else [])):
        res[engine] = build(params(shapes, mesh)[0], engine=engine)
    if name=='adam': res['torch'] = torch.optim.AdamW(params(shapes, mesh)[0], 1e-3, foreach=True)
    return res

def slowest(seconds):
    t = torch.tensor(seconds)
    dist.all_reduce(t, dist.ReduceOp.MAX)
    return t.item()

def timed(step, n):
    dist.barrier()
    start = time.perf_counter()
    for _ in range(n): step()
    return slowest((time.perf_counter()-start)/n)

def collectives(step):
    from torch.distributed.tensor.debug import CommDebugMode
    with CommDebugMode() as mode: step()
    return mode.get_total_counts()

def measure(name, shapes, mesh, args):
    opts = entrants(name, shapes, mesh, args.compiled)
    for o in opts.values():
        for _ in range(3): o.step()
    counts,names,times = {k:collectives(o.step) for k,o in opts.items()},list(opts),{k:[] for k in opts}
    for i in range(args.rounds):
        for k in names[i%len(names):]+names[:i%len(names)]:
            times[k].append(timed(opts[k].step, 1 if k=='DTensor' else 5))
    if dist.get_rank(): return
    for k in names:
        ratio = median(a/b for a,b in zip(times[k], times['local']))
        print(f'{name:6}{k:10}{1e3*median(times[k]):9.2f} ms {ratio:9.2f} /local {counts[k]:6} collectives', flush=True)

def work(args):
    torch.set_num_threads(args.threads)
    dist.init_process_group('gloo', init_method=f'file://{args.store}', rank=args.rank, world_size=args.processes)
    mesh = init_device_mesh('cpu', (args.processes,))
    shapes = [(args.rows,args.columns)]*args.tensors
    if args.rank==0: print(f'{cpu_name()}; torch {torch.__version__}; {args.processes} processes over gloo, '
        f'{args.threads} thread each; {args.tensors} tensors of {args.rows}×{args.columns}; {args.rounds} rounds')
    for name in args.optimizers.split(','): measure(name, shapes, mesh, args)
    dist.destroy_process_group()

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for k,v in dict(processes=2, threads=1, tensors=100, rows=64, columns=32, rounds=11, rank=-1).items():
        parser.add_argument(f'--{k}', type=int, default=v)
    parser.add_argument('--optimizers', default='adam,lamb,muon')
    parser.add_argument('--compiled', action='store_true', help='the compiled engine, too')
    parser.add_argument('--store', default='')
    args = parser.parse_args()
    if args.rank>=0: return work(args)
    with tempfile.TemporaryDirectory() as d:
        own = [sys.executable, __file__, *sys.argv[1:], '--store', f'{d}/store']
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        ps = [subprocess.Popen([*own, '--rank', str(i)], env=env) for i in range(args.processes)]
        return max(p.wait() for p in ps)

if __name__=='__main__': sys.exit(main())
