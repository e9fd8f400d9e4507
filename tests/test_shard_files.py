"""States that lie in several processes, written by these and read by other numbers of them: all dtypes and shapes that
can be cut, parts that are empty, or lie oddly in memory, names of all kinds, files that are damaged, writes that fail.

pytest tests/test_shard_files.py
"""
import shutil, subprocess, sys, threading
from collections import OrderedDict

import pytest
import torch
import torch.distributed as dist

if not dist.is_available() or not dist.is_gloo_available(): pytest.skip('needs gloo', allow_module_level=True)
pytest.importorskip('torch.distributed.tensor', reason='needs DTensor')
from optimloop.basics.course import on_ranks
from optimloop.basics.ranks import join_ranks, n_ranks, this_rank
from optimloop.basics.saved_state import DamagedFile, load_state, save_state
from optimloop.runs.shard_files import check_shard_files, read_shards, split_state, write_shards

head = """import shutil, threading, torch
import torch.distributed as dist
from collections import OrderedDict
from pathlib import Path
from optimloop.basics.ranks import join_ranks, n_ranks, this_rank
from optimloop.basics.saved_state import load_state, save_state
from optimloop.runs.shard_files import *
"""

def cases():
    "The state as one process has it"
    torch.manual_seed(0)
    odd = torch.tensor([float('nan'), float('inf'), -0., 1e-45, 3., 2.])
    kinds = 'bfloat16 float16 float64 int64 int32 int16 int8 uint8 bool complex64 float8_e4m3fn'.split()
    return dict(
        rows={str(n):torch.randn(n, 3) for n in range(6)}, empty=torch.zeros(4, 0), one=torch.randn(1), odd=odd,
        kinds={k:(torch.randn(7, 2)*3).to(getattr(torch, k)) for k in kinds}, four=torch.randn(5, 4, 3, 2),
        names={'a':{'b': torch.randn(3)}, 'a/b':torch.randn(3), '0.weight':torch.randn(3), 'ü b\n"':torch.randn(2),
               7:torch.randn(2), '__metadata__':torch.randn(2), '':torch.randn(2)}, __metadata__=torch.randn(2),
        nest=OrderedDict(a=[torch.randn(2), (torch.randn(3), 'text', None)]),
        other=[torch.randn(6, 4), torch.randn(4, 6)])

def cut(o, place):
    "A state with DTensors that lie as `place` says"
    if isinstance(o, torch.Tensor): return place(o)
    if isinstance(o, dict): return type(o)((k,cut(v, place)) for k,v in o.items())
    return type(o)(cut(v, place) for v in o) if isinstance(o, (list,tuple)) else o

def same(a, b):
    "The same types, shapes and bits?"
    if isinstance(a, torch.Tensor):
        if type(a) is not type(b) or (a.dtype,a.shape)!=(b.dtype,b.shape): return False
        return torch.equal(*(o.contiguous().reshape(-1).view(torch.uint8) for o in (a,b)))
    if isinstance(a, dict): return type(a) is type(b) and list(a)==list(b) and all(same(v, b[k]) for k,v in a.items())
    if isinstance(a, (list,tuple)): return type(a) is type(b) and len(a)==len(b) and all(map(same, a, b))
    return a==b

