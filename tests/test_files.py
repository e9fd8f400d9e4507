"""Files: what can be saved comes back as what it was, what is refused is refused in time, and a disk that is full
costs no more than the newest file.

pytest tests/test_files.py
"""
import errno
import os
import sys
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path

import fuzz_files
import numpy as np
import pytest
import safetensors.torch
import torch
from fuzz_files import differs, read, signed, some_state, written

from optimloop.basics import saved_state
from optimloop.basics.saved_state import pack_state, replacing
from optimloop.runs import checkpoints
from optimloop.all import *
from optimloop.basics.saved_state import *
from optimloop.basics.course import *
from optimloop.learner import synth_learner

# What is saved

@pytest.mark.filterwarnings('ignore:ComplexHalf')
@pytest.mark.parametrize('many', [False, True])
def test_round_trip(many, tmp_path):
    """All dtypes, layouts and containers, with few tensors and with many; other programs can read the file, and views
    of one memory stay that"""
    file = save_state(tmp_path/'a', state := some_state(many))
    assert not differs(state, again := load_state(file))
    assert again['a'].data_ptr()==again['tied'].data_ptr()==again['transposed'].data_ptr() and again[
        'bits'].data_ptr()==again['even'].data_ptr()+8
    assert not differs(state, load_state(save_state(tmp_path/'b', again)))
    names = set(safetensors.torch.load_file(file))
    assert ('small.0' in names)==many and ({'zero','keys.9'} <= names)!=many and {'many','skeleton'} <= names
    assert again['lists'].default_factory is list and again['deque'].maxlen==5 and again['last'].stride()==state[
        'last'].stride()

class Config(dict): pass
Point = namedtuple('Point', 'x y')

refusals = [
    (Config(a=1), 'a.b: a Config, which is more than a dict, cannot be saved'),
    (Point(1, 2), 'a Point, which is more than a tuple, cannot'),
    (np.ma.masked_array([1.,2.], [True,False]), 'a MaskedArray, which is more than a ndarray, cannot'),
    (defaultdict(lambda: 1),
     'a defaultdict that makes what is missing by <function .* cannot be saved, only by one of None, list'),
    (np.array(['a']), 'a numpy array of <U1'), (np.array([1], dtype='m8[s]'), 'a numpy array of timedelta64'),
    (np.array([1,'a'], dtype=object), 'a numpy array of object'),
    (np.longdouble(1), 'a numpy array of (float128|longdouble)'), (np.zeros(2, dtype='i4,f4'), 'a numpy array of'),
    (torch.ones(2).to_sparse(), 'that is sparse'), (torch.ones(2, device='meta'), 'on no device'),
    (torch.nn.parameter.UninitializedParameter(), 'without a shape'), ({torch.ones(1):1}, 'a tensor cannot be a key'),
    (10**5000, 'an integer of more than 3,900 digits'),
    ({i*(2**61-1) for i in range(200)}, 'more than 10 keys have one hash'),
    ({i*(2**61-1):0 for i in range(200)}, 'more than 10 keys have one hash'), (len, 'a function'),
    (object(), 'a object'), (torch.Generator(), 'a Generator'), (slice(1), 'a slice')]

@pytest.mark.parametrize('i', range(len(refusals)))
def test_refused(i, tmp_path):
    "What would come back as something else is named by its path"
    o,sentence = refusals[i]
    with pytest.raises((TypeError,ValueError), match=sentence) as e: save_state(tmp_path/'a', dict(a=dict(b=o)))
    assert str(e.value).startswith('a.b') and not os.listdir(tmp_path)

def many_parameters(n, size):
    return dict(model={f'layers.{i}':torch.full((size,), i*1.) for i in range(n)},
        state={f'layers.{i}':dict(a=torch.zeros(size), b=torch.zeros(size), step=3) for i in range(n)})

def test_many_tensors(tmp_path):
    "60 bytes for a parameter and its state, besides the numbers; and more tensors than 33,000"
    file = save_state(tmp_path/'a', state := many_parameters(3000, 8))
    header,_ = fuzz_files.content(file)
    assert os.path.getsize(file)-9000*32 < 60*3000 and 'room' not in header
    assert not differs(state, load_state(file))
    state = load_state(save_state(tmp_path/'b', {f'{i}':torch.full((2,), i*1.) for i in range(50_000)}))
    assert len(state)==50_000 and state['49999'][0]==49999

