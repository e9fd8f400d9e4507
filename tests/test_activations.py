"Hooks, activation statistics and LSUV: types, orders, copies, interrupts; what would clutter training/activations"
import copy, gc, math, pickle, warnings, weakref
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.basics.course import synth_dls
from optimloop.training.activations import (ActivationStats, Hooks, Thinned, _sample, describe_rows, has_weight_matrix,
    lsuv, pick_modules, spread_places)

def data(n=4, bs=8):
    g = torch.Generator().manual_seed(0)
    return [(torch.randn(bs, 6, generator=g), torch.randn(bs, 2, generator=g)) for _ in range(n)]

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))

def silent(cells): pass

def learner(model=None, cbs=None, dl=None, **kwargs):
    dl = data() if dl is None else dl
    learn = Learner((dl,dl[:2]), net() if model is None else model, kwargs.pop('loss_func', F.mse_loss), lr=.01,
        cbs=cbs, **kwargs)
    learn.logger = silent
    learn.remove_cb(ProgressCallback)
    return learn

def n_hooks(model):
    return sum(len(m._forward_hooks)+len(m._backward_hooks)+len(m._forward_pre_hooks) for m in model.modules())

def by_hand(model, x, layers=None):
    "Mean and standard deviation of each layer"
    res = {}
    with torch.no_grad(), Hooks(model, lambda k, m, a, o: res.update({k: (o.mean().item(),
        o.std(correction=0).item())}), layers):
        model(x)
    return res

# which modules

def test_pick_modules():
    model = nn.Sequential(nn.Embedding(3, 4), nn.LSTM(4, 4), nn.LayerNorm(4), nn.PReLU(4), nn.MultiheadAttention(4, 1))
    assert [*pick_modules(model)] == ['0','1','4','4.out_proj']
    assert [*pick_modules(model, [nn.LSTM, nn.PReLU])] == ['1','3']
    assert [*pick_modules(model, (nn.LSTM,))] == ['1']
    assert [*pick_modules(model, model[2])] == ['2']
    assert [*pick_modules(nn.Linear(2, 2))] == ['(model)']
    assert [*pick_modules(nn.Sequential(nn.LazyLinear(3)))] == ['0']
    shared = nn.Linear(2, 2)
    assert [*pick_modules(nn.Sequential(shared, shared))] == ['0']
    for bad in ([], nn.GRU, lambda m: False):
        with pytest.raises(ValueError, match='none of the modules is meant'): pick_modules(model, bad)
    with pytest.raises(ValueError, match='there is no module Linear'): pick_modules(model, nn.Linear(2, 2))
    with pytest.raises(TypeError): pick_modules(model, 3)

def test_names_of_compiled_models():
    inner = torch.compile(nn.Linear(6, 6), backend='eager')
    assert [*pick_modules(torch.compile(nn.Sequential(inner, nn.Linear(6, 2)), backend='eager'))] == ['0','1']

# hooks

def test_hooks_that_cannot_be_put_on_leave_none():
    class Refuses(nn.Linear):
        def register_forward_hook(self, *args, **kwargs): raise RuntimeError('not on me')
    model = nn.Sequential(nn.Linear(2, 2), Refuses(2, 2))
    with pytest.raises(RuntimeError, match='not on me'): Hooks(model, print)
    assert n_hooks(model)==0

def test_removed_twice_and_in_the_midst_of_a_call():
    model,seen = net(),[]
    hooks = Hooks(model, lambda *args: (seen.append(args[0]), hooks.remove())[1])
    model(torch.randn(2, 6))
    hooks.remove()
    assert seen==['0'] and n_hooks(model)==0

def test_scripted_modules_are_refused():
    model = nn.Sequential(torch.jit.script(nn.Linear(2, 2)), nn.Linear(2, 2))
    assert [*pick_modules(model)]==['1']
    with pytest.raises(TypeError, match='TorchScript'): Hooks(model, print, '0')
    with pytest.raises(ValueError, match='none of the modules'): Hooks(torch.jit.script(net()), print)

def test_backward_hooks_may_change_gradients():
    model,x = net(),torch.randn(3, 6, requires_grad=True)
    with Hooks(model, lambda name, m, g_in, g_out: (g_in[0]*0,), '0', backward=True): model(x).sum().backward()
    assert not x.grad.any() and n_hooks(model)==0

