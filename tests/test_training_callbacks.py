"""Callbacks that change what is trained: accumulation, clipping, averages, half precision,
and callbacks that come and go in the midst of a fit.

pytest tests/test_training_callbacks.py
"""
import copy, warnings
from functools import partial

import pytest
import torch
from torch import nn
import torch.nn.functional as F

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

def quiet(data, loss_func=F.mse_loss, model=None, valid=None, **kwargs):
    torch.manual_seed(0)
    learn = Learner((data,valid), model() if model else nn.Linear(2, 1), loss_func,
        **{'opt_func': SGD, 'lr': .1, **kwargs})
    learn.remove_cb(ProgressCallback)
    learn.logger = silent
    return learn

def silent(cells): pass

def weights(learn): return torch.cat([p.detach().double().flatten() for p in learn.model.parameters()])
def fitted(*args, n_epoch=2, **kwargs):
    learn = quiet(*args, **kwargs)
    learn.fit(n_epoch)
    return learn

xs,ys = torch.randn(24, 2),torch.randn(24, 1)
def cut(size, x=xs, y=ys): return list(zip(x.split(size), y.split(size)))

# accumulation

double = partial(torch.randn, dtype=torch.float64)
c = 5
features,classes,text = double(24, 3),torch.randint(0, c, (24,)),torch.randint(0, c, (24,7))
text[torch.rand(24, 7) < torch.rand(24, 1)] = 0
text[4:8] = 0
weight = torch.rand(c, dtype=torch.float64)*9 + .1
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, c*7).double()
    def forward(self, x): return self.layer(x).view(-1, c, 7)

@pytest.mark.parametrize('mom', [0.,.9])
@pytest.mark.parametrize('loss_func,model,targs', [
    (nn.CrossEntropyLoss(weight=weight), lambda: nn.Linear(3, c).double(), classes),
        (nn.CrossEntropyLoss(ignore_index=0), Tagger, text),
    (partial(F.cross_entropy, weight=weight, ignore_index=0), Tagger, text),
        (nn.MSELoss(reduction='sum'), lambda: nn.Linear(3, 2).double(), double(24, 2)),
    (nn.MSELoss(), lambda: nn.Linear(3, 2).double(), double(24, 2)),
        (nn.KLDivLoss(reduction='batchmean'), lambda: nn.Linear(3, c).double(), double(24, c).softmax(1))])
def test_gathered_gradients_are_those_of_the_large_batch(loss_func, model, targs, mom):
    args = dict(loss_func=loss_func, model=model, opt_func=partial(SGD, mom=mom), lr=.01)
    large = fitted(cut(12, features, targs), **args)
    for sizes in (4,[5,4,3]*2,[7,5,1,11],1):
        small = fitted(cut(sizes, features, targs), cbs=GradientAccumulation(12), **args)
        assert (weights(small)-weights(large)).abs().max() < 1e-13
        assert small.recorder.values[0][0]==pytest.approx(large.recorder.values[0][0], rel=.1)

def test_weights_stay_near_one_for_loss_scaling():
    class SeeGrads(Callback):
        order = 18
        def before_fit(self): self.seen = []
        def before_step(self): self.seen.append(self.model.layer.weight.grad.norm().item())
    loss = nn.CrossEntropyLoss(ignore_index=0)
    large,small = (fitted(cut(size, features, text), loss, Tagger, lr=0., cbs=[SeeGrads(), *cbs], n_epoch=1)
        for size,cbs in ((24,[]),(6,[GradientAccumulation(24)])))
    assert .1 < small.see_grads.seen[-1]/large.see_grads.seen[-1] < 2 # a share of the targets is ignored

class CancelsBackward(Callback):
    def __init__(self, iters, order=0): self.iters,self.order = iters,order
    def before_backward(self):
        if self.iter in self.iters: raise CancelBackwardException
class CountSteps(Callback):
    order = 100
    def before_fit(self): self.steps = []
    def after_step(self):
        if self.stepped: self.steps.append(self.iter)

