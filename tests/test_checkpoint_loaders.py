"""Loaders of all kinds: a run with a Checkpoint is to the last bit the run without one, and a killed and resumed run is too; or it is said.

pytest tests/test_checkpoint_loaders.py
"""
import os
import random
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset, IterableDataset, RandomSampler, Subset, WeightedRandomSampler, get_worker_info

from optimloop.callbacks import *
from optimloop.checkpoints import *
from optimloop.learner import *
from optimloop.optimizer import *
from optimloop.schedulers import *
from optimloop.tracking import *
from optimloop.training_callbacks import *
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
    def __getitem__(self, i): return row(i, self.rng.random(), self.more['a'][0].random(), torch.rand((), generator=self.more['a'][1]))

class Jitter:
    "A transform with a generator, in a slot"
    __slots__ = 'rng',
    def __init__(self): self.rng = np.random.RandomState(4)
    def __call__(self, o): return o+self.rng.rand()

class Transformed(Rows):
    def __init__(self, n=22):
        super().__init__(n)
        rng = np.random.Generator(np.random.MT19937(5))
        self.tfms = torch.nn.Sequential(),partial(lambda t, o: t(o), Jitter()),lambda o: o*rng.random(),Jitter().__call__
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
    "The same by Python's generator, from which nobody else draws here"
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
        for ids in np.array_split(np.random.permutation(22), 6): yield torch.stack([row(i, 1, 2, 3)[0] for i in ids]),torch.tensor(ids/10)[:,None].float()

x,y = (torch.stack(o) for o in zip(*(row(i, 1, 2, 3) for i in range(22))))
valid = [(x,y)]
own = lambda: torch.Generator().manual_seed(9)

def one(ds, bs=4, shuffle=True, v=valid, cls=DataLoader, **kwargs): return lambda: DataLoaders(cls(ds(), bs, shuffle=shuffle, **kwargs), v() if callable(v) else v)
def sampled(sampler, ds=Rows, bs=4, **kwargs): return lambda: DataLoaders(DataLoader(d := ds(), bs, sampler=sampler(d), **kwargs), valid)
def two(ds): return lambda: ConcatDataset([Subset(ds(12), range(1, 12)), ds(11)])
weighted = lambda ds: WeightedRandomSampler(torch.arange(1., 23), 22)  # the same samples several times
more_samplers = dict(endless=lambda ds: Endless(), replaced=lambda ds: RandomSampler(ds, replacement=True, num_samples=40))
workers,persistent = dict(num_workers=2),dict(num_workers=2, persistent_workers=True)

def with_generator(ds, v=valid, **kwargs): return lambda: DataLoaders(DataLoader(ds(), 4, shuffle=True, generator=own(), **kwargs), v() if callable(v) else v)
def batched(**kwargs): return lambda: DataLoaders(DataLoader(d := Rows(), batch_sampler=BatchSampler(RandomSampler(d, generator=own()), 5, True), **kwargs), valid)

exact = dict(
    global_=one(Rows), owns=one(Owns), concat=one(two(Owns)), transformed=one(two(Transformed)), by_name=one(ByName), in_batches=one(InBatches), own_generator=with_generator(Rows),
    weighted=sampled(weighted), no_length=sampled(lambda ds: NoLength()), python=sampled(lambda ds: UrnOfPython(), Owns), **{k:sampled(o) for k,o in more_samplers.items()}, slices=sampled(lambda ds: Slices(), Sliced, None), batch_sampler=batched(), in_order=one(Rows, shuffle=False),
    stream=one(Stream, shuffle=None), buffered=one(partial(Buffered, True), shuffle=None), wrapped=one(Rows, cls=Wrapped), halves=lambda: DataLoaders(Halves(), valid), random_valid=one(Rows, v=lambda: DataLoader(Rows(), 8)),
    workers=one(Rows, **workers), workers_own_generator=with_generator(Rows, **workers), workers_weighted=sampled(weighted, **workers), workers_concat=one(two(Owns), **workers), workers_transformed=one(Transformed, **workers),
    workers_lazily=one(Lazily, **workers), workers_in_batches=one(InBatches, **workers), workers_slices=sampled(lambda ds: Slices(), Sliced, None, **workers), workers_endless=sampled(more_samplers['endless'], **workers),
    workers_stream=one(Stream, shuffle=None, **workers), workers_wrapped=one(Rows, cls=Wrapped, **workers), workers_batch_sampler=batched(**workers), three_workers=one(Rows, num_workers=3, prefetch_factor=1),
    persistent=one(Rows, **persistent), persistent_own_generator=with_generator(Rows, **persistent), persistent_concat=one(two(Owns), **persistent), persistent_weighted=sampled(weighted, **persistent),
    persistent_many=one(Rows, bs=11, num_workers=3, persistent_workers=True), persistent_valid=one(Rows, v=lambda: DataLoader(Rows(), 8, **persistent)),
    persistent_both=with_generator(two(Owns), v=lambda: DataLoader(Owns(), 8, **persistent), **persistent))