# the numbers

def test_rows_of_odd_numbers():
    inf,nan = math.inf,math.nan
    rows = describe_rows(torch.tensor([[inf,0.,0.,0.],[nan,1.,1.,1.],[-9.,9.,-1.,1.]]), limit=1., bins=2)
    assert rows[0,3:].tolist()==[0.,1.] and rows[1,3:].tolist()==[0.,.75] and rows[2,3:].tolist()==[.5,.5]
    assert rows[1,0].isnan() and rows[0,2]==.75
    assert describe_rows(torch.full((1,3), 1e30, dtype=torch.float64))[0,0].item()==pytest.approx(1e30)

def test_counts_are_exact_beyond_what_fp32_counts():
    rows = describe_rows(torch.zeros(1, 2**24+1000), bins=1)
    assert rows[0,3].item()==1.

@pytest.mark.parametrize('n,numel', [(1,1), (1,10**9), (7,8), (2**14,2**31)])
def test_places(n, numel):
    places = spread_places(numel, n)
    assert len(places)==n and places.min()>=0 and places.max()<numel and (places.diff()>=0).all()

def test_a_sample_has_no_stripes():
    for shape in (16,64,32,32),(7,3,128,96): # each column its own number; also in channels_last
        x = torch.arange(float(shape[-1])).expand(shape).clone()
        for t in x,x.to(memory_format=torch.channels_last):
            s = _sample(t, 2000, {})
            counts = torch.bincount(s.long(), minlength=shape[-1])
            assert len(s)==2000 and counts.min()>0 and counts.max() < 4*2000/shape[-1]

def test_thinned():
    for most,n in product((2,3,10), (0,1,2,3,9,10,11,1000)):
        t = Thinned(most)
        for i in range(n): t.offer(i)
        assert len(t.items)<=most and t.items==[*range(0, n, t.stride)]

# what is put out

class Puts(nn.Module):
    "A layer that puts out what `f` makes of its output"
    def __init__(self, f):
        super().__init__()
        self.weight,self.f = nn.Parameter(torch.ones(6, 2)),f
    def forward(self, x): return self.f(x@self.weight)

class Wraps(nn.Module):
    def __init__(self, inner, back):
        super().__init__()
        self.inner,self.back = inner,back
    def forward(self, x): return self.back(self.inner(x))

@pytest.mark.parametrize('f,back', [
    (lambda o: (o,o*100), lambda o: o[0]), (lambda o: {'a': o, 'b': None}, lambda o: o['a']), (lambda o: [None,(o,)],
        lambda o: o[1][0]),
    (lambda o: o.half(), lambda o: o.float()), (lambda o: o.bfloat16(), lambda o: o.float()), (lambda o: o.double(),
        lambda o: o.float())])
def test_kinds_of_outputs(f, back):
    learn = learner(Wraps(Puts(f), back), ActivationStats(sample=None))
    learn.fit(1)
    stats,(x,_) = learn.activation_stats,data()[0]
    pred = x@torch.ones(6, 2)
    assert stats.names==['inner'] and stats.std[0,0].item()==pytest.approx(pred.std(correction=0).item(), rel=1e-2)

def test_fp16_does_not_overflow():
    learn = learner(Wraps(Puts(lambda o: (o*0+6e4).half()), lambda o: o.float()/1e5), ActivationStats())
    learn.fit(1)
    assert learn.activation_stats.mean.isfinite().all() and learn.activation_stats.mean[0,0]>59000
    assert learn.activation_stats.std.isfinite().all()

def test_integers_booleans_and_complex():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a,self.b = Puts(lambda o: o>0),Puts(lambda o: o.long())
            self.c,self.d = Puts(lambda o: torch.complex(o, o)),Puts(lambda o: None)
            self.out = nn.Linear(6, 2)
        def forward(self, x): return (self.a(x),self.b(x),self.c(x),self.d(x)) and self.out(x)
    learn = learner(Odd(), ActivationStats())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for o in 'abcd': getattr(learn.model, o).weight.requires_grad_(False)
        learn.fit(1)
    assert learn.activation_stats.names==['a','b','c','out'] and learn.activation_stats.std.isfinite().all()

