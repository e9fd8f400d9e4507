"""Hooks that come off, what the layers put out batch by batch, and weights scaled to begin well"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from typing import NamedTuple
from typing_extensions import Self

__all__ = ['LayerSpread', 'has_weight_matrix', 'pick_modules', 'Hooks', 'describe_rows', 'spread_places', 'Thinned', 'ActivationStats', 'lsuv']

def has_weight_matrix(m):
    """Has module `m` itself, not one within it, a weight of two or more dimensions?"""
def pick_modules(model, which=None):
    """The modules of `model` that are meant; an error if there are none

    Parameters
    ----------
    model
        nn.Module
    which
        A class or several; a function of a module; names or modules; default: layers with a weight matrix

    Returns
    -------
    Dictionary from name to module, each module once"""
class Hooks:
    """Call a function after each call of some modules of a model: in a `with` block, or until `remove`"""
    modules: Any
    f: Any
    on: Any
    handles: Any
    def __init__(self, model, f, modules=None, backward: bool = False) -> None:
        """Parameters
        ----------
        model
            nn.Module
        f
            Called with a module's name, the module, its inputs (a tuple) and its output; may return another output
        modules
            Which modules, as for pick_modules
        backward
            Call f in the backward pass, with the gradients of inputs and outputs (tuples)?"""
    def __enter__(self) -> Self: ...
    def __exit__(self, *args) -> None: ...
    def remove(self) -> None:
        """Take the hooks off; to do it twice does no harm"""

def describe_rows(x, near: float = 0.05, limit: float = 10.0, bins: int = 100):
    """What the numbers in each row look like; does not wait for the device

    Parameters
    ----------
    x
        Float tensor (layers, numbers)
    near
        How far from zero a number may be to be near it, ≥ 0
    limit
        The histogram reaches from -limit to limit, > 0
    bins
        Number of its bins, ≥ 1

    Returns
    -------
    Tensor (layers, 3+bins): mean, standard deviation, share near zero, histogram"""
def spread_places(numel: int, n: int):
    """Places of `n` numbers, one from each of `n` equal parts; always the same

    Parameters
    ----------
    numel
        How many numbers there are
    n
        How many to take, ≤ numel

    Returns
    -------
    Integer tensor (n,), ascending"""
class Thinned:
    """Of all that is offered, at most `most` items, evenly spread from the first on"""
    most: Any
    items: Any
    stride: Any
    n: Any
    def __init__(self, most: int) -> None:
        """Parameters
        ----------
        most
            Number of items, ≥ 2"""
    def takes_next(self) -> bool:
        """Will the next one be kept?"""
    def offer(self, item) -> None:
        """Keep it, or not

        Parameters
        ----------
        item
            Anything; it is forgotten if takes_next() was false"""

class ActivationStats(Callback):
    """Record mean, standard deviation, share near zero and histogram of what layers put out, batch by batch"""
    order: Any
    modules: Any
    every: Any
    near: Any
    limit: Any
    bins: Any
    sample: Any
    keep: Any
    run_train: Any
    run_valid: Any
    names: Any
    def __init__(self, modules=None, every: int = 1, near: float = 0.05, limit: float = 10.0, bins: int = 100, sample: int = ..., keep: int = 1000, valid: bool = False, name: str | None = None) -> None:
        """Parameters
        ----------
        modules
            Which, as for pick_modules: classes, names, a function, …; default: layers with a weight matrix
        every
            Record every so many batches, ≥ 1
        near
            How far from zero a number may be to be near it, ≥ 0
        limit
            The histogram reaches from -limit to limit, > 0; what is beyond counts in the outermost bins
        bins
            Number of bins, ≥ 1
        sample
            Of larger outputs so many numbers are looked at, evenly spread, ≥ 1; None for all
        keep
            Number of batches to keep, ≥ 2: of a longer fit every second, every fourth, …
        valid
            Record the batches of validation instead?
        name
            Its name in the Learner; a second one needs another"""
    def reset(self) -> None:
        """Forget all that was recorded"""
    def before_fit(self) -> None:
        """Forget the last fit"""
    def before_batch(self):
        """Put the hooks on, if this batch is to be recorded"""
    def after_pred(self) -> None:
        """Work out the numbers of this batch"""
    def leave_batch(self) -> None:
        """Take the hooks off, however the batch was left"""
    def cleanup_fit(self) -> None:
        """Take the hooks off, however the fit was left"""
    def after_epoch(self) -> None:
        """Bring what was recorded to the CPU"""
    @property
    def steps(self) -> list:
        """Numbers of the batches that were kept, from 0: a list"""
    @property
    def mean(self):
        """Mean of each layer's output: a tensor (batches, layers)"""
    @property
    def std(self):
        """Standard deviation of each layer's output: a tensor (batches, layers)"""
    @property
    def near_zero(self):
        """Share of each layer's output that is near zero, from 0 to 1: a tensor (batches, layers)"""
    @property
    def hists(self):
        """Histogram of each layer's output, as shares: a tensor (batches, layers, bins)"""
    def plot_stats(self, layers=None, log: bool = False):
        """Plot the mean and the standard deviation of what each layer puts out, over the batches

        Parameters
        ----------
        layers
            Names or numbers of the layers to draw; default: all
        log
            A logarithmic axis for the standard deviation?

        Returns
        -------
        List of two Axes"""
    def plot_near_zero(self, layers=None, ax=None):
        """Plot which share of each layer's output is near zero, over the batches

        Parameters
        ----------
        layers
            Names or numbers of the layers to draw; default: all
        ax
            Axes to draw on; default: new ones

        Returns
        -------
        The Axes"""
    def plot_histograms(self, layers=None, ncols: int = 4):
        """Draw the histograms over the batches as an image for each layer, on a logarithmic scale of shares

        Parameters
        ----------
        layers
            Names or numbers of the layers to draw; default: all, or twelve of them, from first to last
        ncols
            Panels in a row

        Returns
        -------
        List of Axes"""
    def run_state(self) -> dict:
        """What a checkpoint keeps: what was recorded, and under which settings"""
    def check_run_state(self, state) -> None:
        """An error if this was recorded in another way"""
    def put_run_state(self, state) -> None:
        """Go on with what was recorded"""
    def __getstate__(self) -> dict:
        """What copies and pickles need"""

class LayerSpread(NamedTuple):
    name: Any
    layer: Any
    mean: Any
    std: Any
    new_mean: Any
    new_std: Any

def lsuv(model, xb, modules=None, tol: float = 0.01, rounds: int = 10) -> list:
    """Scale weights and shift biases so that each layer puts out mean 0 and standard deviation 1; frozen ones stay

    Parameters
    ----------
    model
        nn.Module; stays in the mode that it is in, training or evaluation
    xb
        A batch of inputs: a tensor, or a tuple of what the model is called with
    modules
        Which layers, as for pick_modules; default: all linear and convolutional ones
    tol
        How far from 0 and 1 mean and standard deviation may be, > 0
    rounds
        Number of rounds before it gives up, ≥ 1

    Returns
    -------
    List of LayerSpread, with mean and standard deviation before and after, in the order in which layers are called"""
