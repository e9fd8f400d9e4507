"""A model for others, without its data and without code that runs when it is read"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from pathlib import Path

__all__ = ['load_learner']

def load_learner(fname: str | Path, learn=None, trusted: bool = False, strict: bool = True):
    """A Learner from what `export` wrote; a mismatch is an error that names the parameters, and changes nothing

    Parameters
    ----------
    fname
        The file
    learn
        A Learner to fill, or a function without arguments that makes one
    trusted
        Do you know its writer, and may it run code? Needed for what was exported with whole=True
    strict
        Refuse a file that does not fit? If not, load what fits, and warn of the rest

    Returns
    -------
    The Learner"""
