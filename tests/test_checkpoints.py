"""Files that are damaged or made to do harm are refused; a run that is killed, anywhere, ends as if it never had been.

pytest tests/test_checkpoints.py
"""
import collections
import hashlib
import json
import math
import os
import pickle
import random
import struct
import time
import zipfile
from array import array
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from optimloop import checkpoints
from optimloop.checkpoints import DamagedFile, load_state, save_state

torch.set_num_threads(1)

# Files

def some_state():
    g = torch.Generator().manual_seed(0)
    a,base = torch.randn(6, 4, generator=g),torch.arange(20.)
    return {
        'a':a, 'tied':a, 'transposed':a.t(), 'last':torch.randn(2, 3, 4, 5, generator=g).to(memory_format=torch.channels_last),
        'bf16':torch.randn(3, generator=g).bfloat16(), 'c64':torch.randn(2, dtype=torch.complex64, generator=g), 'c128':torch.ones(2, 2, dtype=torch.complex128)*1j,
        'f8':torch.ones(5).to(torch.float8_e4m3fn), 'u16':torch.tensor([1,65535], dtype=torch.uint16), 'bool':torch.tensor([True,False]), 'zero':torch.tensor(3.),
        'empty':torch.empty(0, 3), 'even':base[::2], 'odd':base[1::2], 'bits':base[2:9].view(torch.int32), 'expanded':torch.ones(1).expand(5), 'gaps':torch.ones(9, 9)[:,0],
        'numbers':[1, 2.5, math.nan, math.inf, -math.inf, -0., 10**30, True, None, 'ü\ud800'], 'tuple':(1,(2,),[]), 'keys':{1:'a', (1,2):3, None:4, 2.5:5},
        'numpy':np.arange(5), 'numpy_0d':np.array(3.), 'number':np.float32(1.5), 'array':array('d', [1.,2.]), 'bytes':b'abc', 'no_bytes':b'',
        'long':[float(i) for i in range(50)], 'python':random.Random(0).getstate(), 'ordered':collections.OrderedDict(a=1),
        'x.y':torch.zeros(2), 'x':{'y':torch.ones(2)}, '__metadata__':torch.ones(1), 'many':torch.randn(3000, generator=g)}

def differs(a, b, path=''):
    "Where two states differ, in the last bit; an empty string if nowhere"
    if isinstance(a, dict) and isinstance(b, dict): return repr(list(a))!=repr(list(b)) and f'{path}: keys' or next(filter(None, (differs(a[k], b[k], f'{path}.{k}') for k in a)), '')
    if type(a) is not type(b): return f'{path}: {type(a)} {type(b)}'
    if isinstance(a, (list,tuple)): return len(a)!=len(b) and f'{path}: length' or next(filter(None, (differs(v, w, f'{path}.{i}') for i,(v,w) in enumerate(zip(a, b)))), '')
    if isinstance(a, (np.ndarray,np.generic)): a,b = map(torch.from_numpy, (np.array(a),np.array(b)))
    if isinstance(a, torch.Tensor):
        same = a.dtype==b.dtype and a.shape==b.shape and torch.equal(*(o.contiguous().reshape(-1).view(torch.uint8) for o in (a,b)))
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
    with pytest.raises(TypeError, match='cbs.ema.f: a function cannot be saved'): save_state(file, {'cbs':{'ema':{'f':len}}})
    assert not differs(state, load_state(file)) # still there

class Evil:
    def __init__(self, mark): self.mark = str(mark)
    def __reduce__(self): return os.system, (f'touch {self.mark}',)

def raw(header, data=b''):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(head))+head+data