@pytest.mark.parametrize('order', [0,30])
def test_no_phantom_steps(order):
    run = lambda iters: fitted(cut(4), cbs=[GradientAccumulation(12), CancelsBackward(iters, order), CountSteps()],
        opt_func=partial(SGD, mom=.9), n_epoch=1)
    learn = run([3])                                      # right after the step: nothing is gathered
    assert learn.count_steps.steps==[2,5]                 # the second is the flush
    without = fitted([b for i,b in enumerate(cut(4)) if i!=3], cbs=[GradientAccumulation(12)],
        opt_func=partial(SGD, mom=.9), n_epoch=1)
    assert (weights(learn)==weights(without)).all()
    assert run([1]).count_steps.steps==[3,5]              # in the midst of a group: it is not flushed early
    assert run([5]).count_steps.steps==[2,5] and run(range(6)).count_steps.steps==[]

def test_a_skip_when_due_and_then_a_cancelled_backward():
    class Skips(Callback):
        order = 30
        def before_step(self):
            if self.iter!=2: return
            self.opt.zero_grad()
            raise CancelStepException
    learn = fitted(cut(4), cbs=[GradientAccumulation(12), Skips(), CancelsBackward([3]), CountSteps()], n_epoch=1)
    assert learn.count_steps.steps==[5] and learn.recorder.skipped==[0,1,2,3]

# clipping

def test_norms_do_not_pile_up_as_tensors():
    class MostWaiting(Callback):
        most = 0
        def after_batch(self): self.most = max(self.most, len(self.gradient_clip._norms.waiting))
    learn = fitted([cut(4)[0]]*1300, cbs=[GradientClip(1.), MostWaiting()], n_epoch=1)
    assert learn.most_waiting.most<=500 and len(learn.gradient_clip.norms)==1300

# callbacks that come and go

class Does(Callback):
    "Calls a function of the learner at an event of batch 1 in epoch 1"
    def __init__(self, at, f, order=-100):
        self.at,self.f,self.order,self.done = at,f,order,False
        setattr(self, at, self._do)
    def _do(self):
        if self.done or self.epoch!=1 or self.iter not in (1,None) and self.at!='before_epoch': return
        self.done = True
        self.f(self.learn)

events = '''before_epoch before_batch after_pred after_loss before_backward after_backward
    before_step after_step after_batch'''.split()

@pytest.mark.parametrize('at', events)
def test_a_callback_that_is_removed_no_longer_runs_and_has_cleaned_up(at):
    class Victim(Callback):
        def __init__(self): self.n,self.cleaned = 0,0
        def cleanup_fit(self):
            self.cleaned += 1
            assert self.learn is not None
    setattr(Victim, at, lambda self: setattr(self, 'n', self.n + (self.learn.model is not None)))
    victim = Victim()
    learn = quiet(cut(12), cbs=[Does(at, lambda learn: learn.remove_cb(victim))])
    learn.fit(3, cbs=victim)
    assert (victim.n,victim.cleaned,victim.learn)==(1 if at=='before_epoch' else 3, 1, None)

def test_a_callback_may_remove_itself_in_its_cleanup():
    class Goes(Callback):
        n = 0
        def cleanup_fit(self):
            self.n += 1
            self.learn.remove_cb(self)
    goes = Goes()
    fitted(cut(12), cbs=goes)
    learn = quiet(cut(12), cbs=[again := Goes(), Does('after_pred', lambda learn: learn.remove_cb('goes'))])
    learn.fit(2)
    assert (goes.n,goes.learn,again.n,again.learn)==(1,None,1,None)

half = [lambda: MixedPrecision('fp16', init_scale=2.**10), lambda: MixedPrecision('bf16'),
    lambda: NonNativeMixedPrecision(init_scale=2.**10), PureBF16, lambda: PureBF16('master'),
        lambda: ModelToHalf('bf16')]

@pytest.mark.parametrize('at', events)
@pytest.mark.parametrize('make', half)
def test_half_precision_removed_in_midfit(make, at):
    learn = quiet(cut(8), valid=cut(8), cbs=[make(), Does(at, lambda learn: learn.to_fp32())], lr=.01)
    plain = fitted(cut(8), valid=cut(8), lr=.01, n_epoch=3)
    learn.fit(3)
    assert not torch.is_autocast_enabled('cpu') and {t.dtype
        for t in learn.model.state_dict().values()}=={torch.float32}
    assert (weights(learn)-weights(plain)).abs().max() < .02 # no step by a thousand times its gradient

