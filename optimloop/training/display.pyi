"""Bars, tables and live curves"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback

__all__ = ['ProgressCallback', 'ShowGraph']

class ProgressCallback(Callback):
    """Show bars for training and validation, and the table of results"""
    order: Any
    desc: Any
    screen: Any
    old_logger: Any
    def __init__(self, desc: str = '') -> None:
        """Parameters
        ----------
        desc
            Written in front of the bar"""
    def before_fit(self) -> None: ...
    def before_train(self) -> None: ...
    def before_validate(self) -> None: ...
    def after_batch(self) -> None: ...
    def after_train(self) -> None: ...
    def after_validate(self) -> None: ...
    def cleanup_fit(self) -> None: ...

class ShowGraph(Callback):
    """Draw the losses and the scheduled hyper-parameters while training, in a notebook"""
    order: Any
    run_valid: Any
    seconds: Any
    log: Any
    run_train: Any
    def __init__(self, seconds: float = 5.0, log: bool = False) -> None:
        """Parameters
        ----------
        seconds
            Draw at least so often, in seconds; also after each epoch
        log
            A logarithmic axis for the loss?"""
    def before_fit(self) -> None: ...
    def before_train(self) -> None: ...
    def after_batch(self) -> None: ...
    def after_epoch(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def draw(self):
        """A picture of the run so far"""
