"""All that the rest of a run depends on, part by part: read, checked, put back"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from typing import Any

__all__ = ['run_parts', 'plain_name', 'by_plain_name', 'weight_misfits', 'read_weights', 'check_weights', 'put_weights', 'read_optimizer', 'check_optimizer', 'put_optimizer', 'read_gradients', 'check_gradients', 'put_gradients', 'whole_state', 'read_random', 'check_random', 'put_random', 'read_callbacks', 'check_callbacks', 'put_callbacks', 'read_loss', 'check_loss', 'put_loss', 'put_parts']

def plain_name(k, model=None):
    """The name of a part of `model` without what `torch.compile` and `DataParallel` put in; one's own `module` stays"""
def by_plain_name(state, model=None):
    """`state` under names without what `torch.compile` and `DataParallel` put in"""
def weight_misfits(mine, saved) -> tuple:
    """Sentences about what does not fit, and the names of it"""
def remember_buffers(model) -> None:
    """Note what buffers a model has, if that has not been done before"""
def read_weights(learn) -> dict:
    """The tensors of the model and others that are trained, what is frozen, and what is in evaluation mode

    Parameters
    ----------
    learn
        The Learner

    Returns
    -------
    State"""
def check_weights(learn, state) -> None:
    """A `ValueError` if this is the state of another model

    Parameters
    ----------
    learn
        The Learner
    state
        What read_weights returned"""
def put_weights(learn, state) -> None:
    """Put the model back

    Parameters
    ----------
    learn
        The Learner
    state
        What read_weights returned"""
def read_optimizer(learn) -> dict:
    """The optimizer's state and hyper-parameters, by the names of the parameters

    Parameters
    ----------
    learn
        The Learner

    Returns
    -------
    State"""
def check_optimizer(learn, state) -> None:
    """A `ValueError` if this is the state of another optimizer

    Parameters
    ----------
    learn
        The Learner
    state
        What read_optimizer returned"""
def put_optimizer(learn, state) -> None:
    """Put the optimizer back; parameters that are in other groups than they were are an error that names them

    Parameters
    ----------
    learn
        The Learner
    state
        What read_optimizer returned"""
def read_gradients(learn) -> dict:
    """The gradients of all parameters, by name

    Parameters
    ----------
    learn
        The Learner

    Returns
    -------
    State"""
def check_gradients(learn, state) -> None:
    """A `ValueError` if these are gradients of other parameters

    Parameters
    ----------
    learn
        The Learner
    state
        What read_gradients returned"""
def put_gradients(learn, state) -> None:
    """Put the gradients back, and drop all others

    Parameters
    ----------
    learn
        The Learner
    state
        What read_gradients returned"""
def whole_state(state):
    """Gather what lies in several processes

    Parameters
    ----------
    state
        Plain data and tensors; all processes that have parts of these must call it

    Returns
    -------
    The same with whole tensors where the file is written; elsewhere it lacks those that were in parts"""
def generator_state(o) -> tuple | None | tuple:
    """State of a generator and the function that sets it; `None` if it has none, as that of the operating system"""
def generators_within(**roots):
    """The generators within reach of some objects, by the shortest path to each"""
def found_within(is_it, roots, leaves=...):
    """What `is_it` is true of, within reach of some objects, by the shortest path to each; `leaves` are not looked into"""
def loader_generators(learn):
    """The generators that the loaders of a Learner hold, by name"""
def put_generators(own, states) -> None:
    """Set generators to what was saved of them; one that is new stays as it is"""
def read_random(learn, own=None) -> dict:
    """The states of all random generators

    Parameters
    ----------
    learn
        The Learner
    own
        Generators that loaders hold, by name; default: they are looked for

    Returns
    -------
    State"""
def check_random(learn, state) -> None:
    """An error if generators could not be set to this state

    Parameters
    ----------
    learn
        The Learner
    state
        What read_random returned"""
def put_random(learn, state) -> None:
    """Put all random generators back

    Parameters
    ----------
    learn
        The Learner
    state
        What read_random returned"""
def check_alike(now, saved) -> None:
    """An error if `saved` has other keys than `now`, or values of other types"""
def undeclared_fingerprints(learn) -> dict:
    """By callback and attribute that no class declares, what would show that it has changed"""
def warn_of_undeclared(learn, before) -> None:
    """Warn of attributes that have changed since `undeclared_fingerprints` returned `before`"""
def read_callbacks(learn) -> dict:
    """What the callbacks keep, by their names

    Parameters
    ----------
    learn
        The Learner

    Returns
    -------
    State"""
def check_callbacks(learn, state) -> None:
    """A `ValueError` if a state is not that of the callback of its name; a warning if there is no such callback

    Parameters
    ----------
    learn
        The Learner
    state
        What read_callbacks returned"""
def put_callbacks(learn, state) -> None:
    """Give the callbacks back what they kept

    Parameters
    ----------
    learn
        The Learner
    state
        What read_callbacks returned"""
def keeps_nothing(state):
    """Is this the state of a callback that has nothing to keep?"""
def read_loss(learn):
    """What the loss function keeps, if it is a module, or a method of one: parameters and buffers

    Parameters
    ----------
    learn
        The Learner

    Returns
    -------
    State"""
def check_loss(learn, state) -> None:
    """A `ValueError` if this is the state of another loss function

    Parameters
    ----------
    learn
        The Learner
    state
        What read_loss returned"""
def put_loss(learn, state) -> None:
    """Put the loss function back

    Parameters
    ----------
    learn
        The Learner
    state
        What read_loss returned"""
run_parts: dict
def refusing_nonsense(part) -> AbstractContextManager[None]:
    """Errors in here that senseless data leads to become a `ValueError` that names the part"""
def put_parts(learn, state, parts=None) -> None:
    """Put parts of a state back, all of them or, if one does not fit, none: a `ValueError`, and nothing has changed

    Parameters
    ----------
    learn
        The Learner
    state
        From names of parts to what was read
    parts
        From names to pairs or triples of functions; default: run_parts. Those in state are put back"""
class FileKind:
    """A kind of file that a Learner writes: the names in it, and what each must be"""
    writer: Any
    parts: Any
    more: Any
    optional: Any
    advice: Any
    def state(self, **parts):
        """What goes into a file of this kind"""
    def fits(self, state):
        """Has what was read the names and types of this kind?"""
    def write(self, file, **parts):
        """Write a file of this kind, all of it or nothing"""
    def read(self, file, parts=...):
        """Read a file of this kind; a `ValueError` if it is another one, and a `DamagedFile` if something is missing

        Parameters
        ----------
        file
            The file
        parts
            Names of what else must be there

        Returns
        -------
        State"""

anything: Any
file_kinds: dict
