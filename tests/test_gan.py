"Two halves of one model that train by turns; a run that is killed between two turns goes on bit for bit."
import contextlib, copy, io, math, os, random, signal, warnings
from functools import partial

import pytest, torch
from torch import nn

from optimloop.all import *
from optimloop.callbacks import as_tuple
from optimloop.projects.gan import *
from optimloop.runs.parts import read_callbacks, read_optimizer, read_weights
from test_checkpoints import differs

torch.set_num_threads(1)
x = torch.rand(22, 1, 4, 4, generator=torch.Generator().manual_seed(0))

def nets(seed=0, norm=True, drop=.2, n=8):
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(n) if norm else nn.Identity()
    image = nn.Linear(n, 16),nn.Sigmoid(),nn.Unflatten(1, (1,4,4))
    score = nn.Linear(16, n),nn.LeakyReLU(.2),nn.Dropout(drop),nn.Linear(n, 1)
    return GAN(nn.Sequential(nn.Linear(3, n), norm, nn.ReLU(), *image), nn.Sequential(nn.Flatten(), *score), 3)

def dls(bs=4, valid=True):
    y = torch.zeros(22)
    return DataLoaders.from_arrays(x, y, *([x, y] if valid else []), bs=bs)

def learner(loss=gan_loss, model=None, opt_func=partial(Adam, mom=.5), cbs=(), n_disc=2, penalty=0., data=None, **more):
    model = nets() if model is None else model
    torch.manual_seed(5)
    more = {**dict(splitter=GAN.groups, lr=[.01,.02]), **more}
    cbs = [GANCallback(n_disc, penalty), *as_tuple(cbs)]
    learn = Learner(dls() if data is None else data, model, loss, opt_func, cbs=cbs, **more)
    learn.remove_cb(ProgressCallback)
    return learn

def fit(learn, n=2, how='fit', **kwargs):
    with learn.no_logging(): getattr(learn, how)(n, **kwargs)
    return learn

def weights(learn): return {k:v.clone() for k,v in learn.model.state_dict().items()}

class Turns(Callback):
    "Who stepped in each batch, by which half has changed"
    order,transient = -100,'all'
    def __init__(self): self.all = []
    def before_batch(self): self.was = [[p.detach().clone() for p in g['params']] for g in self.opt.param_groups]
    def after_step(self):
        pairs = zip(self.was, self.opt.param_groups)
        self.all.append(tuple(any(not torch.equal(a, b) for a,b in zip(was, g['params'])) for was,g in pairs))

# Turns

@pytest.mark.parametrize('n_disc', [1,2,5])
def test_turns(n_disc):
    turns = Turns()
    fit(learner(n_disc=n_disc, cbs=turns))
    assert turns.all==[(i%(n_disc+1)<n_disc, i%(n_disc+1)==n_disc) for i in range(12)]

@pytest.mark.parametrize('opt_func', [partial(Adam, engine='loop'), partial(Adam, engine='batched'),
    partial(SGD, mom=.9), partial(RAdam, engine='loop'), Lion, partial(OptimWrapper, opt=torch.optim.Adam)])
@pytest.mark.parametrize('one_group', [False,True])
def test_the_half_that_rests_keeps_its_averages(opt_func, one_group):
    "With `None` for a gradient; zeros would let the averages decay, and momentum would move it"
    class Same(Callback):
        order = 22
        def state(self, m): return copy.deepcopy([(p.detach(),dict(self.opt.state.get(p, {}))) for p in m.parameters()])
        def resting(self):
            return self.model.generator if self.gan.turn=='discriminator' else self.model.discriminator
        def before_step(self): self.was = self.state(self.resting())
        def after_step(self): assert not differs(self.was, self.state(self.resting()))
    more = dict(splitter=trainable_params, lr=.01) if one_group else {}
    learn = fit(learner(opt_func=opt_func, cbs=Same, **more))
    if 'step' in next(iter(learn.opt.state.values())):
        assert {int(learn.opt.state[p]['step']) for p in learn.model.discriminator.parameters()}=={8}
        assert {int(learn.opt.state[p]['step']) for p in learn.model.generator.parameters()}=={4}

