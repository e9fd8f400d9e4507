"""Loaders of all kinds: a run with a Checkpoint is to the last bit the run without one, and a killed and resumed run
is too; or it is said.

pytest tests/test_checkpoint_loaders.py
"""
import os
import random
import warnings
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset
from torch.utils.data import IterableDataset, RandomSampler, Subset, WeightedRandomSampler, get_worker_info

from optimloop.runs import loaders
from optimloop.runs.parts import generators_within
from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.runs.parts import *
from optimloop.basics.course import *
from test_checkpoints import DieAfter, Dies, Seen, differs

torch.set_num_threads(1)

# Data sets and transforms; a sample is its number, and three random numbers

def row(i, *noise): return torch.tensor([i, *noise]).float(),torch.tensor([i/10])

class Rows(Dataset):
    "Draws from the global generators"
    def __init__(self, n=22): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i): return row(i, torch.rand(()), np.random.rand(), random.random())

class Owns(Rows):
    "Draws from generators of its own, of all kinds"
    def __init__(self, n=22):
        super().__init__(n)
        self.rng,self.more = np.random.default_rng(1),dict(a=[random.Random(2),torch.Generator().manual_seed(3)])
    def __getitem__(self, i):
        return row(i, self.rng.random(), self.more['a'][0].random(), torch.rand((), generator=self.more['a'][1]))

class Jitter:
    "A transform with a generator, in a slot"
    __slots__ = 'rng',
    def __init__(self): self.rng = np.random.RandomState(4)
    def __call__(self, o): return o+self.rng.rand()

class Transformed(Rows):
    def __init__(self, n=22):
        super().__init__(n)
        rng = np.random.Generator(np.random.MT19937(5))
        self.tfms = torch.nn.Sequential(),partial(lambda t, o: t(o),
            Jitter()),lambda o: o*rng.random(),Jitter().__call__
    def __getitem__(self, i):
        x = torch.tensor([i, 1., 2., 3.])
        for f in self.tfms[1:]: x[1:] = f(x[1:])
        return x,torch.tensor([i/10])

in_a_module = random.Random(6)
class ByName(Rows):
    "Draws from a generator that is a global variable"
    def __getitem__(self, i): return row(i, in_a_module.random(), *[in_a_module.random() for _ in range(2)])

class Lazily(Rows):
    "Makes its generator when it needs it"
    rng = None
    def __getitem__(self, i):
        if self.rng is None: self.rng = np.random.default_rng(get_worker_info().seed if get_worker_info() else 7)
        return row(i, *self.rng.random(3))

class InBatches(Dataset):
    "Has `__getitems__` only"
    def __len__(self): return 22
    def __getitems__(self, ids): return [row(i, *torch.rand(3)) for i in ids]

class OfTheSystem(Rows):
    def __init__(self):
        super().__init__()
        self.rng = random.SystemRandom()
    def __getitem__(self, i):
        self.rng.random()
        return row(i, 1, 2, 3)

class Stream(IterableDataset):
    "In another order in each epoch; each worker has its part"
    def __iter__(self):
        info = get_worker_info()
        part,n = (info.id,info.num_workers) if info else (0,1)
        return (row(i, random.random(), 2, 3) for i in torch.randperm(22).tolist()[part::n])

class Buffered(IterableDataset):
    "Shuffles in a buffer, by a generator of its own or, if there is none, by torch's"
    def __init__(self, own): self.rng = torch.Generator().manual_seed(8) if own else None
    def __iter__(self):
        buffer = list(range(4))
        for i in range(4, 26):
            j = torch.randint(4, (), generator=self.rng).item()
            yield row(buffer[j], 1, 2, 3)
            buffer[j] = i

# Samplers and loaders

class NoLength:
    def __iter__(self): return iter(torch.randperm(22).tolist()) # draws before the loader does

class Endless:
    "Has a length, and no end"
    def __init__(self): self.rng = own()
    def __len__(self): return 22
    def __iter__(self):
        while True: yield from torch.randperm(22, generator=self.rng).tolist()

class Slices:
    def __len__(self): return 6
    def __iter__(self): return (slice(4*i, 4*i+4) for i in torch.randperm(6).tolist())

class Sliced(Rows):
    def __getitem__(self, s):
        xs,ys = zip(*(row(i, *torch.rand(3)) for i in range(*s.indices(22))))
        return torch.stack(xs),torch.stack(ys)

