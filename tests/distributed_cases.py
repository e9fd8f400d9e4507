"""Runs that must come out the same on any number of processes: `torchrun --nproc-per-node N tests/distributed_cases.py
FOLDER [NAME…]` writes what each gives to `FOLDER/N_RANK.pt`. A case is a function that returns a dictionary of what is
compared; what it prints is compared, too. `test_distributed.py` runs them with one, two and three processes."""
import contextlib, copy, faulthandler, io, math, os, sys, traceback, warnings
from functools import partial
from pathlib import Path

os.environ.setdefault('OPTIMLOOP_DEVICE', 'cpu')

import torch, torch.utils.checkpoint
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

from optimloop.all import *
from optimloop.optimizers.sharded import gathered, placed
from optimloop.basics.ranks import join_ranks, n_ranks, this_rank, wait_for_all

torch.set_num_threads(1)
cases = {}

def case(f):
    cases[f.__name__] = f
    return f

# A process with threads of gloo should not be forked: in Python 3.11 the child waits for ever if one of these was at
# work in the interpreter at that moment. A server that has none is.
served = torch.multiprocessing.get_context('forkserver')
served.set_forkserver_preload(['torch'])

# --- parts ---
def data(n=37, seed=1):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, generator=g), torch.randint(0, 3, (n,), generator=g)

def net(): return nn.Sequential(nn.Linear(5, 13), nn.ReLU(), nn.Linear(13, 3))

def learner(dls=None, model=None, loss=F.cross_entropy, opt=Adam, lr=.05, bs=8, find_unused=False, shard=True,
            **kwargs):
    torch.manual_seed(0)
    dls = DataLoaders.from_arrays(*data(), *data(21, 2), bs=bs) if dls is None else dls
    learn = Learner(dls, net() if model is None else model, loss, opt, lr=lr, **kwargs)
    return learn.distribute(find_unused, shard=shard if os.environ.get('CASE_SHARD') else None)

def result(learn, **more):
    weights = {f'weight {k}':v.detach().clone() for k,v in gathered(dict(learn.model.state_dict())).items()}
    rec = learn.recorder
    table = [list(o) for o in rec.values]
    return dict(weights, losses=list(rec.losses), table=table, skipped=list(rec.skipped), **more)

def trained(n=3, fit='fit', **kwargs):
    learn = learner(**kwargs)
    getattr(learn, fit)(n)
    return result(learn)

# --- what is trained on ---
@case
def arrays(): return trained(metrics=accuracy)
@case
def one_at_the_end(): return trained(bs=36, metrics=accuracy)
@case
def five_at_the_end(): return trained(bs=32)
@case
def datasets():
    return trained(dls=DataLoaders.from_datasets(TensorDataset(*data()), TensorDataset(*data(21, 2)), bs=8))
@case
def workers():
    kwargs = dict(num_workers=2, multiprocessing_context=served)
    return trained(dls=DataLoaders.from_datasets(TensorDataset(*data()), TensorDataset(*data(21, 2)), bs=8, **kwargs))
@case
def live_workers():
    kwargs = dict(num_workers=1, multiprocessing_context=served, persistent_workers=True)
    return trained(dls=DataLoaders.from_datasets(TensorDataset(*data()), TensorDataset(*data(21, 2)), bs=8, **kwargs))
@case
def lists():
    x,y = data()
    return trained(dls=DataLoaders([*zip(x.split(8), y.split(8))], [*zip(x.split(9), y.split(9))]), metrics=accuracy)

class Stream(IterableDataset):
    def __iter__(self):
        order = torch.randperm(37)
        yield from ((data()[0][i],data()[1][i]) for i in order)

@case
def streams(): return trained(dls=DataLoaders(DataLoader(Stream(), 8), DataLoader(Stream(), 8)))
@case
def streams_of_workers():
    return trained(dls=DataLoaders(DataLoader(Stream(), 8, num_workers=1, multiprocessing_context=served)))

class Batches(Dataset):
    "Whole batches, by their number"
    def __len__(self): return 5
    def __getitem__(self, i): return tuple(o[8*i:8*i+8] for o in data())

@case
def whole_batches(): return trained(dls=DataLoaders(DataLoader(Batches(), batch_size=None, shuffle=True)))

class Drawing(Sampler):
    "Draws each batch when it is asked for"
    def __iter__(self):
        for _ in range(4): yield torch.randint(0, 37, (int(torch.randint(1, 9, ())),)).tolist()
    def __len__(self): return 4

