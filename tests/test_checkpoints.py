"""Files that are damaged or made to do harm are refused; a run that is killed, anywhere, ends as if it never had been.

pytest tests/test_checkpoints.py
"""
import collections
import errno
import json
import math
import os
import pickle
import random
import re
import signal
import struct
import subprocess
import sys
import time
import zipfile
from array import array
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from fuzz_files import signed
from optimloop.basics import saved_state
from optimloop.runs import checkpoints
from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.runs.parts import *
from optimloop.basics.course import *

torch.set_num_threads(1)

# Files

def some_state():
    g = torch.Generator().manual_seed(0)
    a,base = torch.randn(6, 4, generator=g),torch.arange(20.)
    return {
        'a':a, 'tied':a, 'transposed':a.t(), 'last':torch.randn(2, 3, 4, 5,
            generator=g).to(memory_format=torch.channels_last),
        'bf16':torch.randn(3, generator=g).bfloat16(), 'c64':torch.randn(2, dtype=torch.complex64, generator=g),
        'c128':torch.ones(2, 2, dtype=torch.complex128)*1j,
        'f8':torch.ones(5).to(torch.float8_e4m3fn), 'u16':torch.tensor([1,65535], dtype=torch.uint16),
        'bool':torch.tensor([True,False]), 'zero':torch.tensor(3.),
        'empty':torch.empty(0, 3), 'even':base[::2], 'odd':base[1::2], 'bits':base[2:9].view(torch.int32),
        'expanded':torch.ones(1).expand(5), 'gaps':torch.ones(9, 9)[:,0],
        'numbers':[1, 2.5, math.nan, math.inf, -math.inf, -0., 10**30, True, None, 'ü\ud800'], 'tuple':(1,(2,),[]),
        'keys':{1:'a', (1,2):3, None:4, 2.5:5},
        'numpy':np.arange(5), 'numpy_0d':np.array(3.), 'number':np.float32(1.5), 'array':array('d', [1.,2.]),
        'bytes':b'abc', 'no_bytes':b'',
        'long':[float(i) for i in range(50)], 'python':random.Random(0).getstate(),
        'ordered':collections.OrderedDict(a=1),
        'x.y':torch.zeros(2), 'x':{'y':torch.ones(2)}, '__metadata__':torch.ones(1),
        'many':torch.randn(3000, generator=g)}

def differs(a, b, path=''):
    "Where two states differ, in the last bit; an empty string if nowhere"
    if isinstance(a, dict) and isinstance(b, dict):
        return repr(list(a))!=repr(list(b)) and f'{path}: keys' or next(
            filter(None, (differs(a[k], b[k], f'{path}.{k}') for k in a)), '')
    if type(a) is not type(b): return f'{path}: {type(a)} {type(b)}'
    if isinstance(a, (list,tuple)):
        return len(a)!=len(b) and f'{path}: length' or next(
            filter(None, (differs(v, w, f'{path}.{i}') for i,(v,w) in enumerate(zip(a, b)))), '')
    if isinstance(a, (np.ndarray,np.generic)): a,b = map(torch.from_numpy, (np.array(a),np.array(b)))
    if isinstance(a, torch.Tensor):
        same = a.dtype==b.dtype and a.shape==b.shape and torch.equal(
            *(o.contiguous().reshape(-1).view(torch.uint8) for o in (a,b)))
        return '' if same else f'{path}: tensors'
    return '' if repr(a)==repr(b) else f'{path}: {a!r} {b!r}'

def test_round_trip(tmp_path):
    state,file = some_state(),tmp_path/'a.safetensors'
    again = load_state(save_state(file, state))
    assert not differs(state, again)
    assert again['a'].data_ptr()==again['tied'].data_ptr()==again['transposed'].data_ptr()
    assert again['bits'].data_ptr()==again['even'].data_ptr()+8 and again['last'].stride()==state['last'].stride()
    assert not differs(state, load_state(save_state(tmp_path/'b.safetensors', again)))
    assert os.path.getsize(file) < os.path.getsize(tmp_path/'b.safetensors')*1.05
    assert set(os.listdir(tmp_path))=={'a.safetensors','b.safetensors'}
    with pytest.raises(TypeError, match='cbs.ema.f: a function cannot be saved'):
        save_state(file, {'cbs':{'ema':{'f':len}}})
    assert not differs(state, load_state(file)) # still there

class Evil:
    def __init__(self, mark): self.mark = str(mark)
    def __reduce__(self): return os.system, (f'touch {self.mark}',)

def raw(header, data=b''):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(head))+head+data

