"""Validation and prediction leave no trace, wherever they are called."""
import contextlib, gc, io, weakref
from collections import namedtuple
from functools import partial

import numpy as np, pytest, torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.callbacks import sort_cbs
from optimloop.learner import synth_learner

one = [(torch.ones(2, 1), torch.ones(2, 1))]

def test_a_validation_that_is_cancelled_before_its_bar_begins():
    class NoValidation(Callback):
        order = 30
        def before_validate(self): raise CancelValidException
    learn = synth_learner(cbs=NoValidation)
    with contextlib.redirect_stdout(io.StringIO()): learn.fit(2)
    assert [row[1] for row in learn.recorder.values]==[None,None]

def test_callbacks_that_are_there_for_a_while_clean_up_when_they_go():
    class Cleans(Callback):
        n = 0
        def cleanup_fit(self): Cleans.n += 1
    class Validates(Callback):
        def after_epoch(self): self.learn.validate(cbs=Cleans())
    learn = Learner(synth_dls(), nn.Linear(1, 1), F.mse_loss, cbs=Validates)
    with learn.no_logging(): learn.fit(2)
    assert Cleans.n==2

def test_get_preds():
    learn = synth_learner(lr=.02)
    before = list(learn.cbs)
    preds,targs = learn.get_preds([torch.ones(3, 1), torch.ones(2, 1)])   # inputs without targets
    assert (preds.shape, targs)==((5,1),())
    assert learn.cbs==before
    assert [type(o).__name__ for o in sort_cbs(learn.cbs)]==['TrainEvalCallback','BatchToDevice','ProgressCallback',
        'CheckFirstBatch','Recorder']
    learn.loss_func = nn.MSELoss()
    assert learn.get_preds(with_loss=True)[2].shape==(32,1) and learn.loss_func.reduction=='mean'
    learn.loss_func = lambda p,y: F.mse_loss(p, y)
    with pytest.raises(TypeError, match='attribute or an argument `reduction`'): learn.get_preds(with_loss=True)
    with pytest.raises(ValueError, match='there is no validation loader'):
        Learner((one,None), nn.Linear(1, 1), F.mse_loss).get_preds()

def test_any_nest_of_predictions():
    Pair = namedtuple('Pair', 'a b')
    class NestNet(nn.Linear):
        def forward(self, x): return {'pair': Pair(super().forward(x), [x]), 'name': 'net'}
    valid = [(torch.ones(2, 1),torch.ones(2)), (torch.zeros(1, 1),torch.ones(1))]
    learn = Learner((one,valid), NestNet(1, 1), lambda d,y: d['pair'].a.mean())
    preds,targs = learn.get_preds()
    assert (type(preds['pair']).__name__, preds['pair'].b[0].flatten().tolist(), preds['name'],
        targs.tolist())==('Pair',[1,1,0],['net','net'],[1,1,1])

places = 'before_fit after_pred after_step after_epoch'.split()
class Look(Callback):
    "Validate and predict in the midst of a fit"
    def __init__(self, at): self.at = at
for o in places:
    def look(self, o=o):
        if self.at==o and self.training: self.seen = self.learn.validate(),self.learn.get_preds()[0].sum().item()
    setattr(Look, o, look)

def fitted(*cbs):
    torch.manual_seed(0)
    learn = synth_learner(opt_func=SGD, cbs=cbs, metrics=F.l1_loss)
    with learn.no_logging(): learn.fit(2)
    return learn.recorder.values,learn.recorder.losses,learn.smooth_loss,[p.item()
        for p in learn.model.parameters()],learn.training

@pytest.mark.parametrize('at', places)
def test_nothing_changes_in_the_midst_of_a_fit(at): assert fitted(Look(at))==fitted()

def test_with_bars_too():
    class ScreenIO(io.StringIO):
        def isatty(self): return True
    learn = synth_learner(opt_func=SGD, cbs=Look('after_step'))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(ScreenIO()): learn.fit(1)
    learn.model.train()
    learn.validate()
    assert learn.model.training                                            # the mode is left as it was