def test_nothing_seen_warns_once():
    learn = learner(cbs=ActivationStats(nn.ReLU))
    learn.model = Wraps(nn.Sequential(nn.Linear(6, 2)), lambda o: o)
    learn.model.unused = nn.ReLU()
    with pytest.warns(UserWarning, match='saw no output in batch 0') as w: learn.fit(1)
    assert len(w)==1
    with pytest.raises(ValueError, match='has recorded nothing yet'): learn.activation_stats.plot_stats()

def test_what_works_in_place_afterwards_changes_nothing():
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    with torch.no_grad(): expected = model[0](data()[0][0]).mean().item()
    class Zero(nn.Module):
        def forward(self, h): return h.mul_(0)
    for f in nn.ReLU(inplace=True),Zero():
        m = copy.deepcopy(model)
        m[1] = f
        learn = learner(m, ActivationStats('0'))
        learn.fit(1)
        assert learn.activation_stats.mean[0,0].item()==pytest.approx(expected, abs=1e-6)

def test_empty_batches_and_calls_that_differ():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a,self.b,self.n = nn.Linear(6, 6),nn.Linear(6, 2),0
        def forward(self, x):
            self.n += 1
            if self.training and self.n%2==0: x = self.a(x)
            self.a(x[:0])
            return self.b(x)
    learn = learner(Sometimes(), ActivationStats())
    learn.fit(1)
    stats = learn.activation_stats
    assert stats.names==['b','a'] and stats.steps==[0,1,2,3]
    assert stats.mean[:,1].isnan().tolist()==[True,False,True,False] and not stats.mean[:,0].isnan().any()

def test_a_module_called_several_times_is_one_entry():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a,self.out = nn.Linear(6, 6),nn.Linear(6, 2)
        def forward(self, x): return self.out(self.a(self.a(x)))
    model = Twice()
    with torch.no_grad():
        one = model.a(data()[0][0])
        both = torch.cat([one, model.a(one)])
    learn = learner(model, ActivationStats())
    learn.fit(1)
    assert learn.activation_stats.names==['a','out']
    assert learn.activation_stats.std[0,0].item()==pytest.approx(both.std(correction=0).item(), rel=1e-5)

def test_a_thousand_calls_take_little_memory():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell,self.out = nn.Linear(6, 6),nn.Linear(6, 2)
        def forward(self, x):
            for _ in range(1000): x = torch.tanh(self.cell(x))
            return self.out(x)
    class Peek(Callback):
        run_valid = False
        def after_pred(self):
            self.most = self.training and max(len(o.items) for o in self.activation_stats._samples.values())
    learn = learner(Recurrent(), [Peek, ActivationStats()], dl=data(2))
    learn.fit(1)
    assert learn.peek.most<=32

# the loop

class CountWaits(torch.utils._python_dispatch.TorchDispatchMode):
    n = 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))

def test_no_waiting_in_a_batch():
    def waits(cbs, n):
        learn = learner(cbs=cbs, dl=data(n))
        learn.create_opt()
        with CountWaits() as count: learn.fit(1)
        return count.n
    assert waits(ActivationStats(), 40)-waits(None, 40) == waits(ActivationStats(), 4)-waits(None, 4)

def test_every_keep_and_two_fits():
    learn = learner(cbs=ActivationStats(every=3, keep=4), dl=data(10))
    learn.fit(3)
    assert learn.activation_stats.steps==[0,12,24]
    learn.fit(1) # begins anew
    assert learn.activation_stats.steps==[0,3,6,9]
    learn.fit(2, start_epoch=1)
    assert learn.activation_stats.steps==[0,3,6,9]

def test_two_beside_a_compiled_model_leave_it_compiled():
    learn = learner(torch.compile(net(), backend="eager"), [ActivationStats(), ActivationStats(nn.ReLU, name="relus")])
    learn.fit(1)
    assert learn.relus.steps==[0,1,2,3]
    assert torch._dynamo.eval_frame._stance.stance=="default"

