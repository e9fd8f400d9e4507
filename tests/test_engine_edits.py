"""What is done to an optimizer from outside, and what a stepper may do, is the same under each engine: one case each.

pytest tests/test_engine_edits.py
"""
import copy, subprocess, sys, threading, types
from collections import defaultdict
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.linalg import vector_norm

from optimloop.all import *
from optimloop.basics.course import *
from fuzz_steppers import compare

torch.set_num_threads(1)
N = 6 # parameters: more than the batched engine leaves to the loop

@pytest.fixture(params=['batched','compiled'])
def engine(request, monkeypatch):
    "The compiled engine with functions that are left as they are: it is its plans that are looked at"
    if request.param=='compiled': monkeypatch.setattr(torch, 'compile', lambda f=None, **kwargs: f)
    return request.param

def numbers(shape, *seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum((i+1)*o for i,o in enumerate(seed))))

class Side:
    "An optimizer of one engine, with its parameters"
    def __init__(self, make, engine, shapes, dtype):
        self.ps = [nn.Parameter(numbers(o, i, 1).to(dtype)) for i,o in enumerate(shapes)]
        self.opt = make(self.ps, engine=engine)
    def grads(self, step):
        for i,p in enumerate(self.ps): p.grad = numbers(p.shape, i, step, 7).to(p.dtype)
    def seen(self):
        copied = lambda o: o.detach().clone() if isinstance(o, torch.Tensor) else o
        return [o.detach().clone() for o in self.ps],[copied(o.grad)
            for o in self.ps],[{k:copied(v) for k,v in self.opt.state.get(p, {}).items()} for p in self.ps]

def same(make, engine, edit=lambda side, step: None, shapes=((7,),)*N, steps=5, dtype=torch.float32, exact=True):
    "Steps under the loop and under `engine`, with `edit(side, step)` before each; both must see the same; returns it"
    sides = [Side(make, o, shapes, dtype) for o in ('loop',engine)]
    tol = .1 if dtype not in (torch.float32,torch.float64) else 0 if engine=='batched' and exact else 1e-6
    for i in range(steps):
        errors = []
        for side in sides:
            side.grads(i)
            edit(side, i)
            try: side.opt.step(), errors.append(None)
            except Exception as e: errors.append(f'{type(e).__name__}: {e}')
        assert errors[0] is None, f'the loop itself fails: {errors[0]}'
        assert errors[1] is None, f'step {i}: {engine} raises where the loop works: {errors[1]}'
        found = compare(*(o.seen() for o in sides), tol)
        assert not found, f'after step {i}, {engine} for loop: {found}'
    return sides[1]

def stepper(*lines, **defaults):
    "A stepper of these lines"
    scope = dict(torch=torch, nn=nn, np=np, vector_norm=vector_norm)
    exec('def stepper(p, lr, m=None, c=None, n=0, step=0, **kwargs):\n' + '\n'.join(f'    {o}' for o in lines), scope)
    scope['stepper'].defaults = defaults
    return scope['stepper']

def listed(*cbs, **hypers):
    def make(ps, **kwargs): return Optimizer(ps, list(cbs), **{'lr':.1, **hypers}, **kwargs)
    return make

momentum,adam = partial(SGD, lr=.1, mom=.9, wd=.1),partial(Adam, lr=.1, wd=.1)

# A1: a list that can be recorded in some steps only

def test_steps_that_must_go_through_the_loop_in_between(engine):
    def look(p, looking=False, **kwargs):
        if looking and p.grad.sum().item() > 1e9: p.data.zero_()
    look.defaults = dict(looking=False)
    def make(ps, **kwargs): return with_cbs(Adam(ps, .1, **kwargs), [*Adam(ps, .1).cbs, look])
    def edit(side, step): side.opt.param_groups[0]['looking'] = step in (3,4,7)
    side = same(make, engine, edit, steps=10)
    assert {side.opt.state[p]['step'] for p in side.ps}=={10}

def test_flag_of_one_parameter_sends_it_through_the_loop(engine):
    def look(p, looking=False, **kwargs):
        if looking and p.grad.sum().item() > 1e9: p.data.zero_()
    def make(ps, **kwargs): return with_cbs(Adam(ps, .1, **kwargs), [*Adam(ps, .1).cbs, look])
    def edit(side, step): side.opt.state[side.ps[2]]['looking'] = step in (2,3,6)
    side = same(make, engine, edit, steps=9)
    assert {side.opt.state[p]['step'] for p in side.ps}=={9}

