"""`learn.distribute()` on several GPUs, over NCCL. Needs two or more, and is skipped elsewhere: it has not been run."""
import pytest, torch

from distributed_cases import cases, whole_only
from test_distributed import distance, half, here, launch

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(torch.cuda.device_count()<2, reason='needs two GPUs')]
on_cpu = {'workers','live_workers','streams_of_workers','two_fits_of_live_workers','sparse','files'} # as on CPUs

@pytest.fixture(scope='module')
def results(tmp_path_factory):
    "What each rank got, on one GPU and on two; `in parts` with a sharded model"
    root,res = tmp_path_factory.mktemp('gpus'),{}
    for n,shard in (1,''),(2,''),(2,'1'):
        (folder := root/f'{n}{shard}').mkdir()
        names = [k for k in cases if k not in on_cpu and (not shard or k not in whole_only)]
        done = launch(n, here/'distributed_cases.py', folder, *names, CASE_SHARD=shard, OPTIMLOOP_DEVICE='')
        assert done.returncode==0, done.stderr[-6000:]
        ranks = [torch.load(folder/f'{n}_{i}.pt', map_location='cpu', weights_only=False) for i in range(n)]
        res['in parts' if shard else n] = ranks
    return res

@pytest.mark.parametrize('n', (2,'in parts'))
@pytest.mark.parametrize('name', [k for k in cases if k not in on_cpu])
def test_as_one_gpu(results, name, n):
    if n=='in parts' and name in whole_only: pytest.skip('refused')
    one,many = results[1][0][name],[o[name] for o in results[n]]
    for got in (one,*many): assert not isinstance(got, str), got
    bar = 2e-2 if name in half else 1e-5 # kernels of GPUs add in another order for another size
    assert not {k:d for k in one if k!='printed' and not (d := distance(one[k], many[0][k]))<=bar}
    for got in many[1:]: assert not [k for k in one if k!='printed' and distance(many[0][k], got[k])!=0], "ranks differ"
