"""What an adversary of the engines tried: shared memory, tensors that only look ordinary, and errors in the midst.

pytest tests/test_engine_attacks.py
"""
import pickle, warnings

import pytest
import torch
from torch import Tensor, nn

from optimloop.optimizers import engines
from optimloop.all import *
from optimloop.basics.course import *

momentum = [average_grad, momentum_step]

def run(engine, cbs=momentum, change=None, steps=6, shapes=((5,),)*8, dtype=torch.float32, grad=torch.ones_like):
    "Weights and state after some steps; `change(i, opt, ps)` is called before each"
    torch.manual_seed(0)
    ps = [nn.Parameter(torch.randn(o, dtype=dtype)) for o in shapes]
    opt = Optimizer(ps, cbs() if callable(cbs) and not isinstance(cbs, list) else cbs, engine, lr=.1)
    for i in range(steps):
        for p in ps: p.grad = grad(p)
        if change: change(i, opt, ps)
        opt.step()
    return [p.data.clone() for p in ps],[list(opt.state[p].items()) for p in ps],opt

def same(engine='batched', tol=0, **kwargs):
    (ps,ss,_),(qs,ts,opt) = run('loop', **kwargs),run(engine, **kwargs)
    for p,q in zip(ps, qs): torch.testing.assert_close(q, p, rtol=tol, atol=tol)
    for s,t in zip(ss, ts):
        assert [k for k,_ in s]==[k for k,_ in t] # in this order
        for (_,a),(_,b) in zip(s, t):
            torch.testing.assert_close(b, a, rtol=tol, atol=tol) if isinstance(a, Tensor) else None
    return opt

# --- memory ---
@pytest.mark.parametrize('look', [lambda o: o.view(-1), lambda o: o.detach(), lambda o: o.numpy()],
                         ids=['view','detach','numpy'])
@pytest.mark.parametrize('when', [1,2,4])
def test_a_view_of_the_state_stays_one(look, when):
    def change(i, opt, ps):
        if i==when: opt.views = [look(opt.state[p]['grad_avg']) for p in ps]
        if i==when+1: opt.param_groups[0]['params'][0].data = ps[0].data.clone() # a new plan
        if i>when:
            for o in opt.views: o[:] = 0
    same(change=change)

def test_state_in_a_buffer_of_ones_own():
    buffers = {}
    def change(i, opt, ps):
        if i==0:
            flat = buffers[opt.engine] = torch.zeros(40)
            for p,o in zip(ps, flat.split(5)): opt.state[p]['grad_avg'] = o
    same(change=change)
    assert torch.equal(*buffers.values()) and buffers['loop'].abs().sum()>0

def test_shared_state_stays_shared():
    def change(i, opt, ps):
        if i==1:
            for p in ps: opt.state[p]['grad_avg'].share_memory_()
    opt = same(change=change)
    assert all(s['grad_avg'].is_shared() for s in opt.state.values())

def test_windows_are_packed_again_when_groups_change():
    def change(i, opt, ps):
        for j,p in enumerate(ps):
            if (i,j) in ((2,3),(2,4),(4,1)): p.grad = None
    opt = same(change=change, cbs=lambda: Adam([nn.Parameter(torch.zeros(1))], .1).cbs, shapes=((5,),)*12, steps=9)
    part, = [part for b in opt._plan.batches if b.parts
             for _,part in b.parts if isinstance(part, engines.Pack) and len(part.params)>4][:1]
    assert part

@pytest.mark.parametrize('what', ['weight','state'])
def test_a_gradient_within_other_memory(what):
    def change(i, opt, ps):
        if i>=2: ps[5].grad = (ps[0].data if what=='weight' else opt.state[ps[0]]['grad_avg'])[1:6]
    same(change=change, shapes=((20,),*((5,),)*7))

def test_a_pickle_holds_each_number_once():
    opt = run('batched', shapes=((100,),)*300, steps=3)[2]
    assert len(pickle.dumps(opt)) < 2*300*2*100*4 + 300*500

# --- tensors that only look ordinary ---
class Clamped(Tensor):
    def mul(self, *args): return Tensor.mul(self, *args).clamp(max=.1)

def test_a_gradient_with_methods_of_its_own():
    def scaled(p, lr, **kwargs): p.data.sub_(p.grad.mul(2.), alpha=lr)
    def change(i, opt, ps):
        if i>=2:
            for p in ps: p.grad = p.grad.as_subclass(Clamped)
    same(cbs=[scaled], change=change)

