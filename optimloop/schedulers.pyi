"""Any hyper-parameter is a function of training progress"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from .callbacks import Callback

__all__ = ['sched_lin', 'sched_cos', 'sched_no', 'sched_exp', 'SchedLin', 'SchedCos', 'SchedNo', 'SchedExp', 'SchedPoly', 'Schedule', 'annealer', 'sched_poly', 'combine_scheds', 'combined_cos', 'ParamScheduler', 'fill_in', 'fit_scheduled', 'copy_to_train', 'LRFinder', 'valley']

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
    The value at pos"""
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
    The value at pos"""
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
    The value at pos"""
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
    start"""
class Schedule:
    """A function of the progress: `f` with all its arguments but the last, which is the progress"""
    f: Any
    args: Any
    def __init__(self, f, *args) -> None:
        """Parameters
        ----------
        f
            Function whose last argument is the progress
        args
            The arguments before it"""
    def __call__(self, pos): ...
    def __repr__(self) -> str: ...
    def for_run(self, learn, part=1.0) -> Schedule: ...

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
def sched_poly(start, end, power, pos):
    """From `start` to `end` along a power of the progress: above 1, most of the change comes late; below 1, early"""
def SchedPoly(start, end, power):
    """From `start` to `end` along a power of the progress: above 1, most of the change comes late; below 1, early"""
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
        Value at progress pct
    end
        Value at progress 1

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
            From name to function of the progress that returns a number, or an array with one for each group
        f
            Not used: ParamScheduler('lr', f), as in fastai's course, is an error that says what to write"""
    @property
    def name(self): ...
    def before_fit(self) -> None: ...
    def before_train(self) -> None: ...
    def before_batch(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def hypers(self) -> set:
        """The hyper-parameters that it sets, by the optimizer's names; an unknown name is an error"""
    def show_history(self) -> None:
        """Let the Recorder show the values so far, and those to come"""
    def run_state(self) -> dict:
        """What a saved run keeps: the values to put back at the end, and the history"""
    def put_run_state(self, state) -> None:
        """Take back what `run_state` returned"""

def fill_in(o, learn, part: float = 1.0):
    """`o`, or what it stands for in this run if it depends on the run

    Parameters
    ----------
    o
        Schedule, or a value in one
    learn
        Learner, at the beginning of its training
    part
        Fraction of the training that the schedule has"""
def fit_scheduled(learn, n_epoch, top, make_scheds, cbs=None, reset_opt=False, start_epoch=0, **kwargs) -> None:
    """Fit with the schedules that `make_scheds` makes of the rate `top`; without that of `mom` if there is no momentum"""
def copy_to_train(learn):
    """A copy of the Learner that may be trained and thrown away: only the data is shared"""
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
    def before_fit(self) -> None:
        """Note the proportions of the groups, which they keep"""
    def before_batch(self) -> None:
        """Set the next rate, or end the fit after the last"""
    def after_loss(self) -> None:
        """Note the loss; end the fit if it is not finite, or if no step is ever taken"""
    def after_step(self) -> None:
        """Add the rate and the smoothed loss to the curve; end the fit if the loss diverges"""
    def before_validate(self):
        """Skip the validation"""

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
    Learning rate, or None if the loss does not fall"""