def test_one_group_and_two_are_the_same():
    a,b = fit(learner(lr=.01)),fit(learner(splitter=trainable_params, lr=.01))
    assert not differs(weights(a), weights(b))

def test_a_skipped_step_is_tried_again():
    class Skips(Callback):
        order = 24
        def before_step(self):
            if self.iter in (1,2): raise CancelStepException
    turns = Turns()
    fit(learner(cbs=[turns, Skips], n_disc=1), 1)
    assert turns.all==[(True,False),(False,False),(False,False),(False,True),(True,False),(False,True)]

def test_accumulated_gradients_are_of_one_player():
    "Eight samples in batches of four: two batches for each turn, and what is left at the end of an epoch is a step too"
    turns = Turns()
    class Players(Callback):
        order,all = 22,[]
        def after_backward(self):
            self.all.append([any(p.grad is not None for p in g['params']) for g in self.opt.param_groups])
    fit(learner(n_disc=1, cbs=[turns, Players, GradientAccumulation(8)]))
    d,g = [True,False],[False,True]
    assert Players.all==[d,d,g,g,d,d, g,g,d,d,g,g]

def test_the_first_batches_are_checked():
    def told(cb=GANCallback, model=None, loss=gan_loss):
        learn = Learner(dls(), model or nets(), loss, Adam, lr=.01, cbs=cb)
        with warnings.catch_warnings(record=True) as told, learn.no_logging(), learn.no_bar():
            warnings.simplefilter('always')
            learn.fit(1)
        return [str(o.message) for o in told]
    class Undeclared(GANCallback):
        def without_gradient(self): return ()
    assert not told() and ['generator.0.weight' in o for o in told(Undeclared)]==[True]
    for half in 'generator','discriminator': # each in its own turn, once
        model = nets()
        getattr(model, half).add_module('unused', nn.Identity())
        getattr(model, half).unused.weight = nn.Parameter(torch.ones(1))
        only = [f'the loss has no gradient for {half}.unused.weight (group 0)']
        assert [o.split(':')[0] for o in told(GANCallback(3), model)]==only
    def several(fake, real=None): return fake if real is None else gan_loss(fake, real)
    with pytest.raises(ValueError, match='a single number'): told(loss=several) # the generator's loss is looked at, too

# With what else there is

halves = [partial(MixedPrecision, 'bf16'), partial(MixedPrecision, 'fp16', init_scale=2.**10),
          partial(NonNativeMixedPrecision, init_scale=2.**10),
          partial(ModelToHalf, 'bf16'), PureBF16, partial(PureBF16, 'master')]

@pytest.mark.parametrize('penalty', [0.,10.])
@pytest.mark.parametrize('half', halves)
def test_half_precision(half, penalty):
    turns,before = Turns(),nets()
    learn = fit(learner(wgan_loss if penalty else gan_loss, cbs=[half(), turns], n_disc=1, penalty=penalty, lr=.002), 3)
    assert all(torch.isfinite(p).all() and p.dtype is torch.float32 for p in learn.model.parameters())
    assert turns.all[:6]==[(True,False),(False,True)]*3 or half is halves[4] # which rounds all weights in each batch
    assert len(learn.gan.losses['generator'])==9 and learn.model.sample(3).dtype is torch.float32
    last = learn.model.discriminator[-1].bias # the critic's scores may all be shifted: its loss says nothing of it
    for a,b in zip(before.parameters(), learn.model.parameters()): assert not torch.equal(a, b) or penalty and b is last

def test_an_overflow_does_not_pass_the_turn_on():
    class Overflows(Callback):
        order = 19
        def before_backward(self):
            if self.iter==1: self.learn.loss = self.loss*float('inf')
    turns = Turns()
    fit(learner(cbs=[MixedPrecision('fp16', init_scale=2.**10), Overflows, turns], n_disc=1), 1)
    assert turns.all==[(True,False), (False,False), (False,True),(True,False), (False,True),(True,False)]

