"""Kill a run, anywhere and again and again, resume it to its end, and compare it bit for bit with the run that was
not killed.

python tests/kill_anywhere.py --kills 200      # all of it, some minutes
python tests/kill_anywhere.py --kills 24       # a part of it, evenly chosen
python tests/kill_anywhere.py --cases fp64     # one of the runs only

The run, `main`: a model with batch norm and dropout, unique samples that are shuffled, a ragged last batch, gradients
accumulated over
12 samples in batches of 8, clipping, EMA, one cycle, fp16 with a loss scale that grows, a checkpoint after every
batch. It is
killed by SIGKILL at each boundary between two batches, inside the writing of a file at each call of the operating
system
(before it, after it, and in the midst of a write), and at random instants, some by SIGTERM, of which it is told;
once, or several times one after another. Other runs die less often (`cases`): fp64 and
bf16 weights beside state of other types, buffers that come and grow, a loss with parameters, callbacks that keep all
sorts of things, and two fits. Then
parts are left out of the checkpoint one by one, and the comparison must fail.
"""
import argparse
import collections
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ['CUDA_VISIBLE_DEVICES'] = '' # a process that has used a GPU cannot fork
from functools import partial

import numpy as np
import torch
from torch import nn

from optimloop.basics import saved_state
from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.runs.parts import *
from optimloop.basics.course import *

