"""Torch optimizers under our names: what is refused, what flags do, copies, files and hooks.

pytest tests/test_wrapping.py
"""
import copy, gc, weakref
from functools import partial

import numpy as np
import torch
from fastcore.test import ExceptionExpected, test_close as close, test_eq as eq, test_is as is_same
from torch import nn

from optimloop.all import *

to = torch.optim

def grads(*ps):
    for p in ps: p.grad = torch.full_like(p, .5)

def test_what_is_refused():
    "Everything that makes no wrapper, with the error that says why"
    p = nn.Parameter(torch.ones(3))
    made = torch.optim.SGD([p], lr=.1, momentum=.9, nesterov=True)
    to = torch.optim
    bad = [(dict(opt=3, params=[p]), "that makes one, not a int"), (dict(params=[p]), "not a NoneType"),
           (dict(opt=to.SGD), "SGD needs param"),
        (dict(opt=made, params=[p]), 'this SGD has its parameters'), (dict(opt=Adam([p], lr=1.)), 'nothing to wrap'),
        (dict(opt=lambda ps: 3, params=[p]), 'made a int: expected'),
        (dict(opt=Adam, params=[p], lr=1.), 'made a Optimizer: expected'),
        (dict(opt=to.SGD, params='p'), 'not a str'), (dict(opt=to.SGD, params=[]), 'no parameter in the list'),
        (dict(opt=to.SGD, params=[p,p]), 'twice'), (dict(opt=to.SGD, params=[[p],[p]]), 'twice'),
        (dict(opt=to.SGD, params=[p], momm=.9), "SGD has no hyper-parameter 'momm': did you mean 'mom'"),
        (dict(opt=to.SGD, params=[dict(params=p, wdd=.9)]), "did you mean 'wd'"),
        (dict(opt=to.SGD, params=[p], lr='a'), 'expected a number'),
        (dict(opt=to.Adam, params=[p], sqr_mom=1.), 'sqr_mom=1.0 is out'),
        (dict(opt=to.Adam, params=[p], betas=(.9,1.)), 'sqr_mom=1.0 is out'),
        (dict(opt=to.SGD, params=[p], lr=[1,2]), '2 values for 1'),
        (dict(opt=to.SGD, params=[p], mom=.9, momentum=.9), 'mom is given twice')]
    for kwargs,msg in bad:
        with ExceptionExpected((TypeError,ValueError), regex=msg): OptimWrapper(**kwargs)

def test_hyper_parameters():
    "Hyper-parameters by our names, in the constructor, in groups and later"
    p,q = nn.Parameter(torch.ones(3)),nn.Parameter(torch.ones(3))
    # mom is there when SGD looks for it
    opt = OptimWrapper([p], to.SGD, lr=.1, mom=.9, nesterov=True)
    opt = OptimWrapper(dict(a=p, b=q).items(), to.Rprop, lr=.1, etas=(.4,1.1))
    eq((opt.etas, opt.param_groups[0]['param_names']), ((.4,1.1),['a','b']))
    opt = OptimWrapper([dict(params=[p], mom=.5), dict(params=q, lr=.2)], to.Adam, lr=np.float32(.5), beta=.9)
    eq([(g['lr'], g['betas'], type(g['lr'])) for g in opt.param_groups], [(.5,(.5,.9),float),(.2,(.9,.9),float)])
    # its signature says nothing: set afterwards
    def no_names(ps, **kwargs): return to.AdamW(ps, **kwargs)
    eq(OptimWrapper([p], no_names, lr=.5, mom=.3).param_groups[0]['betas'], (.3,.999))
    opt.verbose,opt.lrs = True,[1,2]
    eq((opt.verbose, opt.lrs), (True,[1,2]))
    with ExceptionExpected(AttributeError, regex="no hyper-parameter 'nothing'"): opt.nothing
    with ExceptionExpected(TypeError, regex="Adagrad has no hyper-parameter 'mom'"):
        OptimWrapper([p], to.Adagrad).mom = .9
    with ExceptionExpected(ValueError, regex='mom=1.5'): opt.set_hypers(lr=5., mom=[.9,1.5])
    eq(opt.lr, [.5,.2])                                                            # nothing half done