@case
def drawing_sampler(): return trained(dls=DataLoaders(DataLoader(TensorDataset(*data()), batch_sampler=Drawing())))

class Generated:
    "An iterable that makes its batches by the global generator, and has no length"
    def __iter__(self):
        for n in (7,7,4): yield torch.randn(n, 5), torch.randint(0, 3, (n,))

@case
def generated(): return trained(dls=DataLoaders(Generated(), Generated()))

class Doubled(Callback):
    "Puts other batches in the place of those that the loader gives"
    def before_train(self): self.learn.dl = ((2*x,y) for x,y in self.learn.dl)

@case
def changed_batches(): return trained(cbs=Doubled)
@case
def short_epochs(): return trained(cbs=ShortEpoch(n_batches=3))
@case
def sampled_by_loss(): return trained(cbs=SampleByLoss())

# --- losses ---
def tokens(n=13):
    g = torch.Generator().manual_seed(3)
    y = torch.randint(0, 3, (n,6), generator=g)
    y[torch.rand(y.shape, generator=g)<.4] = -100
    y[3:5] = -100
    return torch.randn(n, 6, 5, generator=g), y

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()
    def forward(self, x): return self.net(x).transpose(1, 2)

@case
def token_loss(): return trained(dls=DataLoaders.from_arrays(*tokens(), *tokens(), bs=4), model=Tokens())
@case
def token_loss_accumulated():
    return trained(dls=DataLoaders.from_arrays(*tokens(), *tokens(), bs=3), model=Tokens(), cbs=GradientAccumulation(5))
def by_words(pred, targ): return F.cross_entropy(pred, targ)
by_words.n_items = lambda pred, targ: int((targ!=-100).sum())

@case
def counted_loss():
    return trained(dls=DataLoaders.from_arrays(*tokens(), *tokens(), bs=4), model=Tokens(), loss=by_words)
@case
def weighted_loss(): return trained(loss=nn.CrossEntropyLoss(torch.tensor([1.,2.,5.])))
@case
def summed_loss(): return trained(loss=partial(F.cross_entropy, reduction='sum'), lr=.01)

def one_hot_mse(pred, targ): return F.mse_loss(pred, F.one_hot(targ, 3).float())

@case
def own_loss(): return trained(loss=one_hot_mse, metrics=[one_hot_mse])

class Penalty(Callback):
    def after_loss(self):
        self.learn.loss = self.learn.loss + .01*sum(p.square().sum() for p in self.learn.model.parameters())

@case
def penalty(): return trained(cbs=Penalty)

class CentreLoss(nn.Module):
    "A loss with parameters of its own"
    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.zeros(3, 3))
    def forward(self, pred, targ): return (pred-self.centres[targ]).square().mean() + F.cross_entropy(pred, targ)

@case
def trained_loss():
    loss = CentreLoss()
    res = trained(loss=loss, splitter=lambda m: [*trainable_params(m), *loss.parameters()])
    return dict(res, centres=loss.centres.detach())

# --- what changes training ---
for _name,_cbs in dict(accumulated=lambda: GradientAccumulation(11), clipped=lambda: GradientClip(.1),
                       clipped_sums=lambda: [GradientAccumulation(11), GradientClip(.1)],
                       averaged=lambda: EMA(.9, in_valid=True), stopped=lambda: EarlyStopping(1, min_delta=10.),
                       plateau=lambda: ReduceLROnPlateau(1, min_delta=10.), stop_on_nan=TerminateOnNaN).items():
    cases[_name] = partial(lambda cbs: trained(4, cbs=cbs()), _cbs)

@case
def one_cycle(): return trained(fit='fit_one_cycle')

class Explode(Callback):
    "Makes the loss of one sample infinite"
    def after_pred(self):
        learn = self.learn
        if learn.training and learn.epoch==1:
            learn.pred = torch.where(learn.x[:,:1]>1.9, learn.pred*math.inf, learn.pred)

@case
def nan_skipped(): return trained(cbs=[Explode, NaNPolicy('skip')])
@case
def nan_rolled_back(): return trained(cbs=[Explode, NaNPolicy('rollback', every=2)])

class Dropped(nn.Module):
    "Has a parameter that is not used, and one that is used in every other batch"
    def __init__(self):
        super().__init__()
        self.net,self.unused,self.times = net(),nn.Parameter(torch.ones(2)),0
    def forward(self, x): return self.net(x)