def hostile_files(good, tmp):
    "Names and contents, without end for those that are drawn"
    t,mark = {'t':torch.arange(4.)},tmp/'harm'
    torch.save(Evil(mark), tmp/'evil.pth')
    evil = (tmp/'evil.pth').read_bytes()
    (tmp/'evil.pth').unlink()
    bomb = tmp/'bomb.zip'
    with zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('archive/data.pkl', bytes(50_000_000))
    entry = lambda a, b, dtype='F32', shape=(1,): dict(dtype=dtype, shape=list(shape), data_offsets=[a,b])
    view = lambda *o: signed({'tensor':['t', list(o)]}, t)
    fixed = dict(
        torch_pickle=evil, pickle=pickle.dumps(Evil(mark)), old_pickle=pickle.dumps(Evil(mark), 0),
        zip_bomb=bomb.read_bytes(), empty=b'', short=b'abc', text=b'hello '*99, zeros=bytes(999),
        pickle_as_header=raw(pickle.dumps(Evil(mark))),
        pickle_as_tensor=signed({'pickle':['t']},
            {'t':torch.frombuffer(bytearray(pickle.dumps(Evil(mark))), dtype=torch.uint8)}),
        huge_header=struct.pack('<Q', 2**63)+good[8:], largest_header=b'\xff'*8+good[8:],
        header_past_end=struct.pack('<Q', len(good))+good[8:], no_header=raw(b''), header_is_list=raw([1]),
        overlap=raw(dict(a=entry(0, 4), b=entry(2, 6)), bytes(6)),
        same_bytes=raw(dict(a=entry(0, 4), b=entry(0, 4)), bytes(4)),
        gap=raw(dict(a=entry(0, 4), b=entry(8, 12)), bytes(12)),
        past_end=raw(dict(a=entry(0, 400, shape=(100,))), bytes(4)), backwards=raw(dict(a=entry(4, 0)), bytes(4)),
        negative=raw(dict(a=entry(-4, 0)), bytes(4)),
        huge_shape=raw(dict(a=entry(0, 4, shape=(2**62, 2**62))), bytes(4)),
        terabyte=raw(dict(a=entry(0, 2**42, shape=(2**40,)))), no_dtype=raw(dict(a=entry(0, 4, 'F33')), bytes(4)),
        code_as_dtype=raw(dict(a=entry(0, 4, '__import__')), bytes(4)),
        twice=raw(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                  b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
        deep_header=raw(b'{"a":'*20000+b'1'+b'}'*20000), deep_lists_header=raw(b'['*10**6),
        foreign=safetensors.torch.save(t), foreign_meta=safetensors.torch.save(t, {'format':'pt'}),
        no_digest=safetensors.torch.save(t, {'optimloop':'1', 'version':'1'}), other_version=signed(1, t, version='3'),
        long_version=signed(1, version='9'*10**6), wrong_digest=re.sub(b'[0-9a-f]{64}', b'0'*64, signed(1, t), 1),
        trailing=good+b'more', meta_is_number=raw(dict(__metadata__=dict(optimloop=1))),
        meta_is_deep=raw(dict(__metadata__=dict(optimloop=dict(a=1)))),
        not_json=signed('{"a"'), python_code=signed('__import__("os").system("touch harm")'),
        deep=signed('['*5000+']'*5000), deeper=signed('{"tuple":'*10**5+'1'+'}'*10**5), unclosed=signed('['*10**6),
        wide=signed('['+'[],'*5*10**6+'1]'), wide_dicts=signed('['+'{"":1},'*3*10**6+'1]'), huge_int=signed('9'*10**6),
        unknown_kind=signed({'eval':['1']}), dunder_kind=signed({'__class__':[1]}),
        two_kinds=signed({'tuple':[], 'list':[]}), no_kind=signed({}), missing=signed({'tensor':['nowhere']}),
        no_name=signed({'tensor':[]}), many_names=signed({'tensor':['t',1,2,3]}, t),
        name_is_list=signed({'tensor':[['t']]}, t), unhashable=signed({'dict':[[1],2]}),
        dict_of_none=signed({'dict':None}), odd_pairs=signed({'dict':[1,2,3]}),
        wide_floats=signed('['+'1.5,'*4*10**6+'1]'), float_of_code=signed({'float':'exit()'}),
        past_memory=view('float32', [8], [1], 0), far_stride=view('float32', [2], [10**9], 0),
        far_offset=view('float32', [1], [1], 10**12), negative_offset=view('float32', [1], [1], -1),
        negative_stride=view('float32', [2], [-1], 3), negative_size=view('float32', [-5], [1], 0),
        no_type=view('float33', [1], [1], 0), type_is_function=view('load', [1], [1], 0),
        type_is_module=view('os', [1], [1], 0),
        overflow=view('float32', [2**40]*4, [2**40]*4, 0), big_int=view('float32', [2**70], [1], 0),
        shape_is_str=view('float32', 'ab', [1], 0), numbers_of_words=signed({'numbers':['eval', {'tensor':['t']}]}, t),
        array_of_x=signed({'array':['x', {'tensor':['t']}]}, t),
        array_of_code=signed({'array':['u', {'tensor':['t']}]}, t), bytes_of_int=signed({'bytes':5}),
        numpy_of_str=signed({'numpy':'abc'}))
    yield from fixed.items()
    rng,at = random.Random(0),struct.unpack('<Q', good[:8])[0]+8
    def spot(): return rng.randrange(*rng.choice([(0, 8), (8, at), (at, len(good)), (0, len(good))]))
    def flipped(n):
        res = bytearray(good)
        for _ in range(n): res[spot()] ^= 1<<rng.randrange(8)
        return bytes(res)
    def swapped(n):
        a,b = sorted(rng.sample(range(0, len(good)-n, n), 2))
        return good[:a]+good[b:b+n]+good[a+n:b]+good[a:a+n]+good[b+n:]
    while True:
        a,b,n = spot(),spot(),rng.randrange(1, 300)
        yield from dict(truncated=good[:a], flipped=flipped(1), flipped_more=flipped(rng.randrange(2, 9)),
            swapped_bytes=swapped(1), swapped_blocks=swapped(512), zeroed=good[:a]+bytes(len(good[a:a+n]))+good[a+n:],
                        inserted=good[:a]+rng.randbytes(n)+good[a:], cut_out=good[:a]+good[a+n:],
                        overwritten=good[:a]+rng.randbytes(len(good[a:a+n]))+good[a+n:],
                        header_length=struct.pack('<Q', rng.choice([rng.randrange(2**64), rng.randrange(at), at+b]))+
                        good[8:],
                        noise=rng.randbytes(n), noise_in_header=raw(rng.randbytes(n), good[at:]),
                        evil_inside=good[:a]+pickle.dumps(Evil(mark))+good[a:], evil_at_end=good[:a]+evil).items()

def memory(key):
    "Memory of this process in bytes: now (VmRSS), or the most since the last look (VmHWM); 0 where Linux does not tell"
    if not os.access('/proc/self/clear_refs', os.W_OK): return 0
    with open('/proc/self/status') as f: res = next(int(line.split()[1])*1024 for line in f if line.startswith(key))
    with open('/proc/self/clear_refs', 'w') as f: f.write('5')
    return res

def attack(tmp, n=1000):
    """Try `n` files; the messages by name, the longest time in seconds, and the most memory in bytes that was taken
    beyond the length of the file"""
    state,file = some_state(),tmp/'x.safetensors'
    good,seen,slowest,most = save_state(file, state).read_bytes(),collections.defaultdict(set),0.,0
    load_state(file)
    for (name,content),_ in zip(hostile_files(good, tmp), range(n)):
        if content==good: continue
        file.write_bytes(content)
        before,start = memory('VmRSS'),time.perf_counter()
        try:
            if where := differs(state, load_state(file)):
                raise AssertionError(f'{name}: another state was loaded, which differs at {where}')
        except DamagedFile as e: seen[name].add(str(e).replace(str(tmp), ''))
        slowest,most = max(slowest, time.perf_counter()-start),max(most, memory('VmHWM')-before-len(content))
    assert not (tmp/'harm').exists() and set(os.listdir(tmp))=={'x.safetensors','bomb.zip'}
    return seen,slowest,most

def test_hostile_files(tmp_path):
    """1,000 files: none is loaded as another state, none runs code, none takes 1 s, or more memory than it is long
    and the 48 MiB to read the longest header"""
    seen,slowest,most = attack(tmp_path)
    assert slowest<1 and most<48*2**20 and sum(map(len, seen.values()))>400
    assert all(len(msg)<1000 and msg.startswith('/x.safetensors') for msgs in seen.values() for msg in msgs)

def test_path_tricks(tmp_path):
    "Names in a file are names of tensors, and nothing else"
    for name in '../../harm','/tmp/harm','C:\\harm','a\0b','..','harm\n':
        (tmp_path/'x').write_bytes(signed({'dict':[name, {'tensor':[name]}]}, {name:torch.ones(1)}))
        assert load_state(tmp_path/'x')=={name:torch.ones(1)} and os.listdir(tmp_path)==['x']

# Runs

class Dies(Exception): "Stands for the kill in these quick tests: all that the process knew is thrown away"

class DieAfter(Callback):
    "After training batch number `n` of this process; or at an event of it"
    run_valid,run_after,transient = False,Checkpoint,'left'
    def __init__(self, n, at='after_batch', error=Dies): self.left,self.error = n,error; setattr(self, at, self.count)
    def count(self):
        self.left -= 1
        if not self.left: raise self.error

class Rows(torch.utils.data.Dataset):
    "Samples with random augmentation, by the three generators"
    def __len__(self): return 22
    def __getitem__(self, i):
        return torch.tensor([i, torch.rand(()), np.random.rand(), random.random()]).float(),torch.tensor([i/10])

class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return ((torch.tensor([i, 1., 2., 3.]),torch.tensor([i/10])) for i in torch.randperm(22).tolist())

class KnowsItsPlace(Stream):
    """A stream that can say where it is; torchdata would otherwise skip what was seen, and too much of it after a
    second resume"""
    order,i = None,0
    def __iter__(self):
        if self.order is None: self.order,self.i = torch.randperm(22).tolist(),0
        while self.i<22:
            self.i += 1
            yield torch.tensor([self.order[self.i-1], 1., 2., 3.]),torch.tensor([self.order[self.i-1]/10])
        self.order = None
    def state_dict(self): return dict(order=self.order, i=self.i)
    def load_state_dict(self, state): self.order,self.i = state['order'],state['i']

def arrays():
    x = torch.cat([torch.arange(22.)[:,None], torch.linspace(-1, 1, 66).view(22, 3)], 1)
    return x, x[:,:1]/10

def loaders(kind):
    from torch.utils.data import DataLoader, WeightedRandomSampler
    x,y = arrays()
    valid = [(x,y)]
    if kind=='arrays': return DataLoaders.from_arrays(x, y, x, y, bs=4)
    if kind=='dataset': return DataLoaders(DataLoader(Rows(), 4, shuffle=True), valid)
    if kind=='own_generator':
        return DataLoaders(DataLoader(Rows(), 4, shuffle=True, generator=torch.Generator().manual_seed(3)), valid)
    if kind=='weighted':
        return DataLoaders(DataLoader(Rows(), 4, sampler=WeightedRandomSampler(torch.arange(1., 23), 22)), valid)
    if kind=='single': return DataLoaders(DataLoader(Rows(), batch_size=None, shuffle=True), valid)
    if kind=='list': return DataLoaders([(x[i:i+4],y[i:i+4]) for i in range(0, 22, 4)], valid)
    if kind=='stream': return DataLoaders(DataLoader(Stream(), 4), valid)
    if kind=='workers': return DataLoaders(DataLoader(Rows(), 4, shuffle=True, num_workers=2), valid)
    if kind=='persistent':
        return DataLoaders(DataLoader(Rows(), 4, shuffle=True, num_workers=2, persistent_workers=True), valid)
    stateful = pytest.importorskip('torchdata.stateful_dataloader').StatefulDataLoader
    return DataLoaders(stateful(Rows() if kind=='stateful' else KnowsItsPlace(), 4,
        shuffle=True if kind=='stateful' else None, num_workers=0), valid)

class Seen(Callback):
    "What was trained on: the whole input of each batch, by epoch and number, for all the lives of a run"
    order,transient = -100,'all'
    def __init__(self, seen): self.all = seen
    def before_batch(self):
        if self.training: self.all.setdefault((self.epoch,self.iter), []).append(self.xb[0].clone())

def make(folder, seen, kind='arrays', cbs=(), opt_func=Adam, drop=.2, checkpoint=dict(every_batches=1), **more):
    for f in torch.manual_seed,np.random.seed,random.seed: f(7)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6),
        torch.nn.BatchNorm1d(6) if kind!='single' else torch.nn.Identity(), torch.nn.Dropout(drop), torch.nn.ReLU(),
        torch.nn.Linear(6, 1))
    loss = torch.nn.functional.mse_loss
    cbs = [o() if isinstance(o, (type,partial)) else o for o in cbs]
    learn = Learner(loaders(kind), model, loss, opt_func, lr=.02, cbs=[Seen(seen), *cbs], path=folder, **more)
    learn.remove_cb(ProgressCallback)
    if checkpoint is not None: learn.add_cb(Checkpoint(**checkpoint))
    return learn