torch.set_num_threads(1)
n_epoch,n_samples,bs = 3,37,8
n_batches = n_epoch*-(-n_samples//bs)
calls = 'open','write','fsync','close','replace','link','unlink'

class Log(Callback):
    "Writes the samples of each batch to a file: a line that is there says what was trained on"
    order = -100
    def __init__(self, file): self.to_file = file
    def before_batch(self):
        if not self.training: return
        epoch,ids = self.epoch + 10*getattr(self.learn, 'fits_done', 0),self.xb[0][:,0].int().tolist()
        os.write(self.to_file, f'{epoch} {self.iter} {ids}\n'.encode())

class KillAfterBatch(Callback):
    run_valid,run_after,transient = False,Checkpoint,'left'
    def __init__(self, n): self.left = n
    def after_batch(self):
        self.left -= 1
        if not self.left: os.kill(os.getpid(), signal.SIGKILL)

class DeadlyOS:
    """Stands for the module `os`, counts the calls that write, and kills at number `n`: 'before' it, 'after' it, or
    'amid' what it writes"""
    def __init__(self, n, when): self.left,self.when = n,when
    def __getattr__(self, k):
        f = getattr(os, k)
        if k not in calls: return f
        def deadly(*args, **kwargs):
            self.left -= 1
            if self.left==0 and self.when=='amid' and k=='write': f(args[0], args[1][:len(args[1])//2])
            if self.left==0 and self.when!='after': os.kill(os.getpid(), signal.SIGKILL)
            try: return f(*args, **kwargs)
            finally:
                if self.left==0: os.kill(os.getpid(), signal.SIGKILL)
        return deadly

def data():
    x = torch.randn(n_samples, 6)
    x[:,0] = torch.arange(n_samples)
    return x, (x[:,1:3].sum(1)>0).long()

def learner(folder, checkpoint, log, case='main'):
    for f in torch.manual_seed,np.random.seed,random.seed: f(1) # as a script would
    x,y = data()
    return cases[case](DataLoaders.from_arrays(x, y, x, y, bs=bs),
        [Log(log), checkpoint, GradientClip(5.), CSVLogger(append=False)], folder)

def main(dls, cbs, folder):
    model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(.3), nn.Linear(12, 2))
    cbs = [*cbs, GradientAccumulation(12), EMA(.8)]
    return Learner(dls, model, nn.CrossEntropyLoss(), Adam, lr=.01, cbs=cbs, metrics=accuracy,
        path=folder).to_fp16(init_scale=2.**12, growth_interval=2)

class Grows(nn.Module):
    "A network in any dtype, whose buffers come, grow and go while it is trained"
    def __init__(self, dtype):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(.3),
            nn.Linear(12, 2)).to(dtype)
        self.register_buffer('recent', None)
        self.register_buffer('first', torch.zeros(3))
        self.register_buffer('aside', torch.zeros(0), persistent=False)
    def forward(self, x):
        out = self.body(x.to(self.body[0].weight.dtype)).float()
        if self.training:
            new = out.detach().mean(0, keepdim=True)
            self.recent,self.first = new if self.recent is None else torch.cat([self.recent, new])[-9:],None
            self.aside = torch.cat([self.aside, new[:,0]])[-4:]
            if not hasattr(self, 'n'): self.register_buffer('n', torch.zeros((), dtype=torch.int32))
            self.n += 1
        return out if self.recent is None else out + .01*(self.recent.mean(0)+self.aside.sum())

class Weighed(nn.Module):
    "A loss that learns how to weigh its two parts"
    def __init__(self):
        super().__init__()
        self.logs = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    def forward(self, pred, y):
        parts = torch.stack([nn.functional.cross_entropy(pred, y), pred.pow(2).mean()]).double()
        return ((-self.logs).exp()*parts + self.logs).sum().float()

class Diary(Callback):
    "Keeps a deque, a counter and more, and halves a rate after each epoch's training"
    keeps,order = ('last','counts','sums','rng_state','n_trained'),2000
    def __init__(self):
        self.last,self.counts = collections.deque(maxlen=5),collections.Counter()
        self.sums,self.rng = collections.defaultdict(lambda: torch.zeros(2)),torch.Generator().manual_seed(3)
        self.n_trained = 0
    rng_state = property(lambda self: self.rng.get_state(), lambda self, state: self.rng.set_state(state))
    transient = 'rng' # which is kept as its state
    def before_batch(self):
        if self.training:
            self.learn.xb = (self.x + torch.cat([torch.zeros(len(self.x), 1),
                .1*torch.randn(len(self.x), 5, generator=self.rng)], 1),)
    def after_batch(self):
        self.last.append((self.epoch,self.iter,self.training))
        self.counts[self.iter] += 1
        self.sums[self.iter%2] += 1
    def after_train(self):
        self.opt.lr = self.opt.lr/2 if isinstance(self.opt.lr, float) else [o/2 for o in self.opt.lr]
        self.n_trained += 1

def odd_state(p, wide=None, n=None, seen=None, **kwargs):
    "State of other types than the parameter's: wide weights, an integer, flags"
    wide = p.data.to(torch.float32 if p.dtype!=torch.float32 else torch.float64) if wide is None else wide
    return dict(wide=wide.add_(p.grad.to(wide.dtype), alpha=-.01),
        n=torch.ones((), dtype=torch.int32) if n is None else n+1, seen=p.data>0 if seen is None else seen|(p.data>0))

def odd_step(p, lr, wide, n, seen, **kwargs): p.data.copy_(torch.where(seen, wide - lr*1e-3*n, wide))

def fp64(dls, cbs, folder):
    loss = Weighed()
    cbs = [*cbs, GradientAccumulation(12), NaNPolicy('skip'), Diary]
    opt_func = partial(OptimWrapper, opt=partial(torch.optim.NAdam, momentum_decay=.1))
    return Learner(dls, Grows(torch.float64), loss, opt_func, lr=.01, cbs=cbs, path=folder,
        splitter=lambda m: [[*m.parameters()], [loss.logs]])

def bf16(dls, cbs, folder):
    opt_func = lambda ps, lr: Optimizer(ps, [odd_state, odd_step], lr=lr)
    return Learner(dls, Grows(torch.bfloat16), nn.CrossEntropyLoss(), opt_func, lr=.1,
        cbs=[*cbs, EMA(.8, in_valid=True), TerminateOnNaN, Diary], path=folder)

def asgd(dls, cbs, folder):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2)).double()
    opt_func = partial(OptimWrapper, opt=partial(torch.optim.ASGD, t0=3., lambd=.1))
    return Learner(dls, nn.Sequential(Doubled(), model), nn.CrossEntropyLoss(), opt_func, lr=.1,
        cbs=[*cbs, GradientAccumulation(12), TerminateOnNaN], path=folder)

class Doubled(nn.Module):
    def forward(self, x): return x.double()

def two_fits(learn):
    learn.fit(1, resume=True)
    learn.looks = dict(losses=learn.recorder.losses, values=learn.recorder.values)
    learn.fit_one_cycle(n_epoch-1, resume=True)