@case
def unused_parameter():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return trained(model=Dropped())

class Thaw(Callback):
    def before_epoch(self):
        if self.learn.epoch==1: self.learn.unfreeze()

@case
def thawed():
    learn = learner(splitter=lambda m: [[*m[0].parameters()], [*m[2].parameters()]], cbs=Thaw)
    learn.freeze()
    learn.fit(3)
    return result(learn)

@case
def sparse():
    torch.manual_seed(0)
    x = torch.randint(0, 20, (37,4))
    dls = DataLoaders.from_arrays(x, data()[1], bs=8)
    return trained(dls=dls, model=nn.Sequential(nn.EmbeddingBag(20, 5, sparse=True), nn.Linear(5, 3)), opt=SGD)

class AllAtOnce(Callback):
    "Steps once for all batches of an epoch"
    def before_step(self):
        if self.learn.iter+1<self.learn.n_iter: raise CancelStepException

@case
def own_accumulation(): return trained(cbs=AllAtOnce)
@case
def own_accumulation_of_tokens():
    return trained(dls=DataLoaders.from_arrays(*tokens(), *tokens(), bs=4), model=Tokens(), cbs=AllAtOnce, opt=SGD)
@case
def validated_first():
    learn = learner(metrics=accuracy)
    before = learn.validate()
    learn.fit(1)
    return result(learn, before=before)

# --- what strangers found ---
class Noise(Callback):
    "Draws, where all ranks must draw the same"
    def before_epoch(self): self.learn.opt.set_hypers(lr=.05*float(torch.rand(())))
    def after_step(self):
        with torch.no_grad():
            for p in self.learn.model.parameters(): p.add_(torch.randn_like(p), alpha=.01)

@case
def noisy_weights(): return trained(cbs=Noise, opt=SGD)

class Seeded(Callback):
    def before_epoch(self): torch.manual_seed(100+self.learn.epoch)

@case
def seeded_epochs(): return trained(cbs=Seeded)

class Clipped(Callback):
    def before_step(self): nn.utils.clip_grad_norm_(self.learn.model.parameters(), .1)

@case
def clipped_by_a_callback(): return trained(cbs=Clipped)

class Reversed(Callback):
    def before_train(self): self.learn.dl = list(self.learn.dl)[::-1]

@case
def reversed_batches():
    x,y = data()
    x[:,0] = 1. # the first number of each batch is the same
    return trained(dls=DataLoaders.from_arrays(x, y, bs=8), cbs=Reversed)

class ReadAhead(Callback):
    def before_train(self): self.learn.dl = self.ahead(self.learn.dl)
    def ahead(self, dl):
        it = iter(dl)
        last = next(it)
        for batch in it:
            yield last
            last = batch
        yield last

@case
def read_ahead(): return trained(cbs=ReadAhead)
@case
def short_streams(): return trained(dls=DataLoaders(DataLoader(Stream(), 8)), cbs=ShortEpoch(n_batches=3))
@case
def two_fits_of_live_workers():
    kwargs = dict(num_workers=1, multiprocessing_context=served, persistent_workers=True)
    learn = learner(dls=DataLoaders.from_datasets(TensorDataset(*data()), bs=8, **kwargs))
    learn.fit(1)
    learn.fit(2)
    return result(learn, after=torch.rand(2))

class Experts(nn.Module):
    "Some of its parameters get a gradient on some ranks only"
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList([net(), net()])
    def forward(self, x):
        first = x[:,0]>0
        res = x.new_zeros(len(x), 3)
        for k,m in enumerate(self.experts):
            mine = first==(k==0)
            if mine.any(): res = res.index_put((mine.nonzero()[:,0],), m(x[mine]))
        return res

@case
def experts(): return trained(model=Experts(), find_unused=True)

@case
def nothing_counts():
    x,y = tokens()
    dls = DataLoaders.from_arrays(x, torch.full_like(y, -100), x, y, bs=4)
    return trained(dls=dls, model=Tokens(), cbs=NaNPolicy('skip'))
@case
def doubles():
    loss = nn.CrossEntropyLoss(torch.tensor([1.,2.,5.]).double())
    x,y = data(17)
    return trained(dls=DataLoaders.from_arrays(x.double(), y, x.double(), y, bs=4), model=net().double(), loss=loss)

class CancelLate(Callback):
    order = 60
    def after_backward(self):
        if self.learn.iter==1: raise CancelBatchException