def test_validation_is_the_same_each_time():
    learn = fit(learner(metrics=[lambda fake, real: (fake>0).float().mean()]))
    state = torch.get_rng_state()
    first = learn.validate()
    assert first==learn.validate()==learn.recorder.values[-1][1:] and torch.equal(state, torch.get_rng_state())
    (noise,real),fake_scores,real_scores = learn.get_preds(with_input=True)
    assert real.equal(x) and len(noise)==len(fake_scores)==len(real_scores)==22
    assert abs(first[0]-float(gan_loss(fake_scores, real_scores)))<1e-6

def test_samples_leave_no_trace():
    model = nets()
    model.generator[1].eval()
    modes,state = [m.training for m in model.modules()],torch.get_rng_state()
    running = model.generator[1].running_mean.clone()
    a,b = model.sample(5, seed=3),model.sample(5, seed=3)
    assert torch.equal(a, b) and not torch.equal(a, model.sample(5, seed=4)) and not a.requires_grad
    assert modes==[m.training for m in model.modules()] and torch.equal(state, torch.get_rng_state())
    assert torch.equal(running, model.generator[1].running_mean)
    assert not torch.equal(model.sample(5, seed=None), model.sample(5, seed=None))
    assert nets().double().sample(2).dtype is torch.float64

def test_schedules_reach_both_halves():
    learn = fit(learner(lr=[.01,.02], moms=(.5,.4,.5)), 2, 'fit_one_cycle')
    rates = torch.tensor([list(o) for o in learn.recorder.hps['lr']])
    assert torch.allclose(rates[:,1], 2*rates[:,0]) and len(rates)==12
    assert abs(rates.max(0).values-torch.tensor([.01,.02])).max()<1e-3 and max(learn.recorder.hps['mom'])<=.5

def test_clipping_and_averages():
    learn = fit(learner(cbs=[GradientClip(1e-3), EMA(.9, in_valid=True)]))
    assert len(learn.gradient_clip.norms)==12 and all(o>0 for o in learn.gradient_clip.norms)
    mine = learn.model.sample(4)
    with learn.ema.swapped() as model: assert not torch.equal(mine, model.sample(4))
    assert torch.equal(mine, learn.model.sample(4))

def test_finder_is_refused_and_a_frozen_half_passes():
    learn = learner()
    with pytest.raises(ValueError, match='in a GAN no loss is meant to fall'): learn.lr_find(show_plot=False)
    learn.freeze()
    was = weights(learn)
    with contextlib.redirect_stdout(io.StringIO()): learn.lr_find(num_it=5, show_plot=False)
    assert not differs(was, weights(learn))
    turns = Turns()
    learn.add_cb(turns)
    fit(learn)
    assert set(turns.all)=={(False,True)} and not learn.gan.losses['discriminator']
    learn.unfreeze()
    fit(learn)
    assert set(turns.all[12:])=={(False,True),(True,False)}
    for p in learn.model.generator.parameters(): p.requires_grad_(False)
    turns.all.clear()
    fit(learn)
    assert set(turns.all)=={(True,False)}

def test_partly_frozen_stays_so():
    learn = learner()
    first = learn.model.discriminator[1].weight.requires_grad_(False)
    was = first.clone()
    fit(learn)
    assert torch.equal(first, was) and not first.requires_grad and learn.model.discriminator[1].bias.requires_grad

def test_an_error_leaves_no_half_frozen():
    learn = learner(loss=lambda fake, real=None: gan_loss(fake, real) if real is not None else 1/0)
    with pytest.raises(ZeroDivisionError): fit(learn)
    model = nets()
    model.generator.register_forward_hook(lambda *args: 1/0)
    with pytest.raises(ZeroDivisionError): model(torch.randn(2, 3))
    for m in learn.model,model: assert all(p.requires_grad for p in m.parameters())

def test_errors():
    with pytest.raises(TypeError, match=r'trains a GAN\(generator, discriminator, n_noise\); the model is a Linear'):
        fit(learner(model=nn.Linear(1, 1), splitter=trainable_params, lr=.1))
    flat = nets()
    flat.generator[-1] = nn.Identity()
    with pytest.raises(ValueError, match=r'\(4, 16\), and real ones have \(4, 1, 4, 4\)'): fit(learner(model=flat))
    for bad in (dict(n_disc=0), dict(n_disc=1.5), dict(penalty=-1)):
        with pytest.raises(ValueError, match='expected a whole number'): GANCallback(**bad)

