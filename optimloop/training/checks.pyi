"""Move model and batches, and look at the first batch"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback

__all__ = ['BatchToDevice', 'CheckFirstBatch', 'without_partials', 'module_of']

class BatchToDevice(Callback):
    """Move the model to the best device at the beginning, and each batch to where the model is"""
    order: Any
    device: Any
    run_train: Any
    run_valid: Any
    def after_create(self) -> None: ...
    def before_train(self) -> None: ...
    def before_validate(self) -> None: ...
    def before_batch(self) -> None: ...

class CheckFirstBatch(Callback):
    """Look at the first training batch of a fit for mistakes that would be silent, or end in an obscure error"""
    order: Any
    run_valid: Any
    run_train: Any
    def before_fit(self) -> None: ...
    def after_loss(self) -> None: ...
    def after_backward(self) -> None: ...
    def before_backward(self) -> None:
        """A loss function that could learn, and is not trained"""

def without_partials(f): ...
def module_of(f):
    """The module that the loss function `f` is, or is a method of; or `None`"""
