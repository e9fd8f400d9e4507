"Bars and tables where there is no notebook"
import contextlib, io, os, sys

from fastcore.test import test_eq as eq

from optimloop.all import *
from optimloop.learner import print_row, synth_learner
from optimloop.basics.course import *

os.environ['OPTIMLOOP_DEVICE'] = 'cpu'

class Tty(io.StringIO):
    def isatty(self): return True

def printed(f, screen=io.StringIO):
    held = {k:sys.modules.pop(k) for k in ('IPython',) if k in sys.modules}
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(screen()) as err: f()
    finally: sys.modules.update(held)
    return out.getvalue(),err.getvalue()

def names(learn): return [type(o).__name__ for o in learn.cbs]

def test_in_a_pipe_there_are_plain_lines_and_no_bars():
    learn = synth_learner()
    before = names(learn)
    out,err = printed(lambda: learn.fit(2))
    eq(len(out.splitlines()), 3)
    eq(out.split()[:4], ['epoch','train_loss','valid_loss','time'])
    eq(err, '')
    with learn.no_logging(): eq(printed(lambda: learn.fit(1)), ('',''))
    eq(names(learn), before)
    assert 'ProgressCallback' in before

def test_in_a_terminal_there_are_bars_for_both_phases():
    learn = synth_learner()
    out,err = printed(lambda: learn.fit(1), Tty)
    assert 'epoch 1/1 train' in err and 'epoch 1/1 valid' in err
    eq(len(out.splitlines()), 2)
    assert learn.logger is print_row

def test_show_graph_in_a_pipe_draws_nothing():
    learn = synth_learner(cbs=ShowGraph(seconds=0))
    with learn.no_logging(): eq(printed(lambda: learn.fit(1)), ('',''))
