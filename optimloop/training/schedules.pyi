"""Restarts, warm-up, flat and down, fine-tuning, and schedulers of PyTorch"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from ..schedulers import Schedule
from collections import namedtuple

__all__ = ['with_restarts', 'Steps', 'Samples', 'with_warmup', 'SchedWSD', 'FreezeUntil', 'TorchScheduler']

def with_restarts(sched, n: int, mult: float = 1.0):
    """A schedule from its beginning, `n` times

    Parameters
    ----------
    sched
        Function of the progress
    n
        How many times, ≥ 1
    mult
        Each time takes mult times as long as the one before, > 0

    Returns
    -------
    Function of the progress"""
class Steps(namedtuple('Steps', 'n')):
    """A length of `n` training batches: where gradients are accumulated too, though a step takes several there"""
    def for_run(self, learn, part=1.0): ...

class Samples(namedtuple('Samples', 'n')):
    """A length of `n` training samples"""
    def for_run(self, learn, part=1.0): ...

def with_warmup(sched, length: float | Steps | Samples, start: float = 0.0):
    """From `start` in a straight line to the first value of a schedule; then the schedule, in what is left of the run

    Parameters
    ----------
    sched
        Function of the progress
    length
        How long to warm up: a fraction of the training, in [0,1], Steps(n) or Samples(n)
    start
        Where to start

    Returns
    -------
    Function of the progress"""
def SchedWSD(lr, end, warmup: float | Steps | Samples = 0.05, decay: float | Steps | Samples = 0.2, curve: str = 'linear') -> Schedule:
    """Warm up from 0 in a straight line, hold, and come down to `end`

    Parameters
    ----------
    lr
        The value that is held: a number, or an array with one for each parameter group
    end
        Value at progress 1
    warmup
        How long to climb from 0: a fraction of the training, Steps(n) or Samples(n)
    decay
        How long to come down, at the end
    curve
        Along which curve: 'cosine', 'linear', 'exponential' or 'sqrt'

    Returns
    -------
    Function of the progress"""
class FreezeUntil(Callback):
    """Train only the last parameter group (and norm layers, if the Learner has `train_bn`) for `n` epochs; then all"""
    order: Any
    n: Any
    def __init__(self, n: int) -> None:
        """Parameters
        ----------
        n
            Number of epochs, ≥ 0"""
    def before_epoch(self) -> None: ...
    def cleanup_fit(self) -> None: ...

class TorchScheduler(Callback):
    """Run a schedule of `torch.optim.lr_scheduler`"""
    order: Any
    sched_func: Any
    every: Any
    monitor: Any
    sched: Any
    old: Any
    history: Any
    def __init__(self, sched_func, every: str = 'step', monitor: str = 'valid_loss') -> None:
        """Parameters
        ----------
        sched_func
            Called with the optimizer when a fit begins; returns a scheduler, as partial(OneCycleLR, …) does
        every
            When it is stepped: after each 'step' of the optimizer that was taken, or after each 'epoch'
        monitor
            Column of the Recorder's table that is given to a scheduler that asks for a value"""
    def before_fit(self) -> None:
        """Make the scheduler, and note what is to be put back"""
    def cleanup_fit(self) -> None:
        """Put back what the scheduler has changed in the optimizer"""
    def before_train(self) -> None:
        """Show the values in the Recorder; in a run that begins at a later epoch, make up for its past"""
    def before_batch(self) -> None:
        """Note the learning rate"""
    def after_step(self) -> None:
        """Step the scheduler after a step of the optimizer"""
    def after_epoch(self) -> None:
        """Step the scheduler after an epoch"""
    def state_dict(self) -> dict:
        """What the scheduler has come to"""
    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state, within a fit

        Parameters
        ----------
        state
            What state_dict returned"""