@pytest.mark.parametrize('at', events)
@pytest.mark.parametrize('make', half)
def test_half_precision_added_in_midfit(make, at):
    learn = quiet(cut(8), valid=cut(8), cbs=[Does(at, lambda learn: learn.add_cb(make()))], lr=.01)
    learn.fit(3)
    assert not torch.is_autocast_enabled('cpu') and {t.dtype
        for t in learn.model.state_dict().values()}=={torch.float32}
    assert (weights(learn)-weights(fitted(cut(8), valid=cut(8), lr=.01, n_epoch=3))).abs().max() < .02

def test_a_schedule_puts_back_all_it_can():
    class AddsGroup(Callback):
        def before_step(self):
            if self.iter==1: self.opt.add_param_group(dict(params=[nn.Parameter(torch.zeros(2))], lr=.3))
    learn = quiet(cut(8), opt_func=partial(SGD, mom=.5), model=lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)),
        splitter=lambda m: [list(o.parameters()) for o in m], lr=slice(.01, .1))
    learn.fit(1, cbs=[ParamScheduler({'lr': SchedLin(1., 0.), 'mom': SchedLin(.9, .8)}), AddsGroup()])
    assert learn.opt.lr[:2]==pytest.approx([.01,.1]) and learn.opt.mom==.5
    class BadHyper(Callback):
        def after_epoch(self): self.learn.sched_lr_mom.old['lr'] = 'nonsense'
    learn = quiet(cut(8), opt_func=partial(SGD, mom=.5))
    with pytest.raises((TypeError,ValueError)):
        learn.fit(1, cbs=[ParamScheduler({'lr': SchedLin(1., 0.), 'mom': SchedLin(.9, .8)}), BadHyper()])
    assert learn.opt.mom==.5 and not learn.running and len(learn.cbs)==4

# averages: what was measured is what is exported

def with_ema(cbs, tmp_path, n_epoch=0):
    learn = quiet(cut(8), valid=cut(8), cbs=cbs, path=tmp_path, opt_func=Adam)
    if n_epoch: learn.fit(n_epoch)
    return learn

def test_what_was_measured_is_exported(tmp_path, capsys):
    a = with_ema(EMA(.9, in_valid=True), tmp_path, 3)
    measured,before = a.validate(),weights(a)
    assert measured==[a.recorder.values[-1][1]]
    file = a.export('a.safetensors')
    assert 'averaged weights' in capsys.readouterr().out and (weights(a)==before).all() and a.validate()==measured
    plain = with_ema(None, tmp_path, 1)
    assert load_learner(file, plain).validate()==measured
    # its own average is forgotten
    assert load_learner(file, with_ema(EMA(.5, in_valid=True), tmp_path, 2)).validate()==measured
    assert load_learner(a.export('a.pkl', whole=True), trusted=True).validate(cut(8))==measured
    b = with_ema(EMA(.9), tmp_path, 3)
    assert load_learner(b.export('b.safetensors'), plain).validate()==b.validate() and capsys.readouterr().out==''

def test_recorder_comes_along(tmp_path):
    bad = cut(8)
    bad[1] = (bad[1][0]*float('nan'),bad[1][1])
    a = quiet(bad, valid=cut(8), cbs=NaNPolicy('skip'), path=tmp_path)
    a.fit(2)
    new = load_learner(a.export(), quiet(cut(8), path=tmp_path))
    assert new.recorder.skipped==a.recorder.skipped==[1,4] and new.smooth_loss==a.smooth_loss

def test_save_and_load_with_and_without_an_ema(tmp_path):
    a = with_ema(EMA(.9, in_valid=True), tmp_path, 3)
    measured = a.validate()
    a.save('a')
    assert with_ema(EMA(.9, in_valid=True), tmp_path, 2).load('a').validate()==measured
    with pytest.warns(UserWarning, match='no such callback'): plain = with_ema(None, tmp_path).load('a')
    assert (weights(plain)==weights(a)).all()
    with pytest.warns(UserWarning, match='in_valid'): with_ema(EMA(.9), tmp_path).load('a')
    raw = with_ema(None, tmp_path, 1)
    raw.save('raw')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        other = with_ema(EMA(.9, in_valid=True), tmp_path, 2).load('raw')
        assert other.validate()==raw.validate() and other.ema.n_steps==0
        other.fit(1)
    assert other.ema.n_steps==3

