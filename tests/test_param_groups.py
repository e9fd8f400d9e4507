"""Parameter groups: numbers, lists, names, saved states that do not fit, hooks.

pytest tests/test_param_groups.py
"""
import copy, io, math, pickle

import numpy as np
import torch
from fastcore.foundation import L
from fastcore.test import ExceptionExpected, test_close as close, test_eq as eq, test_is as is_same
from torch import nn

from optimloop.all import *
from optimloop.basics.param_groups import *

def param(value=1., grad=None):
    "A parameter with one weight, and its gradient"
    p = nn.Parameter(torch.tensor([value], dtype=torch.float64))
    if grad is not None: p.grad = torch.full_like(p, grad)
    return p

def stepped(opt):
    for p in all_params(opt.param_groups): p.grad = torch.ones_like(p)
    opt.step()
    return opt

def plain(n_in, order=1): return stepped(Adam(list(nn.Linear(n_in, 2).parameters())[::order], lr=.1))
def own_beta(p, lr, beta, sqr_mom, **kwargs): pass # a hyper-parameter that is really called beta

def test_numbers_and_lists():
    "What is a number, a spread and a list of parameters, and what is none"
    p,q = param(1., .1),param(2., .1)
    for bad in (float('nan'), math.inf, np.float32(-1), torch.tensor(-1.)):
        with ExceptionExpected(ValueError, regex='is out of range'): check_hyper('lr', bad)
    with ExceptionExpected(ValueError, regex='mom=1.0 is out of range'): check_hyper('mom', 1.)
    for bad in (None, 'a', [.1], torch.ones(2)):
        with ExceptionExpected(TypeError, regex='expected a number'): check_hyper('mom', bad)
    for k,o in dict(lr=np.float64(.5), mom=torch.tensor(.5), other=np.float32(.5)).items():
        is_same(type(check_hyper(k, o)), float)
    eq(check_hyper('lr', 0.), 0.)
    for o in (np.array([1,2]), torch.tensor([1,2]), (1,2), L(1,2), (o for o in [1,2])): eq(spread(o, 2), [1,2])
    for o in (np.array([.1,.2]), torch.tensor([.1,.2])):
        with ExceptionExpected(ValueError, regex='2 values for 3'): spread(o, 3)
    for bad in (slice(None), slice(1e-5,1e-3,2)):
        with ExceptionExpected(ValueError, regex='is no spread'): spread(bad, 2)
    with ExceptionExpected(TypeError, regex='got a str'): spread(slice('a','b'), 2)
    eq(spread(slice(1e-5,1e-3), 1), [1e-3])
    for bad in (param(), 3, {'a':p}, {p}, nn.Linear(1, 1)):
        with ExceptionExpected(TypeError, regex='params must be a list'): split_params(bad)
    with ExceptionExpected(TypeError, regex='mixes dicts and tensors'): split_params([p, {'params':q}])
    with ExceptionExpected(TypeError, regex='groups cannot be nested'): split_params([[[p]]])
    with ExceptionExpected(TypeError, regex='not a str'): split_params({'params':'pq'} for _ in range(1))
    for empty in ([[],[]], [{'params':[]}], filter(None, [])):
        with ExceptionExpected(ValueError, regex='no parameter in the list'): split_params(empty)
    for ps in (L(p, q), filter(torch.is_tensor, [p,q]), {'a':p, 'b':q}.values(), nn.ParameterList([p,q])):
        eq(len(split_params(ps)[0]['params']), 2)