class Urn:
    "Draws from torch's generator from sample to sample, and what was drawn is gone"
    def __len__(self): return 22
    def __iter__(self):
        left = list(range(22))
        while left: yield left.pop(torch.randint(len(left), ()).item())

class UrnOfPython(Urn):
    "The same by Python's generator, from which nothing else draws here"
    def __iter__(self):
        left = list(range(22))
        while left: yield left.pop(random.randrange(len(left)))

class ByTheSystem(Urn):
    def __init__(self): self.rng = random.SystemRandom()
    def __iter__(self): return iter(self.rng.sample(range(22), 22))

class Wrapped(DataLoader):
    "`__iter__` is a generator, which draws nothing before it is asked"
    def __iter__(self):
        for x,y in super().__iter__(): yield x+1,y

class Halves:
    "No DataLoader: draws at the beginning of an epoch, by numpy"
    def __len__(self): return 6
    def __iter__(self):
        for ids in np.array_split(np.random.permutation(22), 6):
            yield torch.stack([row(i, 1, 2, 3)[0] for i in ids]),torch.tensor(ids/10)[:,None].float()

x,y = (torch.stack(o) for o in zip(*(row(i, 1, 2, 3) for i in range(22))))
valid = [(x,y)]
own = lambda: torch.Generator().manual_seed(9)

def one(ds, bs=4, shuffle=True, v=valid, cls=DataLoader, **kwargs):
    return lambda: DataLoaders(cls(ds(), bs, shuffle=shuffle, **kwargs), v() if callable(v) else v)
def sampled(sampler, ds=Rows, bs=4, **kwargs):
    return lambda: DataLoaders(DataLoader(d := ds(), bs, sampler=sampler(d), **kwargs), valid)
def two(ds): return lambda: ConcatDataset([Subset(ds(12), range(1, 12)), ds(11)])
weighted = lambda ds: WeightedRandomSampler(torch.arange(1., 23), 22)  # the same samples several times
more_samplers = dict(endless=lambda ds: Endless(),
    replaced=lambda ds: RandomSampler(ds, replacement=True, num_samples=40))
workers,persistent = dict(num_workers=2),dict(num_workers=2, persistent_workers=True)

def with_generator(ds, v=valid, **kwargs):
    return lambda: DataLoaders(DataLoader(ds(), 4, shuffle=True, generator=own(), **kwargs), v() if callable(v) else v)
def batched(**kwargs):
    return lambda: DataLoaders(DataLoader(d := Rows(),
        batch_sampler=BatchSampler(RandomSampler(d, generator=own()), 5, True), **kwargs), valid)

exact = dict(
    global_=one(Rows), owns=one(Owns), concat=one(two(Owns)), transformed=one(two(Transformed)), by_name=one(ByName),
    in_batches=one(InBatches), own_generator=with_generator(Rows),
    weighted=sampled(weighted), no_length=sampled(lambda ds: NoLength()),
    python=sampled(lambda ds: UrnOfPython(), Owns), **{k:sampled(o) for k,o in more_samplers.items()},
    slices=sampled(lambda ds: Slices(), Sliced, None), batch_sampler=batched(), in_order=one(Rows, shuffle=False),
    stream=one(Stream, shuffle=None), buffered=one(partial(Buffered, True), shuffle=None),
    wrapped=one(Rows, cls=Wrapped), halves=lambda: DataLoaders(Halves(), valid),
    random_valid=one(Rows, v=lambda: DataLoader(Rows(), 8)),
    workers=one(Rows, **workers), workers_own_generator=with_generator(Rows, **workers),
    workers_weighted=sampled(weighted, **workers), workers_concat=one(two(Owns), **workers),
    workers_transformed=one(Transformed, **workers),
    workers_lazily=one(Lazily, **workers), workers_in_batches=one(InBatches, **workers),
    workers_slices=sampled(lambda ds: Slices(), Sliced, None, **workers),
    workers_endless=sampled(more_samplers['endless'], **workers),
    workers_stream=one(Stream, shuffle=None, **workers), workers_wrapped=one(Rows, cls=Wrapped, **workers),
    workers_batch_sampler=batched(**workers), three_workers=one(Rows, num_workers=3, prefetch_factor=1),
    persistent=one(Rows, **persistent), persistent_own_generator=with_generator(Rows, **persistent),
    persistent_concat=one(two(Owns), **persistent),
    persistent_many=one(Rows, bs=11, num_workers=3, persistent_workers=True),
    persistent_valid=one(Rows, v=lambda: DataLoader(Rows(), 8, **persistent)),
    persistent_both=with_generator(two(Owns), v=lambda: DataLoader(Owns(), 8, **persistent), **persistent))