def test_value_is_looked_at_every_third_step(engine):
    same(listed(stepper('n += 1', 'if m is None: m = torch.zeros_like(p)', 'm.mul_(.9).add_(p.grad)',
                        'a = m.norm().item() if n%3==0 else .5',
                        'p.data.sub_(m, alpha=lr*a)', "return {'m':m, 'n':n}")), engine, steps=8)

# A2: groups edited in place

def split(side, step):
    if step!=2: return
    group = side.opt.param_groups[0]
    rest = group['params'][3:]
    del group['params'][3:]
    side.opt.add_param_group(dict(params=rest, lr=0.))

def replace_group(side, step):
    if step==2: side.opt.param_groups[0] = {**side.opt.param_groups[0], 'lr':0.}

def move(side, step):
    a,b = side.opt.param_groups
    if step==2: b['params'].append(a['params'].pop(0))

def two_groups(make):
    def made(ps, **kwargs): return make([dict(params=ps[:3]), dict(params=ps[3:], lr=.01)], **kwargs)
    return made

@pytest.mark.parametrize('make', [momentum,adam], ids=['momentum','adam'])
class TestGroups:
    def test_split_in_place(self, make, engine): same(make, engine, split)
    def test_another_dict(self, make, engine): same(make, engine, replace_group)
    def test_parameter_moved(self, make, engine): same(two_groups(make), engine, move)
    def test_order_of_parameters(self, make, engine):
        same(make, engine, lambda side, step: side.opt.param_groups[0]['params'].reverse())
    def test_order_of_groups(self, make, engine):
        same(two_groups(make), engine, lambda side, step: side.opt.param_groups.reverse())
    def test_another_list(self, make, engine):
        def edit(side, step):
            group = side.opt.param_groups[0]
            group['params'] = group['params'][:-1] if step==2 else group['params']
        same(make, engine, edit)
    def test_parameter_exchanged(self, make, engine):
        def edit(side, step):
            if step!=2: return
            side.ps[1] = new = nn.Parameter(side.ps[1].detach().clone())
            new.grad,side.opt.param_groups[0]['params'][1] = side.ps[0].grad.clone(),new
        same(make, engine, edit)
    def test_rate_of_a_group(self, make, engine):
        def edit(side, step): side.opt.param_groups[0]['lr'] = .1/(step+1)
        same(make, engine, edit)

# A3: state written past the plan

def at(*steps):
    def only(f):
        def edit(side, step):
            if step in steps: f(side)
        return edit
    return only

@at(2)
def clear_then_flag(side):
    side.opt.clear_state()
    set_flag(side.opt, 'do_wd', lambda p, *args: False)
@at(2)
def clear_step_flag(side):
    side.opt.clear_state()
    side.opt.step()
    set_flag(side.opt, 'do_wd', lambda p, *args: False)
@at(2)
def empty_dicts(side):
    for p in side.ps: side.opt.state[p] = {}
@at(1,3)
def empty_dict(side):
    side.opt.state[side.ps[1]] = {}
    side.opt.step()
    side.opt.state[side.ps[1]]['do_wd'] = False
@at(2)
def data_of_state(side):
    state = side.opt.state[side.ps[1]]
    state['grad_avg'].data = state['grad_avg'].data*.5
