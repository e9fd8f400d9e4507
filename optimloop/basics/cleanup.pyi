"""What must happen when something is left, in whatever way it is left"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['add_note', 'finish', 'surely', 'autocast_mode', 'torch_modes']

def add_note(e, note: str) -> None:
    """Add a note to an exception, if it can take one; Python prints it from 3.11 on

    Parameters
    ----------
    e
        The exception
    note
        What to say about it"""
def finish(calls, errors: list, less=...) -> None:
    """Call all functions, in this order, whatever happens; then raise the first error, with notes of the others

    Parameters
    ----------
    calls
        Pairs: a function without arguments, and a note for what it raises
    errors
        What was raised before; it is emptied
    less
        Classes of exceptions that count less than others, the least first"""
def surely(f, undo, more=...) -> None:
    """Call `f`, then what `more` returns, then all in `undo`, whatever happens; raise the first error

    Parameters
    ----------
    f
        Function without arguments
    undo
        Functions without arguments that must be called after it; each may be called twice, if it is interrupted
    more
        Function that returns what comes before them, pairs of a function and a note"""
def autocast_mode(devices=...):
    """A function that puts autocast back to what it is now

    Parameters
    ----------
    devices
        Types of devices: 'cpu', 'cuda', …

    Returns
    -------
    Function without arguments; it may be called twice"""
def torch_modes() -> list:
    """What puts gradients and autocast back to what they are now"""