class Shut(Callback):
    "Persistent workers are ended with their process"
    order = 9000
    def cleanup_fit(self):
        for dl in self.dls.train,self.dls.valid:
            vars(dl).update(_iterator=None) if getattr(dl, '_iterator', None) is not None else None

class Stop(Callback):
    "`Endless` would go on"
    def before_train(self): self.learn.dl = zip(range(6-self.first_iter), self.dl)
    def before_batch(self): pass

def make(folder, dls, seen, seed=7, cbs=(), drop=.2, checkpoint=dict(every_batches=1)):
    for f in torch.manual_seed,np.random.seed,random.seed,in_a_module.seed: f(7)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Dropout(drop), torch.nn.Linear(6, 1))
    learn = Learner(dls(), model, lambda pred, y: (pred-y).pow(2).mean(), Adam, lr=.02,
        cbs=[Seen(seen), Shut, *(o() if isinstance(o, (type,partial)) else o for o in cbs)], path=folder)
    learn.remove_cb(ProgressCallback)
    if checkpoint is not None: learn.add_cb(Checkpoint(**checkpoint))
    for f in torch.manual_seed,np.random.seed,random.seed,in_a_module.seed: f(seed)
    return learn

def outcome(learn, seen):
    own = {k:v for k,v in read_random(learn)['own'].items()}
    return dict(model=dict(learn.model.state_dict()), losses=learn.recorder.losses, values=learn.recorder.values,
        seen=seen, torch=torch.get_rng_state(), python=random.getstate(), numpy=np.random.get_state(), own=own)

def run(folder, dls, deaths=(), n_epoch=3, **kwargs):
    """Train, dying as told, each life with other random numbers; the outcome, and the inputs of all batches by epoch
    and number"""
    seen = {}
    for i,death in enumerate([*deaths, None]):
        learn = make(folder, dls, seen, seed=7+i, **kwargs)
        if death is None: learn.fit(n_epoch, resume=hasattr(learn, 'checkpoint'))
        else:
            with learn.added_cbs(DieAfter(*death) if isinstance(death, tuple)
                else DieAfter(death)), pytest.raises(Dies):
                learn.fit(n_epoch, resume=True)
    return outcome(learn, {k:v[-1] for k,v in seen.items()})

@pytest.mark.filterwarnings('error', 'ignore:This DataLoader will create')
@pytest.mark.parametrize('kind', exact)
def test_exact(kind, tmp_path):
    """A Checkpoint changes nothing, and being killed changes nothing: within an epoch, before a validation, between
    two epochs"""
    forked = 'workers' in kind # in every epoch anew, which takes time
    dls,more = exact[kind],dict(cbs=[partial(ShortEpoch, n_batches=6)] if 'endless' in kind else [], n_epoch=2)
    bare = run(tmp_path/'bare', dls, checkpoint=None, **more)
    n = len([k for k in bare['seen'] if k[0]==0])
    if not forked and 'persistent' not in kind: assert not differs(bare, run(tmp_path/'watched', dls, **more))
    # in the second epoch, and a batch later
    assert not differs(bare, run(tmp_path/'killed', dls, [n+1, 1], **more))
    assert not differs(bare, run(tmp_path/'between', dls, [(1, 'before_validate')] + [(1, 'after_epoch')]*(not forked),
        checkpoint=dict(every_epochs=1), **more))

# What cannot be promised is said, and what cannot be gone on with is not written

def files(folder):
    return sorted(o.split('_', 1)[1].split('.')[0] for o in os.listdir(folder/'checkpoints') if o[0]=='0')

amid = dict(urn=(sampled(lambda ds: Urn()), 'global generator of torch from batch to batch'),
    buffered=(one(partial(Buffered, False), shuffle=None), 'global generator of torch'),
            workers_urn=(sampled(lambda ds: Urn(), **workers), 'global generator of torch'),
            by_the_system=(sampled(lambda ds: ByTheSystem()),
                r'drawn by the operating system \(sampler.rng|sampler.rng: what the operating'))

