"""Our optimizers in the hands of torch's tools, and of people who bring torch's words along.

pytest tests/test_optimizer_compat.py
"""
import copy, pickle
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (StateDictOptions, get_optimizer_state_dict, get_state_dict,
                                                     set_optimizer_state_dict,
                                                     set_state_dict)

from optimloop.all import *
from optimloop.basics.course import *

torch.set_num_threads(1)
engines = pytest.mark.parametrize('engine', ['loop','batched','compiled'])
to = torch.optim

def lazy_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))

def walk(model, opt, n, first=0):
    for i in range(first, first+n):
        opt.zero_grad()
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(i))).pow(2).sum().backward()
        opt.step()

def gap(a, b): return max((p-q).abs().max().item() for p,q in zip(a.parameters(), b.parameters()))
def adamw(ps): return to.AdamW(ps, .1, betas=(.9,.99), eps=1e-5)

# A7: lazy layers

@pytest.fixture
def plain_compile(monkeypatch): monkeypatch.setattr(torch, 'compile', lambda f=None, **kwargs: f)

@engines
def test_lazy_parameters_are_stepped_as_torch_does(engine, plain_compile):
    ours,theirs = lazy_net(),lazy_net()
    opts = Adam(ours.parameters(), .1, engine=engine),adamw(theirs.parameters())
    for o,opt in zip((ours,theirs), opts):
        torch.manual_seed(1) # a lazy layer draws its weights when it sees data
        walk(o, opt, 4)
    assert gap(ours, theirs) < 1e-5

@engines
def test_lazy_parameters_that_never_see_data(engine, plain_compile):
    lazy,ps = nn.LazyLinear(3),[nn.Parameter(torch.ones(7)) for _ in range(6)]
    opt = Adam([*ps, *lazy.parameters()], .1, engine=engine)
    for _ in range(3):
        for p in ps: p.grad = torch.ones(7)
        opt.step()
    assert ps[0][0] < .8
    repr(opt), opt.zero_grad(), opt.freeze(), opt.unfreeze(), opt.clear_state()

@pytest.mark.parametrize('make', [partial(Adam, lr=.1), lambda ps: OptimWrapper(ps, to.AdamW, lr=.1)],
                         ids=['ours','wrapped'])
def test_lazy_parameters_are_saved_and_loaded(make):
    model = lazy_net()
    opt = make(model.parameters())
    empty = opt.state_dict()
    opt.load_state_dict(empty)
    walk(model, opt, 2)
    saved = copy.deepcopy((model.state_dict(), opt.state_dict()))
    walk(model, opt, 2, 2)
    again = lazy_net()
    new = make(again.parameters())
    new.load_state_dict(saved[1]) # while the first layer is still without a shape
    again.load_state_dict(saved[0])
    walk(again, new, 2, 2)
    assert not gap(model, again)

def test_all_parameters_lazy():
    layer = nn.LazyLinear(2)
    opt = SGD(layer.parameters(), .1)
    # steppers are tried out all the same
    with pytest.raises(TypeError, match='adam_step needs mom'):
        Optimizer(layer.parameters(), [adam_step, step_stat], lr=.1, sqr_mom=.9)
    layer(torch.ones(1, 3)).sum().backward()
    opt.step()

# A7: hooks

makes = {'torch':lambda ps: to.Adam(ps, .1), 'ours':lambda ps: Adam(ps, .1),
         'wrapped':lambda ps: OptimWrapper(ps, to.Adam, lr=.1)}

def hooked(make, post=lambda o,s: None):
    ps,log = [nn.Parameter(torch.ones(3)) for _ in range(2)],[]
    opt = make(ps)
    for p in ps: p.grad = torch.ones(3)
    opt.step()
    opt.register_state_dict_pre_hook(lambda o: log.append('pre'))
    opt.register_state_dict_post_hook(lambda o,s: (log.append('post'), post(o, s))[1])
    opt.register_state_dict_post_hook(lambda o,s: log.append('first post'), prepend=True)
    opt.register_load_state_dict_pre_hook(lambda o,s: log.append('load pre'))
    opt.register_load_state_dict_post_hook(lambda o: log.append('load post'))
    return opt,log

@pytest.mark.parametrize('kind', makes)
def test_hooks_fire_in_torchs_order(kind):
    opt,log = hooked(makes[kind])
    opt.load_state_dict(opt.state_dict())
    assert log==['pre','first post','post','load pre','load post']