def test_files(tmp_path):
    learn = fit(learner(path=tmp_path))
    learn.export()
    learn.save('both')
    other = learner(model=nets(3), path=tmp_path)
    load_learner(tmp_path/'export.safetensors', other)
    assert torch.equal(other.model.sample(3), learn.model.sample(3))
    again = learner(model=nets(4), path=tmp_path).load('both')
    torch.manual_seed(1)
    fit(learn)
    torch.manual_seed(1)
    fit(again)
    assert not differs(weights(learn), weights(again))
    learn.export(whole=True)
    assert torch.equal(load_learner(tmp_path/'export.pkl', trusted=True).model.sample(3), learn.model.sample(3))
    copied = copy.deepcopy(learn)
    assert copied.gan is not learn.gan and copied.gan.losses==learn.gan.losses

def test_summary_and_loop():
    learn = learner()
    was,state = weights(learn),torch.get_rng_state()
    text = str(learn.summary())
    assert 'generator.0' in text and 'discriminator.4' in text and '2 calls' in text and 'not called' not in text
    assert not differs(was, weights(learn)) and torch.equal(state, torch.get_rng_state())
    with contextlib.redirect_stdout(io.StringIO()) as out: learn.show_training_loop()
    assert 'GANCallback' in out.getvalue()
    with learn.no_bar(), learn.no_logging(): learn.fit(1)

def test_penalty():
    "A linear critic is as steep as its weights are long, everywhere; the penalty pulls that to 1"
    generator = nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (1,4,4)))
    model = GAN(generator, nn.Sequential(nn.Flatten(), nn.Linear(16, 1)), 3)
    weight = model.discriminator[1].weight
    def steepness(penalty):
        loss = lambda fake, real=None: 0*fake.mean()
        fit(learner(loss, model, partial(Adam, wd=0.), penalty=penalty, data=dls(11, valid=False), lr=.1), 40)
        return weight.norm().item()
    nn.init.constant_(weight, 1.)
    assert steepness(0.)==4 and abs(steepness(10.)-1)<.05

def test_batch_norm_and_penalty():
    model = nets()
    model.discriminator.insert(1, nn.BatchNorm1d(16))
    with pytest.warns(UserWarning, match='discriminator.1 is a batch norm'): fit(learner(wgan_loss, model, penalty=10.))

def test_other_batches():
    "Batches that are a tensor, scores without a second dimension, images alone for predictions"
    model = nets()
    model.discriminator.append(nn.Flatten(0))
    learn = fit(learner(model=model, data=DataLoaders(list(x.split(4)))))
    fake,real = learn.get_preds([x[:4],x[4:8]])
    assert fake.shape==real.shape==(8,) and learn.one_batch()>0

# Runs that are killed

class Dies(Exception): "Stands for a kill: all that the process knew is thrown away"

class DieAt(Callback):
    "At the `n`th time that an event of a training batch comes"
    run_valid,transient = False,'left'
    def __init__(self, at, n, order, how): self.left,self.how,self.order = n,how,order; setattr(self, at, self.count)
    def count(self):
        self.left -= 1
        if not self.left: self.how()

def die(): raise Dies
def kill(): os.kill(os.getpid(), signal.SIGKILL)

cases = dict(
    gan=dict(cbs=lambda: [EMA(.9), GradientClip(1.)]),
    wgan=dict(loss=wgan_loss, penalty=10., cbs=lambda: [MixedPrecision('bf16'), EMA(.9)]),
    fp16=dict(n_disc=1, cbs=lambda: [MixedPrecision('fp16', init_scale=2.**12, growth_interval=2),
                                     GradientAccumulation(6)]),
    torch=dict(opt_func=partial(OptimWrapper, opt=torch.optim.Adam), n_disc=1, cbs=lambda: [Grids()]))

class Grids(Callback):
    "Samples after each epoch, from a seed, and from the common stream"
    keeps = 'kept',
    def __init__(self): self.kept = []
    def after_epoch(self): self.kept.append([self.model.sample(3), self.model.sample(3, seed=None)])