@at(2)
def another_tensor(side): side.opt.state[side.ps[1]]['grad_avg'] = torch.ones(7)
@at(2)
def written_tensor(side): side.opt.state[side.ps[1]]['grad_avg'].fill_(1.)
@at(2)
def another_key(side): side.opt.state[side.ps[1]].pop('grad_avg')
@at(2)
def popped_state(side): side.opt.state.pop(side.ps[1])
@at(2)
def copied_states(side): side.opt.state = copy.copy(side.opt.state)
@at(2)
def plain_states(side): side.opt.state = defaultdict(dict, {p:dict(s) for p,s in side.opt.state.items()})
@at(2)
def cleared_states(side): side.opt.state.clear()
@at(2)
def loaded(side): side.opt.load_state_dict(side.opt.state_dict())
@at(2)
def copied_whole(side): side.opt,side.ps = copy.deepcopy((side.opt, side.ps))
@at(2)
def weights_written(side): side.ps[1].data.fill_(1.)
@at(2)
def weights_replaced(side): side.ps[1].data = torch.ones(7)
@at(1)
def one_is_ahead(side): side.opt.state[side.ps[2]]['step'] = 5
@at(1)
def number_of_another_type(side): side.opt.state[side.ps[2]]['do_wd'] = np.bool_(False)
def earlier_states(side, step):
    if step==1:
        side.saved = {p:{k:v.clone() if isinstance(v, torch.Tensor) else v for k,v in s.items()}
                      for p,s in side.opt.state.items()}
    if step==3: side.opt.state = defaultdict(dict, side.saved)
def kept_states(side, step):
    "The state of before is kept, and put back after some steps with another"
    if step==1: side.saved,side.opt.state = side.opt.state,defaultdict(dict)
    if step==3: side.opt.state = side.saved

edits = [clear_then_flag, clear_step_flag, empty_dicts, empty_dict, data_of_state, another_tensor, written_tensor,
         another_key, popped_state, copied_states, plain_states,
         cleared_states, loaded, copied_whole, weights_written, weights_replaced, one_is_ahead, number_of_another_type,
         earlier_states, kept_states]
names = '''clear_then_flag clear_step_flag empty_dicts empty_dict data_of_state another_tensor written_tensor
another_key popped_state copied_states plain_states cleared_states loaded copied_whole weights_written
weights_replaced one_is_ahead
number_of_another_type earlier_states kept_states'''.split()

@pytest.mark.parametrize('edit', edits, ids=names)
def test_state_written_past_the_plan(edit, engine): same(adam, engine, edit, steps=6)

# A4 and A6: what a stepper may do

aliases = dict(
    out=['torch.add(p.data, p.grad, alpha=-lr, out=p.data)'],
    float=['p.data.float().add_(p.grad, alpha=-lr)'],
    to=['p.data.to(p.dtype).add_(p.grad, alpha=-lr)'],
    contiguous=['p.data.contiguous().add_(p.grad, alpha=-lr)'],
    float_of_grad=['p.grad.float().mul_(.5)', 'p.data.sub_(p.grad, alpha=lr)'],
    name=['d = p.data', 'd += p.grad*-lr'],
    number_changed_after_use=['c = p.grad.norm()', 't = p.data*c', 'c.zero_()', 'p.data.sub_(t, alpha=lr)'],
    constant_changed_after_use=['c = torch.tensor(.5)', 'p.data.sub_(p.grad*c, alpha=lr)', 'c.zero_()'],
    kept_number_changed_after_use=['c = torch.tensor(1.) if c is None else c', 'p.data.sub_(p.grad*c, alpha=lr)',
                                   'c.mul_(.5)', "return {'c':c}"],
    two_keys=['m = torch.zeros_like(p) if m is None else m', 'm.mul_(.9).add_(p.grad)', 'p.data.sub_(m, alpha=lr)',
              "return {'m':m, 'c':m}"],
    two_keys_then_one=['m = torch.zeros_like(p) if m is None else m.clone()', 'm.add_(p.grad)',
                       'p.data.sub_(m, alpha=lr)', "return {'m':m, 'c':m if n==1 else c, 'n':n+1}"],
    keeps_the_gradient=['p.data.sub_(p.grad if m is None else m, alpha=lr)', "return {'m':p.grad}"],
    keeps_the_weights=['p.data.sub_(p.grad, alpha=lr) if m is None else p.data.lerp_(m, .5)', "return {'m':p.data}"],
    dtype_of_state=['m = torch.zeros_like(p) if m is None else m.double()', 'm.add_(p.grad)',
                    'p.data.sub_(m, alpha=lr)', "return {'m':m}"],
    dtype_of_state_later=['m = p.grad.clone() if n<2 else m.double()', 'p.data.sub_(m, alpha=lr)',
                          "return {'m':m, 'n':n+1}"],
    shape_of_state=['m = p.grad.clone() if n<2 else m.view(1, -1).clone()', 'p.data.sub_(m.view(p.shape), alpha=lr)',
                    "return {'m':m, 'n':n+1}"],
    new_gradient=['p.grad = p.grad + p.data', 'p.data.sub_(p.grad, alpha=lr)'],
    no_gradient=['p.data.sub_(p.grad, alpha=lr)', 'p.grad = None'],
    new_weights=['p.data = p.data - lr*p.grad'],
    slice=['p.data[:3].mul_(.5)', 'p.data.sub_(p.grad, alpha=lr)'],
    slice_of_gradient=['p.data[:3].sub_(p.grad[:3], alpha=lr)'],
    slice_assigned=['p.data[1:] = p.data[:-1]*.5'],
    flat=['p.data.view(-1)[:2].sub_(p.grad.view(-1)[:2], alpha=lr)'],
    unsqueezed=['p.data.unsqueeze(0).sub_(p.grad, alpha=lr)'],
    out_of_function=['p.sub_(p.grad, alpha=lr)'])
