"""A validation or a prediction by a callback, at any event of a fit, changes nothing of the training.

pytest tests/test_nested.py
"""
import copy, pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.callbacks import event_names
from optimloop.mixed_precision import PrecisionCallback
from optimloop.training.half import NonNativeMixedPrecision, PureBF16

events = [o for o in event_names if o not in ('after_create','cleanup_fit')]
kinds = dict(bf16=lambda: MixedPrecision('bf16'), fp16=lambda: MixedPrecision('fp16'),
    scaled=lambda: PrecisionCallback('fp16'), by_hand=NonNativeMixedPrecision,
    masters=lambda: PureBF16('master'), stochastic=PureBF16)

def batches(seed, n):
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(8, 4, generator=g),torch.randn(8, 2, generator=g)) for _ in range(n)]

train,valid = batches(0, 3),batches(1, 2)

def fitted(cbs):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))
    learn = Learner((train,valid), model, F.mse_loss, lr=1e-2, cbs=cbs)
    learn.remove_cb(ProgressCallback)
    with learn.no_logging(): learn.fit(2)
    return learn

def nested(at, what, order):
    "A callback that validates, or predicts, at one event, but not within that validation"
    class Nested(Callback):
        busy = False
        def call(self):
            if self.busy: return
            self.busy = True
            self.learn.validate() if what=='validate' else self.learn.predict(valid[0][0][0])
            self.busy = False
    Nested.order = order
    setattr(Nested, at, Nested.call)
    return Nested()

def result(learn): return [p.tolist() for p in learn.model.parameters()],learn.recorder.losses

@pytest.mark.parametrize('kind', kinds)
def test_it_changes_nothing(kind):
    expected = result(fitted(kinds[kind]()))
    predicts = ['after_pred','before_backward','leave_batch']
    for at,what,order in [(o,'validate',0) for o in events] + [(o,'predict',30) for o in predicts]:
        learn = fitted([kinds[kind](), nested(at, what, order)])
        assert result(learn)==expected, (at,what,order)
        assert not torch.is_autocast_enabled('cpu') and learn.open_stages==[]

@pytest.mark.parametrize('kind', kinds)
@pytest.mark.parametrize('at', ['after_pred','before_backward','after_backward'])
def test_one_that_fails_leaves_nothing_behind(kind, at):
    class Fails(Callback):
        order = 60
        def after_loss(self):
            if not self.training: raise OSError
    expected = result(fitted(kinds[kind]()))[0]
    cb = nested(at, 'validate', 0)
    with pytest.raises(OSError): fitted([kinds[kind](), cb, Fails])
    assert not torch.is_autocast_enabled('cpu')
    assert result(fitted(kinds[kind]()))[0]==expected

@pytest.mark.parametrize('kind', kinds)
@pytest.mark.parametrize('at', ['after_pred','after_loss','before_backward','after_backward','after_batch'])
def test_copies_made_in_a_batch(kind, at):
    copies = []
    class Copies(Callback):
        def call(self):
            cb = next(o for o in self.learn.cbs if isinstance(o, PrecisionCallback))
            copies.append(copy.deepcopy(cb))
            if kind in ('bf16','fp16'): copies.append(pickle.loads(pickle.dumps(cb)))
    setattr(Copies, at, Copies.call)
    expected = result(fitted(kinds[kind]()))[0]
    assert result(fitted([kinds[kind](), Copies]))[0]==expected
    if kind!='stochastic': assert result(fitted(copies[-1]))[0]==expected # that one goes on with its random numbers

@pytest.mark.parametrize('kind', kinds)
@pytest.mark.parametrize('at', ['after_pred','after_loss','before_backward','after_backward','before_step'])
@pytest.mark.parametrize('switch', ['run','run_train'])
def test_switched_off_in_a_batch_its_gradients_are_true(kind, at, switch):
    class Off(Callback):
        order = 40
        def call(self):
            if self.iter==1 and self.epoch==0 and self.training:
                setattr(next(o for o in self.learn.cbs if isinstance(o, PrecisionCallback)), switch, False)
        def before_step(self): norms.append(max(p.grad.abs().max().item() for p in self.model.parameters()))
    setattr(Off, at, Off.call)
    norms = []
    try: learn = fitted([kinds[kind](), Off])
    except RuntimeError as e: # halves of a batch in two precisions do not go together
        assert at in ('after_pred','after_loss','before_backward') and kind in ('by_hand','masters','stochastic'), e
    else:
        assert max(norms, default=0.)<10
        assert all(p.dtype==torch.float32 and p.isfinite().all() for p in learn.model.parameters())
        assert learn.open_stages==[] and not torch.is_autocast_enabled('cpu')

@pytest.mark.parametrize('end', ['off','removed'])
def test_gradients_that_overflowed_are_dropped_when_it_goes(end):
    class Goes(Callback):
        order = 40
        def after_backward(self):
            cb = getattr(self.learn, 'mixed_precision', None)
            if self.epoch==self.iter==0 and self.training:
                if end=='off': cb.run = False
                else: self.learn.remove_cb(cb)
    cb = MixedPrecision('fp16', init_scale=2.**100)
    learn = fitted([cb, Goes])
    assert all(p.isfinite().all() for p in learn.model.parameters())
