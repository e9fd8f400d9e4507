"""What an error of the loop says, what it leaves out, and how things are put back after it"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager

__all__ = ['describe', 'where_in_loop', 'no_gradient', 'no_gradients', 'code_objects', 'hide_frames_of', 'hide_frames', 'afterwards']

def describe(o):
    """Shape and dtype of each tensor in `o`, in words

    Parameters
    ----------
    o
        A tensor, a tuple or list of what is to be described, or anything else

    Returns
    -------
    Text"""
def where_in_loop(learn, phase: str | None = None, in_fit: bool = True):
    """Where the loop is: the epoch, the batch, and what the batch looks like

    Parameters
    ----------
    learn
        The Learner, or what has its attributes
    phase
        training or validation; default: that which learn is in
    in_fit
        Is it within a fit, which has epochs?

    Returns
    -------
    Text"""
def no_gradient(loss):
    """The error that says why `backward` cannot be called on `loss`; `None` if it can

    Parameters
    ----------
    loss
        The loss of a training batch: a tensor that requires no gradient, or None

    Returns
    -------
    An exception, to be raised"""
def no_gradients(param_groups):
    """The error that says that no parameter got a gradient, and what may be the cause

    Parameters
    ----------
    param_groups
        List of dictionaries with params, as an optimizer has it

    Returns
    -------
    An exception, to be raised"""
def code_objects(f):
    """The code of a function, of the functions within it, and of what it wraps

    Parameters
    ----------
    f
        A function, or its code

    Returns
    -------
    Set of code objects"""
def hide_frames_of(f):
    """Have `hide_frames` leave out the frames of a function, or of all functions in a class or module

    Parameters
    ----------
    f
        A function, or a class or module whose functions are meant

    Returns
    -------
    f: this can be used as a decorator"""
def hide_frames(e) -> None:
    """Take the frames that `hide_frames_of` named out of the traceback of `e`, but for the last

    Parameters
    ----------
    e
        An exception that was raised"""
def afterwards(put_back) -> AbstractContextManager[None]:
    """After this context call `put_back`, and once more, in case an interrupt came in the midst of it

    Parameters
    ----------
    put_back
        Function without arguments; to call it twice must do no harm"""