@pytest.mark.parametrize('kind', makes)
def test_what_a_hook_returns_is_what_is_saved(kind):
    for post in (lambda o,s: {'renamed':s['state']}, lambda o,s: {}):
        opt,_ = hooked(makes[kind], post)
        assert {*opt.state_dict()} == {*post(None, dict(state=1))}

def test_hooks_get_a_copy_that_is_theirs():
    def spoil(o, s):
        for kept in s['state'].values(): kept['grad_avg'].zero_()
        s['param_groups'][0]['lr'] = 0.
    opt,_ = hooked(makes['ours'], spoil)
    assert not opt.state_dict()['state'][0]['grad_avg'].any()
    assert all(s['grad_avg'].any() for s in opt.state.values()) and opt.lr==.1

def test_hooks_that_undo_each_other():
    "As those of libraries that rename: what is saved under other names is loaded under ours"
    opt,_ = hooked(makes['ours'], lambda o,s: {'packed':s})
    opt.register_load_state_dict_pre_hook(lambda o,s: s['packed'])
    opt.load_state_dict(opt.state_dict())
    with pytest.raises(ValueError, match="no optimizer's state"):
        opt.register_load_state_dict_pre_hook(lambda o,s: {})
        opt.load_state_dict(opt.state_dict())

# A7: torch.compile around a step

@engines
def test_compiled_step_is_the_step(engine):
    def run(wrap):
        ps = [nn.Parameter(torch.ones(3)) for _ in range(6)]
        opt = Adam(ps, .1, engine=engine)
        step = wrap(opt.step)
        for i in range(4):
            for p in ps: p.grad = torch.full((3,), i+1.)
            step()
        return ps[0].detach(),opt.state[ps[0]]['step']
    torch._dynamo.reset()
    (p,n),(q,m) = run(torch.compile),run(lambda f: f)
    assert torch.equal(p, q) and n==m==4

@engines
@pytest.mark.parametrize('make', [partial(Adam, lr=.1), lambda ps, engine: OptimWrapper(ps, to.AdamW, lr=.1)],
                         ids=['ours','wrapped'])
def test_step_within_a_compiled_function(make, engine):
    def run(wrap):
        model = net()
        opt = make(model.parameters(), engine=engine)
        @wrap
        def train(x):
            opt.zero_grad()
            loss = model(x).pow(2).mean()
            loss.backward()
            opt.step()
            return loss.detach()
        return [train(torch.ones(2, 3)).item() for _ in range(4)]
    torch._dynamo.reset()
    compiled,plain = run(torch.compile),run(lambda f: f)
    # torch's own step is compiled, and rounds in another way
    assert compiled==pytest.approx(plain, rel=1e-4) and plain[0]>plain[-1]

def test_closure_in_a_compiled_step():
    def run(wrap):
        p = nn.Parameter(torch.ones(3))
        opt = SGD([p], .1)
        def closure():
            opt.zero_grad()
            loss = p.pow(2).sum()
            loss.backward()
            return loss
        step = wrap(opt.step)
        return [step(closure).item() for _ in range(3)]
    torch._dynamo.reset()
    assert run(torch.compile)==pytest.approx(run(lambda f: f))

# A7: schedulers that cycle the momentum

cycles = dict(one_cycle=partial(to.lr_scheduler.OneCycleLR, max_lr=.01, total_steps=12),
              cyclic=partial(to.lr_scheduler.CyclicLR, base_lr=.001, max_lr=.01, step_size_up=4))

@engines
@pytest.mark.parametrize('mom', [0.,.9])
@pytest.mark.parametrize('name', cycles)
def test_momentum_is_cycled_as_torch_does(name, mom, engine, plain_compile):
    ours,theirs = net(),net()
    opts = SGD(ours.parameters(), .1, mom=mom, engine=engine),to.SGD(theirs.parameters(), .1, momentum=mom)
    scheds = [cycles[name](o) for o in opts]
    for i in range(10):
        for model,opt,sched in zip((ours,theirs), opts, scheds): walk(model, opt, 1, i), sched.step()
    assert opts[0].mom==opts[1].param_groups[0]['momentum']>.8
    assert gap(ours, theirs) < 1e-6

