"""The runner and its callbacks, on a small loop: adding, switching, moving, copying, leaving stages, errors.

pytest tests/test_callbacks.py
"""
import copy, dataclasses, gc, pickle, weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from optimloop.callbacks import *
from optimloop.learner import synth_learner
from optimloop.optimizer import SGD
from optimloop.basics.course import synth_data

x,y = synth_data()
dl = list(zip(x.split(16), y.split(16)))

class Loop(CallbackRunner):
    "The loop of the lesson"
    def __init__(self, model, dl, loss_func, opt, cbs=None):
        self.model,self.dl,self.loss_func,self.opt = model,dl,loss_func,opt
        self.epoch = self.iter = self.xb = self.yb = self.pred = self.loss = None
        super().__init__(cbs)
    def fit(self, n_epoch):
        self.n_epoch,self.n_iter = n_epoch,len(self.dl)
        self.with_cleanup(lambda: self.stage('fit', self._epochs))
    def _epochs(self):
        for self.epoch in range(self.n_epoch): self.stage('epoch', lambda: self.stage('train', self._batches))
    def _batches(self):
        for self.iter,(self.xb,self.yb) in enumerate(self.dl):
            if not self.stage('batch', self._batch): self.opt.zero_grad()
    def _batch(self):
        self.pred = self.model(self.xb);                self('after_pred')
        self.loss = self.loss_func(self.pred, self.yb); self('after_loss')
        self.stage('backward', lambda: self.loss.backward())
        if self.stage('step', self.opt.step): self.opt.zero_grad()

def line_loop(cbs=None, model=None):
    model = model or nn.Linear(1, 1)
    return Loop(model, dl, F.mse_loss, SGD(model.parameters(), lr=.1), cbs)

class LogLoss(Callback):
    def before_fit(self): self.losses = []
    def after_batch(self): self.losses.append(self.loss.item())

class Typo(Callback):
    def before_bacth(self): pass

class Buggy(Callback):
    def after_pred(self): 1/0

class CountBatches(Callback):
    n = 0
    def after_batch(self): self.n += 1

def notes_of(error, cbs):
    try: line_loop(cbs).fit(1)
    except error as e: return e.__notes__

# adding, switching, moving

def test_all_or_nothing():
    loop = line_loop()
    with pytest.raises(ValueError): loop.add_cbs([LogLoss, Typo])
    assert loop.cbs==[] and not hasattr(loop, 'log_loss')

def test_switches_are_seen_at_once():
    loop = line_loop(CountBatches)
    loop.fit(1)
    assert loop.count_batches.n==len(dl)
    loop.count_batches.run = False
    loop.fit(1)
    assert loop.count_batches.n==len(dl)
    loop.count_batches.run,loop.count_batches.run_train = True,False
    loop.fit(1)
    assert loop.count_batches.n==len(dl)

def test_moving_from_one_learner_to_the_next():
    loop = line_loop(CountBatches)
    cb,other = loop.count_batches,line_loop()
    other.add_cb(cb)
    assert (loop.cbs,other.cbs)==([],[cb]) and cb.learn is other
    assert other.remove_cb('count_batches') is cb and cb.learn is None
    with pytest.raises(ValueError, match="did you mean 'before_fit'"): loop('before_fitt')

def test_handlers_of_all_kinds():
    "Static ones, ones set on the instance, and `None` for no longer"
    class Static(Callback):
        @staticmethod
        def after_pred(): 1/0
    assert notes_of(ZeroDivisionError, Static)==['raised by Static.after_pred']
    class QuietBuggy(Buggy): after_pred = None
    loop = line_loop(QuietBuggy)
    loop.fit(1)
    calls = []
    loop.quiet_buggy.after_loss = lambda: calls.append(1)
    loop.fit(1)
    assert len(calls)==len(dl)
    class NoTypo(Callback): on_gpu = False # a value, not a method
    line_loop(NoTypo)

def test_any_collection_of_callbacks():
    assert line_loop(o for o in (LogLoss,Buggy)).cbs[1].name=='buggy'

def test_what_hides_and_what_fails():
    "A module as a class attribute hides the learner's; a property that fails says why"
    class HidesModel(Callback): model = nn.Linear(1, 1)
    with pytest.raises(AttributeError, match="HidesModel.model would hide"): line_loop(HidesModel)
    class BadProperty(Callback):
        @property
        def twice(self): return 2*self.los
    with pytest.raises(AttributeError, match="no attribute 'los'"): line_loop(BadProperty).bad_property.twice

