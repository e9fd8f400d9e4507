"""The Learner's beginnings and ends: where the model goes, what the optimizer is given, what comes out of
`get_preds`, and how errors read."""
import copy, inspect, pickle, traceback
from functools import partial

import numpy as np, pytest, torch
import torch.nn.functional as F
from torch import nn

from optimloop.all import *
from optimloop.basics.batches import can_move
from optimloop.basics.course import *
from optimloop.learner import synth_learner
from optimloop.training import checks

def quiet(learn):
    learn.logger = lambda cells: None
    return learn

def line(*args, **kwargs):
    return quiet(Learner(synth_dls(), nn.Linear(1, 1), *args,
        **{**({} if args else dict(loss_func=F.mse_loss)), **kwargs}))

# the device; `meta` stands for a GPU

@pytest.fixture
def gpu(monkeypatch): monkeypatch.setattr(checks, 'default_device', lambda: torch.device('meta'))

class Odd(nn.Parameter): "A parameter that is no plain one, as quantized or distributed ones are"
def odd():
    model = nn.Linear(1, 1)
    model.weight = Odd(model.weight.data)
    return model
def compiled_in_place():
    model = nn.Linear(1, 1)
    model.compile(backend='eager')
    return model
def mapped():
    model = nn.Linear(1, 1)
    model.hf_device_map = {'': 'cpu'}
    return model

def test_a_model_on_the_cpu_moves(gpu, capsys):
    learn = Learner(synth_dls(), nn.Linear(1, 1), nn.CrossEntropyLoss(weight=torch.ones(2)))
    assert learn.model.weight.is_meta and learn.loss_func.weight.is_meta and learn.opt is None
    assert capsys.readouterr(
        ).out=="The model was on the CPU and is now on meta, the best device there is. With device='cpu' it stays.\n"
    learn.create_opt()
    assert {id(p) for g in learn.opt.param_groups for p in g['params']}=={id(p) for p in learn.model.parameters()}

@pytest.mark.parametrize('model', [lambda: nn.Linear(1, 1, device='meta'),
    lambda: torch.compile(nn.Linear(1, 1), backend='eager'), compiled_in_place, mapped, odd, nn.Identity,
    lambda: nn.Sequential(torch.compile(nn.Linear(1, 1), backend='eager'), nn.Linear(1, 1)),
    lambda: nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1, device='meta'))])
def test_a_model_that_was_placed_stays(gpu, capsys, model):
    model = model()
    before = [p.device for p in model.parameters()]
    Learner(synth_dls(), model, F.mse_loss)
    assert [p.device for p in model.parameters()]==before and not capsys.readouterr().out

@pytest.mark.parametrize('kwargs', [dict(device='cpu'), dict(device=torch.device('cpu')), dict(default_cbs=False),
    dict(default_cbs=False, cbs=TrainEvalCallback)])
def test_what_was_said_holds(gpu, capsys, kwargs):
    learn = Learner(synth_dls(), nn.Linear(1, 1), F.mse_loss, **kwargs)
    assert learn.model.weight.device.type=='cpu' and not capsys.readouterr().out
    quiet(learn)
    if kwargs.get('device'): learn.fit(1)

def test_a_device_that_was_asked_for(capsys):
    learn = Learner(synth_dls(), torch.compile(nn.Linear(1, 1), backend='eager'), F.mse_loss, device='meta',
        default_cbs=False)
    assert next(learn.model.parameters()).is_meta and not capsys.readouterr().out

def test_a_copy_does_not_move(monkeypatch, capsys):
    learn = Learner(synth_dls(), nn.Linear(1, 1), F.mse_loss)
    monkeypatch.setattr(checks, 'default_device', lambda: torch.device('meta'))
    for new in copy.deepcopy(learn),pickle.loads(pickle.dumps(learn)): assert new.model.weight.device.type=='cpu'