def test_momentum_turned_on_and_off_again():
    ours,theirs = net(),net()
    opts = SGD(ours.parameters(), .01),to.SGD(theirs.parameters(), .01)
    for i,mom in enumerate((0.,.9,.5,0.,0.,.8)):
        opts[0].mom = opts[1].param_groups[0]['momentum'] = mom
        for model,opt in zip((ours,theirs), opts): walk(model, opt, 1, i)
    assert gap(ours, theirs) < 1e-6
    new = SGD(ours.parameters(), .01)
    new.load_state_dict(opts[0].state_dict())
    assert new.mom==.8 and torch.equal(new.state[ours[0].weight]['grad_avg'], opts[0].state[ours[0].weight]['grad_avg'])

# A11: tensors of another kind

class Mine(nn.Parameter): pass
class Logged(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs or {})
class Own(nn.Parameter):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs or {})

@pytest.mark.parametrize('make', [lambda: torch.ones(2).as_subclass(Logged),
                                  lambda: nn.Parameter(torch.ones(2).as_subclass(Logged)), lambda: Own(torch.ones(2))])
def test_tensors_that_compute_in_their_own_way_are_refused(make):
    p,good = make(),nn.Parameter(torch.ones(3))
    for bad in ([p], [good,p], [('a',good),('b',p)], [[good],[p]], [dict(params=p)]):
        with pytest.raises(TypeError,
            match=f'a parameter is a {type(p).__name__}, a tensor that computes in its own way'): SGD(bad, .1)
    opt = SGD([good], .1)
    with pytest.raises(TypeError, match='a parameter is a '): opt.add_param_group(dict(params=[p]))
    assert len(opt.param_groups)==1

def test_parameters_that_are_harmless():
    ps = [nn.Parameter(torch.ones(2)), torch.ones(2), nn.Buffer(torch.ones(2)), Mine(torch.ones(2)),
          nn.LazyLinear(2).weight, copy.deepcopy(nn.Parameter(torch.ones(2)))]
    SGD(ps, .1)

def test_dtensors_step_as_plain_tensors(tmp_path):
    import torch.distributed as dist
    from torch.distributed.tensor import DTensor, distribute_tensor, init_device_mesh
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        mesh,q = init_device_mesh('cpu', (1,)),nn.Parameter(torch.ones(4, 2))
        for engine in ('loop','batched','sharded'):
            p = nn.Parameter(distribute_tensor(torch.ones(4, 2), mesh))
            q = nn.Parameter(torch.ones(4, 2))
            opts = [Adam([o], .1, engine=engine) for o in (p,q)]
            for i in range(3):
                for o,opt in zip((p,q), opts):
                    opt.zero_grad()
                    (o**2).sum().backward()
                    opt.step()
            assert torch.equal(p.to_local(), q) and p.to_local().max() < 1
            assert isinstance(opts[0].state[p]['grad_avg'], DTensor)
        wrapped = OptimWrapper([p], to.AdamW, lr=.1)
        (p**2).sum().backward()
        wrapped.step()
        assert p.to_local().max() < q.max()
    finally: dist.destroy_process_group()

# A11: torch.distributed.checkpoint, in one process

options = dict(plain=None, flat=StateDictOptions(flatten_optimizer_state_dict=True),
               full=StateDictOptions(full_state_dict=True, cpu_offload=True))
kept = dict(adam=partial(Adam, lr=.1), momentum=partial(SGD, lr=.1, mom=.9), sgd=partial(SGD, lr=.1),
            ranger=partial(ranger, lr=.1), muon=partial(Muon, lr=.1),
    groups=lambda ps: Adam([[o] for o in ps], lr=slice(.01, .1)), wrapped=lambda ps: OptimWrapper(ps, to.AdamW, lr=.1))

def flagged(model, opt):
    for p in model.parameters():
        opt.state[p]['force_train'] = True
        if p.ndim==1: opt.state[p]['do_wd'] = False
    return opt