class Keep(Callback):
    def after_batch(self): self.kept = self.loss.item()

def test_copies_are_complete_and_leave_the_original_alone():
    loop = line_loop(Keep)
    for new in copy.deepcopy(loop),pickle.loads(pickle.dumps(loop)),copy.copy(loop):
        new.fit(1)
        assert new.keep.learn is new and new.cbs==[new.keep] and loop.keep.learn is loop
        assert 'kept' not in vars(loop.keep) and new.keep.kept==new.loss.item()
    assert loop.model.weight is new.model.weight

def test_no_cycles():
    "The loop goes when its last name goes"
    gc.disable()
    loop = line_loop([LogLoss, CountBatches])
    loop.fit(1)
    gone = weakref.ref(loop.model)
    del loop
    assert gone() is None
    gc.enable()

# errors and cleanup

class BigActivation(nn.Linear):
    def forward(self, x):
        activation = super().forward(x)
        self.seen = weakref.ref(activation)
        raise self.error('too big')

@pytest.mark.parametrize('error,held', [(MemoryError,False), (torch.cuda.OutOfMemoryError,False), (ValueError,True)])
def test_an_error_that_is_kept(error, held):
    "It holds on to what there was when it was raised; one for want of memory does not"
    loop = line_loop([])
    loop.model = BigActivation(1, 1)
    loop.model.error = error
    with pytest.raises(error) as kept: loop.fit(1)
    assert (loop.model.seen() is not None)==held, kept

def test_a_cancellation_in_after_ends_there_and_all_clean_up():
    trail = []
    class First(Callback):
        def after_batch(self): trail.append('first'); raise CancelBatchException
        def cleanup_fit(self): trail.append('first')
    class Second(Callback):
        def after_batch(self): trail.append('second')
        def cleanup_fit(self): trail.append('second'); raise OSError('disk')
    loop = line_loop([First, Second])
    with pytest.raises(OSError): loop.fit(1)
    assert trail==[*['first']*len(dl),'second','first']
    class Interrupted(Callback):
        def cleanup_fit(self): raise KeyboardInterrupt
    trail.clear()
    loop = line_loop([Second, Interrupted])
    with pytest.raises(KeyboardInterrupt) as e: loop.fit(1)
    assert "OSError('disk')" in e.value.__notes__[-1]
    assert trail[-1]=='second'

def test_a_cancelled_batch_leaves_no_gradients():
    class CancelLate(Callback):
        def after_backward(self): raise CancelBatchException
    loop = line_loop(CancelLate)
    loop.fit(1)
    assert loop.model.weight.grad is None

# leaving stages

log = []
cancels = dict(batch=CancelBatchException, train=CancelTrainException, epoch=CancelEpochException,
    fit=CancelFitException)

class Leaves(Callback):
    order = 5
    def before_train(self): log.append('in train')
    def before_batch(self): log.append('in batch')
    def leave_batch(self): log.append('out of batch')
    def leave_train(self): log.append('out of train')

class Stops(Callback):
    def __init__(self, at, error):
        self.error = error
        setattr(self, at, self._stop)
    def _stop(self):
        if self.iter in (None,1): raise self.error

@pytest.mark.parametrize('at',
    'before_train before_batch after_pred after_loss before_backward after_backward before_step after_step'.split())
@pytest.mark.parametrize('error', [*cancels.values(), ZeroDivisionError, KeyboardInterrupt])
def test_what_was_entered_is_left(at, error):
    log.clear()
    loop = line_loop([Leaves, Stops(at, error)])
    try: loop.fit(2)
    # the last: there is no batch around `before_train`
    except (ZeroDivisionError,KeyboardInterrupt,CancelBatchException): pass
    for phase in ('train','batch'): assert log.count(f'in {phase}')<=log.count(f'out of {phase}')
    open_ = 0
    for o in log: # never two batches at once
        if o=='in batch': assert open_==0
        if o.endswith('batch'): open_ = int(o=='in batch')
    assert open_==0 and not loop.running

def test_order_of_leaving():
    log.clear()
    class Last(Callback):
        order = 9
        def leave_batch(self): log.append('last')
        def after_cancel_batch(self): log.append('cancelled')
        def after_batch(self): log.append('after')
    loop = line_loop([Leaves, Last, Stops('after_pred', CancelBatchException)])
    loop.iter,loop.xb,loop.yb = 1,x,y
    loop.stage('batch', loop._batch)
    assert log==['in batch','last','out of batch','cancelled','after']

class Raises(Callback):
    def __init__(self, error): self.error = error
    def leave_batch(self): raise self.error