def share(t):
    "What this process has of a tensor: as many rows as the others, the last ones perhaps fewer"
    rows = max(1, -(-len(t)//n_ranks()))
    return t[rows*this_rank():rows*(this_rank()+1)]

def sharded():
    "The state, sharded over all processes, and some tensors that lie in other ways"
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
    mesh,whole = init_device_mesh('cpu', (n_ranks(),)),cases()
    more = dict(device_mesh=mesh, placements=[Shard(0)], run_check=False)
    state = cut(whole, lambda t: DTensor.from_local(share(t), **more, shape=t.shape, stride=t.stride()))
    state['other'] = [distribute_tensor(whole['other'][0], mesh, [Shard(1)]),
                      distribute_tensor(whole['other'][1], mesh, [Replicate()])]
    local = state['four'].to_local().contiguous(memory_format=torch.channels_last) # not in the usual order
    state['four'] = DTensor.from_local(local, **more, shape=(5,4,3,2), stride=(24,6,2,1))
    state['tied'] = [state['odd'],state['odd'].detach(),state['odd'].clone()]
    scalar = DTensor.from_local(torch.tensor(2.), mesh, [Replicate()])
    total = DTensor.from_local(torch.ones(3), mesh, [Partial()])
    both = {k:state['four'].detach().clone() for k in ('b','a/c')[::1-2*(this_rank()%2)]} # in no common order
    nested = {'a':{'c': both['b'].clone()}, 'twice':both['b'].detach()}
    orders = {**both, **nested} if this_rank()%2 else {**nested, **both}
    return dict(state, plain=torch.arange(3), scalar=scalar, total=total, orders=orders)

def written():
    join_ranks()
    state,group = sharded(),dist.new_group(backend='gloo')
    record,tensors = split_state(state, copied=True)
    before = record,sorted(tensors)
    for o in tensors.values(): assert o._local_tensor.is_contiguous()
    files = []
    thread = threading.Thread(target=lambda: files.append(write_shards(folder/'files', tensors, group)))
    thread.start()
    for t in cases()['kinds'].values(): dist.broadcast(t.real.float(), 0) # the processes talk meanwhile
    for o in sharded()['rows'].values(): o._local_tensor.zero_()
    thread.join()
    names = sorted(o.name for o in (folder/'files').iterdir())
    assert names==sorted(files[0]) and len(names)==n_ranks(), names
    if this_rank()==0: save_state(folder/'record.safetensors', dict(record=record, files=files[0]))
    dist.barrier()
    plain,rest = split_state(dict(a=1, b=[torch.ones(2)]))
    assert not rest and write_shards(folder/'none', rest)=={} and plain['a']==1
    return before,files

def views():
    "Parts that overlap in memory, written without a copy before; and again, into the same place"
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard
    mesh,row = init_device_mesh('cpu', (n_ranks(),)),torch.arange(12.)+100*this_rank()
    def of(local): return DTensor.from_local(local, mesh, [Shard(0)], run_check=False)
    tensors = dict(a=of(row), b=of(row), c=of(row[2:6]), d=of(row.view(3, 4).t()), e=of(row[::2]))
    for names in 'abcde','de':
        if this_rank()==0 and names=='de': shutil.copytree(folder/'views', folder/'views'/'more')
        if this_rank()==0 and names=='de': (folder/'views'/'shard-00009.safetensors').write_text('of another run')
        dist.barrier()
        files = write_shards(folder/'views', {k:tensors[k] for k in names})
        described = {k:{'sharded tensor':k, 'shape':list(tensors[k].shape), 'dtype':torch.float32} for k in names}
        check_shard_files(folder/'views', files)
        back = read_shards(folder/'views', described)
        for k in names: assert torch.equal(back[k].full_tensor(), tensors[k].full_tensor()), k

def wrong():
    "Errors in one process, which are those of all"
    import resource
    texts = []
    def fails(where, tensors):
        try: write_shards(where, tensors)
        except OSError as e: texts.append((e.errno,str(e)))
    record,tensors = split_state(sharded())
    if this_rank()==0: (folder/'a file').write_text('')
    fails(folder/'a file', tensors)
    from torch.distributed.tensor import DTensor, Shard
    mesh = next(iter(tensors.values())).device_mesh
    fails(folder/'wide', dict(a=DTensor.from_local(torch.zeros(4, dtype=torch.complex128), mesh, [Shard(0)])))
    if this_rank()==1: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    fails(folder/'full', tensors)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,)*2)
    files = write_shards(folder/'full', tensors) # now there is room, and half a file from before
    check_shard_files(folder/'full', files)
    if this_rank()==1: min((folder/'full').iterdir()).write_bytes(b'')
    dist.barrier()
    try: check_shard_files(folder/'full', files)
    except ValueError as e: texts.append((type(e).__name__,str(e)))
    try: read_shards(folder/'full', record)
    except ValueError as e: texts.append((type(e).__name__,str(e)))
    return texts

def two():
    res = written()
    views()
    return res,wrong()

def read(there):
    "What another number of processes reads"
    saved = load_state(there/'record.safetensors')
    check_shard_files(there/'files', saved['files'])
    state,whole = read_shards(there/'files', saved['record']),read_shards(there/'files', saved['record'], whole=True)
    tied = state['tied'][0] is state['tied'][1] and state['tied'][0] is not state['tied'][2]
    parts = {k:o.to_local().shape[0] for k,o in state['rows'].items()}
    return tied,parts,whole,cut(state, lambda o: o.to_local() if hasattr(o, 'to_local') else o)

def three():
    join_ranks()
    res = read(folder)
    globals()['folder'] = folder/'three'
    return res,written()

def two_again():
    join_ranks()
    return read(folder)

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('shards')

@pytest.fixture(scope='module')
def of_two(folder):
    return on_ranks(2, two, written, views, wrong, sharded, share, cut, cases, head=head, folder=folder)[0]

@pytest.fixture(scope='module')
def of_three(of_two, folder):
    return on_ranks(3, three, read, written, sharded, share, cut, cases, head=head, folder=folder)[0]

@pytest.fixture(scope='module')
def again(of_three, folder):
    return on_ranks(2, two_again, read, cut, head=head, folder=folder/'three')[0]

