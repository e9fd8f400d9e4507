"""Files that are damaged, or made to do harm with a digest that is right: read as what was saved, or refused by
`DamagedFile`; and a Learner that refuses one is as before.

python tests/fuzz_files.py --n 5000
"""
import argparse
import copy
import hashlib
import json
import math
import os
import random
import struct
import sys
import tempfile
import time
import warnings
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path

import numpy as np
import torch

from optimloop.basics import saved_state
from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.runs.parts import *
from optimloop.basics.course import *

torch.set_num_threads(1)
warnings.filterwarnings('ignore', message='ComplexHalf')

def some_state(many=False):
    "Everything that can be saved, in many layouts; `many`: with small tensors enough to be laid side by side"
    g = torch.Generator().manual_seed(0)
    a,base = torch.randn(6, 4, generator=g),torch.arange(20.)
    more = dict(parameters={f'layers.{i}.weight':dict(avg=torch.full((i%3+1,), float(i)), sqr=torch.zeros(2), step=3)
        for i in range(600)}) if many else {}
    return {
        'a':a, 'tied':a, 'transposed':a.t(), 'last':torch.randn(2, 3, 4, 5,
            generator=g).to(memory_format=torch.channels_last),
                'c64':torch.randn(2, dtype=torch.complex64, generator=g),
        **{str(o):torch.ones(3).to(o) for o in saved_state._dtypes.values()}, 'zero':torch.tensor(3.),
        'empty':torch.empty(0, 3), 'even':base[::2], 'odd':base[1::2],
        'bits':base[2:9].view(torch.int32), 'expanded':torch.ones(1).expand(5),
        'windows':torch.arange(6.).unfold(0, 3, 1), 'gaps':torch.ones(9, 9)[:,0], 'one':torch.arange(6.)[::2][:1],
        'conj':torch.ones(2, dtype=torch.complex64).conj(),
        'parameter':torch.nn.Parameter(torch.ones(2)),
        'numbers':[1, 2.5, math.nan, math.inf, -math.inf, -0., 10**30, True, None, 'ü\ud800'], 'tuple':(1,(2,),[]),
        'keys':{1:'a', (1,2):3, None:4, 2.5:5, b'x':6, frozenset([1]):7, np.int64(9):torch.ones(1), 1j:8},
        'numpy':np.arange(5), 'numpy_0d':np.array(3.), 'number':np.float32(1.5), 'truth':np.bool_(True),
        'big_endian':np.arange(5, dtype='>f4'), 'big_endian_0d':np.array(5, dtype='>i2'),
        'u64':np.array([2**64-1], dtype=np.uint64), 'u16':np.arange(3, dtype=np.uint16),
        'c128':np.ones((2,3), dtype=complex), 'order':np.asfortranarray(np.eye(3)),
        'reversed':np.arange(4.)[::-1], 'array':array('d', [1.,2.]), 'longs':array('L', [2**64-1]), 'bytes':b'abc',
        'no_bytes':b'', 'bytearray':bytearray(b'ab'), 'seeds':[2**64-1-i for i in range(30)],
        'long':[float(i) for i in range(50)], 'integers':tuple(range(50)),
        'rows':[np.array([1.,i]) for i in range(40)], 'python':random.Random(0).getstate(),
        'mt':np.random.RandomState(0).get_state(), 'pcg':np.random.default_rng(0).bit_generator.state,
        'ordered':OrderedDict(b=1, a=2), 'lists':defaultdict(list, {1:[2]}), 'counter':Counter('hello'),
        'deque':deque([1.,2.], maxlen=5), 'set':{1,'a'}, 'complex':complex(1, math.inf), 'dtype':torch.bfloat16,
        'device':torch.device('cuda:1'), 'size':torch.Size([1,2]), 'path':Path('a/b'), 'x.y':torch.zeros(2),
        'x':{'y':torch.ones(2)}, '__metadata__':torch.ones(1), 'skeleton':torch.ones(1), 'room':1,
        'many':torch.randn(3000, generator=g), **more}

def differs(a, b, path=''):
    "Where two states differ, in the last bit or in a type; an empty string if nowhere"
    if type(a) is torch.nn.Parameter: a = a.detach()
    if type(a) is not type(b): return f'{path}: {type(a)} {type(b)}'
    if isinstance(a, dict):
        return repr(list(a))!=repr(list(b)) and f'{path}: keys' or next(
            filter(None, (differs(v, w, f'{path}.{k}') for (k,v),w in zip(a.items(), b.values()))), '')
    if isinstance(a, (list,tuple,deque)):
        return len(a)!=len(b) and f'{path}: length' or next(
            filter(None, (differs(v, w, f'{path}.{i}') for i,(v,w) in enumerate(zip(a, b)))), '')
    if isinstance(a, (np.ndarray,np.generic)): same = (a.dtype,a.shape,a.tobytes())==(b.dtype,b.shape,b.tobytes())
    elif isinstance(a, torch.Tensor):
        flat = lambda o: torch.empty(o.numel(), dtype=o.dtype).copy_(o.reshape(-1)).view(torch.uint8)
        same = a.dtype==b.dtype and a.shape==b.shape and torch.equal(flat(a), flat(b))
    else: same = a==b if isinstance(a, (set,frozenset)) else repr(a)==repr(b)
    return '' if same else f'{path}: {a!r} {b!r}'[:300]