def leave_with(errors, f=lambda: None):
    runner = CallbackRunner()
    for i,e in enumerate(errors):
        cb = Raises(e)
        cb.name,cb.order = f'raises_{i}',-i # so that they leave in this order
        runner.add_cb(cb)
    runner.add_cb(Leaves)
    log.clear()
    try: done = runner.stage('batch', f)
    except BaseException as e: return e
    finally: assert log==['in batch','out of batch']
    return done

def fails(e):
    def f(): raise e
    return f

def test_which_error_leaves():
    disk,light,body = OSError('disk'),ValueError('light'),ZeroDivisionError('body')
    assert leave_with([]) is True
    assert leave_with([disk, light]) is disk
    assert disk.__notes__[-1]=="after it, in the cleanup: ValueError('light'), raised by Raises.leave_batch"
    assert leave_with([disk, light], fails(body)) is body and len(body.__notes__)==2
    batch,fit = CancelBatchException(),CancelFitException()
    assert leave_with([batch]) is False and leave_with([batch], fails(CancelBatchException())) is False
    assert leave_with([fit, disk]) is disk and leave_with([disk], fails(fit)) is disk
    assert leave_with([fit], fails(batch)) is fit and leave_with([batch], fails(fit)) is fit # the outer one counts
    assert leave_with([CancelBatchException()], fails(body)) is body
    assert isinstance(leave_with([CancelFitException()]), CancelFitException)
    interrupt = KeyboardInterrupt()
    assert leave_with([interrupt, disk]) is interrupt

def test_an_interrupted_handler_is_called_again():
    n = []
    class Interrupted(Callback):
        def leave_batch(self):
            n.append(1)
            if len(n)<3: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): CallbackRunner(Interrupted).stage('batch', lambda: None)
    assert len(n)==3

def test_leaving_keeps_no_error_alive():
    gc.disable()
    seen = []
    class Mine(Exception):
        def __init__(self): seen.append(weakref.ref(self))
    def f(): raise Mine
    try: CallbackRunner(Leaves).stage('batch', f)
    except Mine: pass
    assert seen[0]() is None
    gc.enable()

def test_phases_in_which_it_does_not_run():
    log.clear()
    runner = CallbackRunner(Leaves)
    runner.leaves.run_valid = False
    runner.training = False
    runner.stage('batch', lambda: None)
    assert log==[]

def test_a_callback_that_another_one_removes_while_leaving():
    log.clear()
    class Removes(Callback):
        order = 9 # it leaves first
        def leave_batch(self): self.learn.remove_cb(Leaves)
    runner = CallbackRunner([Leaves, Removes])
    runner.stage('batch', lambda: None)
    assert log==['in batch'] and len(runner.cbs)==1

def test_taken_away_in_the_midst():
    log.clear()
    class TakesAway(Callback):
        def after_pred(self):
            if self.iter==1: self.learn.leave_stages(self.leaves)
    line_loop([Leaves, TakesAway]).fit(1)
    assert log[:6]==['in train','in batch','out of batch','in batch','out of batch','out of train']
    log.clear()
    class Removes(Callback):
        def after_pred(self):
            if self.iter==1: self.learn.remove_cb(Leaves)
    line_loop([Leaves, Removes]).fit(1)
    assert log==['in train','in batch','out of batch','in batch','out of batch','out of train']

def test_a_handler_that_returns_something_while_leaving():
    class Returns(Callback):
        def leave_batch(self): return 1
    CallbackRunner(Returns).stage('batch', lambda: None)

def test_wrapped_handlers():
    seen = []
    def wrap(cb, event_name, handler):
        def f():
            seen.append((cb.name,event_name))
            return handler()
        return f
    runner = CallbackRunner(Leaves)
    runner.wrap_handler = wrap
    runner.stage('batch', lambda: None)
    assert seen==[('leaves','before_batch'),('leaves','leave_batch')]
    assert [cb.name for cb,_ in runner.find_handlers('leave_train')]==['leaves']

# --- exceptions of an unusual kind

@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    "An exception that takes no note"
    why: str = ''

@pytest.mark.parametrize('at', ['after_loss','leave_batch','cleanup_fit'])
def test_an_error_that_takes_no_note_leaves_nothing_behind(at):
    seen = []
    class Fails(Callback): pass
    class Looks(Callback):
        order = -1
        def cleanup_fit(self): seen.append('cleaned up')
    def fail(self): raise Frozen(at)
    setattr(Fails, at, fail)
    learn = synth_learner(cbs=[Fails,Looks])
    with pytest.raises(Frozen, match=at): learn.fit(1) # no `no_logging`: Python's contextmanager cannot take it either
    assert seen==['cleaned up'] and not learn.running
    learn.remove_cb('Fails')
    learn.fit(1)