numbers_used = dict(
    trust_as_alpha=['trust = vector_norm(p.data)/(vector_norm(p.grad) + 1e-8)', 'p.data.add_(p.grad, alpha=-lr*trust)'],
    tensor_as_value=['p.data.addcdiv_(p.grad, p.grad.abs() + 1, value=-lr*p.grad.mean())'],
    fill=['p.data.fill_(p.grad.norm())'],
    masked_fill=['p.data.masked_fill_(p.grad > 0, p.grad.norm())'],
    where_number=['p.data.sub_(torch.where(p.grad > 0, p.grad, 0.), alpha=lr)'],
    numpy=['p.data.sub_(p.grad*np.float64(.5)).clamp_(-np.float64(2), np.float32(2))'],
    numpy_power=['p.data.sub_((p.grad.abs() + 1)**np.float64(.5), alpha=lr)'],
    infinite=["p.data.sub_(p.grad.clamp(-float('inf'), float('inf')), alpha=lr)"
              ".nan_to_num_(0., posinf=float('inf'), neginf=-float('inf'))"],
    infinite_norm=["p.data.sub_(p.grad/p.grad.norm(float('inf')), alpha=lr)"],
    nan=["p.data.masked_fill_(p.grad > 1, float('nan'))"],
    device=['p.data.sub_(torch.zeros_like(p.grad, device=p.device, dtype=torch.float32) + p.grad, alpha=lr)'],
    device_named=["p.data.sub_(torch.ones_like(p.grad, device=torch.device('cpu')), alpha=lr)"],
    tensor_of_its_own=['p.data.sub_(p.grad*torch.tensor(2.), alpha=lr)'],
    power_by_tensor=['p.data.sub_(p.grad.pow(torch.tensor(2.)), alpha=lr)'],
    tensor_as_limit=['p.data.sub_(p.grad.clamp(max=torch.tensor(.5)), alpha=lr)'],
    stack=['p.data.sub_(torch.stack([p.grad, p.data]).sum(0), alpha=lr)'],
    cat=['p.data.sub_(torch.cat([p.grad, p.data]).chunk(2)[0], alpha=lr)'],
    foreach=['torch._foreach_add_([p.data], [p.grad], alpha=-lr)'],
    by_name=['p.data.add_(other=p.grad, alpha=-lr)'],
    by_name_of_number=['p.data.mul_(other=1-lr).add_(p.grad, alpha=-lr)'],
    norms_by_name=['p.data.sub_(p.grad/p.grad.norm(p=1), alpha=lr).div_(vector_norm(x=p.grad, ord=2) + 1)'],
    tensor_then_number=["c = p.grad.norm() if n%2 else 1.", 'p.data.sub_(p.grad*c, alpha=lr)',
                        "return {'c':c, 'n':n+1}"],
    full_then_number=["m = p.grad.clone() if n%2 else p.grad.norm()", 'p.data.sub_(p.grad*m, alpha=lr)',
                      "return {'m':m, 'n':n+1}"],
    full_then_none=["m = p.grad.clone() if n%2 else None", 'p.data.sub_(p.grad, alpha=lr)', "return {'m':m, 'n':n+1}"],
    power_of_step=['p.data.sub_(p.grad.abs().pow(1/(n+1)), alpha=lr)', "return {'n':n+1}"],
    big_number=['p.data.sub_(p.grad, alpha=lr)', "return {'n':(n+1)*2**40}"],
    words_and_tuples=['p.data.sub_(p.grad, alpha=lr if c is None else .5*lr)',
                      "return {'c':('a', n)[n%2], 'm':(1,2), 'n':n+1}"])

