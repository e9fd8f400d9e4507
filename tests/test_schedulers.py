"Schedules, 1cycle and the learning-rate finder: what would clutter the lesson 03_schedulers"
import contextlib, io, math, os, pickle
from functools import partial

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastcore.test import ExceptionExpected, test_close as close, test_eq as eq
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner
from optimloop.schedulers import valley
from optimloop.training.suggestions import minimum, slide, steep

os.environ['OPTIMLOOP_DEVICE'] = 'cpu'

@pytest.fixture(autouse=True)
def seed_and_close():
    torch.manual_seed(1)
    yield
    plt.close('all')

def quiet(learn, *args, **kwargs):
    with learn.no_logging(): learn.fit(*args, **kwargs)
    return learn

def lrs(learn, sched, n_epoch=2, **kwargs):
    return quiet(learn, n_epoch, cbs=ParamScheduler({'lr': sched}), **kwargs).recorder.hps['lr']

def with_mom(): return synth_learner(opt_func=partial(SGD, mom=.9), lr=.1)
def two_groups(): return synth_learner(opt_func=SGD, splitter=lambda m: [[m.weight],[m.bias]])

# joined schedules

def test_phases_without_length_are_passed_by_at_either_end():
    f = combine_scheds([0.,1.], [SchedLin(5., 6.), SchedLin(0., 1.)])
    eq((f(0.), f(1.)), (0.,1.))
    f = combine_scheds([1.,0.], [SchedLin(0., 1.), SchedLin(5., 6.)])
    eq((f(0.), f(1.)), (0.,1.))

def test_phases_and_rounding():
    f = combine_scheds([.7,.2,.1], [SchedLin(0., 1.)]*3)
    close(f(1.), 1., eps=1e-12)
    eq(pickle.loads(pickle.dumps(f))(.3), f(.3))
    # 1/49 added up 49 times is not 1, and i/49 is not i times 1/49
    f = combine_scheds([1/49]*49, [SchedLin(1., 0.)]*49)
    close([f(i/49) for i in range(49)], [1.]*49, eps=1e-10)

# a schedule in a fit