class Shut(Callback):
    "Persistent workers are ended with their process"
    order = 9000
    def cleanup_fit(self):
        for dl in self.dls.train,self.dls.valid: vars(dl).update(_iterator=None) if getattr(dl, '_iterator', None) is not None else None

class Stop(Callback):
    "`Endless` would go on"
    def before_train(self): self.learn.dl = zip(range(6-self.start_iter), self.dl)
    def before_batch(self): pass

def make(folder, dls, seen, seed=7, cbs=(), checkpoint=dict(every_batches=1)):
    for f in torch.manual_seed,np.random.seed,random.seed,in_a_module.seed: f(7)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Dropout(.2), torch.nn.Linear(6, 1))
    learn = Learner(dls(), model, lambda pred, y: (pred-y).pow(2).mean(), Adam, lr=.02, cbs=[Seen(seen), Shut, *(o() if isinstance(o, (type,partial)) else o for o in cbs)], path=folder)
    learn.remove_cb(ProgressCallback)
    if checkpoint is not None: learn.add_cb(Checkpoint(**checkpoint))
    for f in torch.manual_seed,np.random.seed,random.seed,in_a_module.seed: f(seed)
    return learn

def outcome(learn, seen):
    own = {k:v for k,v in read_random(learn)['own'].items()}
    return dict(model=dict(learn.model.state_dict()), losses=learn.recorder.losses, values=learn.recorder.values, seen=seen, torch=torch.get_rng_state(), python=random.getstate(), numpy=np.random.get_state(), own=own)

def run(folder, dls, deaths=(), n_epoch=3, **kwargs):
    "Train, dying as told, each life with other random numbers; the outcome, and the inputs of all batches by epoch and number"
    seen = {}
    for i,death in enumerate([*deaths, None]):
        learn = make(folder, dls, seen, seed=7+i, **kwargs)
        if death is None: learn.fit(n_epoch, resume=hasattr(learn, 'checkpoint'))
        else:
            with learn.added_cbs(DieAfter(*death) if isinstance(death, tuple) else DieAfter(death)), pytest.raises(Dies): learn.fit(n_epoch, resume=True)
    return outcome(learn, {k:v[-1] for k,v in seen.items()})

@pytest.mark.filterwarnings('error', 'ignore:This DataLoader will create')
@pytest.mark.parametrize('kind', exact)
def test_exact(kind, tmp_path):
    "A Checkpoint changes nothing, and being killed changes nothing: within an epoch, before a validation, between two epochs"
    forked = 'workers' in kind # in every epoch anew, which takes time
    dls,more = exact[kind],dict(cbs=[partial(ShortEpoch, n_batches=6)] if 'endless' in kind else [], n_epoch=2 if forked else 3)
    bare = run(tmp_path/'bare', dls, checkpoint=None, **more)
    n = len([k for k in bare['seen'] if k[0]==0])
    if not forked: assert not differs(bare, run(tmp_path/'watched', dls, **more))
    assert not differs(bare, run(tmp_path/'killed', dls, [n+2, 1], **more))                     # in the second epoch, and a batch later
    assert not differs(bare, run(tmp_path/'between', dls, [(1, 'before_validate')] + [(1, 'after_epoch')]*(not forked), checkpoint=dict(every_epochs=1), **more))