def test_groups_for_a_step():
    "Parameters that are not decayed are in groups of their own for a step"
    ps = [torch.ones(2, requires_grad=True) for _ in range(4)]
    class Counts(torch.optim.SGD):
        "Keeps a number in its groups, as some optimizers do"
        def step(self, closure=None):
            for g in self.param_groups: g['count'] = g.get('count', 0) + 1
            super().step(closure)
    opt = OptimWrapper([[ps[0],ps[1]],[ps[2]],[ps[3]]], Counts, lr=.1, wd=.3)
    for p in ps[1:3]: opt.state[p]['do_wd'] = False                     # one of two, the only one, none
    grads(*ps)
    before = [p.detach().clone() for p in ps]
    for _ in range(2): opt.step()
    eq([(g['count'], g['weight_decay'], len(g['params'])) for g in opt.param_groups], [(2,.3,2),(2,.3,1),(2,.3,1)])
    for p,o,wd in zip(ps, before, (.3,0.,0.,.3)):
        for _ in range(2): o = o - .1*(.5+wd*o)
        close(p.detach(), o, eps=1e-6)
    class Fails(torch.optim.SGD):
        def step(self, closure=None): raise OSError
    opt = OptimWrapper(ps, Fails, lr=.1, wd=.3)
    opt.state[ps[0]]['do_wd'] = False
    groups = opt.param_groups
    with ExceptionExpected(OSError): opt.step()
    is_same(opt.opt.param_groups, groups)
    new = torch.ones(1, requires_grad=True)
    for bad,msg in ((dict(lr=1), "entry 'params'"), (dict(params=ps[0]), 'twice'),
                    (dict(params=new, lr=-1), 'out of range'),
                    (dict(params=new, wdd=1), "Fails has no hyper-parameter 'wdd'")):
        with ExceptionExpected((TypeError,ValueError), regex=msg): opt.add_param_group(bad)
        eq(len(opt.param_groups), 1)
    opt.add_param_group(dict(params=new, momentum=.7, wd=.1))
    eq((opt.mom, opt.wd), ([0,.7],[.3,.1]))

def test_state_and_flags():
    "Flags are kept by the wrapper, all else by the wrapped optimizer"
    p = nn.Parameter(torch.ones(2))
    opt = OptimWrapper([p], torch.optim.AdamW, lr=.1)
    assert p not in opt.state and len(opt.state)==len(opt.state[p])==0
    opt.freeze_to(0)
    eq(len(opt.opt.state), 0)                                      # looking left nothing behind
    opt.state[p]['force_train'] = True
    grads(p)
    opt.step()
    eq(set(opt.state[p]), {'step','exp_avg','exp_avg_sq','force_train'})
    assert p in opt.state and len(opt.state)==1
    opt.state[p]['exp_avg'] = torch.zeros(2)
    eq(opt.opt.state[p]['exp_avg'], torch.zeros(2))
    opt.state[p] = {**opt.state[p], 'do_wd':False}
    eq((set(opt.opt.state[p]), opt.flags[p]), ({'step','exp_avg','exp_avg_sq'},dict(force_train=True, do_wd=False)))
    del opt.state[p]['do_wd'], opt.state[p]['exp_avg']
    eq(set(opt.state[p]), {'step','exp_avg_sq','force_train'})
    class Odd(torch.optim.SGD):
        def __init__(self, params, needed, lr): super().__init__(params, lr=lr)
    odd = OptimWrapper([p], partial(Odd, needed=1), lr=.1)
    with ExceptionExpected(TypeError, regex='clear_state makes a new Odd'): odd.clear_state()

