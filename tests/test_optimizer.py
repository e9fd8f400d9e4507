"""What Optimizer refuses, and what it leaves alone: mistakes in lists of steppers, sparse gradients, autograd.

pytest tests/test_optimizer.py
"""
from functools import partial

import torch
from fastcore.test import ExceptionExpected, test_close as close, test_eq as eq
from torch import nn

from optimloop.all import *

def tst_param(val, grad=None):
    "A parameter that holds `val`, with gradient `grad`"
    p = nn.Parameter(torch.tensor([val], dtype=torch.float64))
    if grad is not None: p.grad = torch.tensor([grad], dtype=torch.float64)
    return p

def test_mistakes_in_lists():
    "Shared state, names that are missing or taken, and a try-out that leaves no trace"
    p,q = tst_param(1., 0.1),tst_param(2., 0.1)
    def also_steps(p, step=0, **kwargs): return {'step': step+10}
    also_steps.shared = {'step'}
    opt = Optimizer([tst_param(1., 0.1)], [step_stat, partial(also_steps)])     # what is declared survives a partial
    opt.step()
    eq([o['step'] for o in opt.state.values()], [11])
    def needs(p, gone, **kwargs): pass
    with ExceptionExpected(TypeError, regex='needs needs gone'): Optimizer([p], [step_stat, needs])
    def late(p, step, **kwargs): return {'step': 0} if step>1 else None              # shows only in the second step
    opt = Optimizer([tst_param(1., 0.1)], [step_stat, late])
    opt.step()
    with ExceptionExpected(ValueError, regex="step_stat and late both keep 'step'"): opt.step()
    def draws(p, **kwargs): p.data.add_(torch.rand_like(p))
    before,value = torch.get_rng_state(),q.item()
    Optimizer([q], [draws])                                                          # the try-out leaves no trace
    eq((torch.equal(torch.get_rng_state(), before), q.item()), (True,value))
    def returns_lr(p, lr, **kwargs): return {'lr': lr/2}
    with ExceptionExpected(ValueError, regex="returns_lr returns 'lr', which is a hyper-parameter"):
        Optimizer([p], [returns_lr], lr=1.)
    def broken(p, **kwargs): return len(3)
    opt = Optimizer([tst_param(1., .1)], [broken])
    with ExceptionExpected(TypeError, regex="has no len"): opt.step() # a stepper's own TypeError is left alone
    emb = nn.Embedding(3, 2, sparse=True)
    emb(torch.tensor([1])).sum().backward()
    Optimizer(emb.parameters(), sgd_step, lr=.1).step()
    with ExceptionExpected(ValueError, regex='pass sparse=False'):
        Optimizer(emb.parameters(), [lambda p, **kwargs: p.grad.sqrt().add_(1.)]).step()

def test_sparse_gradients_and_versions():
    "Sparse gradients are tried before anything moves; autograd sees that weights have changed"
    # a list that cannot take a sparse gradient is refused before anything moves; one that can is tried once
    def rooted(p, lr, **kwargs): p.data.sub_(p.grad.sqrt().add_(1.), alpha=lr)
    for engine in ('loop','batched'):
        emb,ps = nn.Embedding(3, 2, sparse=True),[tst_param(1., .1) for _ in range(6)]
        emb(torch.tensor([1])).sum().backward()
        before = emb.weight.data.clone()
        with ExceptionExpected(ValueError, regex='nothing was stepped'):
            Optimizer([*ps, emb.weight], rooted, engine, lr=.1).step()
        eq(([p.item() for p in ps], emb.weight.data), ([1.]*6,before))
        opt = Optimizer([*ps, emb.weight], [average_grad, momentum_step], engine, lr=.1)
        emb.weight.grad = torch.ones(3, 2)
        for i in range(2): opt.step()
        emb.weight.grad = torch.ones(3, 2).to_sparse() # sparse after dense
        opt.step()
        close(emb.weight.data, before - .1*(1+1.9+2.71))
    # autograd sees that weights have changed, as it does with torch's optimizers
    for engine in ('loop','batched','compiled'):
        ps = [tst_param(1., .1) for _ in range(6)]
        loss = sum(p*p*p for p in ps).sum()
        SGD(ps, .1, engine=engine).step()
        with ExceptionExpected(RuntimeError, regex='modified by an inplace operation'): loss.backward()
