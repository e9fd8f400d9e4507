"""Averages that weigh each batch by what it stands for"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['weighted_mean', 'BatchValues', 'WeightedMean', 'History', 'loss_divisor', 'is_per_sample', 'loss_items', 'batch_samples', 'accuracy', 'AvgMetric', 'as_metric', 'func_name', 'metric_name', 'different_names', 'lower_is_better', 'table_cell', 'print_row', 'ask_metric', 'smoothed', 'LossLog']

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
class BatchValues:
    """A number of each batch, kept on the device until it is read"""
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
            Over how many items: a number or a 0-d tensor; 0 if it does not count, None if it is no mean but a sum"""
    def mean(self) -> float:
        """The mean over all items so far; of sums, the sum"""

class History(list):
    """A list of floats, or of rows of as many floats, that can be read as one array"""
    def __init__(self, values=...) -> None: ...
    def append(self, value) -> None: ...
    def read(self):
        """All values, copied"""
    def __reduce__(self) -> tuple: ...

def loss_divisor(f, pred, targs, *parts):
    """What the mean `f(pred, *targs)` was divided by

    Parameters
    ----------
    f
        The loss function
    pred
        Predictions
    targs
        Tuple of targets
    parts
        The batch: samples are counted in its first tensor, if need be; default: the targets

    Returns
    -------
    Number or 0-d tensor, which may be 0; None if it is a sum"""
def is_per_sample(f) -> bool:
    """Does `f` return a loss for each sample, not their mean or sum?

    Parameters
    ----------
    f
        A loss function

    Returns
    -------
    Bool"""
def loss_items(learn):
    """What the loss of this batch was divided by: by PyTorch's rules, by its own `n_items`, or by samples

    Parameters
    ----------
    learn
        The Learner, within a batch

    Returns
    -------
    Number or 0-d tensor, which may be 0; None if the loss is a sum"""
def batch_samples(learn):
    """How many samples there are in this batch, on all processes together

    Parameters
    ----------
    learn
        The Learner, within a batch

    Returns
    -------
    Integer"""
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
            Name in the table; default: that of func
        n_items
            Function of predictions and targets: over how many items func is a mean; default: as for losses"""
    def reset(self) -> None: ...
    def update(self, pred, *targs) -> None: ...
    def compute(self): ...
    def reduce(self, gather) -> None:
        """Take in what all processes have measured, each on its share of the batches

        Parameters
        ----------
        gather
            Function that returns what each process passes to it, in a list"""

def as_metric(o):
    """`o` as a metric

    Parameters
    ----------
    o
        A function, or an object with reset, update and compute

    Returns
    -------
    An object with reset, update and compute"""
def func_name(f):
    """The name of a function; of an object, that of its class in snake case

    Parameters
    ----------
    f
        A function, a partial of one, or an object that can be called

    Returns
    -------
    Text"""
def metric_name(m):
    """The name of a metric

    Parameters
    ----------
    m
        A metric, as as_metric returns it

    Returns
    -------
    Text"""
def different_names(names: list) -> list:
    """`names`, where one that was there before gets a number: `l1_loss`, `l1_loss_2`

    Parameters
    ----------
    names
        Texts

    Returns
    -------
    List of as many texts"""
def lower_is_better(name: str):
    """Is a lower value better? So it is for all that has loss or error in its name

    Parameters
    ----------
    name
        Name of a column of the table

    Returns
    -------
    Bool"""
def table_cell(name: str, value) -> str:
    """A value as it stands in the table, as wide as its column

    Parameters
    ----------
    name
        Name of the column
    value
        Number, text or None; of the column time, seconds

    Returns
    -------
    Text"""
def print_row(cells: list) -> None:
    """Print a row of a table

    Parameters
    ----------
    cells
        Strings, already as wide as their columns"""
def ask_metric(metric, f, *args):
    """Call `f(*args)`; an error is given a note that names the metric

    Parameters
    ----------
    metric
        The metric
    f
        Its method
    args
        Passed to the method

    Returns
    -------
    What the method returned"""
def smoothed(values: list, span: float):
    """The debiased moving average of `values` at each of them

    Parameters
    ----------
    values
        Floats
    span
        Over about how many values to average, ≥ 2

    Returns
    -------
    List of as many floats"""
class LossLog:
    """The loss of each training batch, and which of them count"""
    beta: Any
    losses: Any
    sizes: Any
    is_sum: Any
    n_settled: Any
    n_cancelled: Any
    def __init__(self, beta: float = 0.98) -> None:
        """Parameters
        ----------
        beta
            How much of the smoothed loss is kept from batch to batch, in [0,1)"""
    def __len__(self) -> int: ...
    def append(self, loss, n) -> None:
        """Note the loss of a batch, which waits for its step; does not wait for the device

        Parameters
        ----------
        loss
            Tensor with one number, the mean over the batch
        n
            What it was divided by: a number or a 0-d tensor; None if it is a sum"""
    @property
    def waiting(self) -> bool:
        """Are there batches whose step may still come?"""
    def stepped(self) -> None:
        """A step came: all batches so far are settled"""
    def dropped(self) -> None:
        """The batches that wait get no step: they are skipped"""
    def cancelled(self) -> None:
        """The last batch gets no step; those before it still may"""
    @property
    def skipped(self) -> list:
        """The numbers of the batches whose step did not happen"""
    @property
    def smooth_loss(self):
        """The debiased moving average over the batches that count; `None` before the first"""
    def start_epoch(self) -> None:
        """From here on a new epoch is averaged"""
    def epoch_mean(self) -> float | None:
        """The mean over the batches of this epoch that count; NaN if none does, `None` if there was none"""
    def warn_if_all_cancelled(self) -> None:
        """Warn if there is nothing to average, because every batch was cancelled"""
    def state(self) -> dict:
        """All that was noted, for a file"""
    def load_state(self, state: dict) -> None:
        """Be as the log was that `state` came from

        Parameters
        ----------
        state
            What state returned; losses and skipped are enough if all is settled"""
