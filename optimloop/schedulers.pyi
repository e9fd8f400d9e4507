"""Any hyper-parameter is a function of training progress"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from typing import Any
from .callbacks import Callback
from collections import namedtuple

__all__ = ['SchedLin', 'SchedCos', 'SchedNo', 'SchedExp', 'sched_lin', 'sched_cos', 'sched_exp', 'sched_no', 'annealer', 'SchedPoly', 'combine_scheds', 'combined_cos', 'Steps', 'Samples', 'with_warmup', 'ParamScheduler', 'same_random_state', 'LRFinder', 'minimum', 'steep', 'slide', 'valley', 'plot_lr_curve']

def sched_lin(start, end, pos: float):
    """From `start` to `end` in a straight line

    Parameters
    ----------
    start
        Value at progress 0: a number, or an array with one for each parameter group
    end
        Value at progress 1
    pos
        Progress, in [0,1]

    Returns
    -------
    The value at `pos`"""
def sched_cos(start, end, pos: float):
    """From `start` to `end` along half a cosine

    Parameters
    ----------
    start
        Value at progress 0
    end
        Value at progress 1
    pos
        Progress, in [0,1]

    Returns
    -------
    The value at `pos`"""
def sched_exp(start, end, pos: float):
    """From `start` to `end` by equal factors in equal times

    Parameters
    ----------
    start
        Value at progress 0, not 0
    end
        Value at progress 1, of the same sign
    pos
        Progress, in [0,1]

    Returns
    -------
    The value at `pos`"""
def sched_no(start, end, pos: float):
    """Always `start`

    Parameters
    ----------
    start
        Value throughout
    end
        Not used: it is there so that this one can stand where the others can
    pos
        Progress, in [0,1]

    Returns
    -------
    `start`"""
def annealer(f):
    """Make a schedule factory of a function

    Parameters
    ----------
    f
        Function of start, end, any further settings, and last the progress

    Returns
    -------
    Function of all of them but the progress, that returns a function of the progress"""
def SchedLin(start, end):
    """From `start` to `end` in a straight line"""
def SchedCos(start, end):
    """From `start` to `end` along half a cosine"""
def SchedNo(start, end):
    """Always `start`"""
def SchedExp(start, end):
    """From `start` to `end` by equal factors in equal times"""
def SchedPoly(start, end, power: float):
    """From `start` to `end` along a power of the progress

    Parameters
    ----------
    start
        Value at progress 0
    end
        Value at progress 1
    power
        Above 1, most of the change comes late; below 1, early

    Returns
    -------
    Function of the progress"""
def combine_scheds(pcts, scheds):
    """Schedules one after another

    Parameters
    ----------
    pcts
        Fractions of the training, each ≥ 0; they add up to 1
    scheds
        As many schedules

    Returns
    -------
    Function of the progress"""
def combined_cos(pct: float, start, middle, end):
    """From `start` to `middle` and on to `end`, along half a cosine each

    Parameters
    ----------
    pct
        Fraction of the training for the first cosine, in [0,1]
    start
        Value at progress 0
    middle
        Value at progress `pct`
    end
        Value at progress 1

    Returns
    -------
    Function of the progress"""
class Steps(namedtuple('Steps', 'n')):
    """A length of `n` training batches. Where gradients are accumulated a step takes several; count in `Samples` there"""
    def fraction(self, run): ...

class Samples(namedtuple('Samples', 'n')):
    """A length of `n` training samples"""
    def fraction(self, run): ...

def with_warmup(sched, length: float | Steps | Samples, start: float = 0.0):
    """From `start` in a straight line to the first value of `sched`, and then `sched` over what is left of the training

    Parameters
    ----------
    sched
        Function of the progress
    length
        How long to warm up: a fraction of the training, in [0,1], or `Steps(n)` or `Samples(n)`
    start
        Where to start

    Returns
    -------
    Function of the progress"""
class ParamScheduler(Callback):
    """Set hyper-parameters by schedules"""
    order: Any
    run_valid: Any
    scheds: Any
    old: Any
    history: Any
    def __init__(self, scheds: dict, f=None) -> None:
        """Parameters
        ----------
        scheds
            From name of a hyper-parameter to function of the progress, which returns a number, or an array with one for each group
        f
            Not used: who writes `ParamScheduler('lr', f)`, as in fastai's course, is told what to write"""
    @property
    def name(self): ...
    def before_fit(self) -> None: ...
    def before_batch(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def before_train(self) -> None: ...

def same_random_state(*dls) -> AbstractContextManager[None]:
    """After this context, the random states of Python, numpy and torch are what they were before

    Parameters
    ----------
    dls
        Loaders; generators that they, their samplers or their data sets hold are put back too"""
class LRFinder(Callback):
    """Train with an exponentially growing hyper-parameter, until the smoothed loss exceeds 4 times its best"""
    order: Any
    run_valid: Any
    rehearsal: Any
    start_lr: Any
    end_lr: Any
    num_it: Any
    stop_div: Any
    beta: Any
    param: Any
    lrs: Any
    smoothed: Any
    avg: Any
    why: Any
    rate: Any
    def __init__(self, start_lr: float = 1e-07, end_lr: float = 10.0, num_it: int = 100, stop_div: bool = True, beta: float = 0.98, param: str = 'lr') -> None:
        """Parameters
        ----------
        start_lr
            Value in the first step, > 0
        end_lr
            Value in the last step
        num_it
            Number of steps, ≥ 2
        stop_div
            Stop when the loss diverges?
        beta
            How much of the smoothed loss is kept from step to step
        param
            Name of the hyper-parameter"""
    def before_fit(self) -> None: ...
    def before_batch(self) -> None: ...
    def after_loss(self) -> None: ...
    def after_step(self) -> None: ...
    def before_validate(self): ...

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
    Learning rate, or `None` if the loss does not fall"""
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
    Learning rate, or `None` if the loss does not fall"""
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
    Learning rate, or `None` if the loss does not fall"""
def valley(lrs: list, losses: list, part: float = 0.7, margin: float = 5.0):
    """Where most of the fall of the loss is done, well before its end

    Parameters
    ----------
    lrs
        Learning rates, ascending by equal factors
    losses
        Smoothed losses at them
    part
        Of the fall, the fraction that is to be done, in (0,1]
    margin
        The suggestion is at least so many times lower than the rate at the lowest loss, ≥ 1

    Returns
    -------
    Learning rate, or `None` if the loss does not fall"""
def plot_lr_curve(finder, suggested: dict):
    """Plot the smoothed loss against the learning rate, or what was varied in its place, with the suggestions

    Parameters
    ----------
    finder
        `LRFinder` after its fit
    suggested
        Suggested values, or `None`, by the names of the rules

    Returns
    -------
    The `Axes`"""