def test_states_that_do_not_fit():
    "A state of another optimizer is refused, and nothing is changed"
    def of(cls, *shapes, **kwargs):
        ps = [nn.Parameter(torch.ones(o)) for o in shapes]
        grads(*ps)
        opt = cls(ps, **kwargs)
        opt.step()
        return opt
    def wrap(*args, **kwargs): return OptimWrapper(opt=of(*args, **kwargs))
    opt = wrap(torch.optim.Adam, (2,3), 3)
    before = str(opt.state_dict())
    bads = [(of(torch.optim.Adam, (3,3), 3), 'group 0, parameter 0 is .2, 3. here, .3, 3. in the state'),
        (of(torch.optim.Adam, 3, (2,3)), 'other shape'),
        (of(torch.optim.Adam, (2,3)), 'missing: group 0, parameter 1'),
        (of(torch.optim.Adam, (2,3), 3, 3), 'extra: group 0, parameter 2'),
        (of(torch.optim.RMSprop, (2,3), 3), 'hyper-parameter betas; extra: .*hyper-parameter alpha')]
    for bad,msg in bads:
        for o in (bad,OptimWrapper(opt=bad)):
            with ExceptionExpected(ValueError, regex=msg): opt.load_state_dict(o.state_dict())
    for bad in ({}, dict(state={}, param_groups=3)):
        with ExceptionExpected(ValueError, regex="no optimizer's state"): opt.load_state_dict(bad)
    with ExceptionExpected(TypeError, regex='not a NoneType'): opt.load_state_dict(None)
    eq(str(opt.state_dict()), before)                              # nothing half done
    fine = wrap(torch.optim.Adafactor, (2,3), 3)
    fine.load_state_dict(of(torch.optim.Adafactor, (2,3), 3).state_dict())
    with ExceptionExpected(ValueError, regex='other shape'):
        fine.load_state_dict(of(torch.optim.Adafactor, (2,4), 3).state_dict())
    class Packed(torch.optim.SGD): __module__ = 'another.library'        # what others keep has any shape
    def packed(opt):
        for p in opt.param_groups[0]['params']: opt.state[p]['packed'] = torch.ones(17)
        return opt
    wrap(Packed, (2,3)).load_state_dict(packed(of(Packed, (2,3))).state_dict())

def test_hooks_and_copies():
    "Hooks are those of the wrapped optimizer; no cycle keeps a wrapper alive"
    p = nn.Parameter(torch.ones(3))
    opt = OptimWrapper([p], torch.optim.AdamW, lr=.1)
    opt.state[p]['do_wd'] = False
    seen = []
    hooks = [opt.register_step_pre_hook(lambda o,*args: seen.append(type(o).__name__)),
             opt.register_step_post_hook(lambda o,*args: seen.append('post')),
             opt.register_state_dict_post_hook(lambda o,sd: sd.update(extra=1)),
             opt.register_load_state_dict_post_hook(lambda o: seen.append('loaded'))]
    grads(p)
    opt.step()
    opt.opt.step()
    sd = opt.state_dict()
    opt.load_state_dict(sd)
    eq((seen, sd['extra']), (['AdamW','post']*2+['loaded'],1))
    for h in hooks: h.remove()
    m,o = copy.deepcopy((nn.ParameterList([p]),opt))
    is_same(o.param_groups[0]['params'][0], m[0])                        # copied together, they stay together
    eq((o.state[m[0]]['do_wd'], 'exp_avg' in o.state[m[0]]), (False,True))
    opt.lr = .5
    eq(o.lr, .1)
    ref = weakref.ref(opt)
    gc.disable()
    del opt, h, hooks
    gc.enable()
    is_same(ref(), None)                                                 # no cycle keeps it alive

def test_it_has_no_engine():
    opt = OptimWrapper([nn.Parameter(torch.ones(1))], to.SGD, lr=.1)
    opt.engine = None
    with ExceptionExpected(AttributeError, regex="engine='loop': the wrapped SGD steps by itself"): opt.engine = 'loop'