@case
def cancelled_late(): return trained(cbs=CancelLate)

class Swap(Callback):
    "Puts another model in the place of the first"
    def before_epoch(self):
        if self.learn.epoch!=1: return
        self.learn.model = copy.deepcopy(self.learn.model)
        self.learn.create_opt()

@case
def swapped_model(): return trained(cbs=Swap, opt=SGD)

class Twice(Callback):
    "Has each sample twice in a batch"
    def before_batch(self):
        learn = self.learn
        if learn.training: learn.xb,learn.yb = (torch.cat([learn.x]*2),),(torch.cat([learn.y]*2),)

@case
def doubled_samples(): return trained(cbs=[Twice, GradientAccumulation(20)])

# --- models of other shapes ---
class Tied(nn.Module):
    "Its first and last layer share a weight"
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(5, 13), nn.Linear(13, 5)])
        self.head = nn.Linear(5, 13)
        self.head.weight = self.blocks[0].weight
        self.out = nn.Linear(13, 3)
    def forward(self, x):
        for b in self.blocks: x = b(x).tanh()
        return self.out(self.head(x))

@case
def tied_weights(): return trained(model=Tied())

class Residual(nn.Module):
    "Its blocks return views, which are changed in place; the first is called twice"
    def __init__(self):
        super().__init__()
        self.blocks,self.norm = nn.ModuleList([nn.Linear(5, 5) for _ in range(3)]),nn.LayerNorm(5)
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer('calls', torch.zeros(()))
    def forward(self, x):
        self.calls += 1
        x = x[:,None]
        for b in (*self.blocks, self.blocks[0]):
            y = b(x)
            y += x
            x = y.relu_()
        return self.norm(x)[:,0,:3]*self.scale

@case
def views_in_place(): return trained(model=Residual())

class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 6, batch_first=True)
        self.layers = nn.ModuleDict(dict(attn=nn.MultiheadAttention(6, 2, batch_first=True), out=nn.Linear(6, 3)))
    def forward(self, x):
        h,_ = self.rnn(x[...,None])
        return self.layers['out'](self.layers['attn'](h, h, h)[0].mean(1))

@case
def sequences(): return trained(model=Sequence(), opt=SGD)

class Recomputed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 5))])
        self.out = nn.Linear(5, 3)
    def forward(self, x):
        for b in self.blocks: x = x+torch.utils.checkpoint.checkpoint(b, x, use_reentrant=False)
        return self.out(x)

@case
def recomputed(): return trained(model=Recomputed())
@case
def convolutions():
    x = torch.randn(21, 1, 6, 6, generator=torch.Generator().manual_seed(4))
    model = nn.Sequential(nn.Conv2d(1, 5, 3), nn.GroupNorm(1, 5), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(80, 3))
    return trained(dls=DataLoaders.from_arrays(x, data(21)[1], bs=8), model=model)
@case
def rates_by_layer():
    learn = learner(splitter=lambda m: [[*m[0].parameters()], [*m[2].parameters()]], lr=slice(.001, .05))
    learn.fit_one_cycle(3)
    return result(learn)
@case
def own_blocks(): return trained(model=Recomputed(), shard=nn.Sequential, lr=.01)

def in_one(model):
    from torch.distributed.fsdp import fully_shard
    fully_shard(model)

@case
def sharded_by_a_function(): return trained(shard=in_one, cbs=EMA(.9))
@case
def copied():
    learn = learner(cbs=EMA(.9))
    learn.fit(1)
    other = copy.deepcopy(learn)
    other.fit(1)
    learn.fit(1)
    return result(learn, other=gathered([p.detach() for p in other.model.parameters()]))
@case
def exported():
    path = Path(os.environ['CASE_FOLDER'])
    learn = learner(path=path, cbs=EMA(.9, in_valid=True))
    learn.fit(2)
    learn.export()
    wait_for_all()
    again = load_learner(path/'export.safetensors', learner(path=path))
    again.fit(1)
    return result(again, valid=learn.validate())

