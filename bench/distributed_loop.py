"""What `learn.distribute()` costs: a Learner on N processes against a loop written by hand around PyTorch's
`DistributedDataParallel`.

`python bench/distributed_loop.py` starts two processes (gloo, one thread each) and trains two networks on digits-like
data, batches of 64 in all. For each network, and for batches that lie in a list and that come from a `DataLoader`, it
prints a line for each entrant:
  ms          median over the rounds of the milliseconds of a batch, by the clock of rank 0: an epoch of many batches,
              less one of few
  /hand       median over the rounds of that over the one of the hand-written loop in the same round
  start       milliseconds that an epoch takes besides: a fit compares the ranks, sends weights, and makes its buckets
  differs     how far its weights after an epoch are from those of that loop, as a part of the way these have come
By hand each rank has its own batches of 32: a list, or a `DataLoader` with a `DistributedSampler`, as is usual. It
averages nothing but gradients: its loss is that of its share. Ours runs with the callbacks that a Learner has by
default, and knows the loss of the whole batch in each step. With `--shard` both keep the model in parts, by
`fully_shard` of each layer and of the network. In a round each entrant trains for an epoch of each kind,
and each round starts with another one; the first is not counted."""
import argparse, os, socket, sys, time
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import distributed as dist, multiprocessing as mp, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import optimloop.all as ol
from common import cpu_name

BS,lr,FEW,SHARD = 64,1e-3,3,False

def mlp():
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(nn.Flatten(), *layers)

def conv_net():
    def conv(a, b): return [nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*conv(1, 16), *conv(16, 32), *conv(32, 64), nn.Flatten(), nn.Linear(1024, 10))

nets = dict(mlp=mlp, conv=conv_net)

def arrays(n_batches):
    g = torch.Generator().manual_seed(0)
    return torch.randn(n_batches*BS, 1, 28, 28, generator=g), torch.randint(0, 10, (n_batches*BS,), generator=g)

def new_model(net):
    torch.manual_seed(0)
    return nets[net]()

def cut(model):
    from torch.distributed.fsdp import fully_shard
    for m in model:
        if any(True for _ in m.parameters()): fully_shard(m)
    return fully_shard(model)

class Hand:
    def __init__(self, net, kind, n_batches):
        rank,n = dist.get_rank(),dist.get_world_size()
        x,y = arrays(n_batches)
        if kind=='list': self.train = [(a.chunk(n)[rank],b.chunk(n)[rank]) for a,b in zip(x.split(BS), y.split(BS))]
        else:
            ds = TensorDataset(x, y)
            self.train = DataLoader(ds, BS//n, sampler=DistributedSampler(ds, shuffle=False))
        self.model = new_model(net)
        self.ddp = cut(self.model) if SHARD else DistributedDataParallel(self.model)
        self.opt = torch.optim.SGD(self.model.parameters(), lr=lr, momentum=.9)

    def run(self):
        self.ddp.train()
        for xb,yb in self.train:
            loss = F.cross_entropy(self.ddp(xb), yb)
            loss.backward()
            self.opt.step()
            self.opt.zero_grad()

class Ours:
    def __init__(self, net, kind, n_batches):
        x,y = arrays(n_batches)
        train = list(zip(x.split(BS), y.split(BS))) if kind=='list' else DataLoader(TensorDataset(x, y), BS)
        self.model = new_model(net)
        self.learn = ol.Learner((train,None), self.model, F.cross_entropy, partial(ol.SGD, mom=.9), lr=lr)
        self.learn.remove_cb(ol.ProgressCallback)
        self.learn.logger = lambda cells: None
        self.learn.distribute(shard=SHARD)

    def run(self): self.learn.fit(1)

def measure(net, kind, rounds, n_batches, clock):
    "Milliseconds of a batch and of the start, lists by entrant; how far the weights differ after an epoch"
    entrants = {k:[cls(net, kind, n) for n in (n_batches,FEW)] for k,cls in dict(hand=Hand, ours=Ours).items()}
    start,times,differs = weights(entrants['hand'][0]),{k:([],[]) for k in entrants},None
    for i in range(rounds+1):
        names = list(entrants)
        for k in names[i%2:]+names[:i%2]:
            many,few = (timed(o, clock) for o in entrants[k])
            batch = (many-few)/(n_batches-FEW)
            if i: times[k][0].append(batch), times[k][1].append(few-FEW*batch)
        if differs is None: differs = difference(start, *(weights(o[0]) for o in entrants.values()))
    return times,differs

def timed(entrant, clock):
    dist.barrier()
    t = clock()
    entrant.run()
    dist.barrier()
    return (clock()-t)*1e3

def whole(p): return p.full_tensor() if SHARD else p

def weights(o): return torch.cat([whole(p.detach()).reshape(-1) for p in o.model.parameters()])

def difference(start, a, b): return ((a-b).norm()/(a-start).norm()).item()

def run(rank, args, port):
    place = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=args.n, MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    os.environ.update({k:str(v) for k,v in place.items()})
    global SHARD
    SHARD = args.shard
    clock = time.process_time if args.clock=='cpu' else time.perf_counter
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    if rank==0: print(f"{cpu_name()}, torch {torch.__version__}, {args.n} processes of one thread, gloo\n")
    for net in nets:
        for kind in ('list','loader'):
            times,differs = measure(net, kind, args.rounds, args.batches, clock)
            if rank: continue
            print(f"{net}, {kind:<20} {'ms':>8} {'/hand':>8} {'start':>8} {'differs':>9}")
            for k,(ms,starts) in times.items():
                ratio,apart = median(a/b for a,b in zip(ms, times['hand'][0])),0. if k=='hand' else differs
                print(f"  {k:<24} {median(ms):8.3f} {ratio:8.3f} {median(starts):8.1f} {apart:9.1e}", flush=True)
    dist.barrier()
    dist.destroy_process_group()

if __name__=='__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--batches', type=int, default=100, help='in an epoch')
    parser.add_argument('--shard', action='store_true', help='models in parts')
    parser.add_argument('-n', type=int, default=2, help='number of processes')
    parser.add_argument('--clock', choices=('wall','cpu'), default='wall',
                        help='cpu: the time that rank 0 had, on a machine that others use too')
    args = parser.parse_args()
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.spawn(run, (args,port), args.n)
