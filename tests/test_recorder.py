"""What is recorded is exact: the loss of all data at once, batches whose step did not happen left out, and no row
that was not measured.

pytest tests/test_recorder.py
"""
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
import torch.nn.functional as F

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.basics.averages import BatchValues, WeightedMean, loss_divisor
from optimloop.schedulers import valley
from optimloop.training.suggestions import minimum, slide, steep

class AsIs(nn.Module):
    "Predicts its input"
    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.zeros(()))
    def forward(self, x): return x + 0*self.p

def learner(data, loss_func, valid=None, model=None, **kwargs):
    learn = Learner((data, data if valid is None else valid), model or AsIs(), loss_func,
        **{'opt_func': SGD, 'lr': 0., **kwargs})
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda cells: None
    return learn

def seeded(f, seed=0):
    torch.manual_seed(seed)
    return f()

double = partial(torch.randn, dtype=torch.float64)
n,c = 23,5
classes,masks = torch.randint(0, c, (n,)),torch.rand(n, c)<.4
text = torch.randint(0, c, (n,7))
text[torch.rand(n, 7) < torch.rand(n, 1)] = -100
text[3:8] = -100 # a batch in which nothing counts
padded = torch.randint(0, c, (n,7))*(torch.rand(n, 7) < torch.rand(n, 1))
weight = torch.rand(c, dtype=torch.float64)*9 + .1
logits,targs,probs = double(n, c),double(n, c),double(n, c).softmax(1)
by_class = [dict(), dict(weight=weight), dict(ignore_index=2), dict(weight=weight, ignore_index=2),
    dict(weight=weight, label_smoothing=.2)]
cases = [
    *[(nn.CrossEntropyLoss(**o), logits, classes) for o in by_class],
    *[(partial(F.cross_entropy, **o), logits, classes) for o in by_class],
    *[(nn.CrossEntropyLoss(**{**o, 'ignore_index': -100}), double(n, c, 7), text) for o in by_class],
    (nn.CrossEntropyLoss(ignore_index=0), double(n, c, 7), padded),
    (partial(partial(F.cross_entropy, weight=weight), ignore_index=0), double(n, c, 7), padded),
    (nn.CrossEntropyLoss(), logits, probs), (nn.CrossEntropyLoss(weight=weight), logits, probs),
    (nn.CrossEntropyLoss(weight=weight), double(n, c, 3), double(n, c, 3).softmax(1)),
    *[(nn.NLLLoss(**o), logits.log_softmax(1), classes) for o in by_class[:4]],
    (partial(F.nll_loss, weight=weight), double(n, c, 7).log_softmax(1), text),
    *[(o, logits, targs) for o in (nn.MSELoss(), F.mse_loss, nn.L1Loss(), F.l1_loss, nn.SmoothL1Loss(),
    F.smooth_l1_loss, nn.HuberLoss(), F.huber_loss, nn.GaussianNLLLoss() and partial(F.gaussian_nll_loss, var=2.))],
    *[(o, logits.sigmoid(), probs) for o in (nn.BCELoss(), F.binary_cross_entropy, nn.BCELoss(weight=weight))],
    *[(o, logits, probs) for o in (nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss(pos_weight=weight),
    nn.BCEWithLogitsLoss(weight=weight), partial(F.binary_cross_entropy_with_logits, pos_weight=weight))],
    *[(o, logits, masks.double()*2-1) for o in (nn.SoftMarginLoss(), F.soft_margin_loss, nn.HingeEmbeddingLoss(),
    F.hinge_embedding_loss)],
    *[(o, logits, targs.abs()) for o in (nn.PoissonNLLLoss(), F.poisson_nll_loss)],
    *[(o, logits.log_softmax(1), probs) for o in (nn.KLDivLoss(reduction='mean'), nn.KLDivLoss(reduction='batchmean'),
    partial(F.kl_div, reduction='batchmean'))],
    *[(o, logits, classes) for o in (nn.MultiMarginLoss(), nn.MultiMarginLoss(weight=weight), F.multi_margin_loss)],
    *[(o, logits, masks.double()) for o in (nn.MultiLabelSoftMarginLoss(), nn.MultiLabelSoftMarginLoss(weight=weight),
    F.multilabel_soft_margin_loss)],
    *[(o, logits, torch.where(torch.arange(c)<2, torch.randint(0, c, (n,c)), -1))
    for o in (nn.MultiLabelMarginLoss(), F.multilabel_margin_loss)],
    *[(o, logits, targs) for o in (nn.MSELoss(reduction='sum'), partial(F.mse_loss, reduction='sum'),
    partial(F.l1_loss, size_average=False))],
    (nn.CrossEntropyLoss(reduction='sum', weight=weight), logits, classes),
    *[(o, logits[:,0], targs[:,0]) for o in (nn.MSELoss(), nn.MSELoss(reduction='sum'),
                                                   lambda p,y: (p-y).pow(4).mean())]]
