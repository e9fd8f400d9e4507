"""What `ActivationStats` costs: `Learner.fit` with it against the same without, on a network of the size of ResNet-34.

`python bench/activation_stats.py` trains ResNet-34 (21 million weights) on images of `--size` pixels, on one thread and
on two, and prints a line for each entrant:
  without       the Learner with its default callbacks
  switched off  with `ActivationStats`, `run` switched off
  stats         with `ActivationStats()`: all convolutions and the last layer, each batch
  every 10      with `ActivationStats(every=10)`
  all numbers   with `ActivationStats(sample=None)`, which reads every number of each output
The columns:
  ms            median over the rounds of the milliseconds of a batch
  min, max      over the rounds
  /without      median over the rounds of the time over that of `without` in the same round
  own ms, own   mean milliseconds a batch that the callback's own functions took, its hooks included, by the clock; and
                that as a part of the batch without it: what there is to see where the other columns are noise
  records       batches recorded in a round
In a round every entrant trains for `--batches` batches, in one process, and each round starts with another one. The
first round warms up and is not counted. On a machine that others use too, `--clock cpu` takes the time that
the process had (its threads together) instead of the time that passed. `--cuda` measures on a GPU, if there is one."""
import argparse, gc, json, os, sys, time
from statistics import median

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import optimloop.all as ol
from optimloop.training.activations import ActivationStats
from common import cpu_name, resnet34

clocks = dict(wall=time.perf_counter, cpu=time.process_time)

class Timed(ActivationStats):
    "Knows the seconds that its own functions took, those of the hooks too"
    seconds,clock = 0.,time.perf_counter

def timed(k):
    f = getattr(ActivationStats, k)
    def run(self, *args):
        start = Timed.clock()
        try: return f(self, *args)
        finally: Timed.seconds += Timed.clock()-start
    return run

for k in 'before_batch _note after_pred leave_batch after_epoch'.split(): setattr(Timed, k, timed(k))

def stats(on=True, **kwargs):
    cb = Timed(name='activation_stats', **kwargs)
    cb.run = on
    return cb

entrants = {'without': lambda: None, 'switched off': lambda: stats(on=False), 'stats': stats,
    'every 10': lambda: stats(every=10), 'all numbers': lambda: stats(sample=None)}

def learner(cb, args, device):
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(args.bs, 3, args.size, args.size, generator=g).to(device),
                torch.randint(1000, (args.bs,), generator=g).to(device)) for _ in range(args.batches)]
    torch.manual_seed(0)
    learn = ol.Learner((batches,None), resnet34(), F.cross_entropy, opt_func=ol.SGD, lr=1e-2, cbs=cb, device=device)
    learn.remove_cb(ol.ProgressCallback)
    learn.logger = lambda cells: None
    return learn

def seconds(learn, clock, device):
    gc.collect()
    if device=='cuda': torch.cuda.synchronize()
    start = clock()
    learn.fit(1)
    if device=='cuda': torch.cuda.synchronize()
    return clock()-start

def measure(args, device):
    "Seconds of each entrant in each round, and the batches that it recorded"
    clock = Timed.clock = clocks[args.clock]
    own = {name:0. for name in entrants}
    learns = {name:learner(entrants[name](), args, device) for name in entrants}
    times = {name:[] for name in entrants}
    for i in range(args.rounds+1):
        names = list(entrants)
        names = names[i%len(names):] + names[:i%len(names)]
        for name in names:
            Timed.seconds = 0.
            times[name].append(seconds(learns[name], clock, device)/args.batches)
            if i: own[name] += Timed.seconds/args.batches/args.rounds
    records = {name:len(o.activation_stats.steps) if hasattr(o, 'activation_stats') else 0 for name,o in learns.items()}
    return {name:t[1:] for name,t in times.items()},records,own

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--rounds', type=int, default=7)
    p.add_argument('--batches', type=int, default=4, help='batches in a round')
    p.add_argument('--bs', type=int, default=16, help='batch size')
    p.add_argument('--size', type=int, default=64, help='pixels of a side')
    p.add_argument('--threads', type=int, nargs='+', default=[1,2])
    p.add_argument('--clock', choices=['wall','cpu'], default='wall')
    p.add_argument('--cuda', action='store_true')
    p.add_argument('--json', help='write the times to this file')
    args = p.parse_args()
    device = 'cuda' if args.cuda and torch.cuda.is_available() else 'cpu'
    print(f"{cpu_name()}, torch {torch.__version__}, {device}; batches of {args.bs}, {args.size} pixels, "
          f"{args.clock} time")
    found = {}
    for n in args.threads:
        torch.set_num_threads(n)
        times,records,own = measure(args, device)
        found[n] = times
        print(f"\n{n} thread{'s'*(n>1)}: medians of {args.rounds} rounds of {args.batches} batches")
        print(f"{'':<14}{'ms':>9}{'min':>9}{'max':>9}{'/without':>10}{'own ms':>9}{'own':>8}{'records':>9}")
        for name,t in times.items():
            ratio = median(a/b for a,b in zip(t, times['without']))
            ms = [f'{1e3*o:9.1f}' for o in (median(t),min(t),max(t))]
            print(f"{name:<14}{''.join(ms)}{ratio:10.3f}"
                  f"{1e3*own[name]:9.2f}{100*own[name]/median(times['without']):6.2f} %{records[name]:9}")
    if args.json:
        with open(args.json, 'w') as f: json.dump(dict(vars(args), seconds=found), f)

if __name__=='__main__': main()
