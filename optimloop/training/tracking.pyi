"""Callbacks that look at a run and decide about it: stop, save, slow down, skip, log"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from pathlib import Path

__all__ = ['TrackValue', 'EarlyStopping', 'SaveModel', 'ReduceLROnPlateau', 'ShortEpoch', 'EveryN', 'SkipValidation', 'StopValidation', 'CSVLogger']

def check_recorder(cb) -> None:
    """Raise an error if there is no Recorder, whose table the callback reads"""
def at_least_1(**kwargs):
    """The one argument, or an error if it is no whole number from 1 on"""
class TrackValue(Callback):
    """Know the best value of a column of the Recorder's table, and whether this epoch improved on it"""
    order: Any
    keeps: Any
    monitor: Any
    mode: Any
    min_delta: Any
    best: Any
    best_epoch: Any
    value: Any
    improved: Any
    wait: Any
    def __init__(self, monitor: str = 'valid_loss', mode: str | None = None, min_delta: float = 0.0) -> None:
        """Parameters
        ----------
        monitor
            Name of the column
        mode
            What is better, 'min' or 'max'; default: 'min' if the name has 'loss' or 'error' in it
        min_delta
            By how much a value must be better than the best to count, ≥ 0"""
    def before_fit(self) -> None:
        """Begin anew; an error if there is no such column"""
    def after_epoch(self) -> None:
        """Compare the value of this epoch with the best"""

class EarlyStopping(TrackValue):
    """End the fit when `patience` epochs in a row have not improved on the best"""
    order: Any
    patience: Any
    def __init__(self, patience: int = 3, **kwargs) -> None:
        """Parameters
        ----------
        patience
            Number of epochs, ≥ 1
        kwargs
            monitor, mode and min_delta of TrackValue"""
    def after_epoch(self) -> None: ...

class SaveModel(TrackValue):
    """Save the model after each epoch that is the best so far, or every so many epochs"""
    order: Any
    every: Any
    fname: Any
    with_opt: Any
    at_end: Any
    def __init__(self, every: int | str | None = None, fname: str = 'model', with_opt: bool = True, at_end: bool = False, **kwargs) -> None:
        """Parameters
        ----------
        every
            Save every so many epochs, to {fname}_{epoch}; 'epoch' is 1; default: the best epoch
        fname
            Name of the file, as for learn.save
        with_opt
            Save the optimizer's state too?
        at_end
            Load the best at the end of the fit?
        kwargs
            monitor, mode and min_delta of TrackValue"""
    @property
    def name(self): ...
    def before_fit(self) -> None:
        """Look whether the column exists, if it matters"""
    def after_epoch(self) -> None:
        """Save, if it is time or this epoch is the best"""
    def after_fit(self) -> None:
        """Load the best, if asked to"""

class ReduceLROnPlateau(TrackValue):
    """Multiply the learning rate by `factor` whenever `patience` epochs in a row have not improved on the best"""
    order: Any
    patience: Any
    factor: Any
    min_lr: Any
    wait: Any
    def __init__(self, patience: int = 2, factor: float = 0.1, min_lr: float = 0.0, **kwargs) -> None:
        """Parameters
        ----------
        patience
            Number of epochs, ≥ 1
        factor
            What the learning rate is multiplied by, in (0,1)
        min_lr
            It is not made smaller than this, ≥ 0
        kwargs
            monitor, mode and min_delta of TrackValue"""
    def before_fit(self) -> None:
        """Begin anew; an error if the learning rate is scheduled"""
    def after_epoch(self) -> None:
        """Reduce the learning rate, if it is time"""

class ShortEpoch(Callback):
    """Train on the first part of each epoch only"""
    begins_amid: Any
    pct: Any
    n_batches: Any
    def __init__(self, pct: float | None = None, n_batches: int | None = None) -> None:
        """Parameters
        ----------
        pct
            The fraction of the batches, in (0,1], rounded up; or
        n_batches
            their number, ≥ 1"""
    def before_train(self) -> None: ...

class EveryN(Callback):
    """Run a function or a callback in every n-th batch, or epoch, only"""
    n: Any
    f: Any
    of: Any
    run_valid: Any
    def __init__(self, n: int, f, of: str = 'batch') -> None:
        """Parameters
        ----------
        n
            In training batches n, 2n, … across epochs (and in those of each validation); or in epochs n, 2n, …
        f
            Function of the learner, run after the training batch or the epoch; or a callback or its class
        of
            What is counted: 'batch' or 'epoch'"""
    @property
    def name(self): ...
    def __setstate__(self, state) -> None:
        """A copy runs a copy of the callback inside"""
    def run_state(self) -> dict:
        """What a checkpoint keeps: the count, and what the callback inside keeps"""
    def put_run_state(self, state) -> None:
        """Take back what `run_state` returned"""

class SkipValidation(Callback):
    """Validate only after some of the epochs, and after the last"""
    order: Any
    first: Any
    every: Any
    def __init__(self, first: int = 0, every: int = 1) -> None:
        """Parameters
        ----------
        first
            Number of epochs at the beginning without validation, ≥ 0
        every
            From then on, every so many epochs one with, ≥ 1"""
    def before_fit(self) -> None: ...
    def before_validate(self) -> None: ...

class StopValidation(TrackValue):
    """Stop a validation whose loss so far is much worse than the best"""
    run_train: Any
    worse: Any
    every: Any
    def __init__(self, worse: float = 1.0, every: int = 10) -> None:
        """Parameters
        ----------
        worse
            How much worse is hopeless, as a fraction of the best, ≥ 0; 1 is twice as large
        every
            Number of batches between two looks, ≥ 1"""
    def after_batch(self) -> None: ...

class CSVLogger(Callback):
    """Write the Recorder's table to a file, a line an epoch, at once"""
    order: Any
    fname: Any
    append: Any
    def __init__(self, fname: str | Path = 'history.csv', append: bool = True) -> None:
        """Parameters
        ----------
        fname
            Name of the file, in the Learner's path
        append
            Go on with a file that is there? If not, it is written anew by each fit"""
    @property
    def file(self): ...
    def before_fit(self) -> None: ...
    def after_epoch(self) -> None:
        """Write the line of this epoch"""
    def read(self) -> list:
        """What was logged"""
    def run_state(self):
        """What a checkpoint keeps: the text of the file"""
    def put_run_state(self, state) -> None:
        """Put back the lines of the epochs that are done"""