def outcome(learn):
    rec,opt = learn.recorder,read_optimizer(learn)
    return dict(model=dict(learn.model.state_dict()), state=dict(sorted(opt['state'].items())),
        groups=opt['param_groups'], losses=rec.losses, values=rec.values, ends=rec.epoch_ends, hps=rec.hps,
                kept={k:s for k,s in read_callbacks(learn).items() if k not in ('recorder','csv_logger')},
                n=learn.train_iter)

def lives(folder, deaths, fit=lambda learn, **kwargs: learn.fit(3, **kwargs), **kwargs):
    "Train, dying as told, and resuming each time; the outcome and what was seen"
    seen = {}
    for death in [*deaths, None]:
        learn = make(folder, seen, **kwargs)
        if death is None: fit(learn, resume=hasattr(learn, 'checkpoint'))
        else:
            with learn.added_cbs(DieAfter(*death) if isinstance(death, tuple)
                else DieAfter(death)), pytest.raises((Dies,KeyboardInterrupt,OSError)):
                fit(learn, resume=True)
    return outcome(learn),{k:v[-1] for k,v in seen.items()},seen

def three_fits(learn, **kwargs):
    learn.fit(2, **kwargs)
    learn.lr /= 2
    learn.fit_one_cycle(2, wd=.3, **kwargs) # for this fit only
    learn.fit(1, **kwargs)

