"""Three more ways to read the finder's curve, and the problems on which valley was fitted"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['minimum', 'steep', 'slide']

def minimum(lrs: list, losses: list):
    """A tenth of the rate at which the loss is lowest

    Parameters
    ----------
    lrs
        Learning rates, ascending by equal factors
    losses
        Smoothed losses at them

    Returns
    -------
    Learning rate, or None if the loss does not fall"""
def steep(lrs: list, losses: list):
    """Where the loss falls fastest on its way down

    Parameters
    ----------
    lrs
        Learning rates, ascending by equal factors
    losses
        Smoothed losses at them

    Returns
    -------
    Learning rate, or None if the loss does not fall"""
def slide(lrs: list, losses: list, width: int = 15, part: float = 0.2):
    """The left end of the rightmost window over which the loss really falls

    Parameters
    ----------
    lrs
        Learning rates, ascending by equal factors
    losses
        Smoothed losses at them
    width
        Width of the window, in steps
    part
        The window must span this fraction of the whole fall, in (0,1)

    Returns
    -------
    Learning rate, or None if the loss does not fall"""