def test_validation_and_several_at_once():
    cbs = [ActivationStats(), ActivationStats(nn.ReLU, name='relus'), ActivationStats(valid=True, name='valid')]
    learn = learner(cbs=cbs)
    learn.fit(2)
    assert [len(o.steps) for o in cbs]==[8,8,4] and learn.relus.names==['1'] and learn.valid.names==['0','2']
    with pytest.raises(ValueError, match='two callbacks have the name'):
        learner(cbs=[ActivationStats(), ActivationStats()])
    before = learn.activation_stats.steps
    learn.validate() # outside of a fit, only what looks at validation records, and goes on
    learn.get_preds()
    assert learn.activation_stats.steps==before and len(learn.valid.steps)==8
    assert n_hooks(learn.model)==0

class Raise(Callback):
    error = None
    def go(self):
        if self.train_iter==2 and self.training: raise self.error

events = 'before_batch after_pred after_loss before_backward after_backward before_step after_step after_batch'.split()
errors = [KeyboardInterrupt(), OSError('x'), CancelBatchException(), CancelTrainException(), CancelEpochException(),
    CancelFitException()]
cases = [*product(events, errors, (-2000,)), *product(events, errors[:3:2], (2000,))]
@pytest.mark.parametrize('event,error,order', cases)
def test_no_hook_is_left(event, error, order):
    cb = type('RaiseAt', (Raise,), {event: Raise.go})()
    vars(cb).update(error=error, order=order)
    learn = learner(cbs=[ActivationStats(), cb])
    try: learn.fit(1)
    except (KeyboardInterrupt, OSError): pass
    assert n_hooks(learn.model)==0 and learn.activation_stats._samples is None
    learn.remove_cb(cb)
    learn.fit(1)
    assert learn.activation_stats.steps==[0,1,2,3]

def test_the_model_may_fail_and_the_callback_be_removed():
    class Fails(nn.Module):
        n = 0
        def forward(self, x):
            self.n += 1
            if self.n==3: raise KeyboardInterrupt
            return x
    learn = learner(nn.Sequential(nn.Linear(6, 2), Fails(), nn.Linear(2, 2)), ActivationStats())
    with pytest.raises(KeyboardInterrupt): learn.fit(1)
    assert n_hooks(learn.model)==0 and learn.activation_stats.steps==[0,1]
    class Remove(Callback):
        order = 2000
        def before_batch(self):
            if self.iter==1: self.learn.remove_cb('activation_stats')
    learn = learner(cbs=[ActivationStats(), Remove])
    learn.fit(1)
    assert n_hooks(learn.model)==0

def test_other_calls_of_the_model_are_not_recorded():
    class CallsToo(Callback):
        def before_batch(self): self.model(self.x*100)
        def after_pred(self): self.model(self.x*100)
        def after_backward(self): self.model(self.x*100)
    class Validates(Callback):
        order = 2000
        def before_batch(self):
            if self.training: self.learn.validate()
    def stats(*cbs):
        learn = learner(cbs=[ActivationStats(), *cbs])
        learn.fit(1)
        return learn.activation_stats
    assert torch.equal(stats().std, stats(CallsToo).std) and torch.equal(stats().std, stats(Validates).std)

def test_checkpointed_activations_are_counted_once():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.a,self.out = nn.Linear(6, 6),nn.Linear(6, 2)
        def forward(self, x): return self.out(torch.utils.checkpoint.checkpoint(self.a, x, use_reentrant=False))
    import torch.utils.checkpoint
    learn = learner(Again(), ActivationStats(sample=None))
    expected = by_hand(copy.deepcopy(learn.model), data()[0][0])['a'][1]
    learn.fit(1)
    assert learn.activation_stats.std[0,0].item()==pytest.approx(expected, rel=1e-5)

@pytest.mark.parametrize('cbs', [lambda: GradientAccumulation(24), lambda: MixedPrecision('bf16'), lambda: PureBF16(),
    lambda: ModelToHalf('bf16'),
    lambda: EMA(.9, in_valid=True), lambda: NaNPolicy('skip'), lambda: ShortEpoch(.5), lambda: EveryN(2,
        ActivationStats(name='second'))])
def test_beside_other_callbacks(cbs):
    learn = learner(cbs=[ActivationStats(), cbs()])
    learn.fit(2)
    assert len(learn.activation_stats.steps) in (4,8) and learn.activation_stats.std.isfinite().all()
    assert n_hooks(learn.model)==0

