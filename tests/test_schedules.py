"More schedules and torch's schedulers in a fit: what would clutter training/schedules"
import inspect, os
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastcore.test import ExceptionExpected, test_close as close, test_eq as eq
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner
from optimloop.training.schedules import _n_samples

os.environ['OPTIMLOOP_DEVICE'] = 'cpu'

@pytest.fixture
def learn():
    torch.manual_seed(1)
    return synth_learner(opt_func=SGD, lr=.1)

@pytest.fixture
def tuned():
    torch.manual_seed(1)
    return synth_learner(opt_func=partial(SGD, mom=.9), lr=.05, splitter=lambda m: [[m.weight],[m.bias]])

def lrs(learn, fit):
    with learn.no_logging(): fit(learn)
    return learn.recorder.hps['lr']

def scheduled(learn, sched, n_epoch=2): return lrs(learn, lambda l: l.fit(n_epoch, cbs=ParamScheduler({'lr': sched})))

# lengths

def test_lengths_that_do_not_fit_or_that_are_not_known(learn):
    for length,msg in ((Steps(17),r'Steps\(n=17\) does not fit into this training, or part of one, which has n=16'),
        (Samples(-1),'does not fit')):
        with ExceptionExpected(ValueError, regex=msg): scheduled(learn, with_warmup(SchedLin(.1, 0.), length))
    listed = Learner(DataLoaders(list(synth_dls().train)), nn.Linear(1, 1), F.mse_loss)
    with ExceptionExpected(ValueError, regex='count in Steps'):
        scheduled(listed, with_warmup(SchedLin(.1, 0.), Samples(9)), 1)

def test_a_ragged_epoch_has_as_many_samples_as_its_data_set():
    eq([_n_samples(DataLoaders.from_arrays(*synth_data(), bs=50).train, o) for o in (4,2)], [160,100])
    eq(_n_samples(torch.utils.data.DataLoader(range(10), 4, drop_last=True), 2), 8)

def test_a_length_within_a_part_of_the_training_is_that_of_the_same_number_of_batches(learn):
    parts = combine_scheds([.5,.5], [with_warmup(SchedNo(.1, .1), Steps(4)), SchedLin(.1, 0.)])
    close(scheduled(learn, parts), [.1*i/4 for i in range(4)] + [.1]*4 + [.1*(1-i/8) for i in range(8)], eps=1e-12)
    twice = with_warmup(with_warmup(SchedNo(.1, .1), Steps(4)), Steps(8))
    close(scheduled(learn, twice), [0.]*8 + [.1*i/4 for i in range(4)] + [.1]*4, eps=1e-12)
    both = combine_scheds([.5,.5], [with_warmup(SchedNo(.1, .1), o) for o in (Samples(64),Steps(4))])
    close(scheduled(learn, both), ([.1*i/4 for i in range(4)] + [.1]*4)*2, eps=1e-12)

def test_a_warm_up_of_a_slice_in_steps(tuned):
    close(scheduled(tuned, with_warmup(SchedNo(slice(.01, .1), None), Steps(4)))[2], [.005,.05], eps=1e-12)
    close(scheduled(tuned, with_warmup(SchedNo([.01,.1], None), Steps(4)))[2], [.005,.05], eps=1e-12)

# every batch equals its closed form

pos = np.arange(32)/32
cycle = lambda n: .1*(1+np.cos(np.pi*np.arange(n)/n))/2

def test_flat_cos(learn):
    close(lrs(learn, lambda l: l.fit_flat_cos(4)), np.where(pos<.72, .1,
        .1 + (1-np.cos(np.pi*(pos-.72)/.28))/2*(1e-6-.1)), eps=1e-12)
    close(lrs(learn, lambda l: l.fit_flat_cos(4, pct_start=.5, curve='linear')),
        np.where(pos<.5, .1, .1 + (pos-.5)/.5*(1e-6-.1)), eps=1e-12)
    close(lrs(learn, lambda l: l.fit_flat_cos(4, pct_start=.5, curve='exponential', div_final=10)),
        np.where(pos<.5, .1, .1*.1**((pos-.5)/.5)), eps=1e-12)

def test_wsd_and_linear(learn):
    wsd = np.where(pos<1/8, .1*pos*8, np.where(pos<.75, .1, .1 + np.sqrt(np.maximum(0, pos-.75)/.25)*(1e-6-.1)))
    for warmup,decay in ((1/8,1/4), (Steps(4),Steps(8)), (Samples(64),Samples(128))):
        close(lrs(learn, lambda l: l.fit_wsd(4, warmup=warmup, decay=decay)), wsd, eps=1e-12)
    close(lrs(learn, lambda l: l.fit_linear(4, warmup=1/8)), np.where(pos<1/8, .1*pos*8, .1*(1-(pos-1/8)*8/7)),
        eps=1e-12)

def test_sgdr(learn):
    close(lrs(learn, lambda l: l.fit_sgdr(3, 1)), np.concatenate([cycle(8),cycle(16),cycle(32)]), eps=1e-12)
    close(lrs(learn, lambda l: l.fit_sgdr(4, 1, cycle_mult=1)), np.tile(cycle(8), 4), eps=1e-12)

def test_begin_where_they_are_told_to(learn):
    for fit in (Learner.fit_one_cycle,Learner.fit_flat_cos,Learner.fit_wsd,Learner.fit_linear):
        close(lrs(learn, lambda l: fit(l, 4, start_epoch=2)), lrs(learn, lambda l: fit(l, 4))[16:], eps=1e-12)
    close(lrs(learn, lambda l: l.fit_sgdr(2, 1, start_epoch=1)), cycle(16), eps=1e-12)