# Bytes

def content(file):
    "Header and bytes of a file"
    data = file if isinstance(file, bytes) else Path(file).read_bytes()
    n = struct.unpack('<Q', data[:8])[0]
    return json.loads(data[8:8+n]),data[8+n:]

def written(header, data):
    "A file with any header and bytes, and the digest that belongs to it"
    meta = header.get('__metadata__') if isinstance(header, dict) else None
    if isinstance(meta, dict): meta['sha256'] = '0'*64
    head = json.dumps(header).encode()
    head = struct.pack('<Q', len(head))+head
    return head.replace(b'0'*64, hashlib.sha256(head+data).hexdigest().encode(), 1)+data

def signed(skeleton, tensors=None, **meta):
    "A file with any skeleton, and the digest that belongs to it"
    text,tensors = (skeleton if isinstance(skeleton, str) else json.dumps(skeleton)).encode(),tensors or {}
    header,data = dict(__metadata__={'format':'pt', 'version':'2', 'sha256':'', **meta}),b''
    for name,t in {**tensors, 'skeleton':torch.frombuffer(bytearray(text), dtype=torch.uint8)}.items():
        raw = t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b''
        header[name],data = dict(dtype=saved_state._code(t), shape=list(t.shape),
            data_offsets=[len(data),len(data)+len(raw)]),data+raw
    return written(header, data)

strange = (
    None,0,-1,1,7,2**31,2**63,2**64,1e300,math.nan,True,'','x','F64','float64','U8','next','like','os','a'*5000,[],[[]],{},
    [1,2],{'dict':[1,2]},{'tuple':[1]},{'like':0},{'like':5},{'tensor':['a']},{'float':'nan'},{'texts':['a']},
    {'next':[0,[1]]},{'path':'/x'})
kinds = *saved_state._makers,*saved_state._kinds,'like','eval'

def changed(o, rng, others=strange):
    "`o` with one part of it changed, anywhere; or with one more, or one less"
    if isinstance(o, (list,tuple)) and o and rng.random()<.9:
        i,res = rng.randrange(len(o)),list(o)
        how = rng.random()
        if how<.06: del res[i]
        elif how<.12: res.insert(i, copy.copy(rng.choice(o)))
        elif how<.16: res[i] = copy.copy(rng.choice(o))
        else: res[i] = changed(o[i], rng, others)
        return type(o)(res) if type(o) in (list,tuple) else res
    if isinstance(o, dict) and o and rng.random()<.9:
        k,res = rng.choice(list(o)),dict(o)
        how = rng.random()
        if how<.06: del res[k]
        elif how<.1: res[rng.choice(kinds if len(o)==1 else [*o,'other'])] = res.pop(k)
        elif how<.14: res[k] = copy.copy(rng.choice(list(o.values())))
        else: res[k] = changed(o[k], rng, others)
        return res
    if type(o) in (int,float) and rng.random()<.6: return rng.choice([o+1, o-1, -o, o*2, o*1000, 0, float(o), str(o)])
    if isinstance(o, str) and o and rng.random()<.5: return rng.choice([o[:-1], o+'~', o.upper(), o[::-1]])
    return copy.deepcopy(rng.choice(others))

def mutants(good, rng):
    "Mutated files, without end: every other with the digest made right again"
    header,data = content(good)
    a,b = header['skeleton']['data_offsets']
    skeleton = json.loads(data[a:b])
    def with_skeleton(s):
        text = (s if isinstance(s, str) else json.dumps(s)).encode()
        res,body = {'__metadata__':dict(header['__metadata__'])},b''
        for k,o in header.items():
            if k=='__metadata__': continue
            raw = text if k=='skeleton' else data[slice(*o['data_offsets'])]
            res[k] = dict(o, shape=[len(text)] if k=='skeleton' else o['shape'],
                data_offsets=[len(body),len(body)+len(raw)])
            body += raw
        return written(res, body)
    def few(o, others=strange):
        for _ in range(rng.choice([1,1,1,2,5])): o = changed(o, rng, others)
        return o
    while True:
        yield 'skeleton',with_skeleton(few(skeleton))
        text,i = json.dumps(skeleton),rng.randrange(b-a)
        yield 'text',with_skeleton(text[:i]+rng.choice(['', ',', '1', '"', '{"like":1}', '[', ']', text[i:i+20]*2])+
            text[i+rng.randrange(3):])
        yield 'header',written(few(header), data)
        i,n = rng.randrange(len(data)),rng.randrange(1, 40)
        yield 'numbers',written(header, data[:i]+rng.randbytes(len(data[i:i+n]))+data[i+n:])
        i = rng.randrange(len(good))
        yield 'bytes',good[:i]+rng.choice([rng.randbytes(n), b'', bytes([good[i]^1<<rng.randrange(8)])])+good[i+
            rng.choice([0,1,n]):]

