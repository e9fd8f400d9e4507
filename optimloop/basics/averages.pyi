"""Averages that weigh each batch by what it stands for"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['BatchValues', 'History', 'WeightedMean', 'weighted_mean', 'loss_divisor', 'loss_items', 'accuracy', 'AvgMetric', 'func_name', 'as_metric']

class BatchValues:
    """A number of each batch, kept on the device until somebody looks"""
    numbers: Any
    packed: Any
    waiting: Any
    n_packed: Any
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def append(self, value) -> None:
        """Keep a number; does not wait for the device

        Parameters
        ----------
        value
            A number or a 0-d tensor"""
    def read(self):
        """All numbers so far"""

class History(list):
    """A list of floats, or of rows of as many floats, that can be read as one array"""
    def __init__(self, values=...) -> None: ...
    def append(self, value) -> None: ...
    def read(self):
        """All values, copied"""
    def __reduce__(self) -> tuple: ...

class WeightedMean:
    """The mean of values that stand for different numbers of items"""
    values: Any
    sizes: Any
    is_sum: Any
    def __init__(self) -> None: ...
    def add(self, value, n) -> None:
        """Take in a batch; does not wait for the device

        Parameters
        ----------
        value
            A number or a tensor with one entry, the mean over a batch
        n
            Over how many items: a number or a 0-d tensor; 0 if it does not count, `None` if it is no mean but a sum"""
    def mean(self) -> float:
        """The mean over all items so far; of sums, the sum"""

def weighted_mean(values, sizes, is_sum: bool = False) -> float:
    """The mean over all items

    Parameters
    ----------
    values
        Numbers
    sizes
        The number of items that each stands for; one that stands for none does not count, whatever it is
    is_sum
        Are they sums, to be added up?

    Returns
    -------
    Float; NaN if there are none"""
def loss_divisor(f, pred, targs, *parts):
    """What the mean `f(pred, *targs)` was divided by: a number or a 0-d tensor; `None` if it is a sum"""
def loss_items(learn):
    """What the loss of this batch was divided by: by PyTorch's rules, by what the loss function's `n_items` says, or by samples

    Parameters
    ----------
    learn
        The Learner, within a batch

    Returns
    -------
    Number or 0-d tensor, which may be 0; `None` if the loss is a sum"""
def accuracy(pred, targ):
    """Fraction of predictions whose largest entry is the target

    Parameters
    ----------
    pred
        Logits or probabilities, (n, …, classes)
    targ
        Integers, (n, …)

    Returns
    -------
    0-d tensor in [0,1]"""
class AvgMetric:
    """Averages `func(pred, targ)` over an epoch, each batch weighed by its size, or by what `n_items` says"""
    func: Any
    name: Any
    n_items: Any
    def __init__(self, func, name: str | None = None, n_items=None) -> None:
        """Parameters
        ----------
        func
            Function of predictions and targets that returns a mean over the batch
        name
            Name in the table; default: that of `func`
        n_items
            Function of predictions and targets: over how many items `func` is a mean; default: as `loss_items` has it"""
    def reset(self) -> None: ...
    def update(self, pred, *targs) -> None: ...
    def compute(self): ...

def func_name(f): ...
def as_metric(o):
    """`o` as a metric

    Parameters
    ----------
    o
        A function, or an object with `reset`, `update` and `compute`

    Returns
    -------
    An object with `reset`, `update` and `compute`"""