def run(folder, case, death=None):
    "A run of 2 epochs of 6 batches, that goes on if it was begun; with `death` it dies"
    setup = dict(cases[case])
    setup['cbs'] = [*setup['cbs'](), Checkpoint(every_batches=1)]
    learn = learner(**setup, path=folder, metrics=lambda fake, real: fake.mean())
    if death: learn.add_cb(DieAt(*death))
    with contextlib.redirect_stdout(io.StringIO()): fit(learn, 2, 'fit_one_cycle', resume=True)
    return learn

def outcome(learn):
    opt,rec = read_optimizer(learn),learn.recorder
    kept = {k:v for k,v in read_callbacks(learn).items() if k!='recorder'}
    opt['state'] = dict(sorted(opt['state'].items()))
    return dict(weights=read_weights(learn), opt=opt, kept=kept, losses=rec.losses, values=rec.values,
                hps={k:v.read() for k,v in rec.hps.items()}, rng=torch.get_rng_state(), sample=learn.model.sample(3))

events = 'before_batch after_pred after_loss before_backward after_backward before_step after_step after_batch'.split()
deaths = [(at,order) for at in events for order in (0,40)]

@pytest.mark.parametrize('case', cases)
def test_resumed_run_is_the_same(case, tmp_path):
    "An error anywhere, three times in a run: the end is that of a run without errors, to the last bit"
    truth,rng = outcome(run(tmp_path/'truth', case)),random.Random(case)
    assert len(truth['kept']['gan']['losses']['generator'])>=3
    for i in range(2):
        for _ in range(3):
            at,order = rng.choice(deaths)
            with contextlib.suppress(Dies): run(tmp_path/f'{i}', case, (at,rng.randrange(1, 6),order,die))
        assert not differs(truth, outcome(run(tmp_path/f'{i}', case)))

def test_killed_run_is_the_same(tmp_path):
    "SIGKILL in a process of its own: within a turn of each, between two turns, and while the generator's step is done"
    truth = outcome(run(tmp_path/'truth', 'gan'))
    plans = [[('after_step',3,40,kill)], [('after_batch',2,40,kill), ('before_batch',3,0,kill)],
             [('before_step',6,0,kill), ('after_backward',5,40,kill)]]
    for i,plan in enumerate(plans):
        for death in plan: assert in_child(tmp_path/f'{i}', death)==signal.SIGKILL
        assert not differs(truth, outcome(run(tmp_path/f'{i}', 'gan')))

def in_child(folder, death):
    "The signal that has ended the run in a forked process"
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException): run(folder, 'gan', death)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else None

def test_the_turn_matters():
    "Where a part of the state is left out, the run differs: the comparison above can fail"
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        truth = outcome(run(f'{folder}/truth', 'gan'))
        with contextlib.suppress(Dies): run(f'{folder}/0', 'gan', ('after_batch',5,40,die))
        put = GANCallback.put_run_state
        try:
            GANCallback.put_run_state = lambda self, state: put(self, dict(state, n_steps=0))
            assert differs(truth, outcome(run(f'{folder}/0', 'gan')))
        finally: GANCallback.put_run_state = put

def test_a_callback_that_validates_in_the_midst():
    "It sees other samples, and the penalty stays that of this batch"
    class Looks(Callback):
        order = 30
        def after_pred(self):
            if self.training: self.learn.validate()
    for cbs in [], [Looks]:
        learn = fit(learner(wgan_loss, nets(drop=0.), penalty=1., cbs=cbs), 1)
        assert learn.gan.n_steps==learn.train_iter==6 and all(map(math.isfinite, learn.gan.losses['discriminator']))

@pytest.mark.parametrize('order', [0,20,30])
def test_a_step_that_was_made_counts_whatever_is_cancelled_after_it(order):
    class Cancels(Callback):
        def after_step(self): raise CancelBatchException
    Cancels.order = order
    turns = Turns()
    learn = fit(learner(cbs=[turns, Cancels]))
    assert learn.gan.n_steps==12 and turns.all==[(i%3<2, i%3==2) for i in range(12)]
