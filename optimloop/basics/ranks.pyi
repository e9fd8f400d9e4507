"""Which of them this is, what all of them say, and random numbers that all of them draw, or each for itself"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from typing import Any

__all__ = ['join_ranks', 'check_together', 'n_ranks', 'this_rank', 'is_main', 'say', 'bounds', 'from_main', 'from_all', 'check_same', 'summed', 'on_main', 'on_all', 'wait_for_all', 'all_come', 'part_unless_all_fail', 'Streams', 'open_streams', 'close_streams', 'streams', 'same_draws', 'own_draws', 'own_model_draws']

def join_ranks() -> None:
    """Join the processes that torchrun has started; alone, nothing happens"""
def check_together() -> None:
    """Raise a `RuntimeError` if the processes have parted"""
def n_ranks():
    """How many processes train together"""
def this_rank():
    """The number of this process"""
def is_main() -> bool:
    """Is this the process that prints and writes?"""
def say(*args, **kwargs) -> None:
    """`print`, in one process of several

    Parameters
    ----------
    args
        As for print
    kwargs
        As for print"""
def bounds(n: int, rank: int, n_ranks: int) -> tuple:
    """The share of a rank in `n` samples

    Parameters
    ----------
    n
        Number of samples, ≥ 0
    rank
        Number of a process
    n_ranks
        How many there are

    Returns
    -------
    From where to where"""
def from_main(o):
    """The same object on all ranks

    Parameters
    ----------
    o
        What is to be sent: anything that can be pickled; of the others, nothing is needed

    Returns
    -------
    What rank 0 passed"""
def from_all(o):
    """What all ranks have to say

    Parameters
    ----------
    o
        Anything that can be pickled

    Returns
    -------
    List of what each rank passed"""
def check_same(**told) -> None:
    """Raise a `ValueError` on all ranks if one has something other than rank 0

    Parameters
    ----------
    told
        What must be the same on all ranks, by what it is called: plain objects"""
def summed(t):
    """The sum over all ranks, in place

    Parameters
    ----------
    t
        Tensor; it is changed

    Returns
    -------
    The tensor"""
def on_main(f):
    """Call `f` on rank 0, and let all ranks have what it returns, or the error that it raises

    Parameters
    ----------
    f
        Function without arguments

    Returns
    -------
    What it returned"""
def on_all(f):
    """Call `f` on all ranks; an error on one of them is raised on all

    Parameters
    ----------
    f
        Function without arguments

    Returns
    -------
    What it returned here"""
def wait_for_all() -> None:
    """Go on when all ranks have come here"""
def all_come(where: str, seconds: float = 8.0, retract: bool = False) -> bool:
    """Do all processes come here? To be asked where some may have broken off, and nothing can be exchanged

    Parameters
    ----------
    where
        What they come to, the same in all
    seconds
        How long they have
    retract
        If not all do, let nobody count on this one any more?

    Returns
    -------
    bool"""
def part_unless_all_fail(seconds: float = 8.0) -> None:
    """To be called by a process that breaks off: close the connections, unless all processes do

    Parameters
    ----------
    seconds
        How long the others have to fail, too"""
class Streams:
    """Two streams of random numbers: one that all ranks share, by which data is drawn, and each rank's own"""
    now: Any
    kept: Any
    cuda: Any
    def __init__(self) -> None: ...
    def switch(self, name) -> None:
        """Put the stream `name`, shared or own, into the global generators"""
    def on(self, name) -> AbstractContextManager[None]:
        """In this context the global generators have the stream `name`"""
    def state(self, name) -> dict:
        """Where a stream is"""
    def put(self, name, state) -> None:
        """Set a stream to a state that was saved"""
    def begin_own(self) -> None:
        """Begin each rank's own stream, by what the shared one would give"""
    def put_both(self, state) -> None:
        """Put back what was saved

        Parameters
        ----------
        state
            As of global_random_state: of the shared stream, and of this rank's own, if it is known"""

def open_streams():
    """The streams of this process; each call needs one of `close_streams`"""
def close_streams() -> None:
    """Leave the shared stream in the generators, once all that opened the streams have closed them"""
def streams():
    """Those that are open"""
def same_draws():
    """In this context random numbers are the same on all ranks"""
def own_draws():
    """In this context random numbers are each rank's own"""
def own_model_draws() -> AbstractContextManager[None]:
    """In this context what models draw, that is torch's numbers, is each rank's own; quicker than `own_draws`"""