def test_no_double_precision_on_mps(monkeypatch):
    assert not can_move(nn.Linear(1, 1).double(), torch.device('mps')) and can_move(nn.Linear(1, 1),
        torch.device('mps'))

def test_default_device(monkeypatch):
    monkeypatch.delenv('OPTIMLOOP_DEVICE')
    for cuda,mps,best in (1,1,'cuda'),(1,0,'cuda'),(0,1,'mps'),(0,0,'cpu'):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: bool(cuda))
        monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: bool(mps))
        assert default_device()==torch.device(best)

@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu(monkeypatch):
    monkeypatch.delenv('OPTIMLOOP_DEVICE')
    learn = quiet(Learner(digits_dls(), conv_net(), F.cross_entropy, metrics=accuracy))
    assert next(learn.model.parameters()).is_cuda
    learn.fit(1)
    assert learn.get_preds()[0].device.type=='cpu'

# the optimizer

def lr_of(opt_func, fit_lr=None, **kwargs):
    learn = line(opt_func=opt_func, **kwargs)
    learn.fit(1, lr=fit_lr)
    assert learn.opt.lr==[g['lr'] for g in learn.opt.param_groups][0] and type(learn.opt.lr) is float
    return learn.opt.lr

makers = dict(partial=partial(SGD, lr=.02), function=lambda ps, lr=.02: SGD(ps, lr), stubborn=lambda ps,
    lr: SGD(ps, .02), kwargs=lambda ps, **kw: SGD(ps, .02),
              wrapped=partial(OptimWrapper, opt=torch.optim.SGD, lr=.02),
              optimizer=partial(Optimizer, cbs=[sgd_step], lr=.02))

@pytest.mark.parametrize('kind', makers)
def test_a_rate_of_its_own(kind):
    assert lr_of(makers[kind])==.02                         # wins over the default
    assert lr_of(makers[kind], .07)==.07                    # and gives way to what was asked for
    assert [lr_of(makers[kind], lr=o) for o in (.05,.001)]==[.05,.001]
    assert lr_of(makers[kind], .07, lr=.05)==.07

def test_the_default_rate():
    assert lr_of(Adam)==lr_of(partial(Adam, mom=.8))==.001 and lr_of(Adam, lr=.001)==lr_of(partial(Adam, lr=.02),
        lr=.001)==.001
    assert inspect.signature(Learner).parameters['lr'].default==1e-3

def test_the_rate_is_the_same_for_schedules():
    learn = line(opt_func=partial(Adam, lr=.02))
    assert learn.lr==.02
    learn.fit_one_cycle(2)
    assert max(learn.recorder.hps['lr'])==pytest.approx(.02)
    learn.fit_flat_cos(1, reset_opt=True)
    assert learn.recorder.hps['lr'][0]==pytest.approx(.02)
    learn.lr = .05
    learn.fit(1)
    assert learn.opt.lr==.05

def test_an_optimizer_without_a_rate():
    def step(p, size, **kwargs): p.data.add_(p.grad, alpha=-size)
    step.defaults = dict(size=.1)
    learn = line(opt_func=lambda ps, lr: Optimizer(ps, step))
    learn.create_opt()
    with pytest.raises(TypeError, match="no hyper-parameter 'lr'"): learn.fit(1)

def test_an_optimizer_that_was_made():
    learn = line()
    learn.opt = SGD(learn.model.parameters(), lr=.02)
    learn.fit(1)
    assert learn.opt.lr==.02
    learn = line(lr=.03)
    learn.opt = SGD(learn.model.parameters(), lr=.02)
    learn.fit(1)
    assert learn.opt.lr==.03
    for opt,write in (SGD(learn.model.parameters(), lr=.1),'learn.opt = opt'), (
        OptimWrapper(opt=torch.optim.SGD(learn.model.parameters(), lr=.1)),'learn.opt = opt'), \
                     (torch.optim.SGD(learn.model.parameters(), lr=.1),r'learn.opt = OptimWrapper\(opt=opt\)'):
        with pytest.raises(TypeError, match=f'is made already: write opt_func=SGD.* and then {write}'):
            line(opt_func=opt)
    with pytest.raises(TypeError, match="got 'adam'"): line(opt_func='adam')

