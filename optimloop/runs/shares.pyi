"""All processes draw the same batches, and each loads its part"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..basics.data import InPlaceOf
from collections import namedtuple

__all__ = ['Share', 'share_of', 'cut', 'Shares', 'share_loader', 'ShareBatches', 'check_loader']

class Share(namedtuple('Share', 'n start end mark')):
    """Which samples of a batch of `n` are this rank's: `start` to `end`"""
    @property
    def is_stand_in(self) -> Any:
        """Are there none?"""
    @property
    def own(self) -> Any:
        """How many are computed"""
    @property
    def reach(self) -> Any:
        """Which are"""

def share_of(n: int, mark: int = 0, rank: int | None = None, of: int | None = None) -> Share:
    """The share of a rank in a batch

    Parameters
    ----------
    n
        Number of samples
    mark
        Checksum of the batch
    rank
        Default: this one
    of
        How many ranks there are; default: those that there are

    Returns
    -------
    Share"""
def cut(o, n: int, reach):
    """Take a part of the samples of a batch

    Parameters
    ----------
    o
        A tensor, or a tuple, list or dict of what may be cut; anything else is left as it is
    n
        Number of samples
    reach
        Slice

    Returns
    -------
    The same, with the samples in reach"""
class Shares:
    """What is known of this rank's shares of batches"""
    now: Any
    notes: Any
    made: Any
    known: Any
    def __init__(self) -> None: ...
    def know(self, batch) -> None:
        """Remember whose tensors these are"""
    def share_of(self, batch):
        """The share that a batch is, if a tensor in it was loaded as one; or else the one that was loaded just now"""
    def cut(self, batch):
        """This rank's share of a whole batch"""

def share_loader(dl, shares):
    """What loads this rank's share of each batch of `dl`, if it is a `DataLoader` with keys; or else `dl`

    Parameters
    ----------
    dl
        A loader
    shares
        Shares

    Returns
    -------
    A loader"""
class ShareBatches(InPlaceOf):
    """The batches of a loader, each cut to this rank's share unless it is one already; `now` is that share"""
    draws: Any
    shares: Any
    now: Any
    def __init__(self, real, shares) -> None: ...
    def __iter__(self): ...

def check_loader(dl, name: str) -> None:
    """Raise a `ValueError` if a loader is distributed already

    Parameters
    ----------
    dl
        A loader
    name
        What it is called"""
