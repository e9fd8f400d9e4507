"""What checkpoints cost: to the run, and to save and load against `torch.save` and `torch.load`.

`python bench/checkpoint.py` trains a network of the size of ResNet-34 (21.8 million weights) with Adam on the CPU, on
random
images, and prints
  batch       median seconds of a batch, without a Checkpoint
  held        median seconds for which the loop is held by a save: the copy of the state to memory
  behind      median seconds of processor time that the thread takes, beside the loop, for the digest and the file
  every 100   what a checkpoint every 100 batches adds, in per cent of the run: of the time if a core is free for the
  thread
              (`held`), and at most, if none is (`held` and `behind`)
  small       microseconds a batch for what is kept of the random generators, in case the next batch cannot be had
and then for the weights and the optimizer's state in such a file, median seconds over the rounds, one after the other
in each round:
  save        `save_state`, which makes a digest and waits until the file is on the disk; the same without waiting (no
  fsync);
              `torch.save`, which does neither, and `torch.save` followed by fsync
  load        `load_state`, which compares the digest, and all tensors read; `torch.load` with `weights_only`
`--real N` also trains N batches with a checkpoint every 100, and N without, turn by turn, three times, and prints
what is added
to the time, and to the processor time, the thread's included: on a machine that others use too, only the latter says
much."""
import argparse, os, platform, sys, tempfile, time
from pathlib import Path
from statistics import median

import torch
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import optimloop.all as ol
from common import resnet34
from optimloop.basics import saved_state
from optimloop.runs import checkpoints
from optimloop.runs.checkpoints import Checkpoint
from optimloop.runs.parts import read_random

class Clock(ol.Callback):
    "When each training batch ended, and how much processor time the process had had"
    order,run_valid,transient = 2000,False,('times','cpu')
    def before_fit(self): self.times,self.cpu = [time.perf_counter()],[time.process_time()]
    def after_batch(self):
        self.times.append(time.perf_counter())
        self.cpu.append(time.process_time())

def learner(args, folder, n, cbs=()):
    torch.manual_seed(0)
    x,y = torch.randn(args.bs, 3, args.size, args.size),torch.randint(1000, (args.bs,))
    learn = ol.Learner(([(x,y)]*n,None), resnet34(), nn.functional.cross_entropy, ol.Adam, path=folder,
        cbs=[Clock, *cbs])
    learn.remove_cb(ol.ProgressCallback)
    learn.logger = lambda row: None
    return learn

def clocked(f, times, clock=time.perf_counter):
    def res(*args, **kwargs):
        start = clock()
        try: return f(*args, **kwargs)
        finally: times.append(clock()-start)
    return res

def cost_to_the_run(args, folder):
    learn = learner(args, folder, args.batches+2)
    learn.fit(1)
    batch = median(b-a for a,b in zip(learn.clock.times[2:], learn.clock.times[3:]))
    held,behind = [],[]
    pack,write = checkpoints.pack_state,checkpoints.write_packed
    learn = learner(args, folder, args.batches+2, [Checkpoint(every_batches=1, keep=1)])
    state = Checkpoint._state
    Checkpoint._start_writing,start = clocked(Checkpoint._start_writing, held),Checkpoint._start_writing
    checkpoints.pack_state,Checkpoint._state = clocked(pack, packs := []),clocked(state, states := [])
    checkpoints.write_packed = clocked(write, behind, time.thread_time)
    try: learn.fit(1)
    finally:
        checkpoints.pack_state,checkpoints.write_packed = pack,write
        Checkpoint._state,Checkpoint._start_writing = state,start
    small = median(clocked(lambda: read_random(learn), times := [])() and times[-1] for _ in range(200))
    held = median(a+b+c for a,b,c in zip(packs[1:], states[1:], held[1:]))
    behind = median(behind[1:])
    print(f'batch      {batch:.3f} s ({args.bs} images of {args.size} × {args.size})')
    print(f'held       {held:.3f} s')
    print(f'behind     {behind:.3f} s')
    print(f'every 100  {held/batch:.2f} % with a free core, at most {(held+behind)/batch:.2f} %')
    print(f'small      {small*1e6:.0f} us, {small/batch*100:.4f} % of a batch')
    state = saved_state.load_state(next(iter(sorted((Path(folder)/'checkpoints').glob('0*')))))
    return {k:state[k] for k in ('weights','optimizer')} # what torch.load reads with `weights_only` too

def without_sync(f):
    def res(*args):
        sync,saved_state.os.fsync = os.fsync,lambda fd: None
        try: return f(*args)
        finally: saved_state.os.fsync = sync
    return res

def torch_save_synced(state, path):
    with open(path, 'wb') as f:
        torch.save(state, f)
        f.flush()
        os.fsync(f.fileno())

def tensors(o):
    if isinstance(o, torch.Tensor): yield o
    elif isinstance(o, (dict,list,tuple)):
        for v in o.values() if isinstance(o, dict) else o: yield from tensors(v)

def read_all(state):
    return sum(t.reshape(-1).view(torch.uint8).sum(dtype=torch.int64) for t in tensors(state) if t.is_contiguous()
        and t.numel())

def files(args, folder, state):
    ours,theirs = Path(folder)/'a.safetensors',Path(folder)/'a.pth'
    what = {'save_state':lambda: saved_state.save_state(ours, state),
        'save_state, no fsync':lambda: without_sync(saved_state.save_state)(ours, state),
            'torch.save':lambda: torch.save(state, theirs),
            'torch.save, fsync':lambda: torch_save_synced(state, theirs),
            'load_state':lambda: read_all(saved_state.load_state(ours)),
            'torch.load':lambda: read_all(torch.load(theirs, weights_only=True))}
    times = {k:[] for k in what}
    for _ in range(args.rounds):
        for k,f in what.items(): clocked(f, times[k])()
    print(f'a file of {os.path.getsize(ours)/2**20:.0f} MiB')
    for k,v in times.items(): print(f'{k:<22} {median(v):.3f} s ({min(v):.3f} to {max(v):.3f})')

def for_real(args, folder):
    added = []
    for i in range(3):
        seconds = {}
        for with_ in (i%2==0, i%2==1):
            learn = learner(args, folder, args.real+1, [Checkpoint(every_batches=100, every_epochs=10**6)]*with_)
            learn.fit(1)
            # all but the first batch, and not the save at the end
            seconds[with_] = [o[-2]-o[1] for o in (learn.clock.times,learn.clock.cpu)]
        added.append([100*(a/b-1) for a,b in zip(seconds[True], seconds[False])])
        print(f'real       {args.real} batches: {seconds[False][0]:.1f} s, with checkpoints {added[-1][0]:+.2f} %; '
              f'of processor time {added[-1][1]:+.2f} %', flush=True)
    print('real       median {:+.2f} %; of processor time {:+.2f} %'.format(*map(median, zip(*added))))

if __name__=='__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name,default,what in (('--threads', 1, 'threads of PyTorch'), ('--bs', 16, 'images in a batch'),
        ('--size', 64, 'pixels of a side'), ('--batches', 8, 'batches that are timed'),
                              ('--rounds', 5, 'rounds for the files'),
                              ('--real', 0, 'batches to train with and without, for real')):
        parser.add_argument(name, type=int, default=default, help=what)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f'{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {args.threads} thread(s)')
    with tempfile.TemporaryDirectory() as folder:
        state = cost_to_the_run(args, folder)
        files(args, folder, state)
        if args.real: for_real(args, folder)
