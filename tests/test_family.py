"""Steppers made of steppers, and what Muon steps.

pytest tests/test_family.py
"""
import torch
from fastcore.test import ExceptionExpected, test_close as close, test_eq as eq
from functools import partial
from torch import nn

from optimloop.all import *
from optimloop.optimizer import hyper_defaults

averages = [partial(average_grad, dampening=True), average_sqr_grad, step_stat]

def test_chains():
    "A chain checks its members as a list does"
    def also_steps(p, step=0, **kwargs): return {'step': step+10}
    p = torch.zeros(1, dtype=torch.float64)
    with ExceptionExpected(ValueError, regex="step_stat and also_steps both keep 'step'"):
        Optimizer([p], Chain(step_stat, also_steps))
    with ExceptionExpected(ValueError, regex=r"Chain\(step_stat\) and also_steps both keep"):
        Optimizer([p], [Chain(step_stat), also_steps])
    also_steps.shared = {'step'}
    Optimizer([p], [step_stat, Chain(also_steps)])
    eq(hyper_defaults(partial(Chain(weight_decay), wd=.5)), {'wd':.5})
    def broken(p, **kwargs): return len(3)
    opt = Optimizer([p], Chain(broken))
    p.grad = torch.zeros_like(p)
    with ExceptionExpected(TypeError, regex='has no len'): opt.step()

def test_clipping():
    "The gradient is put back; none is no division by zero"
    p = torch.tensor([1.,1.], requires_grad=True)
    p.grad = torch.tensor([3.,4.])
    def fails(p, **kwargs): raise ValueError('no')
    opt = Optimizer([p], clip_norm(fails))
    with ExceptionExpected(ValueError, regex='no'): opt.step()
    eq(p.grad.tolist(), [3.,4.])                                     # put back, whatever happens
    p.grad,at = torch.zeros(2),p.tolist()
    for cbs in (clip_norm(sgd_step), cautious(sgd_step), [*averages, lamb_step], [larc_layer_lr, larc_step]):
        Optimizer([p], cbs, lr=.1).step()
        eq(p.tolist(), at)                                           # a gradient of zero is no division by zero

def test_muon():
    "What it steps, what it refuses, and the steps themselves"
    vector = nn.Parameter(torch.ones(3))
    vector.grad = torch.ones(3)
    with ExceptionExpected(ValueError, regex=r'Muon steps matrices, and this parameter has the shape \(3,\)'):
        Muon([vector], lr=.1, use_muon=lambda *args: True)
    with ExceptionExpected(ValueError, regex=r'the shape \(3,\)'):
        Optimizer([vector], [average_grad, muon_step], lr=.1).step()
    with ExceptionExpected(TypeError, regex="no stepper takes 'momm': did you mean 'mom'"):
        Muon([vector], lr=.1, momm=.9)
    emb = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2), nn.Conv2d(1, 2, 3))
    opt = Muon(emb.parameters(), lr=.1, model=emb)
    eq([opt.state[p]['use_muon'] for p in emb.parameters()], [False,True,False,False,False])
    # filters are matrices too: flattened
    opt = Muon(emb.named_parameters(), lr=.1, use_muon=lambda p,name,module: name=='2.weight')
    eq([opt.state[p]['use_muon'] for p in emb.parameters()], [False,False,False,True,False])
    for p in emb.parameters(): p.grad = torch.randn_like(p)
    before = emb[2].weight.detach().clone()
    opt.step()
    u = (before*(1-.1*.1) - emb[2].weight.detach()).flatten(1) / (.1*.2*3)
    close(torch.linalg.svdvals(u), torch.ones(2), eps=.4)
    # another list for the rest
    opt = Muon([vector], lr=.1, rest=[sgd_step], wd=0.)
    opt.step()
    close(vector.detach(), torch.full((3,), .9), eps=1e-6)

def test_muon_between():
    "The layers between the embedding and the head; a tied head is no layer of its own"
    # the layers between the embedding and the head; a head that is tied to the embedding is no layer of its own
    class Tied(nn.Module):
        def __init__(self, tied=True):
            super().__init__()
            self.emb,self.mid,self.norm,self.head = nn.Embedding(5, 3),nn.Linear(3, 3),nn.LayerNorm(3),nn.Linear(3, 5,
                bias=False)
            if tied: self.head.weight = self.emb.weight
    for model in Tied(),Tied(False):
        opt = Muon(model.parameters(), lr=.1, model=model)
        eq([k for k,p in model.named_parameters() if opt.state[p]['use_muon']], ['mid.weight'])