states = [some_state(True), [[]]*999, [()]*999, [set()]*99, [{}]*999, [torch.ones(1)]*99,
    [torch.ones(()) for _ in range(300)], [torch.ones(1) for _ in range(2000)],
    [np.ones(3, dtype='>f4') for _ in range(99)], [1j]*99,
    [Path('a'*1000)]*99, {i:i for i in range(999)}, {(i,):i for i in range(99)}, [b'a']*99, [bytearray(b'a')]*99,
    [torch.device('cpu')]*99, [Counter('abc')]*99, [deque([1])]*99, [np.float32(1), 1]*99, [np.ones(2)]*999, ['ab']*99,
    [{'a':1}]*999]

@pytest.mark.parametrize('i', range(len(states)))
def test_room(i, tmp_path, monkeypatch):
    "The writer counts at least as many parts as the reader: without an allowance, every state can be read"
    monkeypatch.setattr(saved_state, '_room', lambda size: size//64)
    assert not differs(states[i], load_state(save_state(tmp_path/'a', states[i])))

def nested(how, n):
    o = 1
    for _ in range(n): o = how(o)
    return o

@pytest.mark.parametrize('how', [lambda o: [o], lambda o: (o,), lambda o: {'a':o}, lambda o: {(1,2):o},
    lambda o: OrderedDict(a=o), lambda o: deque([o]), lambda o: defaultdict(list, a=o), lambda o: Counter(a=o),
    lambda o: frozenset([o])])
def test_depth(how, tmp_path):
    "What is not too deep to be saved can be read again"
    n = 0
    for n in range(1, 120, 7):
        try: save_state(tmp_path/'a', state := nested(how, n))
        except ValueError: break
        assert not differs(state, load_state(tmp_path/'a'))
    assert 21<n<119

def test_own_memory(tmp_path):
    "What was loaded does not change with the file, nor end the process when that is cut off"
    file = save_state(tmp_path/'a', dict(x=torch.ones(100_000), y=[np.ones(50_000)]))
    state = load_state(file)
    with open(file, 'r+b') as f: f.write(b'\xff'*os.path.getsize(file))
    os.truncate(file, 0)
    assert state['x'].sum()==100_000 and state['y'][0].sum()==50_000
    state['x'] += 1

# Hostile files

def test_fuzz(tmp_path):
    "A bounded part of tests/fuzz_files.py: mutants, most with a right digest"
    refused,slowest,most = fuzz_files.attack_files(500, tmp_path)
    assert slowest<1 and most<2**25 and sum(refused.values())>250

def test_fuzz_states(tmp_path):
    """What a Learner refuses, of states that were changed and have a right digest, is a `ValueError`, and has changed
    nothing"""
    loaded,refused = fuzz_files.attack_learners(90, tmp_path)
    assert sum(loaded.values())>15 and sum(refused.values())>30

P = 2**61-1 # numbers that are multiples of it have one hash
t = torch.arange(4.)
likes = lambda first, n, i=0: '['+first+f',{{"like":{i}}}'*n+']'
bombs = dict(
    repeated_numbers=lambda: signed({'numbers':['list',{'tensor':['t',['float64',[2*10**8],[0],0]]}]},
        {'t':torch.zeros(1, dtype=torch.float64)}),
            repeated=lambda: signed({'tensor':['t',['float32',[4*10**8],[0],0]]}, {'t':t}),
    keys=lambda: signed({'dict':[x for i in range(150_000) for x in (i*P,0)]}),
    set=lambda: signed({'set':[i*P for i in range(10**5)]}),
    tuples=lambda: signed({'dict':[x for i in range(50_000) for x in ({'tuple':[i*P]},0)]}),
    ordered=lambda: signed({'OrderedDict':[[i*P,0] for i in range(10**4)]}),
    counter=lambda: signed({'Counter':[i*P for i in range(10**4)]}),
    default=lambda: signed({'defaultdict':['list',[[i*P,0] for i in range(10**4)]]}),
    empty=lambda: written({'__metadata__':{'version':'2', 'sha256':''},
        **{f'{i}':dict(dtype='F32', shape=[0], data_offsets=[0,0]) for i in range(250_000)}}, b''),
            fewer_empty=lambda: signed([{'tensor':[f'{i}']} for i in range(25_000)],
                {f'{i}':torch.empty(0) for i in range(25_000)}),
    nexts=lambda: signed(likes('{"next":[0,[0]]}', 60_000), {'small.0':torch.empty(0)}),
    laughs=lambda: signed('[{"tuple":[1,1]}'+
        ''.join(f',{{"tuple":[{{"like":{i}}},{{"like":{i}}}]}}' for i in range(90))+']'),
    texts=lambda: signed(likes('{"texts":['+','.join(['"a"']*1000)+']}', 50_000)),
    paths=lambda: signed(likes('{"path":"'+'a'*10**6+'"}', 50_000)),
    strings=lambda: signed(likes('{"deque":[null,"'+'a'*10**6+'"]}', 1000)),
    numbers=lambda: signed(likes('{"numbers":["list",{"tensor":["t"]}]}', 1000, 1),
        {'t':torch.zeros(10**5, dtype=torch.float64)}),
            small_numbers=lambda: signed({'numbers':['list',{'tensor':['t']}]},
                {'t':torch.zeros(10**7, dtype=torch.int8)}),
    bytes=lambda: signed([{'bytes':{'tensor':['t']}}]*1000, {'t':torch.zeros(10**6, dtype=torch.uint8)}),
    arrays=lambda: signed([{'array':['d',{'tensor':['t']}]}]*1000, {'t':torch.zeros(10**5, dtype=torch.float64)}),
    swapped=lambda: signed([{'swapped':[{'tensor':['t']},'>f4']}]*1000, {'t':torch.zeros(10**5)}),
    rows=lambda: signed({'rows':['list',{'tensor':['t']}]}, {'t':torch.zeros(10**9, 0)}),
    more_rows=lambda: signed({'rows':['list',{'tensor':['t']}]}, {'t':torch.zeros(10**6, 1, dtype=torch.int8)}),
    views=lambda: signed([{'tensor':['t',['float32',[4],[1],0]]}]*90_000, {'t':t}),
    imports=lambda: signed({'tensor':['t',['_dynamo',[4],[1],0]]}, {'t':t}),
    imports_dtype=lambda: signed({'dtype':'_dynamo'}),
    lists=lambda: signed('['+'[],'*5*10**6+'1]'), fewer_lists=lambda: signed('['+'[],'*300_000+'1]'),
    sets=lambda: signed('['+','.join(['{"set":[]}']*100_000)+']'),
    header=lambda: (9*10**7).to_bytes(8, 'little')+b'{"a":['+b'[],'*29_999_997+b'1]}',
    shape=lambda: written({'__metadata__':{'version':'2','sha256':''},
        'a':dict(dtype='F32', shape=[2**62]*64, data_offsets=[0,4])}, bytes(4)),
            long_shape=lambda: signed({'tensor':['t',['float32',[2**62]*10**5,[1]*10**5,0]]}, {'t':t}),
    complexes=lambda: signed(likes('{"complex":["'+'1'*10**6+'"]}', 50_000)),
    truths=lambda: signed(likes('{"tensor":["t",["bool",[10000000],[1],0]]}', 50_000),
        {'t':torch.zeros(10**7, dtype=torch.uint8)}),
            truth=lambda: signed({'tensor':['t',['bool',[4],[1],0]]},
                {'t':torch.tensor([1,2,3,4], dtype=torch.uint8)}), before_it=lambda: signed([{'like':0}]),
                    itself=lambda: signed([{'tuple':[{'like':0}]}]), depth=lambda: signed('['*5000+']'*5000),
                    nan_shape=lambda: signed({'next':[0,[float('nan')]]}, {'small.0':t}))

@pytest.fixture(scope='module')
def honest_seconds(tmp_path_factory):
    "Processor time that reading an honest file takes, of about as many parts as a short file may become"
    file = save_state(tmp_path_factory.mktemp('honest')/'x', [((i,),) for i in range(150_000)])
    start = time.process_time()
    load_state(file)
    return time.process_time()-start

@pytest.mark.parametrize('name', bombs)
def test_bombs(name, tmp_path, honest_seconds):
    "Short files that would become large, slow, or a program: refused as fast as a good file is read, in little memory"
    read(tmp_path/'warm', signed(1))
    modules = set(sys.modules)
    res,seconds,extra = read(tmp_path/'x', bombs[name]())
    assert isinstance(res, DamagedFile) and extra<2**25 and set(sys.modules)==modules, (res,extra)
    assert seconds < 1.5*honest_seconds, (seconds,honest_seconds)

def test_no_file(tmp_path):
    "Pipes and folders are refused at once, by all that read"
    os.mkfifo(tmp_path/'pipe.safetensors')
    (tmp_path/'folder.safetensors').mkdir()
    learn = synth_learner(path=tmp_path, model_dir='')
    for name in 'pipe','folder':
        file = tmp_path/f'{name}.safetensors'
        for f in load_state,is_pickle,learn.resume,lambda o: learn.load(name),lambda o: load_learner(o, learn):
            with pytest.raises(DamagedFile, match='a folder, a pipe or a device'): f(file)

def test_errors_that_are_none_of_the_file(tmp_path, monkeypatch):
    """No memory is a `DamagedFile`, so that the checkpoint before is tried; Ctrl-C, and what else a signal raises,
    stays what it is"""
    file = save_state(tmp_path/'a', dict(x=torch.ones(5)))
    class Alarm(Exception): pass
    for error,expected in (MemoryError(),DamagedFile),(RecursionError(),DamagedFile),(KeyboardInterrupt(),
        KeyboardInterrupt),(Alarm(),Alarm),(OSError(5, 'io'),OSError):
        for name in '_read_tensors','_sound','_parsed','_entries':
            def fails(*args): raise error
            with monkeypatch.context() as m, pytest.raises(expected):
                m.setattr(saved_state, name, fails)
                load_state(file)

def test_interrupts(tmp_path):
    "An interrupt at any line of the reading arrives as one"
    file = save_state(tmp_path/'a', some_state())
    def run(at):
        left = [at]
        def trace(frame, event, arg):
            if event=='line' and 'saved_state' in frame.f_code.co_filename:
                left[0] -= 1
                if not left[0]: raise KeyboardInterrupt
            return trace
        sys.settrace(trace)
        try: load_state(file)
        except KeyboardInterrupt: return 'interrupt'
        finally: sys.settrace(None)
    n = 0
    for at in [*range(1, 60), *range(60, 1500, 37)]:
        if run(at) is None: break
        n += 1
    assert n>60

# Writing

def full_disk(monkeypatch, folder, room, error=errno.ENOSPC):
    "A disk with room for so many bytes in a folder; writing more is an error"
    write,used = os.write,lambda: sum(o.stat().st_size for o in Path(folder).rglob('*') if o.is_file())
    def limited(fd, data):
        if used()+len(data)>room: raise OSError(error, os.strerror(error))
        return write(fd, data)
    monkeypatch.setattr(saved_state.os, 'write', limited)
    monkeypatch.setattr(checkpoints, '_free', lambda folder: room-used() if error==errno.ENOSPC else 10**12)

@pytest.mark.parametrize('error', [errno.ENOSPC, errno.EDQUOT])
def test_room_for_keep_files_only(error, tmp_path, monkeypatch):
    "A disk with room for `keep` files keeps the newest, as long as one before it is whole"
    new = lambda: synth_learner(path=tmp_path, cbs=[Checkpoint(every_batches=1, keep=3, best=None)])
    with (learn := new()).no_logging(): learn.fit(1)
    files = sorted((tmp_path/'checkpoints').glob('0*'))
    full_disk(monkeypatch, tmp_path, sum(o.stat().st_size for o in files)+1000, error)
    with (again := new()).no_logging(), pytest.warns(UserWarning) as told: again.fit(2, resume=True)
    names = sorted(o.name for o in (tmp_path/'checkpoints').iterdir())
    assert names[-1].endswith('_epoch2_batch0.safetensors') and len(names)>=2
    # of a quota it is not known how much has to go
    if error==errno.ENOSPC: assert not [o for o in told if 'could not be written' in str(o.message)]
    for o in names: load_state(tmp_path/'checkpoints'/o)

def test_disk_that_stays_full(tmp_path, monkeypatch):
    "Nothing is given up where that would not make enough room"
    with (learn := synth_learner(path=tmp_path, cbs=[Checkpoint(every_batches=1, keep=3, best=None)])).no_logging():
        learn.fit(1)
    files = sorted((tmp_path/'checkpoints').glob('0*'))
    for room in 0,10**12:
        with monkeypatch.context() as m:
            full_disk(m, tmp_path, 0)
            m.setattr(checkpoints, '_free', lambda folder: room if room else -10**9)
            with pytest.raises(OSError):
                Checkpoint(keep=3)._write_in_room(tmp_path/'checkpoints'/'000099_epoch9_batch9.safetensors',
                    pack_state(dict(a=torch.ones(9))))
        assert sorted((tmp_path/'checkpoints').iterdir())==files

def test_last_whole_file_stays(tmp_path, monkeypatch):
    "On a full disk the only file that is whole is not given up"
    learn = synth_learner(path=tmp_path, cbs=[Checkpoint(every_batches=1, keep=3, best=None)])
    with learn.no_logging(): learn.fit(1)
    *_,old,whole,damaged = sorted((tmp_path/'checkpoints').glob('0*'))
    for o in damaged,old: o.write_bytes(o.read_bytes()[:-1])
    full_disk(monkeypatch, tmp_path, 100, errno.EDQUOT)
    with pytest.raises(OSError):
        Checkpoint(keep=3)._write_in_room(tmp_path/'checkpoints'/'000099_epoch9_batch9.safetensors',
            pack_state(dict(a=1)))
    assert load_state(whole) and not old.exists()
    whole.write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(OSError):
        Checkpoint(keep=3)._write_in_room(tmp_path/'checkpoints'/'000099_epoch9_batch9.safetensors',
            pack_state(dict(a=1)))
    assert whole.exists() and damaged.exists()

def test_folder_of_a_name(tmp_path, recwarn):
    "What is called like a checkpoint and is none is neither read, nor taken away, nor written over"
    folder = tmp_path/'checkpoints'
    (folder/'000001_epoch0_batch0.safetensors').mkdir(parents=True)
    os.mkfifo(folder/'000007_epoch1_batch0.safetensors')
    (folder/'.000008_epoch0_batch0.safetensors.tmp').mkdir()
    os.mkfifo(folder/'.best.safetensors.tmp')
    (tmp_path/'mine').write_text('mine')
    (folder/'000002_epoch0_batch0.safetensors').symlink_to(tmp_path/'mine')
    learn = synth_learner(path=tmp_path, cbs=[Checkpoint(every_batches=1, keep=1)])
    with learn.no_logging(): learn.fit(1)
    assert not [o for o in recwarn if 'Checkpoint' in str(o.message)]
    assert (folder/'000001_epoch0_batch0.safetensors').is_dir() and (
        folder/'000007_epoch1_batch0.safetensors').is_fifo() and (tmp_path/'mine').read_text()=='mine'
    with (again := synth_learner(path=tmp_path, cbs=[Checkpoint(keep=1)])).no_logging(): again.fit(1, resume=True)
    assert again.recorder.losses==learn.recorder.losses

def test_two_writers(tmp_path):
    "Who saves under one name at the same time writes into a file of their own: there is always a whole one"
    states,errors = [dict(x=torch.full((50_000,), float(i))) for i in range(4)],[]
    def work(state):
        try:
            for _ in range(10): save_state(tmp_path/'a', state)
        except Exception as e: errors.append(e)
    threads = [threading.Thread(target=work, args=(o,)) for o in states]
    for o in threads: o.start()
    while any(o.is_alive() for o in threads):
        if (tmp_path/'a').exists(): assert len(load_state(tmp_path/'a')['x'].unique())==1
    for o in threads: o.join()
    assert not errors and os.listdir(tmp_path)==['a']

def test_what_is_left_aside(tmp_path):
    "What a killed process left goes with a later save of that name, and nothing else does; an interrupt leaves nothing"
    for o in '.a.1-1.tmp','.a.2-2.tmp','.ab.1-1.tmp','.a.tmp','.a.x-1.tmp': (tmp_path/o).write_text('mine')
    os.utime(tmp_path/'.a.1-1.tmp', (0,0)); os.utime(tmp_path/'.ab.1-1.tmp', (0,0))
    save_state(tmp_path/'a', 1)
    assert set(os.listdir(tmp_path))=={'a','.a.2-2.tmp','.ab.1-1.tmp','.a.tmp','.a.x-1.tmp'}
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path/'a'): raise KeyboardInterrupt
    assert len(os.listdir(tmp_path))==5 and load_state(tmp_path/'a')==1

@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
def test_export_on_a_full_disk(tmp_path, monkeypatch):
    "A full disk is not something that cannot be pickled; and what cannot be is not the disk"
    learn = synth_learner(path=tmp_path)
    file = learn.export(whole=True)
    before = file.read_bytes()
    with monkeypatch.context() as m, pytest.raises(OSError, match='could not be written .No space left'):
        full_disk(m, tmp_path, 100)
        learn.export(whole=True)
    learn.f = lambda: 0
    with pytest.raises(TypeError, match='cannot be pickled'): learn.export(whole=True)
    assert os.listdir(tmp_path)==['export.pkl'] and file.read_bytes()==before
    assert isinstance(load_learner(file, trusted=True), Learner)