def test_the_weights_are_the_same_with_and_without():
    def weights(cbs):
        model = nn.Sequential(nn.Linear(6, 5), nn.Dropout(.5), nn.BatchNorm1d(5), nn.Linear(5, 2))
        torch.manual_seed(0)
        for m in model.modules():
            if hasattr(m, 'reset_parameters'): m.reset_parameters()
        learn = learner(model, cbs)
        learn.fit(2)
        return [*model.state_dict().values(), torch.get_rng_state()]
    assert all(torch.equal(a, b) for a,b in zip(weights(None), weights(ActivationStats())))

def test_a_model_compiled_before_or_after():
    for compiled in (lambda m: torch.compile(m, backend='eager'), lambda m: m.compile(backend='eager') or m):
        model = compiled(net())
        model(data()[0][0]) # compiled without hooks
        expected = by_hand(net(), data()[0][0])
        learn = learner(model, ActivationStats(every=2))
        learn.fit(1)
        stats = learn.activation_stats
        assert stats.names==['0','2'] and stats.steps==[0,2] and n_hooks(model)==0
        assert stats.std[0].tolist()==pytest.approx([o[1] for o in expected.values()], rel=1e-5)
    assert torch._dynamo.eval_frame._stance.stance=='default'

# copies, memory, checkpoints

def copies(): return copy.copy,copy.deepcopy,lambda o: pickle.loads(pickle.dumps(o))

@pytest.mark.parametrize('how', range(3))
def test_copies_after_and_within_a_fit(how):
    copied = copies()[how]
    learn = learner(cbs=ActivationStats(['0','2']))
    learn.fit(1)
    cb = copied(learn.activation_stats)
    assert torch.equal(cb.hists, learn.activation_stats.hists) and cb.learn is None
    again = copied(learn)
    again.fit(1)
    assert again.activation_stats.steps==[0,1,2,3] and again.activation_stats is not learn.activation_stats

@pytest.mark.parametrize('how,event,order', list(product((1,2),
    ('before_batch','after_pred','after_loss','after_batch'), (-2000,2000))))
def test_copies_within_a_batch(how, event, order):
    made = []
    class Copies(Callback):
        run_valid = False
        def go(self):
            if self.iter==2: made.append(copies()[how]((self.model,self.activation_stats)))
    cls = type('Copies', (Copies,), {event: Copies.go, 'order': order})
    learn = learner(cbs=[ActivationStats(), cls()])
    learn.fit(1)
    (model,cb), = made
    model(torch.randn(2, 6)) # a hook that came along does nothing
    assert cb._samples is None
    other = learner(model, cb)
    other.fit(1)
    assert cb.steps==[0,1,2,3]
    assert n_hooks(model)==0 and n_hooks(learn.model)==0 and learn.activation_stats.steps==cb.steps

def test_given_modules_become_names():
    model = net()
    learn = learner(model, ActivationStats([model[0], model[2]]))
    learn.fit(1)
    assert learn.activation_stats.modules==['0','2']
    learn.model = net()
    learn.fit(1, reset_opt=True)
    with pytest.raises(ValueError, match='there is no module Linear'):
        learner(cbs=ActivationStats([nn.Linear(1, 1)])).fit(1)

def test_it_keeps_no_model_alive():
    learn = learner(cbs=ActivationStats())
    learn.fit(1)
    cb,gone = learn.activation_stats,weakref.ref(learn.model)
    learn.remove_cb(cb)
    del learn
    gc.collect()
    assert gone() is None and len(cb.steps)==4

def test_lr_find_leaves_the_record():
    learn = learner(cbs=ActivationStats())
    learn.fit(1)
    before = learn.activation_stats.hists
    learn.lr_find(num_it=5, show_plot=False)
    assert torch.equal(before, learn.activation_stats.hists) and n_hooks(learn.model)==0