class Gathers(Callback):
    "Changes what it keeps in place when an epoch's training begins"
    keeps = 'sums',
    def __init__(self): self.sums = torch.zeros(2)
    def before_train(self): self.sums += 100
    def after_batch(self): self.sums += 1

class CancelsSome(Callback):
    run_valid = False
    def before_batch(self):
        if self.iter%3==1: raise CancelBatchException
    def before_step(self):
        if self.iter%3==2: raise CancelStepException

one_cycle = lambda learn, **kwargs: learn.fit_one_cycle(3, **kwargs)
setups = dict(
    plain={}, one_cycle=dict(fit=one_cycle),
    flat_cos=dict(fit=lambda learn, **kwargs: learn.fit_flat_cos(3, **kwargs)),
    accumulation=dict(cbs=[partial(GradientAccumulation, 10), partial(GradientClip, 1.)]),
    ema=dict(cbs=[partial(EMA, .7, in_valid=True)]),
    fp16=dict(cbs=[partial(MixedPrecision, init_scale=2.**30, growth_interval=2), partial(GradientAccumulation, 10)],
        fit=one_cycle),
    bf16=dict(cbs=[partial(MixedPrecision, 'bf16')]), lookahead=dict(opt_func=lambda ps, lr: Lookahead(Adam(ps, lr))),
    ranger=dict(opt_func=ranger), lamb=dict(opt_func=Lamb),
    torch_adam=dict(opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)),
    loop=dict(opt_func=partial(Adam, engine='loop')), early=dict(cbs=[partial(EarlyStopping, 1, min_delta=.5)]),
    plateau=dict(cbs=[partial(ReduceLROnPlateau, 1, .5, min_delta=.5)]), by_loss=dict(cbs=[SampleByLoss]),
    by_loss_short=dict(cbs=[SampleByLoss, partial(ShortEpoch, n_batches=4)]), short=dict(cbs=[partial(ShortEpoch, .6)]),
    nan=dict(cbs=[partial(NaNPolicy, 'rollback', 2)]), every=dict(cbs=[partial(EveryN, 3, GradientClip)]),
    save=dict(cbs=[partial(SaveModel, at_end=True)]), csv=dict(cbs=[partial(CSVLogger, append=False)]),
    fine_tune=dict(fit=lambda learn, **kwargs: learn.fine_tune(2, **kwargs),
        splitter=lambda m: [list(m[:2].parameters()), list(m[2:].parameters())]), three_fits=dict(fit=three_fits),
            sgdr=dict(fit=lambda learn, **kwargs: learn.fit_sgdr(2, 1, **kwargs)),
            wsd=dict(fit=lambda learn, **kwargs: learn.fit_wsd(3, warmup=Steps(3), **kwargs)),
            linear=dict(fit=lambda learn, **kwargs: learn.fit_linear(3, **kwargs)),
    torch_steps=dict(cbs=[partial(TorchScheduler,
        partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=.1, total_steps=99, cycle_momentum=False))]),
            torch_plateau=dict(cbs=[partial(TorchScheduler,
                partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, threshold=.5), 'epoch')]),
    gathers=dict(cbs=[Gathers]), cancels=dict(cbs=[CancelsSome, partial(GradientAccumulation, 10)]),
    skip_valid=dict(cbs=[partial(SkipValidation, every=2)]),
    **{kind:dict(kind=kind) for kind in ('dataset','own_generator','weighted','single','list','stream','stateful',
                                         'stateful_stream')})