def memory(key):
    "Memory of this process in bytes: now (VmRSS), or the most since the last look (VmHWM); 0 where Linux does not tell"
    if not os.access('/proc/self/clear_refs', os.W_OK): return 0
    with open('/proc/self/status') as f: res = next(int(line.split()[1])*1024 for line in f if line.startswith(key))
    with open('/proc/self/clear_refs', 'w') as f: f.write('5')
    return res

def read(file, data):
    "What comes of a file: the state or the error; seconds of this process, and bytes that were taken beyond its length"
    file.write_bytes(data)
    before,start = memory('VmRSS'),time.process_time()
    try: res = load_state(file)
    except DamagedFile as e: res = e.with_traceback(None)
    return res,time.process_time()-start,memory('VmHWM')-before-len(data)

def attack_files(n, folder, seed=0):
    "Read `n` mutants; how many of each kind were refused, the longest time, and the most memory"
    rng,refused,slowest,most = random.Random(seed),Counter(),0.,0
    for many in False,True:
        good = save_state(folder/'good', state := some_state(many)).read_bytes()
        for (kind,data),_ in zip(mutants(good, rng), range(n//2)):
            modules = set(sys.modules)
            res,seconds,extra = read(folder/'x', data)
            if kind=='bytes' and not isinstance(res, DamagedFile) and data!=good and (where := differs(state, res)):
                raise AssertionError(f'another state was loaded, which differs at {where}')
            if set(sys.modules)!=modules: raise AssertionError(f'imported: {set(sys.modules)-modules}')
            if seconds>1: (folder/'slow').write_bytes(data)
            refused[kind] += isinstance(res, DamagedFile)
            slowest,most = max(slowest, seconds),max(most, extra)
    return refused,slowest,most

# States

class Kept(Callback):
    "Keeps something of each kind"
    keeps = 'count','seen','table'
    def __init__(self): self.count,self.seen,self.table = 0,deque(maxlen=3),defaultdict(int)
    def after_batch(self):
        if not self.training: return
        self.count += 1
        self.seen.append(self.xb[0].mean().item())
        self.table[self.iter%3] += 1

def learner(path, *cbs):
    "A Learner with state in every place where there can be some, before its first fit"
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 24)[:,None]
    model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    learn = Learner(DataLoaders.from_arrays(x, 3*x, x, 3*x, bs=8), model, torch.nn.MSELoss(), Adam, lr=.01,
        cbs=[EMA(.8), Kept(), *cbs], path=path)
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda row: None
    return learn

def all_of(learn):
    "All that a load may change"
    state = dict(model=dict(learn.model.state_dict()), opt=learn.opt and read_optimizer(learn),
        ema=learn.ema.state_dict(), kept=vars(learn.kept), values=learn.recorder.values, losses=learn.recorder.losses)
    return copy.deepcopy({k:dict(v) if k=='kept' else v for k,v in state.items() if k!='kept'} |
        dict(kept={k:getattr(learn.kept, k) for k in Kept.keeps}))

def attack_learners(n, folder, seed=0):
    """Let a Learner read `n` states that were changed, in each of the ways to read one: loaded, refused by a
    `ValueError`, and then with nothing changed"""
    rng,loaded,refused = random.Random(seed),Counter(),Counter()
    (first := learner(folder/'first', Checkpoint(every_batches=1, best=None))).fit_one_cycle(1)
    files = dict(load=first.save('saved'), export=first.export(),
        resume=max((folder/'first'/'checkpoints').glob('*_epoch0_batch2*')))
    states = {k:load_state(file) for k,file in files.items()}
    others = *strange,torch.ones(4, 1),torch.ones(4),torch.ones(4,
        dtype=torch.float64),torch.ones(()),torch.tensor([1,2]),np.ones(3),{'a':torch.ones(1)}
    (learn := learner(folder/'x')).fit(1)
    ways = dict(load=lambda: learn.load('x'), export=lambda: load_learner(folder/'x'/'models'/'x.safetensors', learn),
        resume=lambda: learn.resume(folder/'x'/'models'/'x.safetensors'))
    for i in range(n):
        how = list(ways)[i%3]
        learn.save('x')
        save_state(folder/'x'/'models'/'x.safetensors', changed(states[how], rng, others))
        before = all_of(learn)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try: ways[how]()
            except ValueError as e:
                refused[how] += 1
                if where := differs(before, all_of(learn)):
                    raise AssertionError(f'{how} refused state {i}, and changed {where}') from e
            else:
                loaded[how] += 1
                learn = learner(folder/'x') # what was loaded may make no sense to train with
                learn.fit(1)
    return loaded,refused

if __name__=='__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--n', type=int, default=5000, help='number of files, and of states')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', choices=['files','states'])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.only!='states':
            refused,slowest,most = attack_files(args.n, Path(folder), args.seed)
            print(f'{args.n} files: {sum(refused.values())} refused ({dict(refused)}), the others loaded; '
                  f'at most {slowest:.2f} s and {most/2**20:.1f} MiB beyond the length of the file')
        if args.only!='files':
            print(f'{args.n} states: %s loaded, %s refused, with nothing changed' % tuple(
                map(dict, attack_learners(args.n, Path(folder), args.seed))))