def test_a_load_within_a_fit_begins_the_average_anew(tmp_path):
    with_ema(None, tmp_path, 1).save('raw')
    learn = quiet(cut(8), cbs=[EMA(.9), Does('after_batch', lambda learn: learn.load('raw', with_opt=False),
        order=100)], path=tmp_path)
    learn.fit(2)
    assert learn.ema.n_steps==1 and (learn.ema.avg['weight']==learn.model.weight).all()

def test_a_refused_load_changes_no_average(tmp_path):
    a = with_ema(EMA(.9, in_valid=True), tmp_path, 3)
    a.save('a')
    b = quiet(cut(8), valid=cut(8), cbs=EMA(.9, in_valid=True), path=tmp_path, opt_func=SGD)
    b.fit(1)
    before = b.validate(),weights(b).tolist(),b.ema.n_steps
    with pytest.raises(ValueError): b.load('a')
    assert (b.validate(),weights(b).tolist(),b.ema.n_steps)==before

def test_swapped_can_be_changed_and_is_left_exactly():
    learn = fitted(cut(8), valid=cut(8), cbs=EMA(.9))
    before,avg = weights(learn),learn.ema.avg['weight'].clone()
    with learn.ema.swapped() as model:
        assert (model.weight==avg).all() and learn.ema.is_swapped
        with torch.no_grad(): model.weight.mul_(2)
    assert (weights(learn)==before).all() and (learn.ema.avg['weight']==2*avg).all() and not learn.ema.is_swapped

# accumulation, and what others cancel

rows_x,rows_y = torch.randn(100, 4),torch.randn(100, 1)
eights = [8]*12+[4]

def small_net(): return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()

def trained(sizes, rows=slice(None), cbs=None):
    data = list(zip(rows_x[rows].double().split(sizes), rows_y[rows].double().split(sizes)))
    return weights(fitted(data, model=small_net, opt_func=partial(SGD, mom=.9), cbs=cbs))

def without(*lost): return torch.tensor([i for i in range(100) if not any(a<=i<b for a,b in lost)])

def same(cbs, sizes, rows, expected_sizes):
    "Are gathered gradients, with what `cbs` do, those of batches of `expected_sizes` out of the `rows`?"
    got,expected = trained(sizes, cbs=[GradientAccumulation(24), *cbs]),trained(expected_sizes, rows)
    return (got-expected).abs().max() < 1e-12

class CancelsAt(Callback):
    def __init__(self, at, error, iters, order=0):
        self.error,self.iters,self.order = error,iters,order
        setattr(self, at, self._cancel)
    def _cancel(self):
        if self.iter in self.iters: raise self.error

@pytest.mark.parametrize('at,order', [(at,order) for at in ('before_batch','after_pred','after_loss')
    for order in (0,30)] + [('before_backward',0)])
@pytest.mark.parametrize('iters,lost,sizes', [([1],(8,16),[24,24,24,20]), ([12],(96,100),[24]*4),
    ([11,12],(88,100),[24]*3+[16])])
def test_a_batch_cancelled_before_its_backward_pass_is_as_if_it_had_not_been(at, order, iters, lost, sizes):
    assert same([CancelsAt(at, CancelBatchException, iters, order)], eights, without(lost), sizes)

@pytest.mark.parametrize('order', [0,30])
def test_a_backward_pass_that_is_cancelled(order):
    assert same([CancelsAt('before_backward', CancelBackwardException, [1], order)], eights, without((8,16)),
        [24,24,24,20])

@pytest.mark.parametrize('at,order', [('before_backward',30), ('after_backward',0), ('after_backward',30),
    ('before_step',0)])
def test_a_batch_cancelled_later_loses_its_group(at, order):
    assert same([CancelsAt(at, CancelBatchException, [1], order)], eights, without((0,16)), [24,24,24,12])

def test_steps_that_others_cancel():
    "Before it is due nothing changes; when due, the next batch makes up for it"
    everything = torch.arange(100)
    for order in (0,30):
        assert same([CancelsAt('before_step', CancelStepException, [2], order)], eights, everything, [32,24,24,20])
    assert same([CancelsAt('before_step', CancelStepException, [1])], eights, everything, [24]*4+[4])
    assert same([CancelsAt('before_step', CancelStepException, [2], 30)], [8,8,10]+[8]*9+[2], everything, [34,24,24,18])