def two_groups(model): return [dict(params=[model.weight], lr=.02), dict(params=[model.bias], lr=.5)]

def test_rates_in_groups():
    learn = line(splitter=two_groups)
    learn.fit(1)
    assert learn.opt.lr==[.02,.5]
    learn.fine_tune(1)
    learn = line(splitter=two_groups, lr=.1)
    learn.fit(1)
    assert learn.opt.lr==.1

def test_a_default_is_a_plain_number_where_it_is_kept(tmp_path):
    learn = line(opt_func=partial(Adam, lr=.02), splitter=lambda m: [[m.weight],[m.bias]])
    learn.fine_tune(1)
    assert {type(v) for g in learn.opt.param_groups for k,v in g.items()
        if k!='params'}=={float} and type(learn.lr) is float
    other = line()
    learn.fit(1, lr=other.lr)
    assert type(learn.opt.lr) is float and learn.opt.lr==.001
    torch.save(learn.opt.state_dict(), tmp_path/'opt.pt')
    torch.load(tmp_path/'opt.pt', weights_only=True)
    assert pickle.loads(pickle.dumps(Learner(synth_dls(), nn.Linear(1, 1), F.mse_loss))).lr==.001

def test_parameters_in_no_group():
    net = nn.Sequential(*[nn.Linear(1, 1) for _ in range(10)])
    learn = quiet(Learner(synth_dls(), net, F.mse_loss, splitter=lambda m: m[-1].parameters()))
    with pytest.raises(ValueError,
        match=r"^18 of the model's parameters .*: 0.weight, 0.bias, 1.weight, 1.bias, 2.weight, …. Have the splitter"):
        learn.fit(1)
    assert learn.opt is None
    net[:9].requires_grad_(False)
    learn.fit(1)                                                   # what is frozen may be left out
    more = nn.Parameter(torch.ones(1))
    learn = line(splitter=lambda m: [*m.parameters(), more])       # and what is no part of the model may be in
    learn.fit(1)
    assert quiet(Learner(synth_dls(), net, F.mse_loss, splitter=lambda m: (o.parameters() for o in m))).fit(1) is None