def test_a_resumed_run_has_the_whole_record(tmp_path):
    def make(): return learner(cbs=[ActivationStats(keep=5), Checkpoint()], path=tmp_path)
    whole = learner(cbs=ActivationStats(keep=5))
    whole.fit(3)
    class Dies(Callback):
        def before_epoch(self):
            if self.epoch==2: raise OSError('power')
    first = make()
    with pytest.raises(OSError): first.fit(3, cbs=Dies)
    second = make()
    second.model.load_state_dict({k:v*0 for k,v in second.model.state_dict().items()})
    second.fit(3, resume=True)
    assert second.activation_stats.steps==whole.activation_stats.steps
    assert torch.equal(second.activation_stats.hists, whole.activation_stats.hists)

def test_settings():
    for bad in [dict(every=0), dict(bins=0), dict(sample=0), dict(keep=1), dict(near=-1), dict(limit=0),
        dict(every=1.5), dict(near=math.nan)]:
        with pytest.raises(ValueError, match='expected'): ActivationStats(**bad)

def test_plots():
    import matplotlib
    matplotlib.use('agg')
    learn = learner(nn.Sequential(*[o for _ in range(14) for o in (nn.Linear(6, 6), nn.ReLU())], nn.Linear(6, 2)),
        ActivationStats())
    learn.fit(1)
    stats = learn.activation_stats
    assert len(stats.plot_histograms())==12
    assert len(stats.plot_histograms('0'))==1 and len(stats.plot_histograms([0,1,'4'], ncols=2))==3
    assert len(stats.plot_stats()[1].lines)==15 and len(stats.plot_near_zero(0).lines)==1
    for bad in 'nope',99,[0,'x']:
        with pytest.raises(ValueError, match='no layer'): stats.plot_stats(bad)
    matplotlib.pyplot.close('all')

# lsuv

class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.a,self.norm,self.b = nn.Conv2d(n, n, 3, padding=1, bias=False),nn.BatchNorm2d(n),nn.Conv2d(n, n, 3,
            padding=1)
    def forward(self, h): return F.relu(h + self.b(F.relu(self.norm(self.a(h)))))

def four_convs():
    def conv(a, b, k): return [nn.Conv2d(a, b, k, 2, k//2),nn.ReLU()]
    return nn.Sequential(*conv(1, 8, 5), *conv(8, 16, 3), *conv(16, 32, 3), nn.Conv2d(32, 4, 3, 2, 1), nn.Flatten())

def resnet():
    shared = Block(8)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), Block(8), shared, shared, nn.Dropout(.3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))

def mlp():
    return nn.Sequential(nn.Flatten(), *[o for _ in range(6) for o in (nn.Linear(256, 256), nn.Tanh())], nn.Linear(256,
        3))

images = torch.randn(32, 1, 16, 16, generator=torch.Generator().manual_seed(1))

@pytest.mark.parametrize('make,training', list(product((four_convs,resnet,mlp), (True,False))))
def test_lsuv_brings_all_layers_to_unit_variance(make, training):
    torch.manual_seed(0)
    model = make().train(training)
    model[-1].training = not training # a mode of its own
    modes,buffers = [m.training for m in model.modules()],[o.clone() for o in model.buffers()]
    state = torch.get_rng_state()
    rows = lsuv(model, images)
    for o in rows:
        bias = model.get_submodule(o.name).bias
        assert abs(o.new_std-1)<.01 and (bias is None or abs(o.new_mean)<.01), o
    assert modes==[m.training for m in model.modules()] and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a,b in zip(buffers, model.buffers())) and n_hooks(model)==0
    outs = {}
    with torch.no_grad(), Hooks(model, lambda k, m, a, o: outs.setdefault(k, []).append(o), [o.name for o in rows]):
        model(images)
    for k,o in outs.items(): assert torch.cat([t.flatten() for t in o]).std().item()==pytest.approx(1, abs=.011), k
    weights = [p.clone() for p in model.parameters()]
    torch.set_rng_state(state) # for the dropout
    lsuv(model, images) # nothing is left to do
    assert all(torch.equal(a, b) for a,b in zip(weights, model.parameters()))

def test_lsuv_in_the_order_of_calls():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.z,self.y = nn.Linear(6, 2),nn.Linear(6, 6)
        def forward(self, x): return self.z(torch.relu(self.y(x)))
    assert [o.name for o in lsuv(Backwards(), torch.randn(64, 6))]==['y','z']

