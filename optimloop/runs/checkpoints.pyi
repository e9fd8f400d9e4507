"""Kill it anywhere: a run that goes on exactly where it was, from files that are complete or not there"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from pathlib import Path

__all__ = ['Checkpoint']

class Checkpoint(Callback):
    """Save all of a run while it goes on, such that `fit(…, resume=True)` goes on as if nothing had happened"""
    order: Any
    parts: Any
    transient: Any
    every_batches: Any
    every_epochs: Any
    every_minutes: Any
    keep: Any
    folder: Any
    best: Any
    on_error: Any
    sharded: Any
    def __init__(self, every_batches: int | None = None, every_epochs: int = 1, every_minutes: float | None = None, keep: int = 3, folder: str | Path | None = None, best: str = 'valid_loss', on_error: str = 'warn', sharded: bool = False) -> None:
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
            Where they are; default: checkpoints in the Learner's path
        best
            Column of the table: after its best epoch best.safetensors is that one, too; or None
        on_error
            If a file cannot be written: warn, and train on, or raise
        sharded
            Let each process write what it has of a sharded model, rather than rank 0 all of it?"""
    def before_epoch(self) -> None:
        """Put a feed into the place of the training loader; it begins at the batch where the run was"""
    def before_train(self) -> None:
        """Give the loaders back, and watch the batches"""
    def before_validate(self) -> None:
        """Start the workers of the validation loader such that they tell of themselves"""
    def before_fit(self) -> None:
        """Begin anew, and save at once; or, if `fit` was asked to resume, go on"""
    def after_fit(self) -> None:
        """The fit is over: keep its history"""
    def cleanup_fit(self) -> None:
        """Wait for the last file, and leave all as it was before"""
    def before_batch(self) -> None:
        """No batch is cancelled before it begins"""
    def after_cancel_batch(self) -> None:
        """After this batch nothing is saved"""
    def after_batch(self) -> None:
        """Note where the run is, and save if it is time"""
    def tell(self) -> tuple:
        """What processes that train together tell each other in each batch: is a save due, has a signal come?"""
    def hear(self, late, told) -> None:
        """Take what was told: it holds for all if it does for one"""
    def after_train(self) -> None:
        """Keep a copy from before validation"""
    def after_epoch(self) -> None:
        """Save, if it is the best or the last epoch, or if it is time"""
    def after_cancel_fit(self) -> None:
        """The fit was cancelled, and is over"""
