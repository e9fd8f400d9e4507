"Tracking, short epochs, rare looks and logs: what would clutter training/tracking"
import copy, os, pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from fastcore.test import ExceptionExpected, test_eq as eq
from torch import nn

from optimloop.all import *
from optimloop.basics.averages import accuracy
from optimloop.basics.course import *
from optimloop.learner import synth_learner

os.environ['OPTIMLOOP_DEVICE'] = 'cpu'
nan = float('nan')

def noisy_learner(path='.', **kwargs):
    torch.manual_seed(1)
    x,y,x_valid,y_valid = digits()
    x,y = x[:300],y[:300].clone()
    y[:90] = torch.randint(10, (90,))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    return Learner(DataLoaders.from_arrays(x, y, x_valid, y_valid, bs=50), model, F.cross_entropy, lr=1e-2,
        metrics=accuracy, path=path, **kwargs)

def fit_with(*cbs, n_epoch=1, learn=None, **kwargs):
    learn = learn or noisy_learner(cbs=cbs)
    with learn.no_logging(): learn.fit(n_epoch, **kwargs)
    return learn

# what counts as better

def tracked(values, **kwargs):
    "Which of these values count as improvements"
    learn,res = synth_learner(cbs=TrackValue(**kwargs)),[]
    cb = learn.track_value
    learn.recorder.names = ['epoch','train_loss','valid_loss','accuracy','time']
    cb.before_fit()
    for learn.epoch,v in enumerate(values):
        learn.recorder.values = [[1.,v,v]]
        cb.after_epoch()
        res.append(cb.improved)
    return res,cb.wait

def test_nan_and_none_are_never_better():
    eq(tracked([nan,2.,nan,1.,None,1.,.95], min_delta=.1), ([False,True,False,True,False,False,False], 2))
    eq(tracked([nan,.5,.5,.6,.4], monitor='accuracy'), ([False,True,False,True,False], 1))

# short epochs

class NoLen:
    def __iter__(self): return iter([(torch.ones(2, 1),torch.ones(2, 1))]*5)

def test_short_epoch():
    for kwargs in {}, dict(pct=.5, n_batches=3), dict(pct=0.), dict(pct=2.), dict(n_batches=0):
        with ExceptionExpected(ValueError, regex='pass one of the|expected a'): ShortEpoch(**kwargs)
    with ExceptionExpected(ValueError, regex='has no length'):
        fit_with(learn=Learner((NoLen(),None), nn.Linear(1, 1), F.mse_loss, cbs=ShortEpoch(.5)))
    eq(len(fit_with(learn=Learner((NoLen(),None), nn.Linear(1, 1), F.mse_loss,
        cbs=ShortEpoch(n_batches=2))).recorder.losses), 2)

# every n-th

class Noted(Callback):
    def __init__(self): self.noted = []
    def before_fit(self): self.noted.append('fit')
    def before_epoch(self): self.noted.append(self.epoch)
    def after_batch(self): self.noted.append('t' if self.training else 'v')

@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_every_n_of_epochs_and_in_copies(copied):
    learn = fit_with(learn=synth_learner(cbs=EveryN(2, Noted(), 'epoch')), n_epoch=3)
    eq(learn.every_2_noted.f.noted, ['fit',1,*'t'*8,'v'])
    again = copied(learn)
    again.every_2_noted.f.noted = []
    fit_with(learn=again, n_epoch=2)
    eq((len(again.every_2_noted.f.noted), len(learn.every_2_noted.f.noted)), (11,11))
    assert again.every_2_noted.f.learn is again and learn.every_2_noted.f.learn is learn

def test_errors_of_every_n():
    with ExceptionExpected(ValueError, regex="expected 'batch' or 'epoch'"): EveryN(2, print, 'fit')
    with ExceptionExpected(TypeError, regex="5 is neither a callback nor a function"): EveryN(2, 5)
    class Typo(Callback):
        def after_bacth(self): pass
    with ExceptionExpected(ValueError, regex="did you mean 'after_batch'"): EveryN(2, Typo)

# validation left out

class Validates(Callback):
    def after_train(self): self.measured = self.learn.validate()

def test_validate_is_complete_before_in_and_after_a_fit_and_training_is_the_same_without():
    full = fit_with(SkipValidation(first=3), n_epoch=4)
    learn = noisy_learner(cbs=[SkipValidation(first=3), StopValidation(0., 1), Validates])
    assert learn.validate()[0] > 2
    fit_with(learn=learn, n_epoch=4)
    eq(learn.validates.measured, learn.validate())
    eq([row[0] for row in full.recorder.values], [row[0] for row in learn.recorder.values])

def test_all_together(tmp_path):
    learn = synth_learner(path=tmp_path, cbs=[SkipValidation(first=1), EarlyStopping(1), SaveModel,
        ReduceLROnPlateau(1), StopValidation])
    fit_with(learn=learn, n_epoch=1)

# logs

HEADER = 'epoch,train_loss,valid_loss,time\n'

def test_a_file_whose_last_line_has_no_end(tmp_path):
    file = tmp_path/'killed.csv'
    file.write_text(HEADER + '0,1.5,.5,0.1\n1,1.2,.4,0.1\n0,1.1,.4,0')   # from elsewhere
    fit_with(learn=synth_learner(path=tmp_path, cbs=CSVLogger('killed.csv')))
    eq(len([o for o in file.read_text().splitlines() if o]), 5)
    other = noisy_learner(tmp_path, cbs=CSVLogger('killed.csv'))
    with ExceptionExpected(ValueError, regex='has the columns epoch, train_loss, valid_loss, time, and this run'):
        fit_with(learn=other)
    fit_with(learn=noisy_learner(tmp_path, cbs=CSVLogger('killed.csv', append=False)))
    eq(len(file.read_text().splitlines()), 2)

def test_a_rehearsal_writes_nothing(tmp_path):
    learn = noisy_learner(tmp_path, cbs=[CSVLogger('find.csv'), SaveModel('epoch', 'find'),
        EarlyStopping(1, monitor='train_loss')])
    learn.lr_find(show_plot=False, num_it=20)
    eq([o for o in Path(tmp_path).rglob('find*')], [])
