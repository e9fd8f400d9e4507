"""What a stepper reaches besides its arguments: each is found, what is harmless passes, what is found is watched.

pytest tests/test_engine_reach.py
"""
import builtins as built_in, math, random
from functools import partial
from operator import is_ as same_thing

import pytest
import torch
import torch.nn.functional as F

from optimloop.optimizers.engines import Reach

head,drawn = torch.ones(3),[]
def helper(x): return x.sqrt() + math.sqrt(2)
def pure(p, lr, **kwargs): p.data.sub_(helper(p.grad*p.grad), alpha=lr)
def remembers(p, lr, **kwargs): drawn.append(lr)

ns = dict(head=head, torch=torch, math=math, random=random, F=F, built_in=built_in, same_thing=same_thing, numbers=[1.],
          scale=2., rates={})

def reach(body, **kwargs):
    scope = {**ns, **kwargs}
    exec('def f(p, lr, **kwargs):\n' + '\n'.join(f'    {o.strip()}' for o in body.split(';')), scope)
    return Reach([scope['f']]),scope

@pytest.mark.parametrize('body', [
    'id(p)',
    'type(p)',
    'isinstance(p, torch.Tensor)',
    'same_thing(p, p)',
    'built_in.id(p)',
    'random.random()',
    'torch.rand(())',
    'torch.normal(0., 1., (1,))',
    'torch.nn.init.normal_(p.data)',
    'numbers[0]',
    'print(p)',
    'hasattr(p, "x")',
    'f.calls = 1',
    'f.defaults["n"] = 1',
    'global n; n = 1',
    'import os',
    'p.seen = True',
    'g = lambda: head',
    'return [id(o) for o in (p,)]',
    'with torch.no_grad(): pass',
    'nothing_of_that_name',
    'torch.manual_seed(1)',
    'kwargs.__class__',
    'open("x")',
    'torch.zeros(()).uniform_()',
    't = torch; t.rand(())',
    'torch.nn.init.uniform_(p.data)',
    'torch.is_tensor(p)',
    'p.data is p',
    'p.data.grad',
    'p.data += 1',
    'kwargs["param_names"]'])
def test_ways_out(body): assert reach(body)[0].why

@pytest.mark.parametrize('body', [
    'scale*lr',
    'max(lr, scale)',
    'torch.where(p.grad>0, p.grad, 1.)',
    'F.softplus(p.grad)',
    'torch.linalg.vector_norm(p.grad)',
    'torch.Tensor.add_(p.data, 1)',
    'math.pi',
    'torch.float32',
    'torch.nn.functional.relu(p.grad)',
    'd = {}; d["a"] = lr; return d',
    'return [o*scale for o in (1,2)]',
    'raise ValueError(f"{lr}")',
    'g = lambda x: x*lr; g(2)'])
def test_harmless(body): assert not reach(body)[0].why

def closes_over(o, default=1):
    def f(p, lr, extra=default, **kwargs): return o
    return f
class Scaled:
    def __init__(self, scale): self.scale = scale
    def __call__(self, p, lr, **kwargs): p.data.sub_(p.grad, alpha=lr*self.scale)
class Counted(Scaled):
    def __call__(self, p, lr, **kwargs): self.scale += 1
class Indexed(Scaled):
    def __getitem__(self, k): return torch.rand(()).item()
class Remembers:
    data = 1.
    def __call__(self, p, lr, **kwargs): self.data *= .9
class Odd(partial):
    def __call__(self, p, **kwargs): drawn.append(p)

@pytest.mark.parametrize('cb', [closes_over({}), closes_over(1, default=[]), closes_over(head), Counted(1), Scaled([]),
                                partial(pure, lr=head),
                                closes_over(remembers), random.random, Indexed(2.), Remembers(), Odd(pure)])
def test_things_that_are_called(cb): assert Reach([cb]).why

@pytest.mark.parametrize('cb', [pure, closes_over(2.), closes_over(math.sqrt), Scaled(2.), Scaled(2.).__call__,
                                partial(Scaled(2.), lr=2.)])
def test_harmless_things(cb): assert not Reach([cb]).why

@pytest.mark.parametrize('change,body', [
    (lambda scope: scope.update(helper=lambda x: x), 'helper(scale)'),
    (lambda scope: scope.update(scale=3.), 'helper(scale)'),
    (lambda scope: scope.pop('helper'), 'helper(scale)'),
    (lambda scope: setattr(scope['f'], '__code__', pure.__code__), 'helper(scale)'),
    (lambda scope: scope.update(max=print), 'max(lr, 2)')])
def test_names_are_watched(change, body):
    r,scope = reach(body, helper=lambda x: x)
    assert not r.why and r.holds(r.cbs)
    change(scope)
    assert not r.holds(r.cbs)

def own_class(): return type('Own', (Scaled,), {})(2.)

@pytest.mark.parametrize('make,change', [
    (lambda: closes_over(1.), lambda f: setattr(f, '__defaults__', (head,))),
    (lambda: partial(helper, x=2.), lambda f: f.keywords.update(x=head)),
    (lambda: partial(helper), lambda f: f.keywords.update(x=head)),
    (lambda: Scaled(2.), lambda f: setattr(f, '__class__', Counted)),
    (lambda: Scaled(2.), lambda f: setattr(f, 'scale', {})),
    (own_class, lambda f: setattr(type(f), '__getattr__', lambda self, k: head))])
def test_things_are_watched(make, change):
    cb = make()
    r = Reach([cb])
    assert not r.why and r.holds([cb]) and not r.holds([])
    change(cb)
    assert not r.holds([cb])
