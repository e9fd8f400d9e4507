"""What a user of the library writes. It runs, and a type checker finds nothing wrong with it: see test_types.py."""
from functools import partial

import torch
from torch import nn

from optimloop.all import *
from optimloop.learner import synth_learner

torch.manual_seed(0)
x = torch.randn(256, 10)
y = x @ torch.randn(10, 1) + .1*torch.randn(256, 1)
dls = DataLoaders.from_arrays(x[:192], y[:192], x[192:], y[192:], bs=32)

def model(): return nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))

class CountBatches(Callback):
    "Counts the batches, and ends the fit when there have been enough"
    order = 5.5
    run_valid = False
    def __init__(self, enough: int = 1000): self.enough, self.n = enough, 0
    def before_fit(self): self.n = 0
    def after_loss(self): self.learn.loss = self.loss + 1e-4*self.pred.pow(2).mean()
    def after_batch(self):
        self.n += 1
        if self.n >= self.enough or not torch.isfinite(self.loss): raise CancelFitException()

def signed_step(p, lr, grad_avg, power, **kwargs): p.data.sub_(lr * grad_avg.sign() * grad_avg.abs().pow(power))

counter = CountBatches(enough=40)
learn = Learner(dls, model(), nn.functional.mse_loss, opt_func=partial(SGD, mom=.9), lr=slice(1e-3, 1e-2),
    cbs=[counter, GradientClip(1.)])
with learn.no_bar(), learn.no_logging():
    learn.fit(2, lr=.01, wd=1e-2, cbs=EarlyStopping(patience=3))
    learn.fit_one_cycle(2, lr_max=slice(.01), pct_start=.3)
    learn.fit_flat_cos(1, 1e-2)
    suggestion = learn.lr_find(num_it=20, show_plot=False)
print(counter.n, learn.recorder.values[-1], learn.recorder.smooth_loss, suggestion)

axes = learn.recorder.plot_loss(log=True)
axes.set_title('loss')
learn.recorder.plot_sched()

with learn.added_cbs(ParamScheduler({'lr': combined_cos(.25, 1e-3, 1e-2, 1e-5),
    'wd': SchedLin(0., .1)})) as same, learn.no_logging():
    same.fit(1)
loss = learn.validate()[0]
preds, targets = learn.get_preds()
print(f'{loss:.3f}', preds.shape, targets.shape, accuracy(preds, torch.zeros(64, dtype=torch.long)))

opt = Adam(model().parameters(), lr=1e-3, sqr_mom=.999)
opt.lr, opt.wd = 1e-2, 0.
opt.set_hyper('mom', .8)
opt.set_hypers(eps=1e-8, lr=[1e-3])
print(opt.lr, opt.hypers[0]['mom'], opt.param_groups[0]['eps'])
own = Optimizer(model().parameters(), [average_grad, signed_step, step_stat], lr=1e-3, power=.5)
print(own, own.power)
wrapped = OptimWrapper(model().parameters(), torch.optim.AdamW, lr=1e-3)
wrapped.lr = 1e-4

line = synth_learner(cbs=[TerminateOnNaN, ShortEpoch(.5)]).to_bf16().to_fp32()
with line.no_logging(): line.fit(1)
line.summary()
line.show_training_loop()
print(event.before_fit, event.cleanup_fit, line.opt.lr, [cb.name for cb in line.cbs])