def test_groups_of_optimizers():
    "What the constructor and add_param_group make of groups, and refuse"
    p,q = param(1., .1),param(2., .1)
    # given by the groups only; a single stepper
    opt = Optimizer([dict(params=[p], lr=.1), dict(params=[q], lr=.2)], sgd_step)
    eq((opt.defaults, [g['lr'] for g in opt.param_groups]), ({'lr':.1}, [.1,.2]))
    with ExceptionExpected(TypeError, regex="'lr' has no default and group 1 lacks it"):
        Optimizer([dict(params=[p], lr=.1), dict(params=q)], sgd_step)
    with ExceptionExpected(TypeError, regex="no stepper takes 'wdd'"):
        Optimizer([{'params':[p], 'wdd':.1}], [weight_decay, sgd_step], lr=1.)
    for v,lrs in ((slice(1e-4,1e-2), [1e-4,1e-3,1e-2]), ([1,2,3], [1,2,3]), (np.array([1,2,3]), [1,2,3]),
                  (slice(1.), [.1,.1,1.])):
        opt = Optimizer([[param()] for _ in range(3)], sgd_step, lr=v)
        close([g['lr'] for g in opt.param_groups], lrs, eps=1e-12)
        close(opt.defaults['lr'], lrs[-1], eps=1e-12)
    with ExceptionExpected(ValueError, regex='2 values for 1 parameter groups'): Optimizer([p], sgd_step, lr=[1,2])
    opt = Optimizer([dict(params=p, lr=np.float32(.5)), dict(params=q)], [weight_decay, sgd_step], lr=slice(1e-4,1e-2),
                    weight_decay=.1)
    eq([(g['lr'], g['wd'], type(g['lr'])) for g in opt.param_groups], [(.5,.1,float),(1e-2,.1,float)])
    for bad,msg in ((dict(lr=1), "entry 'params'"), ([q], 'not a list'), (dict(params=p), 'twice'),
                    (dict(params=[param()], lr='a'), 'expected a number'),
                    (dict(params=param(), wdd=1), "did you mean 'wd'"),
                    (dict(params=[('a', param())]), 'some have none')):
        with ExceptionExpected((TypeError,ValueError), regex=msg): opt.add_param_group(bad)
        eq(len(opt.param_groups), 2)                                             # nothing half done
    given = dict(params=param(), momentum=.5)
    with ExceptionExpected(TypeError, regex="no hyper-parameter 'momentum'"): opt.add_param_group(given)
    eq(set(given), {'params','momentum'})
    with ExceptionExpected(ValueError, regex="twice"): Optimizer([[p,q],[p]], [sgd_step], lr=1.)
    with ExceptionExpected(ValueError, regex='names to all'): Optimizer([[('a',p)],[q]], sgd_step, lr=1.)
    for bad in ('adam', torch.relu, torch.optim.SGD):
        with ExceptionExpected(TypeError, regex='is no stepper'): Optimizer([p], bad, lr=1.)
    for bad in ([], None):
        with ExceptionExpected(ValueError, regex='at least one stepper'): Optimizer([p], bad, lr=1.)
    with ExceptionExpected(ValueError, regex='pass torch.view_as_real'):
        Optimizer([torch.ones(2, dtype=torch.complex64)], sgd_step, lr=1.)

def test_hyper_parameters_within_reach():
    "Reading and writing hyper-parameters as attributes"
    p,q = param(1., .1),param(2., .1)
    opt = Adam([[p],[q]], lr=slice(1e-4, 1e-2))
    with ExceptionExpected(ValueError, regex="mom=1.5"): opt.set_hypers(lr=5., mom=[.9,1.5])
    with ExceptionExpected(TypeError, regex="sqr_mom is given twice"): opt.set_hypers(sqr_mom=.9, beta=.8)
    with ExceptionExpected(TypeError, regex="got a str"): opt.lr = '1e-3'
    eq(opt.mom, .9)
    close(opt.lr, [1e-4,1e-2], eps=1e-12)                            # nothing half done
    with ExceptionExpected(AttributeError, regex="no hyper-parameter 'nothing'"): opt.nothing
    with ExceptionExpected(TypeError, regex="no hyper-parameter 'lrr': did you mean 'lr'"): opt.lrr = 1
    with ExceptionExpected(TypeError, regex="the names are eps, lr, mom, sqr_mom, wd"): opt.set_hyper('grad_avg', 1)
    opt.verbose,opt.accum,opt.max_mom,opt.lrs = True,4,.9,[1,2]           # none of them is a hyper-parameter
    eq((opt.verbose, opt.accum, opt.max_mom, opt.lrs), (True,4,.9,[1,2]))
    opt.lr = np.array([1e-3,1e-2])
    opt.mom = torch.tensor(.5)
    eq([type(o) for o in (*opt.lr, opt.mom)], [float]*3)
    # an alias is no second copy, also after a copy
    for new in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        new.param_groups[0]['momentum'] = .25
        eq((new.mom, new.param_groups[0].get('momentum')), ([.25,.5],.25))
        eq(('momentum' in new.defaults, 'momentum' in [*new.defaults]), (True,False))
    class Failing(Optimizer):
        @property
        def halves(self): return self.missing_part
    with ExceptionExpected(AttributeError, regex="'missing_part'"): Failing([p], sgd_step, lr=1.).halves
    own = pickle.loads(pickle.dumps(Optimizer([p], own_beta, lr=1., sqr_mom=.5, beta=2.)))
    eq((own.beta, own.sqr_mom), (2.,.5))
    by_group = Optimizer([dict(params=[p], lr=.1), dict(params=[q], lr=.2)], sgd_step)
    by_group.lr = .3
    eq([g['lr'] for g in by_group.param_groups], [.3,.3])
    opt.param_groups[0]['lr'] = 3.
    eq(opt.lr, [3.,1e-2])