cases = dict(main=main, fp64=fp64, bf16=bf16, asgd=asgd)
fits = dict(main=lambda learn: learn.fit_one_cycle(n_epoch, resume=True),
    fp64=lambda learn: learn.fit(n_epoch, resume=True), bf16=lambda learn: learn.fit(n_epoch, resume=True),
    asgd=two_fits)

def result(learn):
    rec,opt = learn.recorder,read_optimizer(learn)
    opt['state'] = dict(sorted(opt['state'].items()))
    kept = {k:v for k,v in read_callbacks(learn).items() if k not in ('recorder','csv_logger')}
    rows = [o.split(',')[:-1] for o in (learn.path/'history.csv').read_text().splitlines()]
    return dict(model=read_weights(learn), loss=dict(read_loss(learn)), opt=opt, kept=kept,
                looks=getattr(learn, 'looks', None), values=rec.values, losses=rec.losses, hps=rec.hps,
                clip=learn.gradient_clip.norms, iters=learn.train_iter, csv=rows)

class Forgetful(Checkpoint):
    "Puts back all but one part"
    name,forgets = 'checkpoint',''
    def _put_state(self, state): super()._put_state(forget(self.forgets, state))
    def _resume(self, state): super()._resume(forget(self.forgets, state))

def forget(what, state):
    if what=='position': return dict(state, run=dict(state['run'], batch=0))
    if what=='order': return dict(state, feed=None)
    if what in state['callbacks']: return dict(state, callbacks={k:v for k,v in state['callbacks'].items() if k!=what})
    return {k:v for k,v in state.items() if k!=what}

def run(folder, n=None, when=None, forgets='', case='main'):
    "The script that is killed: at boundary `n`, or at call `n` of the operating system"
    os.makedirs(folder, exist_ok=True)
    os.dup2(os.open(Path(folder)/'out.txt', os.O_WRONLY|os.O_CREAT|os.O_APPEND), 1)
    warnings.simplefilter('error')
    if when in ('before','after','amid'): saved_state.os = DeadlyOS(n, when) # all that is written is written there
    cb = Forgetful(every_batches=1)
    cb.forgets = forgets
    learn = learner(folder, cb, os.open(Path(folder)/'log.txt', os.O_WRONLY|os.O_CREAT|os.O_APPEND), case)
    if when=='boundary': learn.add_cb(KillAfterBatch(n))
    with learn.no_bar(): fits[case](learn)
    save_state(Path(folder)/'result.safetensors', result(learn))

def warm_up():
    "Train in this process, so that the children need not do what PyTorch does only once"
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            learn = learner(folder, Checkpoint(), os.open(os.devnull, os.O_WRONLY), case)
            with learn.no_logging(): learn.fit_one_cycle(1)

def in_child(seconds=None, number=signal.SIGKILL, **kwargs):
    """Run the script in a process of its own, to which signal `number` is sent after `seconds`; was it killed, by any
    of this?"""
    pid = os.fork()
    if not pid:
        try:
            run(**kwargs)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally: os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, number)
    status = os.waitpid(pid, 0)[1]
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status): raise AssertionError(f'the script failed: {kwargs}')
    return os.WIFSIGNALED(status)

def samples(folder):
    "The samples of each batch, by epoch and number; a batch that was trained on twice must have had the same"
    res = {}
    for line in (Path(folder)/'log.txt').read_text().splitlines():
        epoch,i,ids = line.split(' ', 2)
        if res.setdefault((int(epoch),int(i)), ids)!=ids:
            raise AssertionError(f'epoch {epoch}, batch {i} had other samples when it came again')
    return res

def compare(folder, truth):
    "Where the run in `folder` differs from `truth`; an empty string if nowhere"
    from test_checkpoints import differs
    try: seen = samples(folder)
    except AssertionError as e: return str(e)
    return differs(truth[0], load_state(Path(folder)/'result.safetensors')) or ('' if seen==truth[1]
        else 'the samples differ')