# --- every optimizer, by every engine that need not compile ---
optimizers = dict(momentum=partial(SGD, mom=.9, wd=.1), rmsprop=RMSProp, adam=Adam, nesterov=Nesterov, radam=RAdam,
    adam_l2=partial(Adam, decouple_wd=False), qhadam=QHAdam, lion=Lion, adan=Adan, ademamix=AdEMAMix, larc=Larc,
    lars=partial(Larc, clip=False), lamb=Lamb, lookahead=lambda ps, **kw: Lookahead(Adam(ps, **kw), k=2),
    ranger=partial(ranger, k=3), muon=Muon, torch_adam=partial(OptimWrapper, opt=torch.optim.AdamW),
    cautious=lambda ps, **kw: Optimizer(ps, cautious(average_grad, momentum_step), **kw))

def stepped(engine):
    res = {}
    for name,build in optimizers.items():
        learn = learner(opt=build, lr=.01, model=net(), bs=12)
        learn.create_opt()
        if name!='torch_adam': learn.opt.engine = engine
        learn.fit(1)
        res.update({f'{name} {k}':v for k,v in result(learn).items() if k.startswith('weight')})
    return res

for _engine in 'loop','batched','sharded': cases[f'all_by_{_engine}'] = partial(stepped, _engine)

# --- half precision: what is computed differs with the size of a share, and is compared less finely ---
@case
def fp16():
    learn = learner(metrics=accuracy, opt=SGD, lr=.1)
    learn.to_fp16(init_scale=2.**10)
    learn.fit(3)
    return result(learn, scales=list(learn.mixed_precision.scales))
@case
def bf16():
    learn = learner(opt=SGD, lr=.1).to_bf16()
    learn.fit(3)
    return result(learn)
@case
def fp16_by_hand(): return trained(opt=SGD, lr=.1, cbs=NonNativeMixedPrecision(init_scale=2.**10))
@case
def fp16_overflows():
    learn = learner(opt=SGD, lr=.1)
    learn.to_fp16(init_scale=2.**127, growth_interval=5)
    learn.fit(8)
    return result(learn, scales=list(learn.mixed_precision.scales))

# --- what is measured ---
class Confusion:
    "A metric that is no mean"
    name = 'worst'
    def reset(self): self.table = torch.zeros(3, 3)
    def update(self, pred, targ):
        for p,t in zip(pred.argmax(1), targ): self.table[t,p] += 1
    def compute(self): return (self.table.diag()/self.table.sum(1).clamp(min=1)).min()

class Summed(Confusion):
    "The same, which can be reduced"
    def reduce(self, gather): self.table = sum(gather(self.table))

def spread(pred, targ): return pred.std() # of a batch

@case
def metrics_of_whole_batches(): return trained(metrics=[accuracy, Confusion(), spread])
@case
def metrics_of_shares():
    mean = AvgMetric(lambda p,t: p.mean(), 'mean', n_items=lambda p,t: len(p))
    return trained(metrics=[accuracy, Summed(), mean])
@case
def predictions():
    learn = learner(metrics=accuracy)
    learn.fit(1)
    x,y = data(11, 5)
    dl = DataLoader(TensorDataset(x, y), 4)
    preds = learn.get_preds(dl, with_input=True, with_loss=True, with_decoded=True)
    names = 'x preds y sample_losses decoded'.split()
    return result(learn, **dict(zip(names, preds)), valid=learn.validate(), other=learn.validate([(x,y)]),
                  one=learn.predict(x[0]), of_list=learn.get_preds([(x,),(x[:1],)])[0])
@case
def rates():
    learn = learner()
    found = learn.lr_find(num_it=20, show_plot=False)
    learn.fit(1)
    finder = learn.recorder.lr_finder
    return result(learn, found=list(found), lrs=finder.lrs, smoothed=finder.smoothed)
@case
def one_batch():
    learn = learner()
    losses = [learn.one_batch(), learn.one_batch(data(5))]
    return dict(losses=losses, **gathered({k:v.clone() for k,v in learn.model.state_dict().items()}))

class ValidateWithin(Callback):
    def after_batch(self):
        if self.learn.training: self.seen.append(self.learn.validate())
    def before_fit(self): self.seen = []

@case
def nested():
    learn = learner(cbs=ValidateWithin, metrics=accuracy)
    learn.fit(2)
    return result(learn, seen=learn.validate_within.seen)

class ValidateAfterLoss(ValidateWithin):
    "Between the loss and the backward pass"
    after_batch = None
    def after_loss(self):
        if self.learn.training: self.seen.append(self.learn.validate())

@case
def nested_in_a_batch():
    learn = learner(cbs=ValidateAfterLoss, metrics=accuracy)
    learn.fit(2)
    return result(learn, seen=learn.validate_after_loss.seen)