def n_tensors(): return sum(type(o) is torch.Tensor for o in gc.get_objects())
class CountTensors(Callback):
    run_valid = False
    def before_fit(self): self.seen = {}
    def after_step(self):
        if self.train_iter in (600,5600): self.seen[self.train_iter] = n_tensors()

def test_memory():
    """A long fit does not keep a tensor for each batch, and a Learner that is let go of frees its model without the
    garbage collector"""
    learn = Learner(([(torch.ones(1, 1),torch.ones(1, 1))]*6000,None), nn.Linear(1, 1), F.mse_loss, opt_func=SGD,
        cbs=CountTensors)
    with learn.no_logging(): learn.fit(1)
    assert learn.count_tensors.seen[5600] - learn.count_tensors.seen[600] < 100 and len(learn.recorder.losses)==6000
    gc.disable()
    try:
        gone = weakref.ref(learn.model)
        del learn
        assert gone() is None
    finally: gc.enable()

def test_decoding():
    learn = Learner(([(torch.ones(2, 3),torch.tensor([0,1]))],)*2, nn.Linear(3, 4), F.cross_entropy)
    preds,targs,decoded = learn.get_preds(act=partial(torch.softmax, dim=1), with_decoded=True)
    assert decoded.tolist()==preds.argmax(1).tolist()
    pred,label = learn.predict(np.ones(3, dtype=np.float32), with_decoded=True)
    assert (pred.shape, label)==((4,), decoded[0])
    learn.loss_func = partial(F.cross_entropy, label_smoothing=.1)         # a partial decodes as what is in it
    assert learn.predict(np.ones(3, dtype=np.float32), with_decoded=True)[1]==label
    with pytest.raises(TypeError, match='mse_loss cannot be decoded'): synth_learner().get_preds(with_decoded=True)

def test_groups():
    with pytest.raises(ValueError, match=r'freeze_to\(1\): the model is one group'): synth_learner().freeze_to(1)
    synth_learner().unfreeze()

def test_an_error_in_a_validation_context():
    learn = Learner(([(torch.ones(2, 3),torch.tensor([0,1]))],)*2, nn.Linear(3, 4), F.cross_entropy)
    with pytest.raises(OSError):
        with learn.validation_context(): raise OSError
    assert learn.model.training and learn.recorder.run and hasattr(learn, 'progress')

def test_the_worst_class():
    class WorstClass:
        def reset(self): self.right,self.n = torch.zeros(10),torch.zeros(10)
        def update(self, pred, targ):
            self.n += targ.bincount(minlength=10)
            self.right += targ[pred.argmax(-1)==targ].bincount(minlength=10)
        def compute(self): return (self.right/self.n).min()
    learn = Learner(digits_dls(), conv_net(), F.cross_entropy, metrics=[accuracy, WorstClass()])
    with learn.no_logging(): learn.fit(1)
    preds,targs = learn.get_preds()
    worst = min(accuracy(preds[targs==i], targs[targs==i]).item() for i in range(10))
    assert learn.validate()[-1]==pytest.approx(worst, abs=1e-6)

@pytest.mark.parametrize('outer', ['validate','get_preds'])
@pytest.mark.parametrize('inner', ['validate','get_preds','predict'])
def test_a_validation_within_a_validation(outer, inner):
    learn,seen = synth_learner(),[]
    class Looks(Callback):
        order,busy = 60,False
        def after_batch(self):
            if self.busy: return
            self.busy = True
            seen.append(getattr(self.learn, inner)(*[torch.ones(1)]*(inner=='predict')))
            self.busy = False
    expected = getattr(learn, outer)()
    with learn.added_cbs(Looks): res = getattr(learn, outer)()
    assert len(seen)==len(learn.dls.valid) and len(res)==len(expected)
    for a,b in zip(res, expected): assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    assert not any(o.startswith(('__measure','gather','_split')) for o in vars(learn))
