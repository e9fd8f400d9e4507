"""Kill it anywhere: a run that goes on exactly where it was, from files that are complete or not there"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from pathlib import Path

__all__ = ['Checkpoint']

class Checkpoint(Callback):
    """Save all of a run while it goes on, such that `fit(…, resume=True)` goes on from the newest file as if nothing had happened"""
    order: Any
    parts: Any
    every_batches: Any
    every_epochs: Any
    every_minutes: Any
    keep: Any
    folder: Any
    best: Any
    on_error: Any
    def __init__(self, every_batches: int | None = None, every_epochs: int = 1, every_minutes: float | None = None, keep: int = 3, folder: str | Path | None = None, best: str = 'valid_loss', on_error: str = 'warn') -> None:
        """Parameters
        ----------
        every_batches
            Save after so many batches of each epoch, ≥ 1
        every_epochs
            and after so many epochs, ≥ 1; the last is always saved
        every_minutes
            and when so much time has passed, > 0
        keep
            Number of files to keep, ≥ 1; with 2 or more, one that is damaged costs little
        folder
            Where they are; default: `checkpoints` in the Learner's `path`
        best
            Column of the Recorder's table: after its best epoch `best.safetensors` is that one, too; or `None`
        on_error
            If a file cannot be written: 'warn', and train on, or 'raise'"""
    def before_fit(self) -> None: ...
    def before_batch(self) -> None: ...
    def after_cancel_batch(self) -> None: ...
    def after_batch(self) -> None: ...
    def after_train(self) -> None:
        """Keep a copy from before validation, which can take long: that is what is saved if it is broken off"""
    def after_epoch(self) -> None: ...
    def after_cancel_fit(self) -> None: ...
    def after_fit(self) -> None: ...
    def before_epoch(self) -> None: ...
    def before_train(self) -> None: ...
    def before_validate(self) -> None: ...
    def cleanup_fit(self) -> None: ...