@pytest.mark.filterwarnings('error', "ignore:'set_vital'")
@pytest.mark.parametrize('setup', setups)
def test_exact(setup, tmp_path):
    "Dying twice, in two epochs, makes no difference; nor does the Checkpoint itself"
    setup = setups[setup]
    truth,seen,_ = lives(tmp_path/'truth', [], **setup)
    bare,bare_seen,_ = lives(tmp_path/'bare', [], checkpoint=None, **setup)
    assert not differs(truth, bare) and not differs(seen, bare_seen)
    again,again_seen,_ = lives(tmp_path/'again', [5, 4], **setup)
    assert not differs(truth, again) and not differs(seen, again_seen)

@pytest.mark.parametrize('kind', ['workers','persistent'])
def test_workers(kind, tmp_path):
    "With worker processes, random augmentation is the same however far they had fetched ahead"
    truth,seen,_ = lives(tmp_path/'truth', [], kind=kind)
    again,again_seen,_ = lives(tmp_path/'again', [8], kind=kind)
    assert not differs(truth, again) and not differs(seen, again_seen)
    assert len({tuple(row[1:].tolist()) for x in seen.values() for row in x})==66 # each epoch has other numbers

@pytest.mark.parametrize('death', [(8, 'before_batch', KeyboardInterrupt), (8, 'after_backward', KeyboardInterrupt),
    (2, 'before_validate'), (9, 'after_pred', OSError), (2, 'after_validate'), (2, 'before_epoch'), (2, 'after_epoch')])