def test_saved_states_that_do_not_fit():
    "Every misfit is named, and nothing is changed"
    opt = plain(4)
    before = str(opt.state_dict())
    strip = lambda sd: {k:v for k,v in sd.items() if k!='shapes'}
    ok = opt.state_dict()
    bads = {'other shape: group 0, parameter 0':[plain(4, -1).state_dict(), strip(plain(4, -1).state_dict()),
                                                 strip(plain(3).state_dict())],
        'extra: hyper-parameter mom':[stepped(RMSProp(nn.Linear(4, 2).parameters(), lr=.1, mom=.9)).state_dict()],
        'missing: group 0, parameter 1':[stepped(Adam(nn.Linear(4, 2, bias=False).parameters(), lr=.1)).state_dict()],
        'extra: group 0, parameter 2':[stepped(Adam([*nn.Linear(4, 2).parameters(), param()], lr=.1)).state_dict()],
        '1 parameter groups here, 2 in the state':[{**ok, 'param_groups':ok['param_groups']*2}],
        "no optimizer's state":[{}, {'state':{}}, {'state':None, 'param_groups':[]}, {**ok, 'state':{0:3}},
            *({'state':{}, 'param_groups':o} for o in ([{}], 3))]}
    target = RMSProp(nn.Linear(4, 2).parameters(), lr=.1)
    for msg,sds in bads.items():
        for sd in sds:
            with ExceptionExpected(ValueError, regex=msg): (target if 'mom' in msg else opt).load_state_dict(sd)
    with ExceptionExpected(TypeError, regex='not a NoneType'): opt.load_state_dict(None)
    eq(str(opt.state_dict()), before)                                # nothing half done
    opt.load_state_dict(strip(ok))                                        # what fits may lack the shapes
    # a key that some tool keeps in our groups comes back
    opt.param_groups[0]['of_a_tool'] = .5
    opt.load_state_dict(opt.state_dict())
    eq(opt.param_groups[0]['of_a_tool'], .5)

def test_hooks_copies_and_files():
    "Hooks change what is loaded; what is saved and loaded is a copy"
    ok = plain(4).state_dict()
    opt = plain(4)
    hook = opt.register_load_state_dict_pre_hook(lambda opt, sd: plain(3).state_dict())
    # we look at what the hook put there
    with ExceptionExpected(ValueError, regex=r'is \[2, 4\] here, \[2, 3\]'): opt.load_state_dict(ok)
    hook.remove()
    hook = opt.register_load_state_dict_pre_hook(lambda opt, sd: ok)
    opt.load_state_dict({})                                               # a hook may make a state of what was none
    hook.remove()
    hook = opt.register_load_state_dict_pre_hook(lambda opt, sd: sd['param_groups'][0].update(lr=7.))
    sd = {**ok, 'param_groups':[dict(ok['param_groups'][0])]}
    opt.load_state_dict(sd)
    eq(sd['param_groups'][0]['lr'], .1)                              # the argument is left alone, whatever a hook does
    p = param(1., .1)
    opt = Adam([p], lr=.1, wd=.1)
    opt.step()
    sd = opt.state_dict()
    before = copy.deepcopy(sd)
    opt.step()
    eq(sd['state'][0], before['state'][0])              # a copy: training on did not change it
    opt.load_state_dict(sd)
    p.grad = torch.full_like(p, .1)
    opt.step()
    eq(sd['state'][0], before['state'][0])              # loading copied too
    for twin in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        eq(repr(twin), repr(opt))
        assert 'differentiable' not in twin.defaults
        twin.param_groups[0]['params'][0].grad = torch.full_like(p, .1)
        twin.step()
        assert twin.param_groups[0]['params'][0].item()!=p.item()
    torch.save(sd, f:=io.BytesIO())
    eq(torch.load(io.BytesIO(f.getvalue()), weights_only=True)['state'][0], sd['state'][0])