def signed(skeleton, tensors=None, version='1', **meta):
    "A file with any skeleton, and the digest that belongs to it"
    tensors = tensors or {}
    text = skeleton if isinstance(skeleton, str) else json.dumps(skeleton)
    return safetensors.torch.save(tensors, {'optimloop':text, 'version':version, 'sha256':checkpoints._digest(text, tensors), **meta})

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
        torch_pickle=evil, pickle=pickle.dumps(Evil(mark)), old_pickle=pickle.dumps(Evil(mark), 0), zip_bomb=bomb.read_bytes(), empty=b'', short=b'abc', text=b'hello '*99, zeros=bytes(999),
        pickle_as_header=raw(pickle.dumps(Evil(mark))), pickle_as_tensor=signed({'pickle':['t']}, {'t':torch.frombuffer(bytearray(pickle.dumps(Evil(mark))), dtype=torch.uint8)}),
        huge_header=struct.pack('<Q', 2**63)+good[8:], largest_header=b'\xff'*8+good[8:], header_past_end=struct.pack('<Q', len(good))+good[8:], no_header=raw(b''), header_is_list=raw([1]),
        overlap=raw(dict(a=entry(0, 4), b=entry(2, 6)), bytes(6)), same_bytes=raw(dict(a=entry(0, 4), b=entry(0, 4)), bytes(4)), gap=raw(dict(a=entry(0, 4), b=entry(8, 12)), bytes(12)),
        past_end=raw(dict(a=entry(0, 400, shape=(100,))), bytes(4)), backwards=raw(dict(a=entry(4, 0)), bytes(4)), negative=raw(dict(a=entry(-4, 0)), bytes(4)),
        huge_shape=raw(dict(a=entry(0, 4, shape=(2**62, 2**62))), bytes(4)), terabyte=raw(dict(a=entry(0, 2**42, shape=(2**40,)))), no_dtype=raw(dict(a=entry(0, 4, 'F33')), bytes(4)),
        code_as_dtype=raw(dict(a=entry(0, 4, '__import__')), bytes(4)), twice=raw(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
        deep_header=raw(b'{"a":'*20000+b'1'+b'}'*20000), deep_lists_header=raw(b'['*10**6), foreign=safetensors.torch.save(t), foreign_meta=safetensors.torch.save(t, {'format':'pt'}),
        no_digest=safetensors.torch.save(t, {'optimloop':'1', 'version':'1'}), other_version=signed(1, t, version='2'), long_version=signed(1, version='9'*10**6), wrong_digest=signed(1, t, sha256='0'*64),
        trailing=good+b'more', meta_is_number=raw(dict(__metadata__=dict(optimloop=1))), meta_is_deep=raw(dict(__metadata__=dict(optimloop=dict(a=1)))),
        not_json=signed('{"a"'), python_code=signed('__import__("os").system("touch harm")'), deep=signed('['*5000+']'*5000), deeper=signed('{"tuple":'*10**5+'1'+'}'*10**5), unclosed=signed('['*10**6),
        wide=signed('['+'[],'*5*10**6+'1]'), wide_dicts=signed('['+'{"":1},'*3*10**6+'1]'), huge_int=signed('9'*10**6), unknown_kind=signed({'eval':['1']}), dunder_kind=signed({'__class__':[1]}),
        two_kinds=signed({'tuple':[], 'list':[]}), no_kind=signed({}), missing=signed({'tensor':['nowhere']}), no_name=signed({'tensor':[]}), many_names=signed({'tensor':['t',1,2,3]}, t),
        name_is_list=signed({'tensor':[['t']]}, t), unhashable=signed({'dict':[[1],2]}), dict_of_none=signed({'dict':None}), odd_pairs=signed({'dict':[1,2,3]}), wide_floats=signed('['+'1.5,'*4*10**6+'1]'), float_of_code=signed({'float':'exit()'}),
        past_memory=view('float32', [8], [1], 0), far_stride=view('float32', [2], [10**9], 0), far_offset=view('float32', [1], [1], 10**12), negative_offset=view('float32', [1], [1], -1),
        negative_stride=view('float32', [2], [-1], 3), negative_size=view('float32', [-5], [1], 0), no_type=view('float33', [1], [1], 0), type_is_function=view('load', [1], [1], 0), type_is_module=view('os', [1], [1], 0),
        overflow=view('float32', [2**40]*4, [2**40]*4, 0), big_int=view('float32', [2**70], [1], 0), shape_is_str=view('float32', 'ab', [1], 0), numbers_of_words=signed({'numbers':['eval', {'tensor':['t']}]}, t),
        array_of_x=signed({'array':['x', {'tensor':['t']}]}, t), array_of_code=signed({'array':['u', {'tensor':['t']}]}, t), bytes_of_int=signed({'bytes':5}), numpy_of_str=signed({'numpy':'abc'}))
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
        yield from dict(truncated=good[:a], flipped=flipped(1), flipped_more=flipped(rng.randrange(2, 9)), swapped_bytes=swapped(1), swapped_blocks=swapped(512), zeroed=good[:a]+bytes(len(good[a:a+n]))+good[a+n:],
                        inserted=good[:a]+rng.randbytes(n)+good[a:], cut_out=good[:a]+good[a+n:], overwritten=good[:a]+rng.randbytes(len(good[a:a+n]))+good[a+n:], header_length=struct.pack('<Q', rng.choice([rng.randrange(2**64), rng.randrange(at), at+b]))+good[8:],
                        noise=rng.randbytes(n), noise_in_header=raw(rng.randbytes(n), good[at:]), evil_inside=good[:a]+pickle.dumps(Evil(mark))+good[a:], evil_at_end=good[:a]+evil).items()

def memory(key):
    "Memory of this process in bytes: now (VmRSS), or the most since the last look (VmHWM)"
    with open('/proc/self/status') as f: res = next(int(line.split()[1])*1024 for line in f if line.startswith(key))
    with open('/proc/self/clear_refs', 'w') as f: f.write('5')
    return res

def attack(tmp, n=1000):
    "Try `n` files; the messages by name, the longest time in seconds, and the most memory in bytes that was taken beyond the length of the file"
    state,file = some_state(),tmp/'x.safetensors'
    good,seen,slowest,most = save_state(file, state).read_bytes(),collections.defaultdict(set),0.,0
    load_state(file)
    for (name,content),_ in zip(hostile_files(good, tmp), range(n)):
        if content==good: continue
        file.write_bytes(content)
        before,start = memory('VmRSS'),time.perf_counter()
        try:
            if where := differs(state, load_state(file)): raise AssertionError(f'{name}: another state was loaded, which differs at {where}')
        except DamagedFile as e: seen[name].add(str(e).replace(str(tmp), ''))
        slowest,most = max(slowest, time.perf_counter()-start),max(most, memory('VmHWM')-before-len(content))
    assert not (tmp/'harm').exists() and set(os.listdir(tmp))=={'x.safetensors','bomb.zip'}
    return seen,slowest,most

def test_hostile_files(tmp_path):
    "1,000 files: none is loaded as another state, none runs code, none takes 1 s, or more memory than it is long and the 48 MiB to read the longest header"
    seen,slowest,most = attack(tmp_path)
    assert slowest<1 and most<48*2**20 and sum(map(len, seen.values()))>400
    assert all(len(msg)<1000 and msg.startswith('/x.safetensors') for msgs in seen.values() for msg in msgs)

def test_path_tricks(tmp_path):
    "Names in a file are names of tensors, and nothing else"
    for name in '../../harm','/tmp/harm','C:\\harm','a\0b','..','harm\n':
        (tmp_path/'x').write_bytes(signed({'dict':[name, {'tensor':[name]}]}, {name:torch.ones(1)}))
        assert load_state(tmp_path/'x')=={name:torch.ones(1)} and os.listdir(tmp_path)==['x']