def test_errors(death, tmp_path):
    "An error anywhere: what is saved is a state between two batches, or nothing"
    setup = dict(cbs=[partial(EMA, .7, in_valid=True), partial(GradientAccumulation, 10)],
        checkpoint=dict(every_epochs=2))
    truth,seen,_ = lives(tmp_path/'truth', [], **setup)
    again,again_seen,_ = lives(tmp_path/'again', [death], **setup)
    assert not differs(truth, again) and not differs(seen, again_seen)

class Flaky(torch.utils.data.Dataset):
    broken = 0
    def __len__(self): return 22
    def __getitem__(self, i):
        row = torch.rand(4)
        self.broken -= 1
        if self.broken==0: raise OSError('the cable was pulled')
        return row,torch.tensor([i/10])

def test_loader_error(tmp_path, capsys):
    "The loader fails: the state after the last batch is saved, with the random generators as they were then"
    def new(folder, broken):
        learn = make(folder, {}, checkpoint=dict(every_epochs=9))
        learn.dls = DataLoaders(torch.utils.data.DataLoader(ds := Flaky(), 4, shuffle=True), [arrays()])
        ds.broken = broken
        return learn
    (truth := new(tmp_path/'a', 0)).fit(2)
    with pytest.raises(OSError, match='the cable'): new(tmp_path/'b', 31).fit(2)
    assert 'epoch1_batch2.safetensors; go on with resume=True' in capsys.readouterr().out
    (again := new(tmp_path/'b', 0)).fit(2, resume=True)
    assert not differs(outcome(truth), outcome(again))

class Told(Exception): "What the handler that was there before does"

@pytest.mark.parametrize('at,n,file', [('before_batch', 9, 'epoch1_batch3'), ('before_validate', 2, 'epoch1_batch6')])
def test_sigterm(at, n, file, tmp_path):
    "The batch is finished and saved, then the signal does what it did before"
    def told(*args): raise Told
    old = signal.signal(signal.SIGTERM, told)
    try:
        setup = dict(cbs=[partial(EMA, .7, in_valid=True), partial(GradientAccumulation, 10)],
            checkpoint=dict(every_epochs=9))
        truth,seen,_ = lives(tmp_path/'truth', [], **setup)
        learn = make(tmp_path/'again', {}, **setup)
        dying = DieAfter(n, at)
        dying.error = None
        setattr(dying, at, lambda: (setattr(dying, 'left', dying.left-1),
            dying.left==0 and os.kill(os.getpid(), signal.SIGTERM)))
        with learn.added_cbs(dying), pytest.raises(Told): learn.fit(3)
        assert signal.getsignal(signal.SIGTERM) is told
        assert f'000003_{file}.safetensors' in os.listdir(tmp_path/'again'/'checkpoints')
        again,*_ = lives(tmp_path/'again', [], **setup)
        assert not differs(truth, again)
    finally: signal.signal(signal.SIGTERM, old)

def failing(monkeypatch, errno_, after):
    "From call number `after` on, writing fails: on a full disk really, by /dev/full"
    calls,open_,write = [],os.open,os.write
    def full(fd, data):
        calls.append(1)
        if len(calls)<after: return write(fd, data)
        if errno_!=errno.ENOSPC: raise OSError(errno_, os.strerror(errno_))
        full = open_('/dev/full', os.O_WRONLY)
        try: return write(full, data)
        finally: os.close(full)
    monkeypatch.setattr(saved_state.os, 'write', full)

