"""Try something out, and leave the random generators as they were"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager

__all__ = ['global_random_state', 'put_global_random_state', 'as_bytes', 'same_random_state']

def global_random_state() -> dict:
    """The states of the global generators for the CPU"""
def put_global_random_state(state) -> None:
    """Set the global generators for the CPU

    Parameters
    ----------
    state
        What global_random_state returned"""
def as_bytes(state):
    """The state of one of torch's generators, as it takes it

    Parameters
    ----------
    state
        Tensor or array of bytes

    Returns
    -------
    Tensor"""
def same_random_state(*dls) -> AbstractContextManager[None]:
    """After this context, the random states of Python, numpy and torch are what they were before

    Parameters
    ----------
    dls
        Loaders; generators that they, their samplers or their data sets hold are put back too"""
