"""Many training callbacks together: they come through an error, begin the next fit anew, hold no model, and wait for
the device no more often than they must.

pytest tests/test_all_callbacks.py
"""
import copy, gc, weakref

import pytest, torch
import torch.nn.functional as F
from IPython.utils.capture import capture_output
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

class GradNorm(Callback):
    run_valid = False
    def before_fit(self): self.norms = {}
    def after_backward(self): self.norms[self.train_iter+1] = self.model.weight.grad.norm().item()

def all_cbs():
    return [EarlyStopping(1), SaveModel, SaveModel('epoch', 'each'), ReduceLROnPlateau, ShortEpoch(.5),
        EveryN(2, GradNorm),
            SkipValidation(1), StopValidation, CSVLogger('all.csv'), ShowGraph]

class FailsOnce(Callback):
    failed = False
    def after_loss(self):
        if self.epoch==1 and not self.failed:
            self.failed = True
            raise OSError('out of luck')

def fit_silently(learn, n_epoch, **kwargs):
    with learn.no_logging(): learn.fit(n_epoch, **kwargs)

def results(fail, path):
    torch.manual_seed(0)
    learn = synth_learner(opt_func=SGD, path=path, cbs=all_cbs())
    state = copy.deepcopy(learn.model.state_dict())
    with capture_output():
        if fail:
            with pytest.raises(OSError): fit_silently(learn, 5, cbs=FailsOnce)
        learn.model.load_state_dict(state)
        torch.manual_seed(1)
        fit_silently(learn, 5)
    kept = {k:v for cb in learn.cbs for k,v in vars(cb).items() if k in ('best','best_epoch','wait','value','improved')}
    return learn,learn.recorder.values,kept

def test_an_error_leaves_nothing_behind(tmp_path):
    SGD(nn.Linear(1, 1).parameters(), lr=.1) # the first one has torch load much of itself, and keep frames for a while
    gc.disable()
    try:
        (learn,*got),(_,*expected) = results(True, tmp_path),results(False, tmp_path)
        assert got==expected
        gone = weakref.ref(learn.model)
        del learn
        assert gone() is None
    finally: gc.enable()

class CountWaits(torch.utils._python_dispatch.TorchDispatchMode):
    n = 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))

def waits(n_batches, path):
    dl = [(torch.ones(2, 1),torch.ones(2, 1))]*n_batches
    cbs = [cb for cb in all_cbs() if not isinstance(cb, EveryN)] # which looks at every second gradient
    learn = Learner((dl,dl[:3]), nn.Linear(1, 1), F.mse_loss, path=path, cbs=cbs)
    with CountWaits() as count, capture_output(): fit_silently(learn, 2)
    return count.n

def test_no_waiting_in_a_batch(tmp_path):
    "However many batches an epoch has, the device is waited for as often"
    assert waits(40, tmp_path)==waits(4, tmp_path)
