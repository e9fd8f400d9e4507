"""`learn.distribute()`: the same run on one, two and three processes"""
import os, re, shutil, signal, subprocess, sys
from pathlib import Path

import pytest, torch

from distributed_cases import cases, crossings, refusals, sharded_refusals, whole_only

here = Path(__file__).parent
half = {'fp16','bf16','fp16_by_hand','fp16_overflows'} # where the size of a share changes what is rounded

def launch(n, *args, timeout=240, **more):
    "Run a script on `n` processes"
    start = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(n)] if n>1 else []
    env = {**os.environ, 'OMP_NUM_THREADS':'1', 'OPTIMLOOP_DEVICE':'cpu', **more}
    line = [sys.executable, *start, *map(str, args)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(line, env=env, start_new_session=True, **pipes) as process:
        try: told = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) # with what it has started, which would keep the pipes open
            raise
    return subprocess.CompletedProcess(line, process.returncode, *told)

@pytest.fixture(scope='module')
def results(tmp_path_factory):
    "What each rank got: by the number of processes, and by `2 in parts` and `3 in parts` with a sharded model"
    root,res = tmp_path_factory.mktemp('cases'),{}
    for n,shard in (1,''),(2,''),(3,''),(2,'1'),(3,'1'):
        (folder := root/f'{n}{shard}').mkdir()
        names = [k for k,m in of_several if m==(f'{n} in parts' if shard else n)] or cases
        done = launch(n, here/'distributed_cases.py', folder, *names, CASE_SHARD=shard)
        assert done.returncode==0, done.stderr[-6000:]
        ranks = [torch.load(folder/f'{n}_{i}.pt', weights_only=False) for i in range(n)]
        res[f'{n} in parts' if shard else n] = ranks
    return res

on_three = '''arrays one_at_the_end lists streams token_loss trained_loss accumulated clipped averaged nan_rolled_back
    fp16 predictions rates files resumed tied_weights views_in_place sequences recomputed all_by_loop copied'''.split()
in_parts = [k for k in cases if k not in whole_only]
of_several = [(k,n) for n in (2,3) for k in cases] + [(k,'2 in parts') for k in in_parts]
of_several += [(k,'3 in parts') for k in on_three]

def distance(a, b):
    "How far `b` is from `a`: the norm of the difference over that of `a`"
    if a is None or isinstance(a, (bool,str)): return 0. if a==b else float('inf')
    if isinstance(a, (list,tuple)):
        if len(a)!=len(b): return float('inf')
        if not a or not all(isinstance(o, float) for o in a): return max(map(distance, a, b), default=0.)
    a,b = torch.as_tensor(a).double(),torch.as_tensor(b).double()
    if a.shape!=b.shape: return float('inf')
    if not a.numel(): return 0.
    same = (a==b) | (a.isnan() & b.isnan())
    return (torch.where(same, 0., a-b).norm() / a.where(a.isfinite(), torch.zeros(())).norm().clamp(min=1e-30)).item()

@pytest.mark.parametrize('name,n', of_several)
def test_as_one_process(results, name, n):
    one,many = results[1][0][name],[o[name] for o in results[n]]
    for got in (one,*many): assert not isinstance(got, str), got
    bar = 2e-2 if name in half else 1e-6
    far = {k:d for k in one if k!='printed' and not (d := distance(one[k], many[0][k]))<=bar}
    assert not far
    for got in many[1:]: assert not [k for k in one if k!='printed' and distance(many[0][k], got[k])!=0], "ranks differ"

def numbers_apart(text):
    "A text without numbers and times, and its numbers"
    text = re.sub(r'\d\d:\d\d\.\d', 'time', text)
    found = re.findall(r'\d+\.?\d*(?:e[-+]\d+)?', text)
    return re.sub(r'\d+\.?\d*(?:e[-+]\d+)?', '#', text),list(map(float, found))