def test_inference_tensors():
    def outcomes(engine):
        ps = [nn.Parameter(torch.ones(5)) for _ in range(8)]
        opt,res = Optimizer(ps, momentum, engine, lr=.1),[]
        for i in range(5):
            for p in ps: p.grad = torch.ones(5)
            with torch.inference_mode(i<2):
                try: opt.step(); res.append('')
                except RuntimeError: res.append('error')
        return res,[p.detach().sum().item() for p in ps]
    assert outcomes('loop')==outcomes('batched')

def test_an_error_that_depends_on_the_size():
    def largest(p, lr, **kwargs): p.data.sub_(p.grad*(p.grad.abs().max()*lr))
    def stepped(engine):
        kinds = [(5,torch.float32),(5,torch.float64),(0,torch.float64),(5,torch.float64)] + [(5,torch.float32)]*6
        ps = [nn.Parameter(torch.ones(n, dtype=o)) for n,o in kinds]
        opt = Optimizer(ps, largest, engine, lr=.1)
        for p in ps: p.grad = torch.ones_like(p)
        with pytest.raises((RuntimeError,IndexError)): opt.step()
        return [bool((p!=1).any()) for p in ps]
    assert stepped('loop')==stepped('batched')

def test_gradients_with_the_negative_bit():
    def change(i, opt, ps):
        for p in ps: p.grad = torch.view_as_complex(torch.ones(5, 2)).conj().imag
    same(cbs=[l2_reg,*momentum], change=change)

# --- numbers and order ---
def test_compiled_numbers_beside_double_precision():
    def counts(p, lr, t=None, **kwargs):
        t = (torch.zeros_like(p.grad, dtype=torch.float64) if t is None else t) + .1
        p.data.add_(p.grad*torch.where(t>=.3, 2., 1.), alpha=-lr)
        return {'t': t}
    same('compiled', tol=1e-6, cbs=[counts])

def test_compiled_integers():
    def counts(p, lr, n=None, **kwargs):
        n = (torch.zeros_like(p.grad, dtype=torch.int64) if n is None else n) + (p.grad!=0)*16777217
        p.data.add_(p.grad*torch.where(n>=16777217*3, 2., 1.), alpha=-lr)
        return {'n': n}
    same('compiled', tol=1e-6, cbs=[counts])

def test_state_comes_in_the_order_of_the_loop():
    def keeps(p, lr, **kwargs):
        first = next((k for k in kwargs if k in ('count','avg')), None)
        p.data.sub_(p.grad, alpha=lr*(2 if first=='count' else 1))
        return {'count': kwargs.get('count', 0)+1, 'avg': p.grad*2}
    same(cbs=[keeps])

def test_a_warning_that_is_an_error(monkeypatch):
    "No compiler is there, and says so: nothing is stepped by halves, and the next step is replayed"
    monkeypatch.setattr(engines, '_compile_new', lambda *args: 'no compiler')
    monkeypatch.setattr(engines, '_compiled', {})
    ps = [nn.Parameter(torch.ones(5, 4).t() if i else torch.ones(9000)) for i in (1,1,0,1,0,0)]
    opt = Optimizer(ps, sgd_step, 'compiled', lr=.1)
    for p in ps: p.grad = torch.ones_like(p)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(UserWarning, match='no compiler'): opt.step()
        assert all((p==1).all() for p in ps)
        opt.step()
    assert all(torch.allclose(p.data, torch.tensor(.9)) for p in ps)

# --- how they are run ---
def test_few_that_are_alike_go_through_the_loop():
    ps = [nn.Parameter(torch.ones(5)) for _ in range(40)]
    opt = Adam([[p] for p in ps], .1)
    for p in ps: p.grad = torch.ones(5)
    for _ in range(3): opt.step()
    assert all(b.in_loop and not b.refused for b in opt._plan.batches)

def test_what_is_said_of_steppers_that_make_tensors_in_their_first_step():
    def counts(p, lr, n=None, **kwargs):
        n = torch.zeros(()) if n is None else n
        p.data.sub_(p.grad*n.add_(1), alpha=lr)
        return {'n': n}
    opt = same(cbs=[counts])
    assert engines.how_run(opt)==['together']
