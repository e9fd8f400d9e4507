"""Validate, predict, try a single batch, train a part of the model"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback

__all__ = ['GatherPreds', 'concat']

class GatherPreds(Callback):
    """Collect predictions and targets, and if asked inputs and losses, on the CPU"""
    order: Any
    for_one_pass: Any
    whole_batches: Any
    with_input: Any
    with_loss: Any
    inputs: Any
    preds: Any
    targs: Any
    sample_losses: Any
    def __init__(self, with_input=False, with_loss=False) -> None: ...
    def before_validate(self) -> None: ...
    def after_batch(self) -> None: ...

def concat(parts: list):
    """Join what is alike from all batches: tensors along the first dimension, in tuples, lists and dicts too

    Parameters
    ----------
    parts
        Of each batch a tensor, a tuple, list or dict of what can be joined, or anything else

    Returns
    -------
    Of the same kind; of what cannot be joined, parts"""