def test_phases_that_end_early():
    "What was summed makes a step, unless a batch was cut short in the middle"
    rows = torch.arange(100)
    assert same([CancelsAt('after_batch', CancelTrainException, [4])], eights, rows[:40], [24,16])
    assert same([CancelsAt('after_pred', CancelTrainException, [4])], eights, rows[:32], [24,8])
    for at,order in (('after_backward',0), ('after_backward',30), ('before_step',0)):
        assert same([CancelsAt(at, CancelTrainException, [4], order)], eights, rows[:24], [24])
    assert same([CancelsAt('before_step', CancelTrainException, [5], 30)], eights, rows[:24], [24])

def test_a_nan_that_is_skipped_drops_the_group():
    class PutNaN(Callback):
        def before_batch(self):
            if self.iter==1: self.learn.xb = (self.x*float('nan'),)
    assert same([PutNaN(), NaNPolicy('skip')], eights, without((0,16)), [24,24,24,12])

def test_averages_are_swapped_back():
    "Averages are swapped back however the validation ends, and after half precision was left"
    for error in (CancelBatchException, CancelValidException, CancelEpochException, CancelFitException, OSError):
        learn = quiet(cut(8), valid=cut(8), cbs=[EMA(.9, in_valid=True), MixedPrecision('bf16'),
            CancelsAt('after_loss', error, [1])])
        learn.cancels_at.run_train = False
        try: learn.fit(2)
        except OSError: pass
        assert not learn.ema.is_swapped and not torch.is_autocast_enabled('cpu') and learn.model.weight.isfinite().all()

# --- averages while they are in the model

def swapping(f, at='after_validate', **kwargs):
    "The learner of a fit of two epochs in whose first validation, with averaged weights, `f` is called on it"
    class Calls(Callback):
        order = 60
        def call(self):
            if self.epoch==0 and not vars(self).get('called'):
                object.__setattr__(self, 'called', True)
                f(self.learn)
    setattr(Calls, at, Calls.call)
    torch.manual_seed(0)
    learn = synth_learner(opt_func=SGD, cbs=[EMA(.9, in_valid=True), Calls], **kwargs)
    with learn.no_logging(): learn.fit(2)
    return learn

def numbers(learn): return [p.tolist() for p in learn.model.parameters()]

@pytest.mark.parametrize('at', ['before_validate','after_loss','after_batch','leave_batch'])
@pytest.mark.parametrize('f', ['validate','get_preds','predict'])
def test_a_validation_within_one_leaves_the_averages_there(at, f):
    class InValid(Callback): # only in the validation
        order,run_train,done = 60,False,False
        def call(self):
            if self.done or self.training: return
            self.done = True
            assert self.ema.is_swapped
            getattr(self.learn, f)(*[torch.ones(1)]*(f=='predict'))
            assert self.ema.is_swapped
    setattr(InValid, at, InValid.call)
    fits = []
    for cbs in [], [InValid()]:
        torch.manual_seed(0)
        learn = synth_learner(opt_func=SGD, cbs=[EMA(.9, in_valid=True), *cbs])
        with learn.no_logging(): learn.fit(2)
        fits.append((numbers(learn), learn.recorder.values))
        assert all(cb.done for cb in cbs) and not learn.ema.is_swapped
    assert fits[0]==fits[1]

def test_reset_gives_the_weights_back():
    learn = synth_learner(opt_func=SGD, cbs=EMA(.9))
    with learn.no_logging(): learn.fit(1)
    before = numbers(learn)
    with learn.ema.swapped():
        assert numbers(learn)!=before
        learn.ema.reset()
    assert numbers(learn)==before

def test_weights_that_are_loaded_in_a_validation_stay(tmp_path):
    other = synth_learner(path=tmp_path)
    other.save('other')
    seen = []
    def f(learn):
        learn.load('other')
        seen.append(numbers(learn))
    class Look(Callback):
        def before_train(self): seen.append(numbers(self.learn))
    swapping(lambda learn: (f(learn), learn.add_cb(Look)), at='leave_validate', path=tmp_path)
    assert seen[0]==seen[1]==numbers(other)

def test_a_copy_made_while_the_averages_are_in_can_fit():
    copies = []
    swapping(lambda learn: copies.append(copy.deepcopy(learn)), at='leave_validate')
    new, = copies
    assert new.ema.is_swapped
    with new.no_logging(): new.fit(1)
    assert not new.ema.is_swapped