@case
def fit_after_fit():
    learn = learner()
    learn.fit(1)
    after = torch.rand(3)
    learn.fit(2, lr=.01)
    return result(learn, after=after)

# --- files ---
@case
def files():
    path = Path(os.environ['CASE_FOLDER'])
    learn = learner(path=path, cbs=[SaveModel(at_end=True, fname='best'), CSVLogger(), Checkpoint(every_batches=2)])
    learn.fit(3)
    learn.save('last')
    rows = [{k:v for k,v in row.items() if k!='time'} for row in learn.csv_logger.read()]
    wait_for_all()
    again = learner(path=path).load('last')
    names = sorted(o.name for o in path.rglob('*') if o.is_file())
    same = [torch.equal(a, b) for a,b in zip(again.model.parameters(), learn.model.parameters())]
    return result(learn, rows=[list(o.values()) for o in rows], names=names, same=same)

class Fail(Callback):
    order = 200
    def __init__(self, at): self.at = at
    def after_batch(self):
        if self.learn.training and (self.learn.epoch,self.learn.iter)==self.at: raise KeyError('enough')

def broken_off(name, at, cbs=(), **kwargs):
    "A run that ends with an error, and is gone on with"
    folder = Path(os.environ['CASE_FOLDER'])
    def new(*more):
        checkpoint = Checkpoint(every_batches=2, folder=folder/name)
        return learner(path=folder, cbs=[*[cb() for cb in cbs], checkpoint, *more], **kwargs)
    learn = new(Fail(at))
    with contextlib.suppress(KeyError): learn.fit(4, resume=True)
    wait_for_all()
    learn = new()
    learn.fit(4, resume=True)
    return result(learn)

@case
def resumed(): return broken_off('resumed', (1,3))
@case
def resumed_accumulation(): return broken_off('accumulated', (2,2), [partial(GradientAccumulation, 11)])

# --- stopped on some processes, and gone on with on others: not among the cases, for these take two launches ---
def crossed(name, cbs=(), **kwargs):
    folder = Path(os.environ['CASE_ROOT'])/name
    checkpoint = Checkpoint(every_batches=2, folder=folder, keep=100)
    learn = learner(cbs=[*[cb() for cb in cbs], checkpoint, Fail((1,3))], **kwargs)
    if os.environ.get('CASE_STOPS'):
        with contextlib.suppress(KeyError): learn.fit(4)
        return {}
    learn.remove_cb(Fail)
    learn.fit(4, resume=True)
    return result(learn)

crossings = dict(crossed=partial(crossed, 'plain', metrics=[accuracy]),
    crossed_sums=partial(crossed, 'sums', [partial(GradientAccumulation, 11), partial(EMA, .9, in_valid=True)]),
    crossed_sparse=partial(crossed, 'datasets', opt=partial(SGD, mom=.9)))

# --- what is refused: on all ranks, by a sentence ---
class LateLoss(Callback):
    order = 60
    def after_loss(self):
        if self.learn.training: self.learn.loss = F.cross_entropy(self.learn.pred, self.learn.y, label_smoothing=.1)

class OnOneRank(Callback):
    "Does something on rank 1 only"
    order = 70
    def __init__(self, do): self.do = do
    def before_step(self):
        if this_rank()==1 and (self.learn.epoch,self.learn.iter)==(0,2): self.do(self.learn)

def cancel(learn): raise CancelStepException

def nudge(learn):
    with torch.no_grad(): next(learn.model.parameters()).add_(1)

class SwitchOff(Callback):
    def before_train(self): self.learn.distributed.run = False

def samplers_dls():
    ds = TensorDataset(*data())
    return DataLoaders(DataLoader(ds, 8, sampler=torch.utils.data.distributed.DistributedSampler(ds)))