@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
@pytest.mark.parametrize('errno_', [errno.ENOSPC, errno.EROFS])
def test_disk_full(errno_, tmp_path, monkeypatch):
    truth,*_ = lives(tmp_path/'truth', [])
    failing(monkeypatch, errno_, 200) # in the third file or so
    with pytest.warns(UserWarning, match=r'could not be written \((No space left|Read-only)'):
        again,*_ = lives(tmp_path/'warn', [])
    assert not differs(truth, again)                                       # the fit went on
    with pytest.raises(OSError, match='could not be written'):
        make(tmp_path/'raise', {}, checkpoint=dict(every_batches=1, on_error='raise')).fit(3)
    monkeypatch.undo()
    for folder in 'warn','raise':
        files = os.listdir(tmp_path/folder/'checkpoints') if (tmp_path/folder/'checkpoints').exists() else []
        assert not [o for o in files if o.endswith('.tmp')]
        for o in files: load_state(tmp_path/folder/'checkpoints'/o)
    assert len(os.listdir(tmp_path/'warn'/'checkpoints'))==3
    again,*_ = lives(tmp_path/'warn', [])
    assert not differs(truth, again)

def test_read_only_folder(tmp_path):
    (tmp_path/'file').write_text('in the way')
    with pytest.warns(UserWarning, match='no checkpoint|The run goes on'):
        make(tmp_path, {}, checkpoint=dict(folder=tmp_path/'file')).fit(1)

def test_damaged_checkpoint(tmp_path):
    "The one before is used, with a warning; if none is whole nothing is begun anew unasked"
    truth,*_ = lives(tmp_path/'truth', [])
    with pytest.raises(Dies): make(tmp_path/'a', {}, cbs=[DieAfter(9)]).fit(3)
    newest,*others = sorted((tmp_path/'a'/'checkpoints').glob('0*'), reverse=True)
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(content)
    with pytest.warns(UserWarning, match='the digest differs.*The checkpoint before it is tried'):
        again,*_ = lives(tmp_path/'a', [])
    assert not differs(truth, again)
    for o in (tmp_path/'a'/'checkpoints').glob('0*'): o.write_bytes(o.read_bytes()[:-1])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match='none of the 3 checkpoints'):
        make(tmp_path/'a', {}).fit(3, resume=True)
    with pytest.raises(ValueError, match='add a Checkpoint'):
        make(tmp_path/'a', {}, checkpoint=None).fit(3, resume=True)

def test_cancelled_when_due(tmp_path):
    "A save that is due after a cancelled batch, whose gradients are dropped only afterwards, comes after the next"
    class CancelSecond(Callback):
        def before_batch(self):
            if self.iter==1: raise CancelBatchException
    make(tmp_path, {}, cbs=[CancelSecond], checkpoint=dict(every_batches=2, keep=9)).fit(1)
    names = sorted(o.split('.')[0].split('_', 1)[1] for o in os.listdir(tmp_path/'checkpoints') if o[0]=='0')
    assert names==['epoch0_batch0','epoch0_batch3','epoch0_batch4','epoch0_batch6','epoch1_batch0'], names

def test_files_kept(tmp_path):
    learn = make(tmp_path, {}, checkpoint=dict(every_batches=2, keep=2))
    learn.fit(2)
    files = sorted(os.listdir(tmp_path/'checkpoints'))
    assert files==['000008_epoch1_batch6.safetensors','000009_epoch2_batch0.safetensors','best.safetensors'], files
    before = outcome(learn)
    (again := make(tmp_path, {})).fit(2, resume=True)                       # over already: nothing is trained
    assert not differs(before, outcome(again)) and sorted(os.listdir(tmp_path/'checkpoints'))==files
    (again := make(tmp_path, {})).fit(3, resume=True)
    assert len(again.recorder.values)==3 and again.recorder.values[:2]==learn.recorder.values
    best = make(tmp_path, {}).resume(tmp_path/'checkpoints'/'best.safetensors')
    assert best.recorder.values[-1][1]==min(o[1] for o in again.recorder.values)
    again.one_batch()
    again.lr_find(show_plot=False)                                          # neither is a run
    assert again.dls.train.__class__.__name__=='DataLoader'

def test_over(tmp_path):
    "A run that was stopped early is over: resumed, it trains no more"
    new = lambda: make(tmp_path, {}, cbs=[partial(EarlyStopping, 1, min_delta=.5)])
    (learn := new()).fit(9)
    (again := new()).fit(9, resume=True)
    assert len(learn.recorder.values)<9 and not differs(outcome(learn), outcome(again))

