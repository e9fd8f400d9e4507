"""Which models are moved, and what is found in the first batch."""
import contextlib, io, warnings

import pytest, torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

def line(**kwargs): return Learner(**{**dict(dls=synth_dls(), model=nn.Linear(1, 1), loss_func=F.mse_loss), **kwargs})

def device_after(model, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()) as out: learn = Learner(synth_dls(), model, nn.MSELoss(), **kwargs)
    device = next(learn.model.parameters()).device.type
    assert ('now on meta' in out.getvalue())==(device=='meta' and not kwargs)
    return device

def test_what_is_moved_and_what_stays(monkeypatch):
    "The device `meta` stands for a GPU"
    monkeypatch.setenv('OPTIMLOOP_DEVICE', 'meta')
    assert [device_after(nn.Linear(1, 1)), device_after(nn.LazyLinear(1))]==['meta']*2
    with contextlib.redirect_stdout(io.StringIO()):
        placed = Learner(synth_dls(), nn.Linear(1, 1, device='meta'), nn.MSELoss())
    assert next(placed.model.parameters()).device.type=='meta'
    stay = nn.DataParallel(torch.compile(nn.Linear(1, 1))), torch.compile(nn.Linear(1, 1)), nn.Sequential(
        nn.Linear(1, 1), nn.Linear(1, 1, device='meta'))
    assert [device_after(o) for o in stay]==['cpu']*3
    assert [device_after(nn.Linear(1, 1), **o) for o in (dict(device='cpu'), dict(default_cbs=False))]==['cpu']*2

@pytest.mark.parametrize('kwargs,msg', [(dict(loss_func='mse'),"got 'mse'"),
    (dict(loss_func=nn.MSELoss),'like nn.MSELoss'), (dict(model=len),'must be an nn.Module'),
                                        (dict(dls=(None,None)),'got None')])
def test_arguments_that_are_wrong(kwargs, msg):
    with pytest.raises(TypeError, match=msg): line(**kwargs)

def test_epochs_are_whole():
    with pytest.raises(ValueError, match='whole numbers'): line().fit(1.5)

def test_a_metric_that_is_there_twice():
    twice = line(metrics=[F.l1_loss,F.l1_loss])
    with twice.no_logging(): twice.fit(2)
    assert vars(twice.recorder.table).keys()=={'train_loss','valid_loss','l1_loss',
        'l1_loss_2'} and twice.recorder.table.l1_loss==twice.recorder.table.l1_loss_2

def test_a_metric_that_fails_is_named():
    def broken_metric(pred, targ): return pred[99]
    other = line(metrics=broken_metric)
    with pytest.raises(IndexError) as e, other.no_logging(): other.fit(1)
    assert 'in the metric broken_metric' in e.value.__notes__ and 'validation batch 0' in e.value.__notes__[-1]

def test_all_is_frozen():
    frozen = nn.Linear(1, 1)
    learn = line(model=frozen)
    learn.create_opt()
    frozen.requires_grad_(False)
    with pytest.raises(ValueError, match='are frozen'), learn.no_logging(): learn.fit(1)

class Weighed(nn.Module):
    def __init__(self): super().__init__(); self.log = nn.Parameter(torch.zeros(()))
    def forward(self, pred, y): return nn.functional.mse_loss(pred, y)*(-self.log).exp() + self.log

def test_a_loss_function_that_could_learn():
    loss = Weighed()
    for f,splitter,n in ((loss,trainable_params,1), (loss.forward,trainable_params,1),
        (loss,lambda m: [*trainable_params(m), *loss.parameters()],0)):
        with warnings.catch_warnings(record=True) as told, (learn := synth_learner(splitter=splitter)).no_logging():
            warnings.simplefilter('always')
            learn.loss_func = f
            learn.fit(2)
        assert len([o for o in told if 'are not trained: log. Let the splitter' in str(o.message)])==n
    assert loss.log.item()!=0