# small ones are packed, large ones go by themselves
sizes = pytest.mark.parametrize('shape', [(7,),(9_000,)], ids=['small','large'])

@sizes
@pytest.mark.parametrize('name', aliases)
def test_aliases(name, shape, engine): same(listed(stepper(*aliases[name])), engine, shapes=[shape]*N)

@sizes
@pytest.mark.parametrize('name', numbers_used)
def test_numbers_and_calls(name, shape, engine):
    same(listed(stepper(*numbers_used[name])), engine, shapes=[shape]*N, exact='power' not in name)

@pytest.mark.parametrize('name', ['float','to','contiguous','float_of_grad','out'])
@pytest.mark.parametrize('dtype', [torch.float64,torch.bfloat16])
def test_aliases_of_other_dtypes(name, dtype, engine):
    same(listed(stepper(*aliases[name])), engine, dtype=dtype, steps=2)

def test_slices_of_large_parameters(engine):
    same(listed(stepper(*aliases['slice_of_gradient'])), engine, shapes=[(20_000,)]*3+[(300,100)]*3)

def test_weights_turned_between_steps(engine):
    @at(1,2)
    def edit(side):
        for p in side.ps[:2]: p.data = p.data.t()
    same(momentum, engine, edit, shapes=[(4,4)]*N)

def test_weights_turned_by_a_stepper(engine):
    same(listed(stepper('p.data = p.data.t()', 'p.data.sub_(p.grad, alpha=lr)')), engine, shapes=[(4,4)]*N)

@pytest.mark.parametrize('views', [(slice(0,4),slice(2,6)), (slice(0,6),slice(2,4)), (slice(0,6),slice(0,6)),
                                   (slice(0,6),slice(0,3))])
def test_overlapping_views(views, engine):
    def make(ps, **kwargs):
        base = torch.arange(6.)
        ps[:2] = [nn.Parameter(base[o]) for o in views]
        return SGD(ps, lr=.1, wd=.5, **kwargs)
    same(make, engine)

def test_gradient_shared_by_two(engine):
    def edit(side, step): side.ps[1].grad = side.ps[0].grad
    same(partial(SGD, lr=.1, wd=.5, decouple_wd=False), engine, edit) # l2_reg adds to the gradient, twice

def test_gradient_is_the_weight(engine):
    def edit(side, step): side.ps[1].grad = side.ps[1].data
    same(momentum, engine, edit)

@pytest.mark.parametrize('large', [False,True])
def test_state_shared_by_two(large, engine):
    @at(1)
    def edit(side): side.opt.state[side.ps[1]]['grad_avg'] = side.opt.state[side.ps[0]]['grad_avg']
    same(momentum, engine, edit, shapes=[(20_000,) if large else (7,)]*N)

@pytest.mark.parametrize('what', ['p.data', 'p.grad', 'p.grad.data', 'p'])
def test_where_with_a_number_does_not_end_the_process(what):
    "In a process of its own: with stand-ins that say they are tensors, `torch.where` once ended it"
    code = f"""
import torch
from optimloop.optimizer import *
def stepper(p, lr, **kwargs): p.data.sub_(torch.where(p.grad > 0, {what}, .7), alpha=lr)
def run(engine):
    ps = [torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range({N})]
    for p in ps: p.grad = torch.linspace(1, -1, 7)
    Optimizer(ps, stepper, engine, lr=.1).step()
    return ps[0]
assert torch.equal(run('loop'), run('batched'))"""
    res = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert res.returncode==0, f'exit status {res.returncode}: {res.stderr[-500:]}'

# A5: who a parameter is