@pytest.mark.parametrize('how', options)
@pytest.mark.parametrize('name', kept)
@pytest.mark.parametrize('flags', [False,True])
def test_distributed_checkpoint(name, how, flags):
    if (name,how)==('sgd','full'):
        pytest.skip('torch cannot, with its own SGD neither: there is no state to tell the device')
    def make():
        model = net()
        opt = kept[name](model.parameters())
        return model,(flagged(model, opt) if flags else opt)
    model,opt = make()
    walk(model, opt, 3)
    saved = copy.deepcopy((model.state_dict(), get_optimizer_state_dict(model, opt, options=options[how])))
    walk(model, opt, 3, 3)
    again,new = make()
    again.load_state_dict(saved[0])
    set_optimizer_state_dict(again, new, saved[1], options=options[how])
    for p,q in zip(model.parameters(), again.parameters()):
        assert {**opt.state[p]}.keys()=={**new.state[q]}.keys()
        assert all(type(v) is type(new.state[q][k]) for k,v in opt.state[p].items())
    walk(again, new, 3, 3)
    assert not gap(model, again)

def test_distributed_checkpoint_of_both():
    model = net()
    opt = flagged(model, Adam(model.named_parameters(), .1))
    walk(model, opt, 2)
    weights,state = copy.deepcopy(get_state_dict(model, opt))
    walk(model, opt, 2, 2)
    again = net()
    new = flagged(again, Adam(again.named_parameters(), .1))
    set_state_dict(again, new, model_state_dict=weights, optim_state_dict=state)
    walk(again, new, 2, 2)
    assert not gap(model, again)

@pytest.mark.parametrize('make', [kept['adam'], kept['wrapped']], ids=['ours','wrapped'])
def test_flat_checkpoint_without_the_flags_that_are_set_here(make):
    "Torch fills what it lacks with {}: a `do_wd` that is neither true nor what was said"
    model,again = net(),net()
    opt,new = make(model.parameters()),flagged(again, make(again.parameters()))
    walk(model, opt, 2)
    saved = get_optimizer_state_dict(model, opt, options=options['flat'])
    if isinstance(new, OptimWrapper): # flags have a place of their own there
        set_optimizer_state_dict(again, new, saved, options=options['flat'])
        assert all('do_wd' not in s for s in new.opt.state.values()) and new.state[again[0].bias]['do_wd'] is False
        return
    with pytest.raises(ValueError, match='missing: state force_train, do_wd'):
        set_optimizer_state_dict(again, new, saved, options=options['flat'])
    assert new.state[again[0].bias]['do_wd'] is False

def test_an_empty_dictionary_as_state_is_loaded():
    def keeps(p, seen=None, **kwargs): return {'seen': seen or {}}
    p = nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    opt = Optimizer([p], [keeps])
    opt.step()
    opt.load_state_dict(opt.state_dict())
    assert opt.state[p]['seen']=={}

def test_state_of_flags_alone_counts_as_empty_and_survives_copies():
    model = net()
    for opt in (flagged(model, Adam(model.parameters(), .1)),
                flagged(model, OptimWrapper(model.parameters(), to.AdamW, lr=.1))):
        assert not opt.state and len(opt.state)==6
        walk(model, opt, 1)
        assert opt.state
    opt = flagged(model, SGD(model.parameters(), .1))
    for o in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))): assert not o.state and len(o.state)==6
    opt.load_state_dict(opt.state_dict())
    assert not opt.state and len(opt.state)==6
    assert len(copy.copy(opt.state))==6

# A12: declared, and taken through **kwargs

def quiet(p, lr, **kwargs): p.data.sub_(p.grad, alpha=lr*kwargs['speed'])
quiet.defaults = dict(speed=1.)

@pytest.mark.parametrize('cb', [quiet, partial(quiet), Chain(quiet),
                                WithUpdate(lambda p, change, **kwargs: change, quiet), Route('fast', [quiet], [quiet])])
def test_declared_hyper_parameters_may_be_given_and_set(cb):
    p = nn.Parameter(torch.ones(1))
    p.grad = torch.ones(1)
    opt = Optimizer([p], cb, lr=.1, speed=2.)
    opt.step()
    assert opt.speed==2. and p.item()==pytest.approx(.8)
    opt.speed = 4.
    opt.step()
    assert p.item()==pytest.approx(.4)
    assert Optimizer([p], cb, lr=.1).speed==1.
    assert Optimizer([dict(params=[p], speed=3.)], cb, lr=.1).speed==3.
    with pytest.raises(TypeError, match="no stepper takes 'spede': did you mean 'speed'"):
        Optimizer([p], cb, lr=.1, spede=2.)

# Item 30: torch's words

builders = [SGD, RMSProp, Adam, Nesterov, RAdam, QHAdam, Lion, Adan, AdEMAMix, Larc, Lamb, ranger, Muon]

