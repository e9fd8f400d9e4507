"""A bounded part of `fuzz_steppers.py`: random steppers do the same under each engine as in the loop.

pytest tests/test_fuzz_steppers.py
"""
import os, subprocess, sys
from pathlib import Path

import pytest

cases = dict(batched='--n 150 --engines batched', plans='--n 40 --engines compiled --backend none',
             compiled='--n 3 --engines compiled --dtypes float32')

@pytest.mark.parametrize('case', cases)
def test_random_steppers_do_what_the_loop_does(case):
    "In a process of its own, which says what differs, with a small script that shows it"
    fuzzer = Path(__file__).with_name('fuzz_steppers.py')
    command = [sys.executable, fuzzer, *cases[case].split(), '--seed', '1000', '--show', '3', '--seconds', '3']
    res = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS':'1'},
                         timeout=300)
    assert not res.returncode, res.stdout[-8000:] + res.stderr[-2000:]
    assert ': 0 differences from the loop' in res.stdout
