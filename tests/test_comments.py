"""Comments of parameters, where `help` and Shift-Tab show them, and what must stay as it was."""
import copy, inspect, pickle, subprocess, sys

import pytest
from nbdev.showdoc import show_doc

from optimloop import all as everything
from optimloop.all import *
from optimloop.basics.comments import _Commented

def asked_for(code, what):
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    for o in what: assert o in out, (o, out)

def test_help_in_a_terminal():
    asked_for("from optimloop.learner import Learner; help(Learner.fit)",
        ['Train for epochs', 'n_epoch\n        Number of epochs, ≥ 1', 'start_epoch: int = 0'])
    asked_for("from optimloop.all import *; help(Adam)", ['How much of the averaged gradient is kept (β₁), in [0,1)'])

def test_the_docstring_itself_is_as_it_was(): assert Learner.fit.__doc__=='Train for epochs `start_epoch` to `n_epoch`'

@pytest.mark.parametrize('f', [Learner, Learner.fit, Learner.lr_find, Learner.fit_one_cycle, Adam,
    DataLoaders.from_arrays, SaveModel, Lookahead])
def test_what_the_site_shows_is_what_it_showed(f):
    shown,full = show_doc(f)._repr_markdown_(),inspect.getdoc(f)
    assert 'Parameters' in full and '----------' in full
    target = getattr(f, '__func__', f)
    target.__doc__ = str(target.__doc__)
    assert show_doc(f)._repr_markdown_()==shown
    target.__doc__ = _Commented(target)

def test_a_class_tells_of_its_init_and_copies_are_the_same():
    assert 'loss_func' in inspect.getdoc(Learner) and copy.deepcopy(Learner.fit) is Learner.fit and pickle.loads(
        pickle.dumps(Adam)) is Adam

def test_the_library_has_them():
    with_comments = [k for k,o in vars(everything).items() if type(getattr(o, '__doc__', None)).__name__=='_Commented']
    assert {'Adam','Learner','SchedPoly','SaveModel','Checkpoint'} <= set(with_comments)