def test_is_a_function_of_progress_only():
    class Cancels(Callback):
        order,run_valid = 46,False
        def before_batch(self):
            if self.iter==2: raise CancelBatchException
        def before_step(self):
            if self.iter%2: raise CancelStepException
    n,learn = 16,with_mom()
    quiet(learn, 2, cbs=[Cancels, ParamScheduler({'lr': SchedLin(.1, 0.)})])
    close(learn.recorder.hps['lr'], [.1*(1-i/n) for i in range(n)], eps=1e-12)
    close(lrs(learn, SchedLin(.1, 0.), start_epoch=1), [.1*(1-i/n) for i in range(n//2, n)], eps=1e-12)

def test_values_for_each_group():
    two = two_groups()
    close(lrs(two, SchedLin(np.array([.1,.2]), np.array([0.,0.])), 1)[4], np.array([.05,.1]), eps=1e-12)
    close(lrs(two, SchedLin(slice(.01, .1), 0.))[8], [.005,.05], eps=1e-12)
    quiet(two, 2, cbs=ParamScheduler({'wd': SchedNo([0.,.5], None)}))
    eq(two.recorder.hps['wd'][0].tolist(), [0,.5])

def test_several_schedules_each_for_its_own():
    learn = with_mom()
    quiet(learn, 1, lr=.1, cbs=[ParamScheduler({'lr': SchedLin(.1, 0.)}), ParamScheduler({'mom': SchedNo(.7, .7)})])
    eq((len(learn.recorder.hps['lr']), learn.recorder.hps['mom'], learn.opt.mom), (8,[.7]*8,.9))

def test_an_error_before_the_fit_puts_nothing_back_that_was_not_taken():
    learn,sched = with_mom(),ParamScheduler({'lr': SchedNo(.3, .3)})
    quiet(learn, 1, lr=.2, cbs=sched)
    class FailsFirst(Callback):
        def before_fit(self): raise OSError
    with ExceptionExpected(OSError): quiet(learn, 1, lr=.4, cbs=[FailsFirst, sched])
    eq(learn.opt.lr, .4)

def test_what_cannot_be_scheduled():
    with ExceptionExpected(ValueError, regex='needs TrainEvalCallback'):
        synth_learner(default_cbs=False).fit(1, cbs=ParamScheduler({'lr': SchedNo(.1, .1)}))
    # a generator has no length
    endless = Learner(DataLoaders(o for o in synth_dls().train), nn.Linear(1, 1), F.mse_loss)
    with ExceptionExpected(ValueError, regex='how many batches an epoch has'): lrs(endless, SchedNo(.1, .1), 1)
    with ExceptionExpected(TypeError, regex='functions of the progress'): ParamScheduler({'lr': .1})
    with ExceptionExpected(ValueError, regex='no factor leads'): lrs(with_mom(), SchedExp(.1, 0.), 1)
    with ExceptionExpected(ValueError, regex='nothing was scheduled'): synth_learner().recorder.plot_sched()

def test_a_schedule_of_ones_own_may_depend_on_the_run():
    class Halves: # every so many epochs
        def for_run(self, learn, part=1.): return lambda pos: .1*.5**int(pos*part*learn.n_epoch)
        def __call__(self, pos): raise NotImplementedError
    learn = with_mom()
    eq(lrs(learn, Halves(), 3), [.1]*8+[.05]*8+[.025]*8)
    eq(lrs(learn, combine_scheds([.5,.5], [SchedNo(1., 1.),Halves()]), 4), [1.]*16+[.1]*8+[.05]*8)

# 1cycle

def test_one_cycle_without_momentum_and_its_errors():
    plain = synth_learner(opt_func=SGD, lr=.1)
    with plain.no_logging(): plain.fit_one_cycle(1)
    eq(list(plain.recorder.hps), ['lr'])
    before = plain.opt
    for kwargs,msg in ((dict(pct_start=1.5),'pct_start=1.5: expected a fraction'),
        (dict(pct_start=-.1),'pct_start=-0.1'), (dict(start_epoch=1),'start_epoch=1: expected')):
        with ExceptionExpected(ValueError, regex=msg): plain.fit_one_cycle(1, reset_opt=True, **kwargs)
    with ExceptionExpected(ValueError, regex='n_epoch=0'): plain.fit_one_cycle(0, reset_opt=True)
    assert plain.opt is before
    with ExceptionExpected(ValueError, regex='mom was not scheduled in the last fit; scheduled: lr'):
        plain.recorder.plot_sched('mom')
    with ExceptionExpected(TypeError, regex='is called lr_max'): plain.fit_one_cycle(1, lr=.1)

def test_one_cycle_of_two_groups():
    two = two_groups()
    with two.no_logging(): two.fit_one_cycle(1, slice(1e-3, 1e-1))
    close(two.recorder.hps['lr'][2], np.array([1e-3,1e-1]), eps=1e-12)

def test_every_batch_of_one_cycle_equals_the_closed_form():
    learn = with_mom()
    with learn.no_logging(): learn.fit_one_cycle(4)
    lr,mom = (np.array(learn.recorder.hps[o]) for o in ('lr','mom'))
    pos = np.arange(32)/32
    up,down = .004 + (1-np.cos(np.pi*pos/.25))/2*(.1-.004), .1 + (1-np.cos(np.pi*(pos-.25)/.75))/2*(1e-6-.1)
    close(lr, np.where(pos<.25, up, down), eps=1e-12)
    up,down = .95 + (1-np.cos(np.pi*pos/.25))/2*(.85-.95), .85 + (1-np.cos(np.pi*(pos-.25)/.75))/2*(.95-.85)
    close(mom, np.where(pos<.25, up, down), eps=1e-12)

# the finder

def a_loader_with_a_generator():
    g = torch.Generator().manual_seed(5)
    dl = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*synth_data()), 16, shuffle=True, generator=g)
    return Learner(DataLoaders(dl), nn.Linear(1, 1), F.mse_loss, lr=.1),g

def test_the_finder_leaves_no_trace():
    learn,g = a_loader_with_a_generator()
    before = g.get_state()
    learn.lr_find(show_plot=False)
    eq(g.get_state(), before)
    assert learn.opt is None and learn.n_epoch is None
    assert pickle.loads(pickle.dumps(learn)).recorder.suggested_lrs==learn.recorder.suggested_lrs
    eq([type(o).__name__ for o in learn.cbs], [type(o).__name__ for o in a_loader_with_a_generator()[0].cbs])

def third(lrs, losses, at=3): return lrs[len(lrs)//at]

def test_rules_are_listed_by_name():
    learn,_ = a_loader_with_a_generator()
    with ExceptionExpected(ValueError, regex='expected 0 < start_lr < end_lr'): learn.lr_find(1., .1)
    with ExceptionExpected(ValueError, regex='must have names'): learn.lr_find(suggest_funcs=lambda lrs, losses: .1)
    eq(learn.lr_find(show_plot=False, suggest_funcs=[partial(third, at=2), valley])._fields, ('third','valley'))

def test_what_cannot_be_copied():
    class HoldsFile(Callback):
        def __init__(self): self.file = open(os.devnull)
    learn,_ = a_loader_with_a_generator()
    with learn.added_cbs(HoldsFile), ExceptionExpected(TypeError, regex='something in it cannot be copied'):
        learn.lr_find(show_plot=False)

def test_a_skipped_batch_did_not_try_a_rate():
    class SkipSome(Callback):
        def before_batch(self):
            if self.iter%2: raise CancelBatchException
    learn,_ = a_loader_with_a_generator()
    with learn.added_cbs(SkipSome): learn.lr_find(show_plot=False, stop_div=False)
    eq(len(learn.recorder.lr_finder.lrs), 100)
    with ExceptionExpected(ValueError, regex='no learning rate was looked for'): synth_learner().recorder.plot_lr_find()

def unmoved(pred, y): return F.mse_loss(pred.detach(), y) + 0*pred.sum()

@pytest.mark.parametrize('loss,n,rates', [(F.mse_loss,100,(1e-9,1e-8)), (lambda p, y: p.mean()*math.nan,0,()),
    (unmoved,100,())])
def test_says_so_where_there_is_nothing_to_suggest(loss, n, rates):
    learn = synth_learner()   # rates too low, a loss that is no number from the start, a loss that does not move
    learn.loss_func = loss
    with contextlib.redirect_stdout(io.StringIO()) as out:
        res = learn.lr_find(*rates, suggest_funcs=(minimum,steep,slide,valley))
    eq(set(res), {None})
    assert f'valley has no suggestion: the loss never fell clearly in {n} steps' in out.getvalue()

class Explodes:
    def __init__(self, at): self.at,self.n = at,0
    def __call__(self, pred, y):
        self.n += 1
        return F.mse_loss(pred, y) * (1e9 if self.n>=self.at else 1)

@pytest.mark.parametrize('at,n', [(100,100),(2,2),(1,2)])
def test_diverges_in_the_last_step_or_in_the_first(at, n):
    learn = synth_learner(opt_func=SGD)
    learn.loss_func = Explodes(at)
    with contextlib.redirect_stdout(io.StringIO()): res = learn.lr_find(1e-7, 1., show_plot=False)
    eq(len(learn.recorder.lr_finder.lrs), n)
    eq((res.valley is None, learn.loss_func.n), (at<3,0))

def test_a_loader_with_a_single_batch_is_run_through_again_and_again():
    one = Learner(DataLoaders(list(synth_dls().train)[:1]), nn.Linear(1, 1), F.mse_loss, SGD)
    assert one.lr_find(1e-6, .1, show_plot=False).valley>0
    eq(len(one.recorder.lr_finder.lrs), 100)

def test_groups_keep_their_proportions():
    class Rates(Callback):
        seen = []
        order = 47
        def after_step(self): self.seen.append(self.opt.lr)
    two = synth_learner(opt_func=SGD, lr=slice(.01, .1), splitter=lambda m: [[m.weight],[m.bias]])
    with two.added_cbs(Rates): two.lr_find(1e-3, 1., show_plot=False)
    close([b/a for a,b in Rates.seen], [10.]*len(Rates.seen), eps=1e-9)

def test_a_rate_is_tried_until_there_is_a_step():
    learn = synth_learner(opt_func=SGD)   # the last, shorter group of an epoch steps too
    with learn.added_cbs(GradientAccumulation(48)): learn.lr_find(show_plot=False, num_it=20)
    eq(len(learn.recorder.lr_finder.lrs), 20)
    with ExceptionExpected(TypeError, regex="no hyper-parameter 'moom'"): learn.lr_find(param='moom')
    class NeverSteps(Callback):
        def before_step(self): raise CancelStepException
    with learn.added_cbs(NeverSteps), contextlib.redirect_stdout(io.StringIO()) as out:
        eq(learn.lr_find(show_plot=False).valley, None)
    assert 'no step in 1000 batches' in out.getvalue()
    # does not take part
    with learn.added_cbs(TorchScheduler(partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=.1, total_steps=8))):
        learn.lr_find(show_plot=False)

def test_overflows_in_half_precision_try_no_rate():
    def in_fp16(scale):
        torch.manual_seed(0)
        learn = synth_learner(opt_func=SGD).to_fp16(init_scale=scale)
        return learn.lr_find(show_plot=False, stop_div=False, num_it=50).valley,learn.recorder.lr_finder
    (a,_),(b,finder) = in_fp16(2.**8),in_fp16(2.**40)     # the latter overflows more than twenty times
    assert .3 < a/b < 3
    eq(len(finder.lrs), 50)

def test_the_last_curve_is_drawn_again():
    learn = synth_learner(opt_func=SGD)
    learn.lr_find(show_plot=False)
    eq(len(learn.recorder.plot_lr_find().lines), 2)
