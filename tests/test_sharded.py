"""Optimizers on parameters that lie in several processes come out as on whole tensors. Processes are started once for
all cases; tests/sharded_cases.py says how to run more of them by hand.

pytest tests/test_sharded.py
"""
import subprocess, sys

import pytest
import torch.distributed as dist

if not dist.is_available() or not dist.is_gloo_available(): pytest.skip('needs gloo', allow_module_level=True)
pytest.importorskip('torch.distributed.fsdp', reason='needs fully_shard').__dict__.get('fully_shard') or \
    pytest.skip('needs fully_shard', allow_module_level=True)
import sharded_cases

small = 'numbers','nothing_here','mixed','collectives' # with three processes some have nothing

@pytest.fixture(scope='module')
def of_two(): return sharded_cases.launch(2, timeout=300)
@pytest.fixture(scope='module')
def of_three(): return sharded_cases.launch(3, *small, timeout=200)

def check(results, name):
    for rank,res in enumerate(results): assert res.get(name, 'it did not run')=='', f'process {rank}: {res.get(name)}'

@pytest.mark.parametrize('name', sharded_cases.cases)
def test_two_processes(of_two, name): check(of_two, name)

@pytest.mark.parametrize('name', small)
def test_three_processes(of_three, name): check(of_three, name)

def test_nothing_is_imported_for_it():
    code = """import sys
from optimloop.all import *
assert not {'torch.distributed.tensor','torch.distributed.fsdp'} & {*sys.modules}, 'imported'"""
    assert subprocess.run([sys.executable, '-c', code]).returncode==0