@pytest.mark.parametrize('kind', amid)
def test_not_amid(kind, tmp_path):
    "An epoch that cannot be drawn again is saved at its ends only; from there it is exact"
    dls,why = amid[kind]
    with pytest.warns(UserWarning, match=why):
        learn = run(tmp_path/'watched', dls, n_epoch=2, checkpoint=dict(every_batches=1, keep=99))
    assert {'epoch0_batch0','epoch1_batch0','epoch2_batch0'} <= set(files(tmp_path/'watched')) <= {'epoch0_batch0',
        'epoch0_batch1','epoch1_batch0','epoch1_batch1','epoch2_batch0'}
    if kind=='by_the_system': return
    bare = run(tmp_path/'bare', dls, n_epoch=2, checkpoint=None)
    with pytest.warns(UserWarning, match=why):
        assert not differs(bare, learn) and not differs(bare, run(tmp_path/'killed', dls, [9], n_epoch=2))

def started(): # the workers have been at work before
    dls = one(Rows, **persistent)()
    next(iter(dls.train))
    return dls

said = dict(system=(one(OfTheSystem), 'train.dataset.rng: what the operating system draws', ()),
    in_order=(one(Rows, num_workers=2, in_order=False), 'dls.train has in_order=False', ()),
            lazily=(one(Lazily, **persistent), 'they make generators of their own', ()),
            stream=(one(Stream, shuffle=None, **persistent), 'a stream may draw', ()),
            wrapped=(one(Rows, cls=Wrapped, **persistent), None, ()), started=(started, 'started before the fit', ()))

@pytest.mark.parametrize('kind', said)
def test_said(kind, tmp_path):
    """Training is not changed, what would differ after a resume is named, and the order of the samples is the same in
    any case"""
    dls,text,cbs = said[kind]
    bare = run(tmp_path/'bare', dls, checkpoint=None, n_epoch=3, cbs=cbs)
    with warnings.catch_warnings(record=True) as told: watched = run(tmp_path/'watched', dls, cbs=cbs)
    told = [str(o.message) for o in told if 'Checkpoint' in str(o.message)]
    assert (kind=='in_order' or not differs(bare, watched)) and (len(told)==1 and text in told[0] if text
        else not told), told
    if kind=='in_order': return
    with warnings.catch_warnings(record=True):
        again = run(tmp_path/'killed', dls, [9 if kind!='stream' else 3], cbs=cbs)
    number = lambda seen: {k:v[:,0] for k,v in seen.items()}
    assert not differs(number(bare['seen']), number(again['seen']))
    if kind in ('system','wrapped'): assert not differs(bare, again)

class Early(Callback):
    "Ends the second epoch early"
    def after_batch(self):
        if self.training and (self.epoch,self.iter)==(1,1): raise CancelTrainException

@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('short', [Early,partial(ShortEpoch, n_batches=2)])
def test_ended_early(short, tmp_path):
    "Workers that live on make what they were asked for, also if an epoch is ended early: that is waited for"
    dls,kwargs = one(two(Owns), **persistent),dict(cbs=[short], n_epoch=3)
    bare = run(tmp_path/'bare', dls, checkpoint=None, **kwargs)
    assert not differs(bare, run(tmp_path/'watched', dls, **kwargs)) and not differs(bare,
        run(tmp_path/'killed', dls, [3, 2], **kwargs))

class Broken(Rows):
    "Fails once, in the worker"
    def __init__(self):
        super().__init__()
        self.left = torch.tensor([9]).share_memory_()
    def __getitem__(self, i):
        self.left -= 1
        if self.left==0: raise OSError('the cable was pulled')
        return super().__getitem__(i)

def test_broken_worker(tmp_path, monkeypatch):
    "A batch that was not made is not waited for without end"
    learn = make(tmp_path, one(Broken, bs=2, **persistent), {})
    learn.remove_cb(Shut)
    real = loaders.time.monotonic
    monkeypatch.setattr(loaders.time, 'monotonic', lambda: real()*100)
    with pytest.raises(OSError, match='cable'): learn.fit(1)
    with pytest.warns(UserWarning, match='they did not tell them'): learn.fit(2)
    assert len(learn.recorder.values)>=2
    learn.dls.train._iterator = None

