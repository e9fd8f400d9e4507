"""Interrupts at random instants of tiny fits: afterwards all is as it was, and the Learner can fit again.

In the suite some hundred; `python tests/test_interrupts.py --fits 4000` for the full count."""
import argparse, collections, ctypes, random, signal, sys, threading, time

import pytest
import torch
from torch import nn
import torch.nn.functional as F

from optimloop.all import *
from optimloop.basics.course import *

batches = [(torch.randn(4, 2),torch.randn(4, 1)) for _ in range(2)]

def quiet(**kwargs):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    learn = Learner((batches,batches), model, F.mse_loss, lr=.01, wd=.1, default_cbs=False, **kwargs)
    learn.logger = lambda cells: None
    learn.add_cbs([TrainEvalCallback, Recorder])
    learn.create_opt()
    return learn

class Looks(Callback):
    "Validates within the fit, and removes itself in its last epoch"
    order = 200
    def after_epoch(self):
        self.learn.validate(cbs=MixedPrecision('bf16') if hasattr(self.learn, 'ema') else EMA(.5))
        if self.epoch==self.n_epoch-1: self.learn.remove_cb(self)

class Within(Callback):
    "Validates within each training batch"
    order = 5
    def after_pred(self):
        if self.training: self.learn.validate()

def schedule(): return ParamScheduler({'lr': SchedLin(.1, 0.), 'mom': SchedCos(.95, .85)})
kinds = dict(
    autocast=lambda learn: learn.fit(2, wd=.3,
        cbs=[MixedPrecision('bf16'), EMA(.9, in_valid=True), schedule(), GradientClip(1.)]),
    masters=lambda learn: learn.fit(2, wd=.3,
        cbs=[PureBF16('master'), GradientAccumulation(6), NaNPolicy('skip'), FreezeUntil(0)]),
    rounded=lambda learn: learn.fit(2, cbs=[PureBF16(), EMA(.9, in_valid=True), schedule()]),
    looks=lambda learn: learn.fit(2, cbs=[EMA(.9, in_valid=True), GradientAccumulation(6), Looks()]),
    within=lambda learn: learn.fit(1, cbs=[PureBF16('master'), EMA(.9, in_valid=True), Within()]),
    within_autocast=lambda learn: learn.fit(1, cbs=[MixedPrecision('fp16'), Within()]),
    half=lambda learn: learn.fit(1, cbs=[ModelToHalf('bf16'),
        TorchScheduler(lambda opt: torch.optim.lr_scheduler.StepLR(opt, 1))]),
    one_batch=lambda learn: learn.one_batch(),
    validate=lambda learn: learn.validate(cbs=[MixedPrecision('bf16'), TerminateOnNaN]),
    preds=lambda learn: learn.get_preds(with_loss=True))

def depth():
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()

def snapshot(learn):
    opt = learn.opt
    return dict(running=learn.running, cbs=list(learn.cbs), stages=list(learn.open_stages),
        attached=[cb.learn is learn and getattr(learn, cb.name) is cb for cb in learn.cbs],
        names=sorted(k for k,v in vars(learn).items() if isinstance(v, Callback)), runs=[cb.run for cb in learn.cbs],
            lr=opt.lr, mom=opt.mom, wd=opt.wd,
        step='step' in vars(opt), dls=learn.dls, loss_func=learn.loss_func, logger=learn.logger,
            grad=torch.is_grad_enabled(), depth=depth(),
        autocast=[torch.is_autocast_enabled('cpu'), torch.get_autocast_dtype('cpu'), torch.is_autocast_cache_enabled()],
        out=learn.model(batches[0][0]).dtype, dtypes=[t.dtype for t in learn.model.state_dict().values()],
        trains=[p.requires_grad for p in learn.model.parameters()],
            finite=all(t.isfinite().all() for t in learn.model.state_dict().values()))

def differences(before, after): return {k:(before[k],after[k]) for k in before if before[k]!=after[k]}

def interrupt_after(n, done):
    "A trace function that raises at the `n`-th line that is run, and if `done` is 2, again a few lines later"
    left = [n,done]
    def trace(frame, event, arg):
        # an increment and a decrement: real interrupts do not come between them, traced lines do
        if frame.f_code.co_name=='_autocast_depth': return
        if event!='line' and event!='call': return trace
        left[0] -= 1
        if left[0]>0: return trace
        left[1] -= 1
        left[0] = random.randint(1, 60) if left[1] else 10**12
        raise KeyboardInterrupt
    return trace

def by_trace(f, rng, length):
    sys.settrace(interrupt_after(rng.randint(1, length), rng.choice((1,1,2))))
    try: f()
    finally: sys.settrace(None)

def by_timer(f, rng, length):
    again = [rng.choice((0,0,1,2))]
    def handler(*_):
        if again[0]: signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 2e-4))
        again[0] -= 1
        raise KeyboardInterrupt
    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, length))
        f()
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, old)
                break
            except KeyboardInterrupt: pass

def by_thread(f, rng, length):
    me,stop,sent = threading.get_ident(),threading.Event(),threading.Event()
    def send():
        if stop.wait(rng.uniform(0, length)): return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(KeyboardInterrupt))
        sent.set()
    thread = threading.Thread(target=send)
    thread.start()
    try: f()
    finally:
        while True:
            try:
                stop.set()
                thread.join()
                for _ in range(100): pass # where it comes if it came late
                break
            except KeyboardInterrupt: pass

def count_lines(f):
    n = [0]
    def trace(frame, event, arg):
        n[0] += event in ('line','call')
        return trace
    sys.settrace(trace)
    try: f()
    finally: sys.settrace(None)
    return n[0]

def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter()-start

def interrupted(kind, how, n, seed=0):
    "Faults found in `n` runs that were interrupted, by what they left behind"
    rng,faults,n_interrupts = random.Random(seed),collections.Counter(),0
    random.seed(seed)
    run,learn = kinds[kind],quiet()
    run(learn)
    length = count_lines(lambda: run(learn)) if how is by_trace else min(seconds(lambda: run(learn)) for _ in range(3))
    for i in range(n):
        before = snapshot(learn)
        try: how(lambda: run(learn), rng, length)
        except KeyboardInterrupt: n_interrupts += 1
        wrong = differences(before, snapshot(learn))
        if not wrong and i%10==0:
            try: learn.fit(1)
            except Exception as e: wrong = {'fit': repr(e)}
        for k,v in wrong.items(): faults[f'{k}: {v}'] += 1
        if wrong: learn = quiet()
        torch.set_grad_enabled(True)
    assert n_interrupts>n/4 or n<20
    return faults

@pytest.mark.parametrize('kind', kinds)
def test_all_is_as_it_was(kind):
    "By lines, which come at the same instants in every run; the command also does it by timer and by thread"
    assert not interrupted(kind, by_trace, 40)

if __name__=='__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--fits', type=int, default=4000)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    each,total = args.fits//(len(kinds)*3)+1,0
    for kind in kinds:
        for how in by_trace,by_timer,by_thread:
            faults = interrupted(kind, how, each, args.seed)
            total += each
            print(f'{kind:>10} {how.__name__:>9}: {each} interrupted, {sum(faults.values())} faults',
                *[f'\n      {n} × {k[:200]}' for k,n in faults.items()])
    print(total, 'in all')