@pytest.mark.parametrize('build', builders)
def test_torchs_words_get_the_line_to_write(build):
    ps = [nn.Parameter(torch.ones(3, 3))]
    def says(text, **kwargs):
        with pytest.raises(TypeError) as e: build(ps, lr=.1, **kwargs)
        assert text in str(e.value), e.value
    says('write mom=0.9', momentum=.9)
    says('write wd=0.01', weight_decay=.01)
    says('OptimWrapper(params, torch.optim.…, amsgrad=True)', amsgrad=True)
    says("engine='compiled'", fused=True)
    says('decouple_wd=False', decoupled_weight_decay=False)
    says('Nesterov(params, lr)', nesterov=True)
    says("no stepper takes 'lrr': did you mean 'lr'", lrr=1.)

@pytest.mark.parametrize('build, betas, text',
    [(Adam, (.9,.999), 'mom=0.9, sqr_mom=0.999'), (RAdam, (.9,.999), 'mom=0.9, sqr_mom=0.999'),
     (Lamb, [.9,.999], 'mom=0.9, sqr_mom=0.999'),
    (Lion, (.9,.99), 'mom=0.9, avg_mom=0.99'), (Adan, (.98,.92,.99), 'mom=0.98, diff_mom=0.92, sqr_mom=0.99'),
    (AdEMAMix, (.9,.999,.9999), 'mom=0.9, sqr_mom=0.999, slow_mom=0.9999')])
def test_betas(build, betas, text):
    ps = [nn.Parameter(torch.ones(3))]
    with pytest.raises(TypeError, match=f"no stepper takes 'betas', 'weight_decay': write {text}, wd=0.1"):
        build(ps, .1, betas=betas, weight_decay=.1)
    build(ps, .1, **eval(f'dict({text}, wd=.1)')) # what it says works

def test_other_words():
    ps = [nn.Parameter(torch.ones(3))]
    with pytest.raises(TypeError, match='write sqr_mom=0.9'): RMSProp(ps, .1, alpha=.9)
    with pytest.raises(TypeError, match="no stepper takes 'betas'"): SGD(ps, .1, betas=(.9,.99))
    with pytest.raises(TypeError, match="no stepper takes 'betas'"): SGD([dict(params=ps, betas=(.9,.99))], .1)
    with pytest.raises(TypeError, match="write wd=0.1"): Adam([dict(params=ps, wd=.1, weight_decay=.1)], .1)
    # one number under another name is no mistake
    assert Optimizer(ps, [weight_decay, sgd_step], lr=.1, weight_decay=.2).wd==.2
    assert Adam([dict(params=ps, weight_decay=.2)], .1).wd==.2

# State from elsewhere

@pytest.mark.parametrize('theirs', [to.Adam, to.AdamW, partial(to.SGD, momentum=.9), to.RMSprop, to.RAdam])
@pytest.mark.parametrize('ours', [Adam, SGD])
def test_state_of_torchs_optimizers_is_refused_with_the_way_out(theirs, ours):
    model = net()
    opt = theirs(model.parameters(), lr=.1)
    walk(model, opt, 1)
    mine = ours(model.parameters(), .1)
    walk(model, mine, 1)
    before = copy.deepcopy(mine.state_dict())
    with pytest.raises(ValueError, match="one of torch's own optimizers: load it into OptimWrapper"):
        mine.load_state_dict(opt.state_dict())
    assert str(before)==str(mine.state_dict())
    wrapped = OptimWrapper(model.parameters(), theirs, lr=.1)
    wrapped.load_state_dict(opt.state_dict())

@engines
@pytest.mark.parametrize('kind', [torch.tensor, lambda o: torch.tensor(float(o))])
def test_step_saved_as_a_tensor(kind, engine, plain_compile):
    "As some libraries save it: the path is the same"
    model = net()
    opt = Adam(model.parameters(), .1, engine=engine)
    walk(model, opt, 2)
    saved,weights = opt.state_dict(),copy.deepcopy(model.state_dict())
    walk(model, opt, 3, 2)
    for s in saved['state'].values(): s['step'] = kind(s['step'])
    again = net()
    again.load_state_dict(weights)
    new = Adam(again.parameters(), .1, engine=engine)
    new.load_state_dict(saved)
    walk(again, new, 3, 2)
    assert gap(model, again) < 1e-5
    assert {int(s['step']) for s in new.state.values()}=={5}