sizes = [3,5,1,8,4,2]

def cut(*ts): return list(zip(*(t.split(sizes) for t in ts)))

@pytest.mark.filterwarnings('ignore:reduction:UserWarning', 'ignore:size_average:UserWarning')
@pytest.mark.parametrize('i', range(len(cases)))
def test_loss_is_that_of_all_data_at_once(i):
    loss_func,pred,targ = cases[i]
    whole = loss_func(pred, targ).item()
    learn = learner(cut(pred, targ), loss_func, metrics=loss_func, default_cbs=False, cbs=[TrainEvalCallback, Recorder])
    learn.fit(1)
    for got in (*learn.recorder.values[0], *learn.validate()):
        assert abs(got-whole) <= 1e-12*max(1, abs(whole)), (got,whole)

def test_losses_of_three_parts():
    a,b,c3,y = double(n, 4),double(n, 4),double(n, 4),torch.randint(0, 2, (n,))*2-1
    for f,parts in ((nn.CosineEmbeddingLoss(), (a,b,y)), (nn.TripletMarginLoss(), (a,b,c3)),
        (nn.TripletMarginWithDistanceLoss(), (a,b,c3)), (nn.MarginRankingLoss(), (a[:,0],b[:,0],y)),
        (nn.GaussianNLLLoss(), (a,b,c3.abs()+.1))):
        whole,mean = f(*parts).item(),WeightedMean()
        for pred,*ts in cut(*parts): mean.add(f(pred, *ts), loss_divisor(f, pred, ts))
        assert abs(mean.mean()-whole) < 1e-12, f

def test_ctc_divides_by_series():
    lengths = torch.randint(1, 5, (n,))
    log_probs,ys,ins = double(12, n, c).log_softmax(2),torch.randint(1, c, (n,5)),torch.full((n,), 12)
    for f in (nn.CTCLoss(), F.ctc_loss):
        mean,i = WeightedMean(),0
        for size in sizes:
            s = slice(i, i+size)
            # targets end to end: their length is no number of samples
            flat = torch.cat([y[:k] for y,k in zip(ys[s], lengths[s])])
            mean.add(f(log_probs[:,s], flat, ins[s], lengths[s]),
                loss_divisor(f, log_probs[:,s], (flat,ins[s],lengths[s])))
            i += size
        assert abs(mean.mean()-f(log_probs, ys, ins, lengths).item()) < 1e-12

def test_weighted_squares():
    w = torch.rand(4, c, dtype=torch.float64)
    if 'weight' not in F.mse_loss.__annotations__ and 'weight' not in __import__('inspect').signature(
        F.mse_loss).parameters: pytest.skip('no weights in this PyTorch')
    assert loss_divisor(partial(F.mse_loss, weight=w), w, (w,))==w.sum()

def test_what_a_loss_says_itself():
    class TokenLoss(nn.Module):
        def forward(self, pred, targ): return F.cross_entropy(pred, targ, ignore_index=0)
        def n_items(self, pred, targ): return (targ!=0).sum()
    class Renamed(nn.CrossEntropyLoss): pass
    pred = double(n, c, 7)
    whole = F.cross_entropy(pred, padded, ignore_index=0).item()
    compiled = torch.compile(partial(F.cross_entropy, ignore_index=0), backend='eager')
    for f in (TokenLoss(), Renamed(ignore_index=0), compiled):
        assert abs(learner(cut(pred, padded), f).validate()[0]-whole) < 1e-12, f
    metric = AvgMetric(lambda p,y: (p.argmax(1)==y)[y!=0].double().mean(), 'acc', n_items=lambda p,y: (y!=0).sum())
    got = learner(cut(pred, padded), TokenLoss(), metrics=metric).validate()[1]
    assert abs(got - (pred.argmax(1)==padded)[padded!=0].double().mean().item()) < 1e-12

