"""Restarts, warm-up, flat and down, fine-tuning, and schedulers of PyTorch"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from ..schedulers import Samples
from ..schedulers import Steps

__all__ = ['with_restarts', 'SchedWSD', 'FreezeUntil', 'TorchScheduler']

def with_restarts(sched, n: int, mult: float = 1.0):
    """`sched` from its beginning, `n` times

    Parameters
    ----------
    sched
        Function of the progress
    n
        How many times, ≥ 1
    mult
        Each time takes `mult` times as long as the one before, > 0

    Returns
    -------
    Function of the progress"""
def SchedWSD(lr, end, warmup: float | Steps | Samples = 0.05, decay: float | Steps | Samples = 0.2, curve: str = 'linear'):
    """Warm up from 0 in a straight line, hold, and come down to `end`

    Parameters
    ----------
    lr
        The value that is held: a number, or an array with one for each parameter group
    end
        Value at progress 1
    warmup
        How long to climb from 0: a fraction of the training, `Steps(n)` or `Samples(n)`
    decay
        How long to come down, at the end
    curve
        Along which curve: 'cosine', 'linear', 'exponential' or 'sqrt'

    Returns
    -------
    Function of the progress"""
class FreezeUntil(Callback):
    """Train only the last parameter group, and norm layers if the Learner's `train_bn`, in the first `n` epochs; then all"""
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
            Called with the optimizer at the beginning of a fit; returns the scheduler, for instance `partial(OneCycleLR, max_lr=.1, total_steps=1000)`
        every
            When it is stepped: after each 'step' of the optimizer that was taken, or after each 'epoch'
        monitor
            Column of the Recorder's table whose value a scheduler that asks for one (`ReduceLROnPlateau`) is given"""
    def before_fit(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def before_train(self) -> None: ...
    def before_batch(self) -> None: ...
    def after_step(self) -> None: ...
    def after_epoch(self) -> None: ...
    def state_dict(self) -> dict:
        """What the scheduler has come to"""
    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state, within a fit

        Parameters
        ----------
        state
            What `state_dict` returned"""