refusals = dict(
    distributed_sampler=('bs counts the samples', lambda: trained(dls=samplers_dls())),
    wrapped_model=('is in a DistributedDataParallel already',
                   lambda: trained(model=nn.parallel.DistributedDataParallel(net()))),
    tiny_batch=('a batch of 1 cannot be shared by 2', lambda: trained(bs=1)),
    other_rate=('rank 1 has other hypers', lambda: trained(lr=.1*(1+this_rank()))),
    other_epochs=('rank 1 has other epochs', lambda: trained(1+this_rank())),
    other_model=('rank 1 has other parameters', lambda: trained(model=nn.Linear(5, 3+this_rank()))),
    other_callback=('rank 1 has other callbacks', lambda: trained(cbs=GradientClip(1.+this_rank()))),
    other_loss=('rank 1 has other loss', lambda: trained(loss=(F.cross_entropy,one_hot_mse)[this_rank()])),
    lazy=('call it once on a batch', lambda: trained(model=nn.LazyLinear(3))),
    late_loss=('the loss was replaced after', lambda: trained(cbs=LateLoss)),
    step_cancelled_on_one=('do not train on the same batch', lambda: trained(cbs=OnOneRank(cancel))),
    weights_changed_on_one=('rank 1 has other weights', lambda: trained(cbs=OnOneRank(nudge))),
    switched_off=('cannot be switched off', lambda: trained(cbs=SwitchOff)))

# cases that a model in parts refuses
whole_only = dict(penalty='a penalty on these', sparse='sparse=True', fp16_by_hand='which must be whole',
                  noisy_weights='DTensor random operators')

def late_shard():
    learn = learner(shard=None)
    learn.fit(1)
    learn.distribute(shard=True)

def by_hand():
    model = net()
    in_one(model)
    return trained(model=model, shard=None)

class Scalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.net,self.scale = net(),nn.Parameter(torch.ones(()))
    def forward(self, x): return self.net(x)*self.scale

def held():
    ps = [*(model := net()).parameters()]
    def penalised(pred, targ): return F.cross_entropy(pred, targ) + .1*sum(p.square().sum() for p in ps)
    return trained(model=model, loss=penalised)

def hooked():
    (model := net())[0].weight.register_hook(lambda grad: grad.clamp(-.1, .1))
    return trained(model=model)

def half_in_parts(model):
    from torch.distributed.fsdp import fully_shard
    fully_shard(model[0])

@case
def sharded_in_part(): return trained(shard=half_in_parts)

class Placed(Callback):
    "Draws for whole weights, whether they are in parts or not"
    def after_step(self):
        with torch.no_grad():
            for p in self.learn.model.parameters(): p.add_(placed(torch.randn(p.shape), p), alpha=.01)

@case
def placed_noise(): return trained(cbs=Placed, opt=SGD)

class Sometimes(nn.Module):
    "Has a part that is used in every other batch, and one that never is"
    def __init__(self):
        super().__init__()
        self.net,self.other,self.never,self.n = net(),nn.Linear(5, 3),nn.Linear(5, 3),0
    def forward(self, x):
        self.n += self.training
        return self.net(x) + (self.other(x) if self.n%2 else 0)

@case
def used_sometimes():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return trained(model=Sometimes(), find_unused=True, opt=partial(Adam, wd=.1))

class Scaled(nn.Module):
    "Has state that is no buffer"
    def __init__(self):
        super().__init__()
        self.net,self.scale,self.seen = net(),torch.ones(3),[]
    def forward(self, x):
        if self.training: self.seen.append(1)
        return self.net(x)*self.scale*(1+.02*len(self.seen))

@case
def copied_with_its_state():
    learn = learner(model=Scaled())
    learn.fit(1)
    learn.model.scale = torch.tensor([2.,3.,4.])
    hook = learn.model.net[0].register_forward_hook(lambda m, args, out: out*.5)
    other = copy.deepcopy(learn)
    hook.remove()
    other.fit(1)
    learn.fit(1)
    return result(learn, other=gathered([p.detach() for p in other.model.parameters()]))
@case
def loaded_whole():
    weights = net().state_dict()
    learn = learner(model=net())
    learn.model.load_state_dict(weights)
    learn.fit(2)
    return result(learn)
@case
def channels_last():
    x = torch.randn(21, 2, 6, 6, generator=torch.Generator().manual_seed(4))
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3))
    model = model.to(memory_format=torch.channels_last)
    return trained(dls=DataLoaders.from_arrays(x, data(21)[1], bs=8), model=model)

class NaNLater(Callback):
    order = 9
    def after_pred(self):
        if self.learn.training and (self.learn.epoch,self.learn.iter)==(2,3): self.learn.pred = self.learn.pred*math.nan

@case
def resumed_rollback(): return broken_off('rollback', (1,3), [NaNLater, partial(NaNPolicy, 'rollback', every=2)])

class Norms(Callback):
    def before_step(self): self.learn.opt.set_hypers(lr=.01*float(self.learn.model[0].weight.grad.norm()))