def plans(n_calls, seconds, rng):
    """Kinds of death: lists of arguments of `in_child`, one for each kill; the first ones cover every boundary and
    every call"""
    yield from ([dict(n=n, when='boundary')] for n in range(1, n_batches+1))
    one_file = n_calls//(n_batches+n_epoch+1)
    # of the second file
    yield from ([dict(n=n, when=when)] for n in range(one_file, 2*one_file+1) for when in ('before','amid'))
    while True:
        yield [dict(seconds=rng.uniform(.005, seconds))]
        yield [dict(seconds=rng.uniform(.005, seconds), number=signal.SIGTERM)]
        yield [dict(n=rng.randrange(1, n_calls), when=rng.choice(['before','amid','after']))]
        # killed, resumed, killed, resumed …
        yield [dict(n=rng.randrange(1, 5), when='boundary') for _ in range(rng.randrange(2, 5))]
        yield [dict(seconds=rng.uniform(.005, seconds/2)), dict(n=rng.randrange(1, 60), when='amid'),
            dict(n=1, when='boundary')]

def kill_anywhere(kills, folder, case='main'):
    "How many kills there were, and a list of what went wrong"
    rng,folder = random.Random(0),Path(folder)/case
    folder.mkdir()
    start = time.perf_counter()
    in_child(folder=folder/'truth', case=case)
    seconds = time.perf_counter()-start
    truth = load_state(folder/'truth'/'result.safetensors'),samples(folder/'truth')
    assert sorted(truth[1])==[(e, i) for e in ((0,10,11) if case=='asgd' else range(n_epoch))
        for i in range(n_batches//n_epoch)] and (case!='main'
        or len(set(truth[0]['kept']['mixed_precision']['kept']['scales']))>1)
    n_calls = count_calls(folder/'counted', case)
    assert n_calls>6*(n_batches+n_epoch), 'no calls of the operating system are seen: nothing would die in writing'
    done,wrong,kinds,every = 0,[],collections.Counter(),plans(n_calls, seconds, rng)
    fixed = n_batches+2*(n_calls//(n_batches+n_epoch+1)+1)
    for i,plan in enumerate(every):
        if done>=kills: break
        if kills<200 and i<fixed and i%(-(-fixed*3//(2*kills))): continue # a part of them
        where = folder/f'run{i}'
        for death in plan:
            if in_child(folder=where, case=case, **death):
                done += 1
                kinds[death.get('when', 'SIGTERM' if 'number' in death else 'instant')] += 1
        if in_child(folder=where, case=case): raise AssertionError('this one was not to be killed')
        if bad := compare(where, truth): wrong.append(f'{case}, {plan}: {bad}')
    return done,wrong,kinds,truth

def count_calls(folder, case):
    "The number of calls that write, in the whole run"
    pid = os.fork()
    if not pid:
        try:
            counter = DeadlyOS(10**9, 'before')
            saved_state.os = counter
            run(folder, case=case)
            Path(folder, 'calls').write_text(str(10**9-counter.left))
        finally: os._exit(0)
    os.waitpid(pid, 0)
    return int(Path(folder, 'calls').read_text())

forgotten = '''weights optimizer gradients random position order ema gradient_accumulation mixed_precision recorder
    gradient_clip sched_lr_mom csv_logger'''.split()

def controls(folder, truth, n):
    """What each part, left out, does to the run: where it differs first. A part without which nothing differs is not
    tested by the comparison"""
    res = {}
    for part in forgotten[::-(-len(forgotten)//n)]:
        where = Path(folder)/f'without_{part}'
        assert in_child(folder=where, n=7, when='boundary')
        try: in_child(folder=where, forgets=part)
        except AssertionError: res[part] = 'it does not run'
        else: res[part] = compare(where, truth)
    return res

if __name__=='__main__':
    sys.path.insert(0, str(Path(__file__).parent))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--controls', type=int, default=len(forgotten))
    parser.add_argument('--cases', nargs='+', default=list(cases), choices=list(cases))
    args,start = parser.parse_args(),time.perf_counter()
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        failed = False
        for case in args.cases:
            kills = args.kills if len(args.cases)==1 else -(-args.kills*(3 if case=='main' else 1)//(2+len(args.cases)))
            done,wrong,kinds,truth = kill_anywhere(kills, folder, case)
            failed = failed or bool(wrong)
            seconds = time.perf_counter()-start
            print(f'{case}: {done} kills ({dict(kinds)}), {len(wrong)} runs that differ, {seconds:.0f} s', *wrong,
                  sep='\n', flush=True)
            if case!='main': continue
            for part,bad in controls(Path(folder)/case, truth, args.controls).items():
                print(f'without {part}: {bad or "NOTHING DIFFERS"}', flush=True)
                failed = failed or not bad
    sys.exit(failed)