def test_made_late(tmp_path):
    "A generator that a data set makes with its first sample is not there when it is to be put back"
    with pytest.warns(UserWarning, match=r'state of train.dataset.rng was saved, and now there is no such'):
        run(tmp_path, one(Lazily), [9])

def test_generators_found():
    "However they are held"
    class Made:
        rng = random.Random(1)
        def __init__(self):
            self.held = [torch.Generator(), {'a':np.random.default_rng(1)}, partial(max, np.random.RandomState(1)),
                Jitter(), self]
        def draws(self): return in_a_module.random()
    rng = np.random.Generator(np.random.MT19937(1))
    found = generators_within(o=Made(), f=lambda x=random.Random(2): rng.normal())
    assert set(found)=={'o.held.0','o.held.1.a','o.held.2.args.0','o.held.3.rng','o.rng','o.draws.in_a_module','f.rng',
        'f.defaults.0'}
    endless = endless_list = []
    endless.append(endless_list)
    assert generators_within(o=[endless, [[i] for i in range(10**5)]])=={}

# Other loaders than before

class Grow(Callback):
    "Progressive resizing: other loaders from the second epoch on"
    def __init__(self, how): self.how = how
    def before_epoch(self):
        if self.how in ('dls','train') and self.epoch==1: self.change()
    def change(self):
        new = one(Owns, 5)()
        if self.how=='dls': self.learn.dls = new
        else: self.learn.dls.train = new.train
    def before_train(self):
        # counts for the epoch after it
        if self.how=='train_late' and self.epoch==1: self.learn.dls.train = one(Owns, 5)().train
        if self.how=='dl' and self.epoch==1: self.learn.dl = one(Owns)().train

@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('how', ['dls','train','dl','train_late'])
def test_swapped(how, tmp_path):
    "A callback changes the loaders between two epochs: they are changed, and stay so, and the run goes on with them"
    kwargs = dict(cbs=[partial(Grow, how)], n_epoch=2)
    bare = run(tmp_path/'bare', one(Rows), checkpoint=None, **kwargs)
    assert not differs(bare, run(tmp_path/'watched', one(Rows), **kwargs))
    if how=='train_late': return
    assert not differs(bare, run(tmp_path/'killed', one(Rows), [8, 1], **kwargs))

def test_as_they_were(tmp_path):
    """After a fit the loaders are the ones that were given, with what they had, also after an error; a second fit
    goes on with the same workers"""
    dls = one(Rows, v=lambda: DataLoader(Rows(), 8, **persistent), **persistent)()
    def trained(folder, checkpoint):
        learn = make(folder, lambda: dls, seen := {}, checkpoint=checkpoint)
        learn.remove_cb(Shut)
        with pytest.raises(Dies), learn.added_cbs(DieAfter(3)): learn.fit(1)
        learn.fit(1)
        if checkpoint: learn.remove_cb(Checkpoint)
        learn.fit(1)
        assert learn.dls is dls and next(iter(dls.train))[0].shape==(4,4)
        for dl in dls: dl._iterator = None
        return outcome(learn, seen)
    before = {k:dict(vars(o)) for k,o in vars(dls).items()}
    assert not differs(trained(tmp_path/'a', None), trained(tmp_path/'b', dict(every_batches=1)))
    assert before=={k:dict(vars(o)) for k,o in vars(dls).items()}

def test_after_lr_find(tmp_path):
    "`lr_find` starts workers that live on: they are known"
    results = []
    for name,checkpoint,death in ('bare',None,None),('watched',{},None),('killed',{},8):
        for n in ([death] if death else [])+[None]:
            learn = make(tmp_path/name, one(Rows, **persistent), seen := {}, checkpoint=checkpoint)
            if n or not death: learn.lr_find(show_plot=False)
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                if n:
                    with pytest.raises(Dies), learn.added_cbs(DieAfter(n)): learn.fit(2, lr=.02)
                else: learn.fit(2, lr=.02, resume=checkpoint is not None)
        results.append(outcome(learn, {k:v for k,v in seen.items() if k>=(1,2)}))
    assert not differs(results[0], results[1]) and not differs(results[0], results[2])