class Text(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.emb,self.mid,self.head = nn.Embedding(7, 4),nn.Linear(4, 4),nn.Linear(4, 7, bias=False)
        if tied: self.head.weight = self.emb.weight
    def forward(self, x): return self.head(self.mid(self.emb(x)))

@pytest.mark.parametrize('tied', [False,True])
@pytest.mark.parametrize('opt_func', [Muon, partial(Muon, wd=0.), lambda ps, lr, model=None: Muon(ps, lr, model=model)])
def test_muon_is_given_the_model(opt_func, tied):
    batches = [(torch.arange(7),torch.arange(7))]
    learn = quiet(Learner((batches,None), Text(tied), F.cross_entropy, opt_func))
    learn.fit(2)
    assert [k for k,p in learn.model.named_parameters() if learn.opt.state[p]['use_muon']]==['mid.weight']
    other = Text(tied)
    learn = quiet(Learner((batches,None), Text(tied), F.cross_entropy, partial(Muon, model=other)))
    learn.create_opt()                                             # what was given is not replaced
    assert learn.opt.state[learn.model.emb.weight]['use_muon']

# several inputs

class Two(nn.Linear):
    def forward(self, a, b): return super().forward(torch.cat([a, b], 1))
class Optional(Two):
    def forward(self, a, b=None): return super().forward(a, torch.zeros(len(a), 3) if b is None else b)
class Variadic(Two):
    def forward(self, *xs): return super().forward(*xs)

a,b,y = torch.randn(20, 2),torch.randn(20, 3),torch.randn(20, 1)
def two(model=None, loss=F.mse_loss):
    return quiet(Learner(DataLoaders.from_arrays((a,b), y, (a.numpy(),b.numpy()), y, bs=8), Two(5, 1)
        if model is None else model, loss, lr=.01))

def test_from_arrays_of_several_inputs():
    learn = two()
    assert [o.shape for o in next(iter(learn.dls.train))]==[(8,2),(8,3),(8,1)]
    learn.fit(1)
    preds,targs = learn.get_preds()
    assert torch.equal(preds, learn.model(a, b)) or (preds-learn.model(a, b)).abs().max()<1e-6
    assert torch.equal(targs, y)
    with pytest.raises(ValueError, match='19 inputs and 20 targets'): DataLoaders.from_arrays((a,b[:19]), y)
    with pytest.raises(TypeError, match='targets must be one array'): DataLoaders.from_arrays(a, (y,y))
    # a tuple of numbers is one input
    assert [o.shape for o in next(iter(DataLoaders.from_arrays((1.,2.,3.), (torch.ones(3)), bs=3).train))]==[(3,),(3,)]

@pytest.mark.parametrize('wrap', [lambda m: m, lambda m: torch.compile(m, backend='eager'), nn.DataParallel])
def test_get_preds_without_targets(wrap):
    learn = two(wrap(Two(5, 1)))
    for loader in [(a,b)],[[a,b]],[(a[:9],b[:9]),(a[9:],b[9:])]:
        preds,targs = learn.get_preds(loader)
        assert (preds-learn.model(a, b)).abs().max()<1e-6 and targs==()
    x,preds,targs = learn.get_preds([(a,b)], with_input=True)
    assert torch.equal(x[0], a) and torch.equal(x[1], b)
    with pytest.raises(ValueError, match='there is no loss without targets'): learn.get_preds([(a,b)], with_loss=True)

def test_n_inp_where_it_is_not_clear():
    learn = two(Optional(5, 1))
    assert (learn.get_preds([(a,b)], n_inp=2)[0]-learn.model(a, b)).abs().max()<1e-6
    # two parts, of which the model needs one: the last is the target
    preds,targs = learn.get_preds([(a,y)])
    assert (preds-learn.model(a)).abs().max()<1e-6 and torch.equal(targs, y)
    learn = two(Variadic(5, 1))
    assert (learn.get_preds([(a,b)], n_inp=2)[0]-learn.model(a, b)).abs().max()<1e-6
    assert (learn.predict((a[0],b[0]))-learn.model(a[:1], b[:1])[0]).abs().max()<1e-6

def test_inputs_that_a_callback_adds_are_no_targets_lost():
    class AddZeros(Callback):
        def before_batch(self): self.learn.xb = *self.xb,torch.zeros(len(self.x), 3)
    learn = quiet(Learner(([(a,y)],)*2, Two(5, 1), F.mse_loss, cbs=AddZeros, lr=.01))
    learn.fit(1)
    for loader in None,[(a,y)]:
        preds,targs = learn.get_preds(loader)
        assert (preds-learn.model(a, torch.zeros(20, 3))).abs().max()<1e-6 and torch.equal(targs, y)

def test_predict():
    learn = two()
    assert (learn.predict((a[0],b[0].numpy()))-learn.model(a[:1], b[:1])[0]).abs().max()<1e-6
    x,pred = learn.predict((a[0],b[0]), with_input=True)
    assert torch.equal(x[0], a[0]) and torch.equal(x[1], b[0]) and pred.shape==(1,)
    class Nested(nn.Linear):
        def forward(self, x): return {'out': super().forward(x), 'pair': (x, [x])}
    learn = quiet(Learner(synth_dls(), Nested(1, 1), F.mse_loss))
    pred = learn.predict([3.])
    assert pred['out'].shape==(1,) and pred['pair'][0].tolist()==[3.] and pred['pair'][1][0].tolist()==[3.]
    class Dict(nn.Linear):
        def forward(self, d): return super().forward(d['x'])
    assert quiet(Learner(synth_dls(), Dict(1, 1), F.mse_loss)).predict({'x': [3.]}).shape==(1,)

class Named(nn.CrossEntropyLoss):
    def decodes(self, preds): return ['abc'[i] for i in preds.argmax(1)]

@pytest.mark.parametrize('loss', [F.cross_entropy, nn.CrossEntropyLoss(), partial(F.cross_entropy, label_smoothing=.1),
    partial(partial(nn.CrossEntropyLoss()))])
def test_decode(loss):
    learn = quiet(Learner(([(torch.randn(6, 2),torch.arange(6)%3)],)*2, nn.Linear(2, 3), loss))
    preds,_,losses,decoded = learn.get_preds(with_loss=True, with_decoded=True)
    assert torch.equal(decoded, preds.argmax(1)) and losses.shape==(6,)
    assert learn.predict([1.,2.], with_decoded=True)[1].ndim==0
    learn.loss_func = partial(Named())
    assert learn.predict([1.,2.], with_decoded=True)[1] in ('a','b','c')
    assert learn.loss_func.func.reduction=='mean'

def test_shapes_are_compared_through_a_partial():
    class Flat(nn.Linear):
        def forward(self, x): return super().forward(x)[:,0]
    with pytest.raises(ValueError, match='would be compared each with all others'):
        quiet(Learner(synth_dls(), Flat(1, 1), partial(F.smooth_l1_loss, beta=.5))).fit(1)

def test_x_and_y_are_views():
    learn = line()
    with pytest.raises(AttributeError, match=r'`x` is a view: write `learn.xb = \(…,\)`'): learn.x = 1
    with pytest.raises(AttributeError, match=r'`y` is a view: write `learn.yb = \(…,\)`'): learn.y = 1

# errors

class Fails(Callback):
    def __init__(self, at, training): self.at,self.on = at,training
    def fail(self): raise ZeroDivisionError(self.at)
for o in vars(event):
    setattr(Fails, o, lambda self, o=o: self.fail() if o==self.at and self.training==self.on else None)

ways = dict(fit=lambda learn: learn.fit(1), validate=lambda learn: learn.validate(),
    get_preds=lambda learn: learn.get_preds(), one_cycle=lambda learn: learn.fit_one_cycle(1),
            one_batch=lambda learn: learn.one_batch())

def error_of(f, *args):
    try: f(*args)
    except Exception as e: return e
    raise AssertionError('no error')

@pytest.mark.parametrize('way', ['validate','get_preds'])
def test_a_note_of_the_batch(way):
    learn = line(cbs=Fails('after_pred', False))
    e = error_of(ways[way], learn)
    assert e.__notes__==['raised by Fails.after_pred',
        'in validation batch 0: input (32, 1) float32; target (32, 1) float32; prediction (32, 1) float32; loss none']
    class InFit(Callback):
        def after_epoch(self): ways[way](self.learn)
    e = error_of(line(cbs=[InFit, FailsOnce]).fit, 1)
    assert [o.split(':')[0] for o in e.__notes__]==['raised by FailsOnce.after_pred','in epoch 0, validation batch 0',
        'raised by InFit.after_epoch','in epoch 0, validation batch 0']

class FailsOnce(Callback):
    n = 0
    def after_pred(self):
        self.n += not self.training
        if self.n==2: raise ZeroDivisionError

def frames(e): return [o.name for o in traceback.extract_tb(e.__traceback__)]

@pytest.mark.parametrize('way,at,training', [('fit','after_pred',True), ('fit','before_fit',True),
    ('fit','after_step',True), ('fit','after_epoch',False), ('fit','cleanup_fit',False),
    ('validate','after_loss',False), ('get_preds','after_batch',False), ('one_cycle','before_backward',True),
    ('one_batch','after_batch',True)])
def test_frames_of_the_loop_are_hidden(way, at, training):
    e = error_of(ways[way], line(cbs=Fails(at, training)))
    names = frames(e)
    assert names[-2:]==['<lambda>','fail'] and 'stage' not in names and '__call__' not in names and len(names)<=8, names
    assert names[:2]==['error_of','<lambda>']

def test_frames_of_others_stay():
    def helper(x): raise OSError
    class Deep(nn.Module):
        def __init__(self): super().__init__(); self.inner = nn.Linear(1, 1)
        def forward(self, x): return helper(self.inner(x))
    class MyLearner(Learner):
        def _do_batch(self): return super()._do_batch()
    learn = quiet(MyLearner(synth_dls(), Deep(), F.mse_loss))
    names = frames(error_of(learn.fit, 1))
    assert names[0]=='error_of' and names[1]=='fit' and '_do_batch' in names and names[-2:]==['forward',
        'helper'] and 'stage' not in names, names
    def loss(p, y): return helper(p)
    assert frames(error_of(line(loss).fit, 1))==['error_of','fit','loss','helper']

def test_the_loop_itself_is_named_when_it_is_to_blame():
    e = error_of(quiet(Learner(([torch.ones(2, 1)],None), nn.Linear(1, 1), F.mse_loss)).fit, 1)
    assert frames(e)==['error_of','fit','_backward']

def test_errors_keep_their_cause_and_context():
    class Chained(Callback):
        def after_pred(self):
            try: 1/0
            except ZeroDivisionError as e: raise OSError from e
    e = error_of(line(cbs=Chained).fit, 1)
    assert isinstance(e.__cause__, ZeroDivisionError) and frames(e.__cause__)==['after_pred']

def returns(what):
    def metric(p, y): return what(p)
    return metric
bad = dict(dict=lambda p: {'a': 1}, tensor=lambda p: p[:3,0], str=lambda p: '0.5', tuple=lambda p: (1,2),
    none=lambda p: None, array=lambda p: np.ones(2))

@pytest.mark.parametrize('kind', bad)
def test_a_metric_that_is_no_number(kind):
    class Stateful:
        def reset(self): self.n = 0
        def update(self, p, y): self.last = p.detach()
        def compute(self): return bad[kind](self.last)
    seen = []
    class Epochs(Callback):
        def after_step(self): seen.append(self.iter)
    for metric in returns(bad[kind]),Stateful(),partial(returns(bad[kind])):
        e = error_of(line(metrics=[F.l1_loss, metric], cbs=Epochs).fit, 2)
        assert isinstance(e, TypeError) and 'returned a' in str(
            e) and 'expected one number. For several numbers, give several metrics' in str(e), e
    assert not seen

def test_metrics_are_not_disturbed_by_being_tried():
    calls = []
    class Counts:
        def __init__(self): self.n = 0
        def reset(self): calls.append(('reset',id(self)))
        def update(self, p, y): self.n += 1
        def compute(self): return self.n
    counts = Counts()
    learn = line(metrics=[counts, lambda p,y: p.detach().mean().item(), lambda p,y: np.float32(1), lambda p,
        y: torch.ones(1), lambda p,y: True])
    learn.fit(2)
    assert [row[2] for row in learn.recorder.values]==[1,2] and calls.count(('reset',id(counts)))==2
    def only_valid(p, y):
        if torch.is_grad_enabled() or len(p)==16: raise ValueError
        return p.mean()
    line(metrics=only_valid).fit(1)

# loaders, groups and decay

one = [(torch.ones(2, 1), torch.ones(2, 1))]

@pytest.mark.parametrize('pair', [([],one), (one,[])])
def test_loaders_without_batches(pair):
    with pytest.raises(ValueError, match='gave no batches'): quiet(Learner(pair, nn.Linear(1, 1), F.mse_loss)).fit(1)

def test_a_training_loader_is_enough():
    class OnlyTrain: train = one
    quiet(Learner(OnlyTrain, nn.Linear(1, 1), F.mse_loss)).fit(1)

def test_torchs_optimizers_must_be_wrapped():
    with pytest.raises(TypeError, match='must return an optimloop Optimizer'): line(opt_func=torch.optim.SGD).fit(1)

def two_parts(m): return [list(m[:3].parameters()), list(m[3:].parameters())]

def test_norm_layers_and_biases():
    net = conv_net()
    learn = Learner(synth_dls(), net, F.mse_loss, splitter=two_parts)
    learn.create_opt()
    assert learn.opt.state[net[0][0].weight].get('do_wd', True)
    assert [learn.opt.state[p]['do_wd'] for p in (net[0][1].weight, net[0][1].bias, net[-1].bias)]==[False]*3
    learn.opt.freeze()
    assert (net[0][0].weight.requires_grad, net[0][1].weight.requires_grad)==(False,True)
    learn.lr = slice(1e-4, 1e-2)                                   # over two groups
    learn.create_opt()
    learn.opt.set_hyper('lr', learn.lr)
    assert learn.opt.lr==pytest.approx([1e-4,1e-2], abs=1e-12)

def test_no_bias_is_decayed_by_whatever_name():
    rnn = nn.LSTM(1, 2)
    learn = Learner(synth_dls(), rnn, F.mse_loss)
    learn.create_opt()
    assert [n for n,p in rnn.named_parameters() if not learn.opt.state[p].get('do_wd', True)]==['bias_ih_l0',
        'bias_hh_l0']

def test_the_decay_of_a_fit_is_for_that_fit():
    class SeeWd(Callback):
        def before_batch(self): self.seen = self.opt.wd
    learn = quiet(Learner((one,None), nn.Linear(1, 1), F.mse_loss, cbs=SeeWd))
    learn.fit(1, wd=.3)
    assert (learn.see_wd.seen, learn.opt.wd)==(.3,.01)
    class FailsNow(Callback):
        def after_step(self): raise OSError
    with pytest.raises(OSError): learn.fit(1, wd=.3, cbs=FailsNow)
    assert learn.opt.wd==.01 and len(learn.cbs)==len(line(cbs=SeeWd).cbs)

# nothing is left behind

class Raises(Callback):
    def __init__(self, at, ex, in_train): self.at,self.ex,self.in_train = at,ex,in_train
    def look(self, name):
        if name==self.at and self.training==self.in_train: raise self.ex
for o in vars(event): setattr(Raises, o, lambda self, o=o: self.look(o))

cancels = dict(fit=CancelFitException, epoch=CancelEpochException, train=CancelTrainException,
    validate=CancelValidException,
               batch=CancelBatchException, backward=CancelBackwardException, step=CancelStepException)
outer = dict(epoch=['fit'], train=['epoch','fit'], validate=['epoch','fit'], batch=['train','epoch','fit'],
             backward=['batch','train','fit'], step=['batch','train','fit'], fit=[])

def weights_after(*broken):
    torch.manual_seed(0)
    learn = quiet(synth_learner(opt_func=SGD))
    state = {k:v.clone() for k,v in learn.model.state_dict().items()}
    if broken: learn.fit(1, cbs=Raises(*broken))
    assert all(p.grad is None for p in learn.model.parameters())
    learn.model.load_state_dict(state)
    torch.manual_seed(1)
    learn.fit(1)
    return [p.item() for p in learn.model.parameters()]

@pytest.mark.parametrize('stage', cancels)
def test_a_cancelled_fit_leaves_nothing(stage):
    "With a Recorder and a progress bar: the next fit is as if nothing had been"
    for o in (stage,*outer[stage]):
        assert weights_after(f'before_{stage}', cancels[o], stage!='validate')==weights_after()

def test_callbacks_for_a_while():
    class A(Callback): "one"
    class B(A): "another"
    learn = line(cbs=[A,B])
    before = list(learn.cbs)
    for given,gone in (A,['A']),('B',['B']),([A,A],['A']),([B,'A'],['A','B']),('nothing',[]),(learn.b,['B']):
        with learn.removed_cbs(given): assert sorted(type(o).__name__ for o in before if o not in learn.cbs)==gone
        assert learn.cbs==before
    with pytest.raises(OSError):
        with learn.removed_cbs([A,B]), learn.added_cbs(TerminateOnNaN): raise OSError
    assert learn.cbs==before

def test_what_a_fit_is_asked():
    class Polite(Callback):
        def before_fit(self): self.got = dict(self.asked)
    from optimloop.learner import fit_options
    fit_options['please'] = Polite
    try:
        learn = line(cbs=Polite)
        learn.fit(1, please=3)
        assert learn.polite.got==dict(please=3)
        with pytest.raises(ValueError, match='please=True is for a Polite'): line().fit(1, please=True)
        line().fit(1, please=False)
    finally: del fit_options['please']
    with pytest.raises(TypeError, match="unexpected keyword argument 'please'"): line().fit(1, please=3)

# how it looks

def test_repr():
    learn = quiet(Learner(synth_dls(), nn.Linear(1, 1), partial(F.mse_loss), partial(SGD, lr=.02), metrics=[F.l1_loss],
        cbs=TerminateOnNaN))
    text = repr(learn)
    parts = ('Learner:','Linear: 2 parameters, all trained; on cpu','8 training, 1 validation','mse_loss','l1_loss',
             'lr: 0.02','SGD, not made yet','Recorder','TerminateOnNaN')
    for o in parts: assert o in text, o
    learn.create_opt()
    learn.model.bias.requires_grad_(False)
    assert 'weight_decay → sgd_or_momentum_step' in repr(learn) and '1 trained' in repr(learn)
    class Endless:
        def __iter__(self): yield 1
    for model in nn.Identity(),nn.LazyLinear(2):
        assert 'no validation' in repr(Learner((Endless(),None), model, F.mse_loss))
    assert 'Linear' in f'{copy.deepcopy(learn)}'

def test_the_tab_key_knows_hyperparameters():
    ps = [nn.Parameter(torch.ones(2))]
    for opt in Adam(ps, lr=.1),OptimWrapper(ps, torch.optim.AdamW,
        lr=.1),pickle.loads(pickle.dumps(Adam(ps, lr=.1))),copy.deepcopy(OptimWrapper(ps, torch.optim.AdamW, lr=.1)):
        assert {'lr','mom','sqr_mom','eps','wd','step','hypers'} <= set(dir(opt)) and 'momm' not in dir(opt)
        for o in dir(opt): getattr(opt, o)
    assert dir(Optimizer.__new__(Optimizer)) and dir(OptimWrapper.__new__(OptimWrapper))
    from IPython.core.completer import Completer
    assert {'opt.lr','opt.sqr_mom'} <= set(Completer({'opt': opt}).attr_matches('opt.'))

def test_a_recorder_of_another_make():
    class Recorder(Callback): pass
    learn = Learner(synth_dls(), nn.Linear(1, 1), F.mse_loss, cbs=[TrainEvalCallback, Recorder], default_cbs=False)
    learn.fit(1)
    assert learn.smooth_loss is None
    with pytest.raises(AttributeError): learn.recorder.nothing
    both = synth_learner()
    both.remove_cb('recorder')
    assert both.smooth_loss is None

def test_a_default_takes_the_place_of_one_of_its_name():
    from optimloop.learner import by_default, default_callbacks
    before = [*default_callbacks]
    class Mine(Callback): name = 'recorder'
    try:
        by_default(Mine)
        assert Mine in default_callbacks and len(default_callbacks)==len(before)
        assert type(synth_learner().recorder) is Mine
    finally: default_callbacks[:] = before
