"""The same run on N processes: one line, and nothing that is learnt changes"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from typing import NamedTuple
import torch

__all__ = ['Whole', 'average_gradients', 'with_ddp', 'WholeLoss', 'at_end_of_backward', 'whole_batch', 'Distributed', 'check_alike']

def average_gradients(params, n=None):
    """Let each gradient be its mean over all ranks; where only some ranks have one, it is 0 on the others

    Parameters
    ----------
    params
        Parameters, the same on all ranks
    n
        What the sum is divided by; default: the number of ranks

    Returns
    -------
    Did all parameters have a gradient, on all ranks?"""
def with_ddp(model, forward, n: int = 6, unused: bool = False):
    """A model in a `DistributedDataParallel` that adds up gradients in an order that does not change any more

    Parameters
    ----------
    model
        nn.Module
    forward
        Its forward
    n
        How many numbers to take along
    unused
        May parameters get no gradient in some batch? Then none are taken along

    Returns
    -------
    DistributedDataParallel"""
class WholeLoss(torch.autograd.Function):
    """The loss of the whole batch, with the gradient of this share; `note` gets `numbers` as gradient; `then` is called"""
    @staticmethod
    def forward(ctx, loss, value, weight, note=None, numbers=None, then=None): ...
    @staticmethod
    def backward(ctx, grad) -> tuple: ...

def at_end_of_backward(f) -> None:
    """In a backward pass: call `f` when it is over, and when all has been called that is queued so far or in it

    Parameters
    ----------
    f
        Function without arguments"""
class Whole(NamedTuple):
    n_items: Any
    n_samples: Any

def whole_batch(o, share):
    """Join the shares of all ranks

    Parameters
    ----------
    o
        Tensor of this rank's share, or a nest of them; anything else is left as it is
    share
        Share

    Returns
    -------
    The same, of the whole batch"""
class Distributed(Callback):
    """Let the processes that torchrun has started train as one: `learn.distribute()` adds it"""
    order: Any
    keeps: Any
    begins_amid: Any
    transient: Any
    used: Any
    steps: Any
    unused: Any
    per_sample: Any
    shares: Any
    ddp: Any
    ended: Any
    find_unused: Any
    warned: Any
    def __init__(self, find_unused: bool = False) -> None:
        """Parameters
        ----------
        find_unused
            May parameters get a gradient in some batches only? Then they are looked for in each"""
    def __getstate__(self) -> dict: ...
    def before_fit(self) -> None:
        """Give each rank its share of the data, and all the same weights"""
    def after_fit(self) -> None:
        """All has gone well"""
    def after_validate(self) -> None:
        """So it has, if this is no fit"""
    def cleanup_fit(self) -> None:
        """Leave model, loaders and random numbers as one process alone would"""
    def before_train(self) -> None:
        """Cut the batches, and lead the model's calls through DistributedDataParallel where it can be used"""
    def leave_train(self) -> None:
        """Let the model be as it was"""
    def after_train(self) -> None:
        """Take the buffers of rank 0, such as running means; see that the weights are the same"""
    def after_epoch(self) -> None:
        """What was measured is what rank 0 has measured"""
    def switched_off(self) -> None:
        """It cannot be, while the processes share their batches"""
    def before_validate(self) -> None:
        """Cut the batches; measure on shares, if all metrics can be reduced and nothing else asks for whole batches"""
    def leave_validate(self) -> None:
        """Give the metrics back"""
    def before_batch(self) -> None:
        """Begin a batch"""
    def leads(self) -> bool:
        """Is there a `ddp` to lead a call of the model through? It is made when the first batch has told what gets gradients"""
    def after_pred(self) -> None:
        """Join predictions for which there are no targets"""
    def after_loss(self) -> None:
        """Make of the loss of this share that of the whole batch"""
    def before_backward(self) -> None:
        """So also where a callback has made the loss"""
    def after_backward(self) -> None:
        """See that the loss was the one that was made whole"""
    def before_step(self) -> None:
        """Average the gradients that were gathered over several batches, and those of parameters outside the model"""
    def after_step(self) -> None:
        """Count the steps: ranks of which one has skipped one are not at the same batch"""
    @property
    def n_ranks(self) -> Any:
        """The number of processes"""
    @property
    def rank(self) -> Any:
        """The number of this one, from 0"""
    @property
    def share(self) -> Any:
        """Which part of this batch this rank has"""

def check_alike(learn) -> None:
    """Raise a `ValueError` if the ranks do not train the same, or cannot

    Parameters
    ----------
    learn
        Learner"""