def test_errors_of_fits(learn, tuned):
    for args in ((0,1),(1,0),(2,1,None,0),(1.5,1)):
        with ExceptionExpected(ValueError, regex='n_cycles=.*expected whole numbers'): learn.fit_sgdr(*args)
    with ExceptionExpected(ValueError, regex='n_epoch=0'): learn.fit_linear(0)
    with ExceptionExpected(ValueError, regex='Give the Learner a splitter'): lrs(learn, lambda l: l.fine_tune(1))
    with ExceptionExpected(ValueError, regex='freeze_epochs=-1'): learn.fine_tune(1, freeze_epochs=-1)
    with ExceptionExpected(ValueError, regex='n_epoch=0'): tuned.fine_tune(0)
    with ExceptionExpected(TypeError, regex='is called lr_max'): tuned.fit_one_cycle(1, lr=.1)

def test_fine_tune_from_the_middle_and_signatures(tuned):
    with tuned.no_logging(): tuned.fine_tune(3, slice(.001, .05), freeze_epochs=2, start_epoch=3)
    eq(len(tuned.recorder.hps['lr']), 16)
    eq(str(inspect.signature(Learner.fit_wsd)).split('**')[0].count('start_epoch'), 1)   # what `fit` takes is named

# torch's schedulers

def torch_lrs(sched_func, n, lr=.1):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr, momentum=.9)
    sched,res = sched_func(opt),[]
    for _ in range(n):
        res.append(opt.param_groups[0]['lr'])
        opt.step()
        sched.step()
    return res

steps = partial(torch.optim.lr_scheduler.StepLR, step_size=5, gamma=.1)
halving = partial(torch.optim.lr_scheduler.ExponentialLR, gamma=.5)
one_cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=.1, total_steps=32, cycle_momentum=False)
plateau = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, threshold=10., threshold_mode='abs')

def run(learn, cb, *args, **kwargs): return lrs(learn, lambda l: l.fit(*args, cbs=cb, **kwargs))

@pytest.mark.filterwarnings('error:Detected call') # torch's warning, which is hidden: the past was made up for
def test_torch_scheduler_begins_in_the_middle(learn):
    whole = run(learn, TorchScheduler(one_cycle), 4)
    eq(run(learn, TorchScheduler(one_cycle), 4, start_epoch=2), whole[16:])
    close(whole, torch_lrs(one_cycle, n=32), eps=1e-12)

def test_reduce_on_plateau_is_given_its_value(learn):
    close(run(learn, TorchScheduler(plateau, every='epoch'), 3)[::8], [.1,.1,.01], eps=1e-12)

def test_errors_of_torch_scheduler_change_nothing(learn):
    twice = [TorchScheduler(steps),ParamScheduler({'lr': SchedNo(.1, .1)})]
    for kwargs,cb,msg in ((dict(),TorchScheduler(plateau),"use TorchScheduler"),
        (dict(start_epoch=1),TorchScheduler(plateau, 'epoch'),'has not seen the epochs before'),
                          (dict(),twice,'lr is scheduled twice, by torch_scheduler and sched_lr')):
        with ExceptionExpected(ValueError, regex=msg): run(learn, cb, 2, **kwargs)
        eq((learn.opt.lr, 'step' in vars(learn.opt)), (.1,False))
    with learn.added_cbs(GradientAccumulation(32)), ExceptionExpected(ValueError, regex='how many steps there were'):
        run(learn, TorchScheduler(steps), 2, start_epoch=1)
    with ExceptionExpected(ValueError, regex="every='batch': expected 'step' or 'epoch'"):
        TorchScheduler(steps, 'batch')

def test_initial_lr_of_an_optimizer_that_was_saved_within_a_fit(learn):
    learn.create_opt()
    learn.opt.param_groups[0]['initial_lr'] = .7
    close(run(learn, TorchScheduler(torch.optim.lr_scheduler.LinearLR), 1, lr=.1)[0], .1/3, eps=1e-12)
    eq([k for k in vars(learn.opt) if k in ('step','_opt_called')], [])

def test_no_validation_and_no_length():
    novalid = Learner(DataLoaders(o for o in synth_dls().train), nn.Linear(1, 1), F.mse_loss, SGD, lr=.1)
    run(novalid, TorchScheduler(steps), 1)
    with ExceptionExpected(ValueError, regex="ReduceLROnPlateau cannot watch 'valid_loss'"):
        run(novalid, TorchScheduler(plateau, 'epoch'), 1)

def test_torch_scheduler_of_two_groups():
    two = synth_learner(opt_func=SGD, lr=slice(.01, .1), splitter=lambda m: [[m.weight],[m.bias]])
    close(run(two, TorchScheduler(halving), 1)[1], [.005,.05], eps=1e-12)

def test_the_state_of_one_goes_to_another(learn):
    class HandOver(Callback):
        order = 70
        def __init__(self, take): self.take = take
        def after_batch(self):
            if self.training and self.epoch==1 and self.iter==3: self.learn.kept = self.torch_scheduler.state_dict()
            if self.training and self.epoch==0 and self.iter==0 and self.take:
                self.torch_scheduler.load_state_dict(self.learn.kept)
    b = TorchScheduler(steps)
    for take,cb in ((False,TorchScheduler(steps)),(True,b)): run(learn, [HandOver(take),cb], 2)
    close(b.history[12:15], [.1*.1**(i//5) for i in range(12, 15)], eps=1e-12)