class CountWaits(torch.utils._python_dispatch.TorchDispatchMode):
    n = 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))

@pytest.mark.parametrize('cbs', [lambda: None, lambda: GradientAccumulation(8), lambda: GradientClip(1.)])
def test_no_batch_waits_for_the_device(cbs):
    def waits(n_batches):
        data = [(double(4, c, 7),torch.randint(0, c, (4,7)))]*n_batches
        learn = learner(data, nn.CrossEntropyLoss(weight=weight, ignore_index=0), cbs=cbs(),
            metrics=nn.CrossEntropyLoss(), opt_func=partial(SGD, engine='loop'))
        with CountWaits() as count: learn.fit(1)
        return count.n
    assert waits(40)==waits(4)

def test_values_of_many_kinds():
    values = BatchValues()
    for i in range(1203):
        values.append(torch.tensor(i, dtype=(torch.float32,torch.float64,torch.int64)[i//7%3]) if i%5 else i)
    assert len(values)==1203 and list(values.read())==list(range(1203))

# what did not happen

def line_data(n_batches=10, bad=(), value=float('nan'), n_valid=2):
    data = [(torch.randn(4, 1),torch.randn(4, 1)) for _ in range(n_batches)]
    for i in bad: data[i][0][0] = value
    return data

def smooth(losses, beta=.98):
    avg = 0.
    for o in losses: avg = beta*avg + (1-beta)*o
    return avg/(1-beta**len(losses)) if losses else None

def check(learn, skipped, n_batches=10):
    rec = learn.recorder
    assert rec.skipped==skipped and len(rec.losses)==n_batches*len(rec.values)
    for i,row in enumerate(rec.values):
        kept = [rec.losses[j] for j in range(i*n_batches, (i+1)*n_batches) if j not in skipped]
        assert row[0]==pytest.approx(np.mean(kept), rel=1e-6) and math.isfinite(row[0])
    assert learn.smooth_loss==pytest.approx(smooth([o for j,o in enumerate(rec.losses) if j not in skipped]), rel=1e-9)

def fitted(cbs, n_epoch=2, model=None, **kwargs):
    learn = seeded(lambda: learner(line_data(**kwargs), F.mse_loss, model=model or nn.Linear(1, 1), valid=line_data(2),
        lr=.01, cbs=cbs))
    learn.fit(n_epoch)
    return learn

@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('policy', ['skip','rollback'])
def test_nan_batches_are_marked(policy, value):
    learn = fitted(NaNPolicy(policy, every=2), bad=(3,4), value=value)
    check(learn, [3,4,13,14])
    assert not math.isfinite(learn.recorder.losses[3])
    ax = learn.recorder.plot_loss()
    drawn = {o.get_label():o.get_xydata() for o in ax.lines}
    assert drawn['skipped'][:,0].tolist()==[3,4,13,14] and np.isfinite(drawn['train, smoothed']).all(
        ) and 3 not in drawn['train, smoothed'][:,0]

@pytest.mark.parametrize('cb', [MixedPrecision, NonNativeMixedPrecision])
def test_overflow_is_marked(cb):
    args = dict(init_scale=2.**120, growth_interval=10**6, backoff_factor=2.**-30)
    learn = fitted(cb('fp16', **args) if cb is MixedPrecision else cb(**args))
    assert learn.recorder.skipped and learn.recorder.skipped==list(range(len(learn.recorder.skipped)))
    check(learn, learn.recorder.skipped)

def test_deferred_steps_count():
    check(fitted(GradientAccumulation(12)), [])
    class Every4(Callback):
        def before_step(self):
            if self.iter%5!=4: raise CancelStepException
    check(fitted(Every4()), [])

def test_a_group_that_is_dropped_is_marked():
    # looked at after each batch: a new group begins with 5
    check(fitted([GradientAccumulation(12), NaNPolicy('skip')], bad=(4,)), [3,4,13,14])
    class DropsWhenDue(Callback):
        order = 30
        def before_step(self):
            if self.iter!=5: return
            self.opt.zero_grad()
            raise CancelStepException
    check(fitted([GradientAccumulation(12), DropsWhenDue()]), [3,4,5,13,14,15])
    learn = fitted([GradientAccumulation(8), MixedPrecision('fp16', init_scale=2.**120, growth_interval=10**6,
        backoff_factor=2.**-110)])
    check(learn, [0,1])

def test_a_batch_that_is_cancelled_among_gathered_ones():
    class CancelSecond(Callback):
        def before_backward(self):
            if self.iter==1: raise CancelBatchException
    check(fitted([GradientAccumulation(12), CancelSecond()]), [1,11])
    check(fitted(CancelSecond()), [1,11])

def test_looked_at_in_each_batch():
    class Looks(Callback):
        order = 90
        def before_fit(self): self.seen = []
        def after_batch(self):
            if self.training: self.seen.append(self.smooth_loss)
    learn = fitted([Looks(), NaNPolicy('skip')], bad=(0,3))
    check(learn, [0,3,10,13])
    losses = learn.recorder.losses
    for i,o in enumerate(learn.looks.seen):
        expected = smooth([losses[j] for j in range(i+1) if j not in (0,3,10,13)])
        assert o==expected or o==pytest.approx(expected, rel=1e-9)

def test_terminated_on_nan():
    learn = fitted(TerminateOnNaN(), bad=(5,))
    rec = learn.recorder
    assert rec.skipped==[5] and len(rec.losses)==6 and math.isnan(rec.losses[-1]) and learn.smooth_loss==pytest.approx(
        smooth(rec.losses[:5]), rel=1e-9)
    rec.plot_loss(log=True)

def test_all_are_bad():
    learn = fitted(NaNPolicy('skip'), bad=range(10))
    assert learn.smooth_loss is None and all(math.isnan(row[0]) for row in learn.recorder.values)
    learn.recorder.plot_loss()

class StepsItself(Callback):
    order = 60
    def __init__(self, says): self.says = says
    def after_loss(self):
        if not self.training: return
        self.loss.backward()
        self.opt.step()
        if self.says: self.learn.stepped = True
        raise CancelBatchException

def test_steps_of_ones_own():
    check(fitted(StepsItself(True)), [])
    with pytest.warns(UserWarning, match='self.learn.stepped = True'): fitted(StepsItself(False))

@pytest.mark.parametrize('ex', [CancelStepException,CancelBatchException,CancelTrainException,CancelEpochException,
    CancelFitException])
def test_a_step_that_came_counts_whatever_is_cancelled_after_it(ex):
    class Cancels(Callback):
        def after_step(self):
            if self.iter==9: raise ex
    learn = fitted(Cancels())
    assert learn.recorder.skipped==[] and len(learn.recorder.losses)==(10 if ex is CancelFitException else 20)

def test_resumed_run_knows_what_was_skipped(tmp_path):
    class Dies(Callback):
        order = 2000
        def after_batch(self):
            if self.training and self.train_iter==17: raise OSError
    def run(cbs, **kwargs):
        learn = seeded(lambda: learner(line_data(bad=(2,5)), F.mse_loss, model=nn.Linear(1, 1), valid=line_data(2),
            lr=.01, path=tmp_path, cbs=[NaNPolicy('skip'), GradientAccumulation(8)]))
        learn.fit(3, cbs=cbs, **kwargs)
        return learn
    whole = run(None)
    with pytest.raises(OSError): run([Checkpoint(every_batches=1), Dies()])
    again = run(Checkpoint(every_batches=1), resume=True)
    assert again.recorder.skipped==whole.recorder.skipped==[2,5,12,15,22,25]
    assert (again.recorder.values, again.smooth_loss)==(whole.recorder.values, whole.smooth_loss)

# what is averaged

three_and_one = [(torch.ones(3, 1),torch.ones(3, 1)), (torch.ones(1, 1),torch.full((1, 1), 5.))]

class Halve(Callback):
    def before_backward(self): self.learn.loss = self.loss/2
class SkipSecond(Callback):
    def before_backward(self):
        if self.iter==1: raise CancelBatchException

@pytest.mark.parametrize('cb', [None,Halve,SkipSecond])
def test_training_means_are_weighed(cb):
    """A loss that is divided for the backward pass is recorded whole; a batch that is cancelled later had its loss,
    and does not count"""
    learn = seeded(lambda: learner(three_and_one, F.mse_loss, model=nn.Linear(1, 1), cbs=cb))
    learn.dls.valid = None
    learn.fit(1)
    a,b = learn.recorder.losses
    assert learn.recorder.skipped==([1] if cb is SkipSecond else [])
    assert learn.recorder.values[0]==pytest.approx([a if cb is SkipSecond else (3*a+b)/4], abs=1e-6)
    assert b==pytest.approx(F.mse_loss(learn.model(three_and_one[1][0]), three_and_one[1][1]).item(), abs=1e-6)

def test_nested_inputs_count_by_their_samples():
    "Metrics may be added as they are, or removed"
    class DictNet(nn.Linear):
        def forward(self, d): return {'out': super().forward(d['x'])}
    nested = [({'x': x},y) for x,y in three_and_one]
    learn = learner(nested, lambda d,y: F.mse_loss(d['out'], y), model=DictNet(1, 1))
    learn.metrics.append(lambda d,y: F.mse_loss(d['out'], y))
    learn.fit(1)
    row,losses = learn.recorder.values[0],learn.recorder.losses
    assert row[1]==pytest.approx(row[2], abs=1e-6) and row[1]==pytest.approx((3*losses[0]+losses[1])/4, abs=1e-6)

# rows

def test_an_epoch_that_is_skipped_repeats_nothing():
    class SkipsAll(Callback):
        order = -30
        def before_epoch(self):
            if self.epoch==1: raise CancelEpochException
    class SkipsTraining(Callback):
        def before_train(self):
            if self.epoch==1: raise CancelTrainException
    assert fitted(SkipsAll(), 3).recorder.values[1]==[None,None]
    values = fitted(SkipsTraining(), 3).recorder.values
    assert values[1][0] is None and values[1][1] is not None and values[2][0] is not None

def test_a_validation_that_was_broken_off_is_not_shown_later():
    class Breaks(Callback):
        order = 100
        def after_batch(self):
            if not self.training and self.epoch==0: raise CancelEpochException
    learn = fitted([Breaks(), SkipValidation(first=2)], 3)
    assert [row[1] is None for row in learn.recorder.values]==[True,True,False]
    class BreaksFirst(Callback):
        order = 100
        def after_batch(self):
            if not self.training and self.epoch==1: raise CancelEpochException
    learn = fitted([BreaksFirst(), SkipValidation(first=0, every=2)], 3)
    assert [row[1] is None for row in learn.recorder.values]==[True,True,False]

def test_empty_batches_count_for_nothing():
    data = line_data(3)
    empty = (torch.zeros(0, 1),torch.zeros(0, 1))
    learn = learner(data, F.mse_loss, valid=[empty,*data,empty], model=nn.Linear(1, 1),
        metrics=[F.l1_loss, lambda p,y: (p-y).abs().mean()])
    learn.dls.train = [data[0],empty,*data[1:]]
    learn.fit(1)
    x,y = (torch.cat(o) for o in zip(*data))
    pred = learn.model(x)
    expected = [F.mse_loss(pred, y).item(), F.mse_loss(pred, y).item(), *[F.l1_loss(pred, y).item()]*2]
    assert learn.recorder.values[0]==pytest.approx(expected, rel=1e-5) and learn.recorder.skipped==[1]

# validation within a fit, and without the usual callbacks

class Hooks(Callback):
    def before_validate(self): self.hook = self.model.register_forward_hook(lambda *a: None)
    def cleanup_fit(self):
        self.hook.remove()
        self.cleaned = self.learn is not None

def test_callbacks_of_a_validation_within_a_fit_clean_up_while_attached():
    class Validates(Callback):
        order = 200
        def __init__(self): self.got = []
        def after_epoch(self):
            hooks = Hooks()
            self.got.append((self.learn.validate(cbs=hooks)[0], hooks.cleaned, hooks.learn))
    learn = fitted(Validates())
    assert learn.validates.got==[(row[1],True,None) for row in learn.recorder.values] and not learn.model._forward_hooks

def test_without_the_usual_callbacks():
    data = line_data(3)
    learn = learner(data, F.mse_loss, model=nn.Sequential(nn.Linear(1, 1), nn.Dropout(.5)), default_cbs=False)
    full = learner(data, F.mse_loss, model=learn.model)
    assert learn.validate()==full.validate() and learn.cbs==[] and learn.model.training
    loss = F.mse_loss(learn.model[0](data[0][0]), data[0][1]).item()
    learn.model[1].p = 0.
    assert learn.one_batch()==pytest.approx(loss, rel=1e-6)
    with pytest.raises(ValueError, match='gave no batches'):
        learner([], F.mse_loss, valid=data, model=nn.Linear(1, 1)).one_batch()
    only = learner(data, F.mse_loss, model=nn.Linear(1, 1), default_cbs=False, cbs=Recorder)
    only.fit(1)
    assert len(only.recorder.losses)==3 and only.recorder.values[0][1] is not None

# the loss and its two names

def test_loss_and_loss_grad_are_one():
    class Doubles(Callback):
        order = 60
        def __init__(self, key): self.key = key
        def after_loss(self): setattr(self.learn, self.key, 2*getattr(self, self.key))
    class SeeGrad(Callback):
        def after_backward(self): self.seen = self.model.weight.grad.item(),self.loss is self.loss_grad
    def run(*cbs):
        learn = seeded(lambda: learner(line_data(1), F.mse_loss, model=nn.Linear(1, 1), cbs=[SeeGrad(), *cbs]))
        learn.fit(1)
        return learn
    plain,a,b = run(),run(Doubles('loss')),run(Doubles('loss_grad'))
    assert a.see_grad.seen==b.see_grad.seen==(2*plain.see_grad.seen[0],True)
    assert a.recorder.losses==b.recorder.losses==plain.recorder.losses
    class Detaches(Callback):
        order = 60
        def after_loss(self): self.learn.loss = self.loss.detach()
    with pytest.raises(RuntimeError, match='`loss_grad` is another name'): run(Detaches())

# suggestions

rates = list(np.geomspace(1e-7, 10, 100))
curves = dict(empty=[], one=[1.], two=[2.,1.], constant=[1.]*100, nan=[math.nan]*100,
    falls=[3-.02*i for i in range(100)], rises=[1+.02*i for i in range(100)],
              ends_in_nan=[*[3-.02*i for i in range(99)], math.nan], inf=[*[3-.02*i for i in range(99)], -math.inf],
              tiny=[1e-300*(3-.02*i) for i in range(100)])

@pytest.mark.parametrize('f', [valley,slide,steep,minimum])
@pytest.mark.parametrize('name', curves)
def test_a_suggestion_or_none(f, name):
    res = f(rates[:len(curves[name])], curves[name])
    assert res is None or 0<res<=rates[-1]
    as_tensors = f(torch.tensor(rates[:len(curves[name])], dtype=torch.float64), np.array(curves[name]))
    assert res==as_tensors

@pytest.mark.parametrize('f', [partial(valley, part=1.5), partial(valley, part=0), partial(valley, part=math.nan),
    partial(valley, margin=0), partial(slide, part=2), partial(slide, width=-3), partial(slide, width=1.5)])
def test_settings_of_suggestions_are_checked(f):
    with pytest.raises(ValueError, match='expected a'): f(rates, curves['falls'])

def test_every_part_of_a_fall_is_found():
    for fall in (.1,1/3,1e-9): # rounding: part=1 asks for the lowest loss itself
        losses = [1+fall*(99-i)/99 for i in range(100)]
        if valley(rates, losses, part=1., margin=1.) is not None:
            assert valley(rates, losses, part=1., margin=1.)==rates[-1]
    with pytest.raises(ValueError, match='as many of both'): valley(rates[:50], curves['falls'])