# --- switched off, moved or removed in the midst

def batch_of(cb, f):
    "The log of a runner's fit with one batch, in which `f(runner, cb)` is called"
    runner = CallbackRunner(cb)
    runner.with_cleanup(lambda: runner.stage('train', lambda: runner.stage('batch', lambda: f(runner, cb))))
    return runner

class Stays(Callback):
    def __init__(self): self.seen = []
    def before_train(self): self.seen.append('train')
    def leave_train(self): self.seen.append('left train')
    def before_batch(self): self.seen.append('batch')
    def leave_batch(self): self.seen.append('left batch')
    def cleanup_fit(self): self.seen.append('clean')

all_left = ['train','batch','left batch','left train','clean']

@pytest.mark.parametrize('switch', ['run','run_train','run_valid'])
def test_switched_off_in_the_midst_it_leaves_all_the_same(switch):
    cb = Stays()
    runner = batch_of(cb, lambda runner, cb: setattr(cb, switch, False))
    assert cb.seen==all_left and runner.open_stages==[]
    cb.seen.clear() # in the next fit it is off from the start
    runner.with_cleanup(lambda: runner.stage('batch', lambda: None))
    assert cb.seen==dict(run=[], run_train=['clean'], run_valid=['batch','left batch','clean'])[switch]

def test_off_and_on_again_in_the_midst():
    cb = Stays()
    def f(runner, cb):
        for cb.run in (False,True,False): runner('after_pred')
    batch_of(cb, f)
    assert cb.seen==all_left

def test_on_in_the_midst_is_cleaned_up():
    cb = Stays()
    cb.run = False
    def f(runner, cb):
        cb.run = True
        runner('after_pred')
        cb.run = False
    batch_of(cb, f)
    assert cb.seen==['clean']

def test_removed_it_leaves_only_stages_that_are_open():
    cb = Stays()
    runner = CallbackRunner(cb)
    def train(): return runner.stage('batch', lambda: None) and runner.remove_cb(cb)
    runner.with_cleanup(lambda: runner.stage('train', train))
    assert cb.seen==['train','batch','left batch','left train','clean']
    cb = Stays()
    runner = CallbackRunner(cb)
    runner.with_cleanup(lambda: runner.remove_cb(cb))
    assert cb.seen==['clean']

def test_a_cancellation_while_it_is_removed_meets_the_stage_that_is_open():
    class Cancels(Stays):
        def leave_batch(self): raise CancelBatchException
    runner,done = CallbackRunner(Cancels),[]
    def train(): # no batch is open
        runner.remove_cb(Cancels)
        done.append(1)
    runner.with_cleanup(lambda: runner.stage('train', train))
    assert done==[1]

@pytest.mark.parametrize('at', ['before_batch','leave_batch','leave_train'])
def test_it_may_remove_itself_anywhere(at):
    class Goes(Stays): pass
    def go(self):
        self.seen.append(at.replace('before_', '').replace('leave_', 'left '))
        self.learn.remove_cb(self)
    setattr(Goes, at, go)
    cb = Goes()
    batch_of(cb, lambda *_: None)
    assert sorted(cb.seen)==sorted(all_left)

def test_one_that_moves_to_another_learner_leaves_here_once():
    other,cb = CallbackRunner(),Stays()
    class Moves(Callback):
        order = 9 # it leaves first
        def leave_batch(self): other.add_cb(cb)
    runner = CallbackRunner([cb, Moves])
    runner.with_cleanup(lambda: runner.stage('train', lambda: runner.stage('batch', lambda: None)))
    assert cb.seen==all_left and cb.learn is other

def test_copies_in_the_midst_are_in_no_stage():
    cb = Stays()
    def f(runner, cb): copies.extend([copy.deepcopy(runner), pickle.loads(pickle.dumps(runner))])
    batch_of(cb, f)
    for o in copies: assert o.open_stages==[] and not o.running and o.stays.learn is o
    copies[0].with_cleanup(lambda: copies[0].stage('batch', lambda: None))
    assert cb.seen==all_left

copies = []

def test_stages_of_a_length_that_does_not_last():
    runner = CallbackRunner(Stays)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError): runner.stage('train', lambda: runner.stage('batch', lambda: 1/0))
        assert runner.open_stages==[]