class Sam(Callback):
    "A second backward pass, from nearby"
    def after_backward(self):
        learn = self.learn
        learn.loss_func(learn.model(learn.x), learn.y).backward()

class FullPenalty(Callback):
    def after_loss(self):
        learn = self.learn
        if learn.training: learn.loss = learn.loss + learn.model[0].weight.full_tensor().square().sum()

class Whose(nn.Module):
    "A block's weight is used without calling it"
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(5, 3)])
    def forward(self, x): return F.linear(x, self.layers[0].weight)

def frozen_on_one():
    (model := net())[0].requires_grad_(this_rank()==0)
    return trained(model=model)

def two_types():
    model = nn.Sequential(nn.Linear(5, 3))
    model[0].bias.data = model[0].bias.data.double()
    return trained(model=model)

def breaks_off(model):
    from torch.distributed.fsdp import fully_shard
    fully_shard(model[0])
    raise KeyError('in the midst of it')

@case
def after_cutting_failed():
    if not os.environ.get('CASE_SHARD') or n_ranks()==1: return trained(model=net())
    learn = learner(model=net(), shard=None)
    before = [type(m) for m in learn.model.modules()],[id(p) for p in learn.model.parameters()]
    with contextlib.suppress(KeyError): learn.distribute(shard=breaks_off)
    assert before==([type(m) for m in learn.model.modules()],[id(p) for p in learn.model.parameters()])
    learn.distribute().fit(3)
    return result(learn)

class Half(Callback):
    "Raises an error in the midst of the forward pass, once"
    order = 70
    def before_batch(self):
        if self.learn.training and (self.learn.epoch,self.learn.iter)==(1,1) and not hasattr(self, 'hook'):
            self.hook = self.learn.model[2].register_forward_pre_hook(self.fail)
    def fail(self, *args):
        self.hook.remove()
        raise KeyError('in the midst')

def after_an_error():
    learn = learner(cbs=Half)
    with contextlib.suppress(KeyError): learn.fit(2)
    learn.fit(1)
    return result(learn)

sharded_refusals = dict({k:(text,cases[k]) for k,text in whole_only.items()},
    late_shard=('before the first fit', late_shard), by_hand=('before the Learner knew', by_hand),
    no_such_block=('no module within the model is one', lambda: trained(shard=nn.LSTM)),
    wrong_shard=("shard='yes': expected", lambda: trained(shard='yes')),
    lazy_parts=('call it once on a batch', lambda: trained(model=nn.LazyLinear(3))),
    compiled_parts=('the model is compiled', lambda: trained(model=torch.compile(net()))),
    other_parts=('rank 1 has other parameters', lambda: trained(model=nn.Linear(5, 3+this_rank()))),
    numbers=('each process has another', lambda: trained(cbs=Norms)),
    second_pass=('a backward pass that is not of learn.loss', lambda: trained(cbs=Sam)),
    full_penalty=('a penalty on these', lambda: trained(cbs=FullPenalty)),
    not_called=('a block of the model is used other than by calling it', lambda: trained(model=Whose())),
    frozen_on_one=('rank 1 has other parameters', frozen_on_one), two_types=('have different types', two_types),
    cut_on_one=('rank 1 has other shard', lambda: trained(shard=(True,None)[this_rank()])),
    no_kinds=('shard=(): expected', lambda: trained(shard=())),
    held=('is a parameter of the model, or has one', held), hooked=('0.weight of the model has hooks', hooked),
    scalar=('make it a tensor of shape (1,)', lambda: trained(model=Scalar())))

cases['after_an_error'] = after_an_error

def find(name): return {**cases,**crossings,**{k:f for k,(_,f) in {**refusals,**sharded_refusals}.items()}}[name]

if __name__=='__main__':
    folder,*names = sys.argv[1:]
    faulthandler.dump_traceback_later(150, exit=True) # where it hangs, if it does
    join_ranks()
    res = {}
    for name in names or [k for k in cases if k not in os.environ.get('CASE_SKIP', '').split(',')]:
        print(name, file=sys.stderr, flush=True)
        torch.manual_seed(0)
        os.environ['CASE_FOLDER'] = f'{folder}/{n_ranks()}_{name}'
        try:
            with contextlib.redirect_stdout(out := io.StringIO()): got = find(name)()
            res[name] = dict(got, printed=out.getvalue())
        except Exception: res[name] = traceback.format_exc()
    torch.save(res, f'{folder}/{n_ranks()}_{this_rank()}.pt')
    wait_for_all()