@pytest.mark.parametrize('bs,n', [(8,22),(4,20),(4,44),(2,22)])
def test_changed_data(bs, n, tmp_path):
    """Another batch size or another number of samples: the midst of an epoch is refused before anything is put back;
    between two epochs it is said, and the schedule ends where it should"""
    other = one(lambda: Rows(n), bs)
    for at,death in ('amid',9),('between',(1,'after_epoch')):
        learn = make(tmp_path/at, one(Rows), {}, checkpoint=dict(every_batches=1 if at=='amid' else None))
        with learn.added_cbs(DieAfter(*np.atleast_1d(death)) if at=='amid' else DieAfter(*death)), pytest.raises(Dies):
            learn.fit_one_cycle(3)
    learn = make(tmp_path/'amid', other, {}, seed=8)
    before = outcome(learn, {})
    with pytest.raises(ValueError, match=f'6 batches of 4, 22 samples.*{n} samples.*only be gone on with by the same'):
        learn.fit_one_cycle(3, resume=True)
    assert not differs(before['model'], dict(learn.model.state_dict())) and not learn.recorder.losses
    again = make(tmp_path/'between', other, {}, seed=8)
    with pytest.warns(UserWarning, match='from here on the run is another one'): again.fit_one_cycle(3, resume=True)
    (whole := make(tmp_path/'whole', other, {}, checkpoint=None)).fit_one_cycle(3)
    assert len(again.recorder.losses)==6+2*-(-n//bs) and len(again.recorder.values)==3
    np.testing.assert_allclose(again.recorder.hps['lr'][6:], whole.recorder.hps['lr'][-len(again.recorder.losses)+6:])

def test_changed_order(tmp_path):
    "As many samples in as many batches, and yet other ones"
    with pytest.raises(Dies): make(tmp_path, one(Rows), {}, cbs=[DieAfter(3)]).fit(2)
    with pytest.raises(ValueError, match='the first 3 batches have other samples'):
        make(tmp_path, one(Rows, shuffle=False), {}).fit(2, resume=True)
    with pytest.raises(Dies): make(tmp_path/'b', lambda: DataLoaders([(x,y)]*5, valid), {}, cbs=[DieAfter(4)]).fit(2)
    with pytest.raises(ValueError, match='5 batches of None.*now it has 3 batches of None'):
        make(tmp_path/'b', lambda: DataLoaders([(x,y)]*3, valid), {}).fit(2, resume=True)

def test_other_workers(tmp_path):
    "Another number of workers draws other augmentation, in the same order: said"
    bare = run(tmp_path/'bare', one(Rows), checkpoint=None, n_epoch=1)
    with pytest.raises(Dies): make(tmp_path/'a', one(Rows), {}, cbs=[DieAfter(3)]).fit(1)
    with pytest.warns(UserWarning, match='0 workers; now it has .* 2 workers: from here on the run is another'):
        make(tmp_path/'a', one(Rows, **workers), seen := {}).fit(1, resume=True)
    assert all(torch.equal(v[0][:,0], bare['seen'][k][:,0]) for k,v in seen.items()) and len(seen)==3

class Twice(Callback):
    "Gives each batch twice"
    def before_train(self): self.learn.dl = (b for b in self.dl for _ in range(2))

class Ahead(Callback):
    "Fetches a batch ahead"
    def before_train(self): self.learn.dl = self.ahead(self.dl)
    def ahead(self, dl):
        it = iter(dl)
        last = next(it)
        for b in it:
            yield last
            last = b
        yield last

class Noisy(Callback):
    "Changes the batches, and draws for it"
    def before_train(self): self.learn.dl = ((x+torch.rand(()),y) for x,y in self.dl)

class Half(ShortEpoch):
    "Says that it begins in the midst, and leaves out every other batch"
    def before_train(self): self.learn.dl = islice(self.dl, 0, None, 2)

@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('cb,ds', [(Twice,Owns),(Ahead,Owns),(Noisy,Owns)])
def test_in_between(cb, ds, tmp_path):
    "A callback puts something between the loader and the loop"
    kwargs = dict(cbs=[cb], n_epoch=2, drop=0. if cb is Noisy else .2)
    bare = run(tmp_path/'bare', one(ds), checkpoint=None, **kwargs)
    assert not differs(bare, run(tmp_path/'watched', one(ds), **kwargs))
    n = len(bare['losses'])//2
    assert not differs(bare, run(tmp_path/'killed', one(ds), [n+3, 2, 1], **kwargs))

def test_in_between_and_drawn(tmp_path):
    "What it keeps back was drawn amid the draws of others: saved between two epochs only"
    bare = run(tmp_path/'bare', one(Rows), cbs=[Twice], n_epoch=2, checkpoint=None)
    with pytest.warns(UserWarning, match='no checkpoint is written in the midst'):
        assert not differs(bare, run(tmp_path/'killed', one(Rows), [15], cbs=[Twice], n_epoch=2))

def test_other_batches(tmp_path):
    with pytest.warns(UserWarning, match='2 batches were trained on, and it has given 3: a callback'):
        watched = run(tmp_path/'watched', one(Rows), cbs=[Half(1.)], n_epoch=2)
    assert not differs(watched, run(tmp_path/'bare', one(Rows), cbs=[Half(1.)], n_epoch=2, checkpoint=None))

def test_small_files(tmp_path):
    "The order of an epoch takes no room: a state in the midst of one is as long for many samples as for few"
    sizes = []
    for n in 100,100_000:
        x = torch.zeros(n, 4)
        learn = make(tmp_path/str(n), lambda: DataLoaders.from_arrays(x, x[:,:1], bs=20), {}, cbs=[DieAfter(2)])
        with pytest.raises(Dies): learn.fit(1)
        sizes.append(max((tmp_path/str(n)/'checkpoints').glob('0*')).stat().st_size)
    assert abs(sizes[1]-sizes[0])<100 and sizes[0]<60_000, sizes

@pytest.mark.parametrize('n', [0,2])
def test_torchdata(n, tmp_path):
    "A loader that keeps its place itself, also when it is killed before the validation"
    stateful = pytest.importorskip('torchdata.stateful_dataloader').StatefulDataLoader
    dls = lambda: DataLoaders(stateful(Rows(), 4, shuffle=True, num_workers=n), valid)
    bare = run(tmp_path/'bare', dls, n_epoch=2, checkpoint=None)
    assert not differs(bare, run(tmp_path/'watched', dls, n_epoch=2))
    if not n: assert not differs(bare, run(tmp_path/'killed', dls, [8, (1, 'before_validate')], n_epoch=2))

def test_damaged(tmp_path):
    "What a file says of the loaders is looked at before anything is put back"
    with pytest.raises(Dies): make(tmp_path, one(Rows, **persistent), {}, cbs=[DieAfter(8)]).fit(2)
    state = load_state(max((tmp_path/'checkpoints').glob('0*')))
    feed = state['feed']
    for i,bad in enumerate([{}, {k:v for k,v in feed.items() if k!='about'}, dict(feed, about=3),
        dict(feed, workers=dict(test=None)), dict(feed, workers=3), dict(feed, workers=dict(train=dict(a=1))),
                            dict(feed, begun=dict(feed['begun'], python=(3,(1,2),None))),
                            dict(feed, begun=dict(feed['begun'], cpu=torch.zeros(3, dtype=torch.uint8)))]):
        learn = make(tmp_path, one(Rows, **persistent), {}, seed=8)
        before = dict(learn.model.state_dict())
        with pytest.raises(ValueError, match='what the checkpoint says of the loaders makes no sense'):
            learn.fit(2, resume=save_state(tmp_path/f'bad{i}', dict(state, feed=bad)))
        assert not differs(before, dict(learn.model.state_dict())) and not loaders._to_restore

def test_peeked(tmp_path):
    "An iteration that is begun and not gone on with leaves the loader as it was"
    class Peeks(Callback):
        def before_train(self): iter(self.dl)
    for dls in one(Rows, cls=Wrapped), one(Rows, cls=Wrapped, **persistent), one(Rows):
        learn = make(tmp_path/'a', dls, seen := {}, cbs=[Peeks])
        before = dict(vars(learn.dls.train))
        learn.fit(2)
        assert before==dict(vars(learn.dls.train))
        bare = make(tmp_path/'b', dls, bare_seen := {}, cbs=[Peeks], checkpoint=None)
        bare.fit(2)
        assert not differs(outcome(bare, bare_seen), outcome(learn, seen))