def joined(parts, whole):
    "The parts of all processes, side by side"
    if isinstance(whole, torch.Tensor): return parts[0] if whole.ndim==0 else torch.cat(parts)
    if isinstance(whole, dict): return type(whole)((k,joined([o[k] for o in parts], v)) for k,v in whole.items())
    if isinstance(whole, (list,tuple)): return type(whole)(joined([o[i] for o in parts], v) for i,v in enumerate(whole))
    return parts[0]

def expected(n):
    whole = cases()
    more = dict(plain=torch.arange(3), scalar=torch.tensor(2.), total=torch.full((3,), 1.*n))
    orders = {'a':{'c':whole['four']}, **dict.fromkeys(('twice','b','a/c'), whole['four'])}
    return dict(whole, tied=[whole['odd']]*3, **more, orders=orders)

def test_processes_agree(of_two, of_three):
    for ranks in [o for o,_ in of_two],[o for _,o in of_three]:
        records,files = zip(*ranks)
        assert {'orders/a/c','orders/a/c~','orders/b'} <= {*records[0][1]} and 'orders/twice' not in records[0][1]
        orders = [o.pop('orders') for o,_ in records]
        assert all(o==orders[0] for o in orders) and [*orders[0]]==[*orders[1]][2:]+[*orders[1]][1::-1]
        assert all(same(o[0], records[0][0]) and o[1]==records[0][1] for o in records)
        assert all(o==files[0] for o in files)

def test_names(of_two):
    names = of_two[0][0][0][1]
    assert len(names)==len({*names}) and 'tied/2' in names
    assert {'rows/4','names/a/b','names/a/b~','nest/a/1/0','__metadata__~'} <= {*names}
    assert 'tied/1' not in names and 'odd' in names

def test_read_alone(of_two, of_three, folder):
    for there,n in (folder,2),(folder/'three',3):
        saved = load_state(there/'record.safetensors')
        check_shard_files(there/'files', saved['files'])
        state = read_shards(there/'files', saved['record'])
        assert state['tied'][0] is state['tied'][1] is state['odd'] and same(state, expected(n))

def test_read_by_others(of_three, again):
    for ranks,n_wrote,n in ([o for o,_ in of_three],2,3),(again,3,2):
        told = expected(n_wrote)
        for tied,_,whole,_ in ranks: assert tied and same(whole, told)
        plain = {k:told.pop(k) for k in ('plain','total')} # in the record: all processes have them
        states = [state for *_,state in ranks]
        assert same(joined(states, told), told) and all(same(o[k], v) for o in states for k,v in plain.items())
        assert {k:sum(parts[k] for _,parts,*_ in ranks) for k in ranks[0][1]}=={str(i):i for i in range(6)}
        assert 0 in ranks[-1][1].values()

def test_errors(of_two):
    (_,mine),(_,others) = of_two
    assert mine==others and len(mine)==5
    file,wide,full,damaged,read = mine
    assert 'a file could not be written' in file[1] and 'could not be written' in wide[1] and 'omplex128' in wide[1]
    assert full[0]==27 and '(process 1: File too large)' in full[1]
    assert damaged[0]=='DamagedFile' and 'has 0 bytes' in damaged[1] and read[0]=='DamagedFile'

def test_damage(of_two, folder, tmp_path):
    saved = load_state(folder/'record.safetensors')
    def fails(change, text):
        shutil.rmtree(tmp_path/'bad', ignore_errors=True)
        shutil.copytree(folder/'files', tmp_path/'bad')
        change(tmp_path/'bad'/max(saved['files']))
        with pytest.raises(DamagedFile, match=text): check_shard_files(tmp_path/'bad', saved['files'])
    fails(lambda o: o.unlink(), 'is missing')
    fails(lambda o: o.write_bytes(o.read_bytes()[:-1]), 'bytes, and')
    fails(lambda o: o.write_bytes(o.read_bytes()[:-1]+b'?'), 'digest differs')
    fails(lambda o: shutil.copy(o, o.with_name('more.safetensors')), 'more.safetensors does not belong there')
    fails(lambda o: shutil.rmtree(o.parent), 'is missing')
    for files in {'a':1},{'a':[1]},[1],{'a':None},{1:[2,'b']}:
        with pytest.raises(DamagedFile): check_shard_files(folder/'files', files)

def test_other_record(of_two, folder):
    "A record that is of other files does not end in nonsense"
    for shape,name in ([4,3],'rows/5'),([6,3],'rows/5'),([5],'rows/5'),([5,3],'no such'):
        with pytest.raises(DamagedFile):
            read_shards(folder/'files', {'sharded tensor':name, 'shape':shape, 'dtype':torch.float32})

def test_nothing_is_imported_for_it():
    code = """import sys
from optimloop.all import *
import optimloop.runs.shard_files
assert not {'torch.distributed.checkpoint','torch.distributed.tensor'} & {*sys.modules}, 'imported'"""
    assert subprocess.run([sys.executable, '-c', code]).returncode==0