@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16, torch.float16])
def test_lsuv_of_other_dtypes(dtype):
    model = mlp().to(dtype)
    for o in lsuv(model, images.to(dtype)): assert abs(o.new_std-1)<.01

def test_lsuv_of_what_is_frozen_or_has_no_weight():
    model = net()
    model[0].weight.requires_grad_(False)
    was = model[0].weight.clone()
    assert [o.name for o in lsuv(model, torch.randn(64, 6))]==['2'] and torch.equal(was, model[0].weight)
    model[2].weight.requires_grad_(False)
    with pytest.raises(ValueError, match='frozen: 0, 2'): lsuv(model, torch.randn(64, 6))
    with pytest.raises(ValueError, match='has no weight of its own'): lsuv(net(), torch.randn(64, 6), nn.ReLU)
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 2)))
    with pytest.raises(ValueError, match='parametrization'): lsuv(normed, torch.randn(64, 6))
    with pytest.raises(ValueError, match='call the model once'):
        lsuv(nn.Sequential(nn.LazyLinear(2)), torch.randn(64, 6))
    with pytest.raises(ValueError, match='none of the modules'): lsuv(nn.Sequential(nn.ReLU()), torch.randn(64, 6))

def test_lsuv_with_wrong_inputs_changes_nothing():
    model = net()
    was = copy.deepcopy(model.state_dict())
    cases = [(torch.randn(4, 7), RuntimeError), (data()[0], TypeError), (torch.randn(0, 6), ValueError), (None,
        TypeError),
        (synth_dls().train, TypeError), ((), TypeError), (torch.full((4,6), math.nan), ValueError), (torch.zeros(4, 6),
            ValueError),
        (torch.ones(4, 6), ValueError), (torch.randint(9, (4,6)), RuntimeError)]
    for xb,error in cases:
        with pytest.raises(error) as e: lsuv(model, xb)
        assert 'lsuv' in str(e.value) or any('lsuv' in o for o in e.value.__notes__), xb
        assert all(torch.equal(was[k], v) for k,v in model.state_dict().items()) and n_hooks(model)==0

def test_lsuv_interrupted():
    class Stops(nn.Module):
        n = 0
        def forward(self, h):
            self.n += 1
            if self.n==2: raise KeyboardInterrupt
            return h
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), Stops(), nn.Linear(6, 2))
    was = copy.deepcopy(model.state_dict())
    with pytest.raises(KeyboardInterrupt): lsuv(model, torch.randn(8, 6))
    assert all(torch.equal(was[k], v) for k,v in model.state_dict().items()) and n_hooks(model)==0

def test_lsuv_of_a_compiled_model_and_of_several_inputs():
    model = torch.compile(net(), backend='eager')
    model(torch.randn(64, 6))
    assert [o.name for o in lsuv(model, torch.randn(64, 6))]==['0','2']
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Bilinear(3, 4, 5)
        def forward(self, x, y): return self.a(x, y)
    assert abs(lsuv(Two(), (torch.randn(64, 3), torch.randn(64, 4)))[0].new_std-1)<.01
    transposed = nn.Sequential(nn.ConvTranspose1d(2, 3, 4), nn.Conv1d(3, 2, 1))
    for o in lsuv(transposed, torch.randn(8, 2, 9)): assert abs(o.new_std-1)<.01

def test_has_weight_matrix():
    assert has_weight_matrix(nn.Conv1d(1, 1, 1))
    assert not has_weight_matrix(nn.BatchNorm1d(3)) and not has_weight_matrix(net())

@pytest.mark.parametrize('std', [1., .01, 1e3])
def test_lsuv_of_a_deep_network_that_overflows_or_vanishes(std):
    net = nn.Sequential(*[nn.Linear(100, 100, bias=False) for _ in range(50)])
    torch.manual_seed(0)
    for p in net.parameters(): nn.init.normal_(p, std=std)
    for o in lsuv(net, torch.randn(64, 100)): assert abs(o.new_std-1)<=.01

def test_lsuv_within_autocast():
    net = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10))
    x = torch.randn(64, 20)
    with torch.autocast('cpu', torch.bfloat16):
        for o in lsuv(net, x): assert abs(o.new_std-1)<=.01 and abs(o.new_mean)<=.01
        assert net(x).dtype==torch.bfloat16
