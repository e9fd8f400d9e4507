"""`Checkpoint(sharded=True)` of a model in parts: the same run as without it, broken off and gone on with, by as many
processes or others; files that are damaged, disks that are full, processes that fail or are killed alone.

pytest tests/test_sharded_checkpoints.py
"""
import os, subprocess, sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

if not dist.is_available() or not dist.is_gloo_available(): pytest.skip('needs gloo', allow_module_level=True)
pytest.importorskip('torch.distributed.fsdp', reason='needs fully_shard').__dict__.get('fully_shard') or \
    pytest.skip('needs fully_shard', allow_module_level=True)

here = Path(__file__).parent
on_two = '''plain broken_off kept_from_before_validation for_others going_on_from_1 old_ones_go damaged all_damaged
    taken failing room_is_made refused'''.split()

def launch(folder, n, *cases, timeout=240):
    "What each process gives of some cases"
    start = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(n)] if n>1 else []
    line = [sys.executable, *start, here/'sharded_checkpoint_cases.py', folder, *cases]
    env = dict(os.environ, OMP_NUM_THREADS='1', OPTIMLOOP_DEVICE='cpu')
    done = subprocess.run([*map(str, line)], env=env, timeout=timeout, capture_output=True, text=True)
    assert done.returncode==0, done.stderr[-6000:]
    res = [torch.load(folder/f'{n}_{i}.pt', weights_only=False) for i in range(n)]
    for got in res:
        for name in cases: assert not isinstance(got[name], str), got[name]
    return res

def far(a, b):
    "The largest difference between numbers that two results have"
    if isinstance(a, dict): return max([far(v, b[k]) for k,v in a.items()]) if {*a}=={*b} else float('inf')
    if isinstance(a, (list,tuple)): return max([0., *map(far, a, b)]) if len(a)==len(b) else float('inf')
    if isinstance(a, torch.Tensor): return (a.double()-b.double()).abs().max().item()
    return abs(a-b) if isinstance(a, (int,float)) else 0. if a==b else float('inf')

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('runs')
@pytest.fixture(scope='module')
def alone(folder): return launch(folder, 1, 'plain', 'for_others')[0]
@pytest.fixture(scope='module')
def two(folder, alone): return launch(folder, 2, *on_two)

def records_in(names):
    "The files of a folder in which each has its parts, and no parts are without a file"
    def numbered(kind): return sorted(o.split('.')[0] for o in names if o[0]=='0' and o.endswith(kind))
    assert numbered('.safetensors')==numbered('.shards')
    return numbered('.shards')

def test_the_same_as_without_it(two, alone):
    for o in two: assert far(o['plain']['parts'], two[0]['plain']['whole'])==0
    assert far(two[0]['plain']['dry'], alone['plain']['dry'])<1e-5

def test_broken_off(two):
    for o in two:
        assert far(o['broken_off']['batch'], two[0]['plain']['parts'])==0
        assert far(o['broken_off']['validation'], two[0]['plain']['parts'])==0
    assert len(records_in(two[0]['broken_off']['names']))==14

def test_kept_from_before_validation(two):
    for o in two: assert o['kept_from_before_validation']==dict(newest='000007_epoch1_batch5.safetensors', n=10)

def test_on_other_numbers_of_processes(two, alone, folder):
    bar,truth = 1e-5,alone['plain']['dry']
    gone_on = {'1 to 2': [o['going_on_from_1'] for o in two]}
    for n in 3,1: gone_on[f'2 to {n}'] = [o['going_on_from_2'] for o in launch(folder, n, 'going_on_from_2')]
    for what,ranks in gone_on.items():
        for o in ranks:
            assert len(o)==4
            assert {k:d for k,v in o.items() if not (d := far(v, truth))<bar}=={}, what

def test_old_ones_go(two):
    first,then = (two[0]['old_ones_go'][k] for k in ('first','then'))
    records = [o for o in first if o[0]=='0' and o.endswith('safetensors')]
    assert len(records)==2 and then==['000014_epoch1_batch0.safetensors','best.safetensors']
    parts = {o for o in first if o.endswith('shards')}-{'000099_epoch9_batch1.shards'} # that was made by hand
    assert parts-{o.replace('safetensors', 'shards') for o in records}=={'000004_epoch1_batch0.shards'} # of the best

def test_damaged(two):
    texts = dict(truncated='bytes, and', altered='the digest differs', missing='is missing', record='is damaged')
    for how,text in {**texts, 'no folder':'is missing'}.items():
        for o in two: assert far(o['damaged'][how][0], two[0]['plain']['parts'])==0
        (told,),nothing = two[0]['damaged'][how][1],two[1]['damaged'][how][1]
        assert text in told and 'The checkpoint before it is tried' in told and not nothing
    for o in two: assert o['all_damaged']['text'].startswith('none of the 1 checkpoints in')

def test_taken(two):
    for o in two:
        assert far(o['taken']['taken True'], o['taken']['taken None'])==0
        for k in 'gone on True','gone on None': assert far(o['taken'][k], two[0]['plain']['parts'])<1e-5
        assert len(o['taken']['taken True']['losses'])==2

def test_failing(two):
    later = ['000001_epoch0_batch0','000002_epoch0_batch4','000003_epoch1_batch0']
    for name,(told,names) in two[0]['failing'].items():
        other,_ = two[1]['failing'][name]
        rank = 0 if name.startswith('record') else int(name[6])
        if name.endswith('warn'): told,other = told[0],other or told[0]
        assert told==other and f'process {rank}: broken' in told
        assert records_in(names)==(later if name.endswith('warn') else later[:1])

def test_room_is_made(two):
    for o in two: assert o['room_is_made']['told']==[]
    kept = ['000002_epoch0_batch2','000003_epoch0_batch4','000004_epoch1_batch0']
    assert records_in(two[0]['room_is_made']['names'])==kept

def test_refused(two):
    for o in two: assert 'rank 1 has other callbacks than rank 0' in o['refused']['text']

one_fails = dict(in_validation_1='000006_epoch1_batch4', in_a_save_0='000005_epoch1_batch2')

@pytest.mark.parametrize('name,last', one_fails.items())
def test_on_one_rank_only(folder, name, last):
    "All come to an end within seconds, and the newest file is whole"
    res = launch(folder, 2, name)
    errors = [o[name]['error'][0] for o in res]
    assert errors[int(name[-1])] in ('KeyError','MemoryError') and errors[1-int(name[-1])]=='RuntimeError'
    for o in res:
        assert o[name]['seconds']<30
        assert records_in(o[name]['there'])[-1]==last

def test_killed_and_started_anew(tmp_path):
    from distributed_kill import each_sample_once, equal, launch as launch_run
    plan = '1 parts 0.004 1','0 between 0 1','0 parts 0.012 1'
    for name,o in dict(undisturbed=[], killed=plan).items():
        done = launch_run(tmp_path/name, 2, o, sharded=True)
        assert done.returncode==0, done.stderr[-3000:]
    assert (tmp_path/'killed'/'attempts').read_text()=='4'
    assert equal(tmp_path/'undisturbed', tmp_path/'killed')
    assert each_sample_once(tmp_path/'killed', 2)
    assert len(records_in([o.name for o in (tmp_path/'killed'/'checkpoints').iterdir()]))==3
