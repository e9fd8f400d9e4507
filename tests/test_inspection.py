"summary and timed_cbs on models and runs that are not plain"
import copy, os, pickle

import pytest
import torch
import torch.nn.functional as F
from fastcore.test import ExceptionExpected, test_eq as eq
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

os.environ['OPTIMLOOP_DEVICE'] = 'cpu'

class Odd(nn.Module):
    """A layer that is lazy, one that is used twice, one that is not called, a shared weight, and an output in a
    dictionary"""
    def __init__(self):
        super().__init__()
        self.lazy,self.twice,self.never,self.head = nn.LazyLinear(4),nn.Linear(4, 4),nn.Dropout(),nn.Linear(4, 4)
        self.head.weight,self.scale = self.twice.weight,nn.Parameter(torch.ones(1))
    def forward(self, x):
        return {'out': self.head(self.twice(self.twice(self.lazy(x)))*self.scale),
            'fail': x[0].item()>self.scale.item()>5 and 1/0}

def test_summary_of_an_odd_model():
    odd = Learner(synth_dls(), Odd(), lambda d,y: d['out'].mean())
    odd.model.never.eval()
    before,modes = torch.get_rng_state(),[m.training for m in odd.model.modules()]
    rows = {o.name:o[2:] for o in odd.summary().layers}
    eq(rows, {'(model)': ('16 × 4, bool',1,'yes'), 'lazy': ('16 × 4',8,'yes'), 'twice': ('16 × 4 (2 calls)',20,'yes'),
              'never': ('not called','',''), 'head': ('16 × 4',4,'yes (shared)')})
    eq(torch.get_rng_state(), before)
    eq([m.training for m in odd.model.modules()], modes)
    assert nn.parameter.is_lazy(odd.model.lazy.weight) and odd.opt is None and odd.dl is None

def test_summary_without_callbacks():
    bare = Learner(digits_dls(), conv_net(), F.cross_entropy, default_cbs=False)
    bare.summary()
    # norm layers have not seen it
    eq((bare.model[0][1].num_batches_tracked, bare.model.training, bare.cbs), (0,True,[]))

def test_what_cannot_be_summarized_leaves_no_hooks():
    class Fails(nn.Linear):
        def forward(self, x): 1/0
    learn = Learner((iter(list(synth_dls().train)),None), Fails(1, 1), F.mse_loss)
    with ExceptionExpected(ValueError, regex='can be iterated only once'): learn.summary()
    with ExceptionExpected(ZeroDivisionError): learn.summary((torch.ones(2, 1),torch.ones(2, 1)))
    eq(len(learn.model._forward_hooks), 0)
    with ExceptionExpected(ValueError, regex='the training loader is empty'):
        Learner(([],None), nn.Linear(1, 1), F.mse_loss).summary()

def test_a_timed_handler_still_says_what_it_returns():
    class Returns(Callback):
        def before_fit(self): return 5
    learn = synth_learner(cbs=Returns)
    with learn.no_logging(), learn.timed_cbs(), pytest.warns(UserWarning): learn.fit(1)

def test_contexts_within_each_other_and_another_watcher():
    learn,seen = synth_learner(),[]
    def watch(cb, event_name, handler):
        seen.append(event_name)
        return handler
    with learn.no_logging():
        with learn.timed_cbs():
            learn.fit(1)
            with learn.timed_cbs(): learn.fit(1) # it adds to what the outer one measures
            assert learn.wrap_handler is not None
            learn.fit(1)
        assert learn.cb_times['recorder','after_loss',True][0]==24 and learn.wrap_handler is None
        learn.wrap_handler = watch
        with learn.timed_cbs(): learn.fit(1)
        assert learn.wrap_handler is watch and 'after_loss' in seen
        assert learn.cb_times['recorder','after_loss',True][0]==8
        copy.deepcopy(learn), pickle.loads(pickle.dumps(synth_learner()))
