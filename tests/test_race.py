"""The command `optimloop`: files that are no data, data of one's own, and what is left when it is broken off."""
import contextlib, io, os, zipfile
from pathlib import Path

import matplotlib
matplotlib.use('agg')
import matplotlib.pyplot as plt, numpy as np, pytest, torch

from optimloop.projects import race as program
from optimloop.projects.race import *

good = dict(x_train=np.random.rand(20, 8, 8), y_train=np.arange(20)%3, x_valid=np.random.rand(6, 8, 8),
    y_valid=np.arange(6)%3)

@pytest.fixture
def npz(tmp_path): return str(tmp_path/'my.npz')

def loaded(npz, **changes):
    np.savez(npz, **{k:v for k,v in {**good, **changes}.items() if v is not None})
    return load_arrays(npz)

def refused(file, msg):
    with pytest.raises(RaceError, match=msg): load_arrays(file)

# what is no .npz file: none, a folder, text, a single array, a zip of something else, half a file; and extremes of the
# types

def test_files_that_are_no_npz(npz, tmp_path):
    loaded(npz)
    whole,folder = Path(npz).read_bytes(),tmp_path
    (folder/'half.npz').write_bytes(whole[:-40])
    (folder/'spoilt.npz').write_bytes(whole.replace(b'PK\x01\x02', b'PK\x01\x03'))
    (folder/'text.npz').write_text('x_train')
    np.save(folder/'one.npy', good['x_train'])
    with zipfile.ZipFile(folder/'other.npz', 'w') as f:
        for k in ('x_train','y_train','x_valid','y_valid'): f.writestr(f'{k}.npy', 'no array')
    refused('nowhere.npz', 'there is no such file')
    refused(folder, 'cannot be read: Is a directory')
    for o in ('half.npz','spoilt.npz','text.npz','one.npy'):
        refused(folder/o, 'is not an .npz file: make one with numpy.savez')
    refused(folder/'one.npy',
        r"numpy.savez\('.*/one.npz', x_train=…, .*an .npy file holds one array, and four are needed")
    refused(folder/'other.npz', 'x_train in .* is no array')

def test_channels_last(npz): # as scikit-image and TensorFlow have them
    for k in ('x_train','x_valid'):
        msg = fr'{k} has shape .*, with the channels last: expected .* as numpy.moveaxis\({k}, -1, 1\) makes it'
        with pytest.raises(RaceError, match=msg): loaded(npz, **{k:np.zeros((20,8,8,3))})
    moved = {k:np.moveaxis(np.zeros((len(good[k]),8,9,3)), -1, 1) for k in ('x_train','x_valid')}
    assert loaded(npz, **moved)[0].shape==(20,3,8,9)

def test_extremes_of_the_types(npz):
    for t in (bool, np.int8, np.float16):
        assert loaded(npz, x_train=good['x_train'].astype(t))[0].dtype is torch.float32
    with pytest.raises(RaceError, match='x_train holds values as large as 9.22e'):
        loaded(npz, x_train=np.full((20,8,8), np.iinfo(np.int64).min))
    with pytest.raises(RaceError, match='y_train has a label 18446744073709551615'):
        loaded(npz, y_train=np.full(20, 2**64-1, np.uint64))

# the command

class ClosedPipe(io.StringIO):
    def write(self, text): raise BrokenPipeError

def said(*argv, out=io.StringIO):
    "Exit code, stdout and stderr of `main`"
    with contextlib.redirect_stdout(out()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(list(argv))
    plt.close('all')
    return code,out.getvalue(),err.getvalue()

@pytest.fixture
def mine(npz, tmp_path):
    loaded(npz)
    return '--data', npz, '--bs', '10', '--epochs', '1', '--out', str(tmp_path/'race.PNG')

def test_data_of_ones_own_the_finder_and_capitals(mine):
    code,out,err = said(*mine, '--optimizers', 'Momentum', '--schedule', '1CYCLE', '--find-lr', '--precision', 'FP32')
    assert (code, len(out.splitlines()))==(0,4)

@pytest.mark.parametrize('precision', precisions)
def test_precisions(precision):
    x_train,y_train,x_valid,y_valid = program.digits()
    x_train,x_valid = program.standardize(x_train, x_valid)
    few = x_train[:320],y_train[:320],x_valid[:160],y_valid[:160]
    assert run('sgd', 'constant', few, epochs=1, precision=precision).recorder.values[0][1] < 2.4

def test_the_check_of_out_leaves_no_trace(mine, tmp_path):
    os.mkdir(tmp_path/'dir.png')
    assert 'cannot be written: Is a directory' in said(*mine[:-1], str(tmp_path/'dir.png'))[2]
    said(*mine[:-1], str(tmp_path/'new.png'), '--seed', '-1')
    said('--out', str(tmp_path/'new.png'), '--data', 'no.npz')
    assert not os.path.exists(tmp_path/'new.png')

def test_a_closed_pipe(mine):
    def help_or_exit(*argv):
        with contextlib.suppress(SystemExit): return said(*argv, out=ClosedPipe)
    assert help_or_exit('--help')==(141,'','')
    assert help_or_exit(*mine, '--optimizers', 'sgd')[0]==141

def test_ctrl_c_while_the_data_are_read(monkeypatch, tmp_path):
    def digits(): raise KeyboardInterrupt
    monkeypatch.setattr(program, 'digits', digits)
    assert said('--out', str(tmp_path/'race.png'))==(130,'','\noptimloop: interrupted: 0 of 8 runs finished\n')
