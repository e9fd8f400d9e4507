"""Model and batches go to one device, and the first batch is looked at"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback

__all__ = ['BatchToDevice', 'without_partials', 'CheckFirstBatch', 'module_of']

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

def without_partials(f):
    """The function or object within partials

    Parameters
    ----------
    f
        A function or object, or a partial of one

    Returns
    -------
    What is in it"""
class CheckFirstBatch(Callback):
    """Look at the first training batch of a fit for mistakes that would be silent, or end in an obscure error"""
    order: Any
    run_valid: Any
    run_train: Any
    def before_fit(self) -> None: ...
    def after_loss(self) -> None: ...
    def after_backward(self) -> None: ...
    def before_backward(self) -> None:
        """Warn of parameters of the loss function that are not trained"""

def module_of(f):
    """The module that a loss function is, or is a method of

    Parameters
    ----------
    f
        A loss function

    Returns
    -------
    nn.Module or None"""