def test_cancelled_after_epoch(tmp_path):
    "Stopped after its best epoch, and trained on for more: no epoch comes twice, and the best is that one"
    class StopAfter(Callback):
        order = 90
        def after_epoch(self):
            if self.epoch==1: raise CancelFitException
    (learn := make(tmp_path, {}, cbs=[StopAfter])).fit(3)
    best = make(tmp_path, {}).resume(tmp_path/'checkpoints'/'best.safetensors')
    assert len(best.recorder.values)==2 and best.recorder.values==learn.recorder.values
    with pytest.warns(UserWarning, match='of a run of 3 epochs, and this one has 4'):
        (again := make(tmp_path, seen := {})).fit(4, resume=True)
    assert len(again.recorder.values)==4 and sorted({epoch for epoch,i in seen})==[2,3]

def test_best_after_a_kill(tmp_path, monkeypatch):
    "Killed when the best was written, but had not got its name"
    real = checkpoints.link_file
    def dies(file, name): raise Dies
    monkeypatch.setattr(checkpoints, 'link_file', dies)
    with pytest.warns(UserWarning, match='The run goes on'): make(tmp_path, {}).fit(2)
    assert not (tmp_path/'checkpoints'/'best.safetensors').exists()
    monkeypatch.setattr(checkpoints, 'link_file', real)
    with pytest.warns(UserWarning): (learn := make(tmp_path, {})).fit(3, resume=True)
    best = make(tmp_path, {}).resume(tmp_path/'checkpoints'/'best.safetensors')
    assert best.recorder.values[-1][1]==min(o[1] for o in learn.recorder.values)

def test_only_its_own(tmp_path):
    """Files of others in the folder stay as they are, a log too if a checkpoint is only looked at; what cannot be
    meant is an error"""
    folder = tmp_path/'checkpoints'
    folder.mkdir()
    others = [folder/o for o in ('20240101_mine.safetensors','.mine.tmp')]
    for o in others: o.write_text('mine')
    make(tmp_path, {}, cbs=[CSVLogger], checkpoint=dict(keep=1)).fit(2)
    (make(tmp_path, {}, cbs=[CSVLogger], checkpoint=dict(keep=1))).fit(2, resume=True)
    assert [o.read_text() for o in others]==['mine']*2
    log = (tmp_path/'history.csv').read_text()
    make(tmp_path, {}, cbs=[CSVLogger]).resume(next(folder.glob('*_epoch2_*')))
    assert (tmp_path/'history.csv').read_text()==log and len(log.splitlines())==3
    with pytest.raises(ValueError, match='is a folder: give the file'): make(tmp_path, {}).fit(3, resume=folder)
    with pytest.raises(ValueError, match="best='acuracy' is no column of the table"):
        make(tmp_path, {}, checkpoint=dict(best='acuracy')).fit(1)

class Running(torch.nn.Module):
    "A loss that keeps something"
    def __init__(self):
        super().__init__()
        self.register_buffer('mean', torch.ones(()))
    def forward(self, pred, y):
        self.mean = .5*self.mean + .5*torch.nn.functional.mse_loss(pred.detach(), y)
        return torch.nn.functional.mse_loss(pred, y)/self.mean

def test_loss_with_state(tmp_path):
    results = []
    for name,death in (('truth',None),('dies',9)):
        for life in ([] if death is None else [DieAfter(death)],[])[death is None:]:
            learn = make(tmp_path/name, {}, cbs=life)
            learn.loss_func = Running()
            try: learn.fit(3, resume=True)
            except Dies: pass
        results.append(outcome(learn)['losses'])
    assert not differs(*results)

def test_compiled(tmp_path):
    "A run of a compiled model is resumed with one that is not, and the other way round"
    truth,*_ = lives(tmp_path/'truth', [])
    for i in 0,1:
        for n,life in enumerate([[DieAfter(8)],[]]):
            learn = make(tmp_path/f'{i}', {}, cbs=life)
            if n==i: learn.model = torch.compile(learn.model, backend='eager')
            if n: learn.fit(3, resume=True)
            else:
                with pytest.raises(Dies): learn.fit(3)
        assert not differs(truth['losses'], learn.recorder.losses)
        assert not differs([*truth['model'].values()], [*learn.model.state_dict().values()])

def test_kill_anywhere():
    "A bounded part of tests/kill_anywhere.py, in a process that has not trained yet"
    script = os.path.join(os.path.dirname(__file__), 'kill_anywhere.py')
    res = subprocess.run([sys.executable, script, '--kills', '6', '--controls', '3'], capture_output=True, text=True,
        timeout=300)
    print(res.stdout, res.stderr)
    assert res.returncode==0, res.stdout+res.stderr