identities = dict(
    is_head='if p is head: p.data.mul_(.5)', rates='p.data.mul_(rates.get(id(p), 1.))',
    rates_needed='p.data.mul_(rates[id(p)])', exact_type='if type(p) is nn.Parameter: p.data.mul_(.5)',
    instance='if isinstance(p, nn.Parameter): p.data.mul_(.5)', keyed='p.data.mul_(by_param[p])',
    member='if any(p is o for o in some): p.data.mul_(.5)', in_set='if p in {*some}: p.data.mul_(.5)',
    ndim='if p.ndim==1: p.data.mul_(.5)', shape='p.data.mul_(1/p.shape[0])', numel='p.data.mul_(1/p.numel())',
    dtype='if p.dtype==torch.float32: p.data.mul_(.5)',
    device="if p.device.type=='cpu': p.data.mul_(.5)",
    requires_grad='if p.requires_grad and p.is_leaf: p.data.mul_(.5)', has='if hasattr(p, "tag"): p.data.mul_(p.tag)',
    get='p.data.mul_(getattr(p, "tag", .25))', lacks='if not hasattr(p, "grad_fn"): p.data.mul_(.5)',
    place='p.data.mul_(places[p.data_ptr()])', contiguous='if p.is_contiguous(): p.data.mul_(.5)',
    size='p.data.mul_(1/p.size(0))', length='p.data.mul_(1/len(p))',
    gradient_is_none='if p.grad is not None: p.data.mul_(.5)', repr='if "Parameter" in repr(p): p.data.mul_(.5)',
    written='p.seen = getattr(p, "seen", 0) + 1; p.data.mul_(1/p.seen)', pickled='p.data.mul_(by_name[names[id(p)]])',
    version='p.data.mul_(1/(1+p.ndim+p.dim()+len(p.size())))')

@pytest.mark.parametrize('name', identities)
def test_who_a_parameter_is(name, engine):
    f = stepper(identities[name], 'p.data.sub_(p.grad, alpha=lr)')
    def make(ps, **kwargs):
        ps[3].tag = .75
        cb = types.FunctionType(f.__code__,
            {**f.__globals__, 'head':ps[-1], 'rates':{id(p):1/(i+1) for i,p in enumerate(ps)},
             'by_param':{p:1/(i+1) for i,p in enumerate(ps)}, 'some':ps[1:3],
            'places':{p.data_ptr():1/(i+1) for i,p in enumerate(ps)}, 'by_name':dict(enumerate((.9,.8,.7,.6,.5,.4))),
            'names':{id(p):i for i,p in enumerate(ps)}}, 'stepper', f.__defaults__)
        return Optimizer(ps, [cb], lr=.1, **kwargs)
    same(make, engine)

def test_refusal_swallowed(engine):
    same(listed(stepper('try: a = min(1., p.grad.norm().item())', 'except Exception: a = 0.',
                        'p.data.sub_(p.grad, alpha=lr*a)')), engine)
    same(listed(stepper('try:', '    if p.grad.sum() > 0: p.data.mul_(.5)', 'except Exception: p.data.zero_()')),
         engine)
    same(listed(stepper('try: p.data[0] = 1.', 'except Exception: p.data.zero_()')), engine)
    same(listed(stepper('try: k = p.shape[0]', 'except: k = 0', 'p.data.sub_(p.grad, alpha=lr*k)')), engine)

def test_refusal_swallowed_and_replaced(engine):
    same(listed(stepper('try: torch.stack([p.data]).mul_(p.grad.max().item()); p.data.mul_(.5)',
                        'finally: p.data.sub_(p.grad, alpha=lr)')), engine)

def test_a_list_of_steppers_of_which_one_keeps_count_for_itself(engine):
    def make(ps, **kwargs):
        calls = []
        def counting(p, lr, **kwargs):
            calls.append(1)
            p.data.sub_(p.grad, alpha=lr/len(calls))
        return Optimizer(ps, [counting], lr=.1, **kwargs)
    same(make, engine)

# A6: state from elsewhere, and sparse gradients

@pytest.mark.parametrize('value', [torch.tensor(3.), torch.tensor(3), np.int64(3), np.float64(3)])
def test_step_from_another_library(value, engine):
    def make(ps, **kwargs):
        opt = adam(ps, **kwargs)
        for p in ps: opt.state[p].update(step=copy.deepcopy(value), grad_avg=torch.ones(7), sqr_avg=torch.ones(7))
        return opt
    same(make, engine)

def test_dense_then_sparse(engine):
    def edit(side, step):
        if step in (2,3): side.ps[1].grad = side.ps[1].grad.to_sparse()
    same(partial(SGD, lr=.1), engine, edit, shapes=[(7,3)]*N)