@pytest.mark.parametrize('name,n', [(k,n) for k,n in of_several if k not in half])
def test_prints_once(results, name, n):
    one,many = results[1][0][name],[o[name] for o in results[n]]
    (text,numbers),(other,others) = (numbers_apart(o['printed']) for o in (one,many[0]))
    assert text.split()==other.split()
    assert numbers==pytest.approx(others, rel=1e-4, abs=1e-6)
    assert not any(o['printed'] for o in many[1:])

# --- another number of processes ---
goes_on = {1:'', 2:'', 3:'', 4:'', '2 in parts':'1', '3 in parts':'1'} # on how many, and whether in parts

@pytest.fixture(scope='module')
def crossed(tmp_path_factory):
    "Runs that were stopped on two processes, whole or in parts, and gone on with on others; under 0, undisturbed ones"
    folder,res = tmp_path_factory.mktemp('crossed'),{}
    def run(n, name, **more):
        done = launch(n, here/'distributed_cases.py', folder, *crossings, CASE_ROOT=str(folder/name), **more)
        assert done.returncode==0, done.stderr[-3000:]
        return [torch.load(folder/f'{n}_{i}.pt', weights_only=False) for i in range(n)]
    res[0] = run(1, 'undisturbed')
    for stopped,shard in dict(whole='', parts='1').items(): run(2, stopped, CASE_STOPS='1', CASE_SHARD=shard)
    for stopped,n in came_from:
        shutil.copytree(folder/stopped, folder/f'{stopped} on {n}')
        res[stopped,n] = run(int(str(n)[0]), f'{stopped} on {n}', CASE_SHARD=goes_on[n])
    return res

came_from = [('whole',n) for n in (1,2,3,4,'2 in parts')] + [('parts',n) for n in (1,2,'2 in parts','3 in parts')]

@pytest.mark.parametrize('stopped,n', came_from)
@pytest.mark.parametrize('name', crossings)
def test_on_other_numbers_of_processes(crossed, name, stopped, n):
    one,many = crossed[0][0][name],[o[name] for o in crossed[stopped,n]]
    for got in (one,*many): assert not isinstance(got, str), got
    assert len(one['losses'])==20
    assert not {k:d for k in one if k!='printed' and not (d := distance(one[k], many[0][k]))<=1e-6}
    for got in many[1:]: assert not [k for k in one if k!='printed' and distance(many[0][k], got[k])!=0]

# --- killed ---
def test_killed_and_started_anew(tmp_path):
    from distributed_kill import each_sample_once, equal, launch as launch_run
    plan = '1 train 0.03 1','0 write 0.005 1','1 term 0.02 2','0 validate 0.002 3'
    for name,o in dict(undisturbed=[], killed=plan).items():
        done = launch_run(tmp_path/name, 2, o)
        assert done.returncode==0, done.stderr[-3000:]
    assert (tmp_path/'killed'/'attempts').read_text()=='5'
    assert equal(tmp_path/'undisturbed', tmp_path/'killed')
    assert each_sample_once(tmp_path/'killed', 2)

# --- refused ---
all_refusals = [(k,'') for k in refusals] + [(k,'1') for k in sharded_refusals]

@pytest.fixture(scope='module')
def refused(tmp_path_factory):
    root,res = tmp_path_factory.mktemp('refused'),{}
    for shard,names in {'':refusals, '1':sharded_refusals}.items():
        (folder := root/f'refused{shard}').mkdir()
        done = launch(2, here/'distributed_cases.py', folder, *names, CASE_SHARD=shard)
        assert done.returncode==0, done.stderr[-3000:]
        res[shard] = [torch.load(folder/f'2_{i}.pt', weights_only=False) for i in range(2)]
    return res

@pytest.mark.parametrize('name,shard', all_refusals)
def test_refused_on_all_ranks(refused, name, shard):
    text = (sharded_refusals if shard else refusals)[name][0]
    for res in refused[shard]: assert isinstance(res[name], str) and text in res[name]
