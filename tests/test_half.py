"""Weights in half precision within a batch: fp32 for all code outside it, however a batch, a validation or a fit
ends."""
import pickle
from functools import partial

import pytest, torch
import torch.nn.functional as F
from fastcore.test import ExceptionExpected, test_eq as same
from torch import nn

from optimloop.all import *
from optimloop.basics.course import *
from optimloop.basics.gradients import grads_of
from optimloop.basics.precision import half_dtypes
from optimloop.learner import synth_learner

images = digits()[0].flatten(1)[:704]
adam = partial(Adam, wd=0., eps=1e-12)
def copy_loss(pred, xb): return F.mse_loss(pred.float(), xb)

def print_nothing(cells): pass

def quiet(learn):
    learn.logger = print_nothing # which can be pickled
    return learn

def test_random_bits_of_its_own(tmp_path): # cut in two it goes on with the same, and the global ones are left alone
    def fit_pure(epochs, start_epoch=0, load=False):
        dls = DataLoaders([(xb,xb) for xb in images.split(176)])
        learn = quiet(Learner(dls, squeeze_net(), lambda pred,xb: copy_loss(pred, xb)/1000, adam, lr=.01,
            cbs=PureBF16(), path=tmp_path))
        if load: learn.load('half-way')
        state = torch.get_rng_state()
        learn.fit(epochs, start_epoch=start_epoch)
        assert torch.equal(state, torch.get_rng_state())
        learn.save('half-way')
        return learn.recorder.losses
    whole = fit_pure(4)
    same(fit_pure(4), whole)
    same(fit_pure(2) + fit_pure(4, 2, load=True), whole)

def test_settings():
    with ExceptionExpected(ValueError, regex="rounding='nearest': expected 'stochastic' or 'master'"):
        PureBF16('nearest')
    with ExceptionExpected(ValueError, regex="with `rng`"): PureBF16().load_state_dict({'scale':1})

# validation

class Fails(Callback):
    order,run_train,active = 50,False,True
    def after_pred(self):
        if self.active: raise OSError
class Last(Callback):
    order = 40
    def before_validate(self):
        self.learn.last = [o.detach().clone() for o in (*self.model.parameters(), *self.ema.avg.values())]
class First(Last): order = 29     # before the average is swapped in

@pytest.mark.parametrize('make', [PureBF16, partial(PureBF16, 'master'), NonNativeMixedPrecision],
    ids=['stochastic','master','scratch'])
def test_validation_leaves_weights_random_bits_and_average_alone(make): # also if it breaks off in the midst of a batch
    cb = make()
    torch.manual_seed(0)
    learn = quiet(synth_learner(opt_func=SGD, cbs=[cb, EMA(.9, in_valid=True)]))
    def state():
        return [o.clone() for o in (*learn.model.parameters(), *learn.ema.avg.values(), *cb.state_dict().values())
            if isinstance(o, torch.Tensor)]
    learn.fit(1)
    before = state()
    learn.validate()
    learn.get_preds()
    with learn.ema.swapped(): learn.validate()
    with learn.added_cbs(Fails), ExceptionExpected(OSError): learn.validate()
    same(all(a.equal(b) for a,b in zip(before, state())), True)
    with learn.added_cbs([Fails, First]), ExceptionExpected(OSError): learn.fit(1)
    assert all(a.equal(b) for a,b in zip(learn.last, [*learn.model.parameters(), *learn.ema.avg.values()]))

class Shares(nn.Module):
    "A buffer that two modules share, and one that counts"
    def __init__(self):
        super().__init__()
        self.a,self.b = nn.Linear(1, 1),nn.Module()
        self.register_buffer('mask', torch.ones(1))
        self.b.mask = self.mask
        self.b.register_buffer('mask2', self.mask)
        self.register_buffer('n', torch.zeros(()))
    def forward(self, x):
        self.n += 1
        return self.a(x)*self.mask

@pytest.mark.parametrize('make', [partial(PureBF16, 'master'), NonNativeMixedPrecision], ids=['master','scratch'])
def test_shared_and_counting_buffers(make):
    learn = quiet(Learner(DataLoaders([next(iter(synth_dls().train))]*300), Shares(), F.mse_loss, SGD, lr=.01,
        cbs=make()))
    learn.fit(1)
    same((learn.model.n.item(), learn.model.mask.dtype, learn.model.b.mask2.dtype), (300,torch.float32,torch.float32))

# outside a batch, and for callbacks after its backward pass, the model is fp32, and so is what is saved; what is
# loaded there is taken up

class SaveAndLoad(Callback):
    order = 30
    def after_step(self):
        same({t.dtype for t in [*self.model.parameters(), *grads_of(self.opt)]}, {torch.float32})
        if self.iter==1:
            self.kept = {k:v.clone() for k,v in self.model.state_dict().items()}; self.learn.save('in-the-midst')
        if self.iter==3: self.learn.load('in-the-midst')
    def after_batch(self):
        if self.training and self.iter==3:
            assert all(map(torch.equal, self.model.state_dict().values(), self.kept.values()))
    def before_backward(self): self.inside = {p.dtype for p in self.model.parameters()}

class Buffers(nn.Module):
    "One that stays, one that is changed in place, one that is replaced"
    def __init__(self):
        super().__init__()
        self.lin,self.norm,self.frozen = nn.Linear(64, 64),nn.GroupNorm(4, 64),nn.Linear(64, 64).requires_grad_(False)
        for k in ('third','n','m'): self.register_buffer(k, torch.tensor([1/3] if k=='third' else 0.))
    def forward(self, x):
        if self.training: self.n += 1; self.m = self.m + 1
        same({x.dtype, self.norm(x).dtype, self.third.dtype}, {self.lin.weight.dtype})
        return self.frozen(self.norm(self.lin(x)) + self.third)

@pytest.mark.parametrize('make', [NonNativeMixedPrecision, PureBF16, partial(PureBF16, 'master')],
    ids=['scratch','stochastic','master'])
def test_outside_a_batch_all_is_fp32(make, tmp_path):
    cb = make()
    learn = quiet(Learner(DataLoaders([(o,o) for o in images.split(176)], [(images,images)]), Buffers(), F.mse_loss,
        SGD, lr=.01, cbs=[cb, SaveAndLoad], path=tmp_path))
    frozen = learn.model.frozen.weight.clone()
    learn.fit(2)
    m = learn.model
    # of 8; each time it loads two are undone
    same((m.third.item(), m.n.item(), m.m.item()), (torch.tensor(1/3).item(),4.,4.))
    same({t.dtype for t in m.state_dict().values()}, {torch.float32})
    same(learn.save_and_load.inside, {torch.float32,half_dtypes[cb.amp_mode]})            # the norm's are fp32
    assert torch.equal(m.frozen.weight, frozen) or cb.name=='pure_bf16'
    again = pickle.loads(pickle.dumps(learn))
    again.fit(1)
    inputs,preds,_ = learn.get_preds(with_input=True)
    same((inputs.dtype, preds.dtype, len(m._forward_pre_hooks), len(m.norm._forward_hooks), m.lin.weight.dtype),
        (torch.float32,torch.float32,0,0,torch.float32))

def test_the_whole_model_in_half_keeps_no_state():
    same(ModelToHalf().state_dict(), {})
    learn = quiet(synth_learner(cbs=ModelToHalf('bf16')))
    learn.fit(1)
    same({p.dtype for p in learn.model.parameters()}, {torch.float32})
    same({v.dtype for s in learn.opt.state.values() for v in s.values() if isinstance(v, torch.Tensor) and v.ndim},
        {torch.float32})