def test_sparse_is_refused_before_anything_moves(engine):
    sides = [Side(adam, o, [(7,3)]*N, torch.float32) for o in ('loop',engine)]
    for side in sides:
        side.grads(0), side.opt.step(), side.grads(1)
        side.ps[-1].grad = side.ps[-1].grad.to_sparse()
        before = side.seen()
        with pytest.raises(StepperError): side.opt.step()
        after = side.seen()
        assert not compare((before[0],[],before[2]), (after[0],[],after[2]), 0)

@pytest.mark.parametrize('bad', range(N))
def test_error_leaves_everything_as_it_was_or_as_the_loop_does(bad, engine):
    def make(ps, **kwargs):
        head = ps[bad]
        def fails(p, step, **kwargs):
            if p is head and step==3: raise ZeroDivisionError
        opt = adam(ps, **kwargs)
        return with_cbs(opt, [*opt.cbs[:4], fails, *opt.cbs[4:]])
    sides = [Side(make, o, [(7,)]*N, torch.float32) for o in ('loop',engine)]
    for i in range(2):
        for side in sides: side.grads(i), side.opt.step()
    for side in sides: side.grads(2)
    before = sides[1].seen()
    for side in sides:
        with pytest.raises(ZeroDivisionError): side.opt.step()
    loop,after = (o.seen() for o in sides)
    tol = 0 if engine=='batched' else 1e-6
    assert not compare(before, after, tol) or not compare(loop, after, tol)

# A8: threads, and neighbours

def test_three_threads(engine):
    makes = [adam, momentum, partial(Muon, lr=.1)]
    def steps(make, engine, res=None, gate=None):
        side = Side(make, engine, [(6,6),(7,),(5,4),(9,),(6,6),(3,)], torch.float32)
        for i in range(60):
            side.grads(i)
            if gate: gate.wait()
            side.opt.step()
        if res is not None: res.append(side.seen())
        return side.seen()
    gate,res = threading.Barrier(3, timeout=60),[[] for _ in makes]
    threads = [threading.Thread(target=steps, args=(make, engine, o, gate)) for make,o in zip(makes, res)]
    for o in threads: o.start()
    for o in threads: o.join()
    for make,o in zip(makes, res):
        assert o, 'a thread died'
        assert not compare(steps(make, 'loop'), o[0], 1e-5 if engine=='compiled' else 0)

def test_a_neighbour_in_between(engine):
    neighbour = Side(partial(Muon, lr=.1), engine, [(4,4)]*N, torch.float32)
    def edit(side, step): neighbour.grads(step), neighbour.opt.step()
    same(adam, engine, edit)

def test_a_number_that_changes_in_every_step_does_not_compile_in_every_step(monkeypatch):
    made = []
    monkeypatch.setattr(torch, 'compile', lambda f=None, **kwargs: made.append(1) or f)
    f = stepper('p.data.sub_((p.grad.abs() + 1).pow(1/(n+1)), alpha=lr)', "return {'n':n+1}")
    same(listed(f), 'compiled', steps=12)
    assert len(made)<=3

# A9: autograd

@pytest.mark.parametrize('engine', ['loop','batched','compiled'])
@pytest.mark.parametrize('n', [1,N])
def test_backward_through_weights_that_were_stepped_raises(n, engine):
    def late(make):
        ps = [nn.Parameter(torch.ones(7)) for _ in range(n)]
        opt = make(ps)
        loss = sum((p**2).sum() for p in ps)
        loss.backward(retain_graph=True)
        opt.step()
        with pytest.raises(RuntimeError, match='modified by an inplace operation'): loss.backward()
    late(partial(torch.optim.SGD, lr=.1))
    for make in (SGD,Adam): late(partial(make, lr=.1, engine=engine))

def test_parameters_that_were_not_stepped_may_be_gone_through_again():
    ps = [nn.Parameter(torch.ones(7)) for _ in range(N)]
    opt = SGD(ps, lr=.1)
    loss = (ps[0]**2).sum()
    loss.backward(retain_graph=True)
    ps[0].grad,ps[1].grad = None,torch.ones(7)
    opt.step()
    loss.backward()
