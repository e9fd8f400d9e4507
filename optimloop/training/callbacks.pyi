"""Clip, accumulate, survive a NaN, average the weights, freeze a norm layer, choose the samples: callbacks that change what is trained"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from typing import Any
from ..callbacks import Callback
from ..callbacks import TerminateOnNaN

__all__ = ['GradientClip', 'GradientAccumulation', 'NaNPolicy', 'EMA', 'BnFreeze', 'SampleByLoss']

class GradientClip(Callback):
    """Before each step, shrink the gradients by one factor such that their common norm is at most `max_norm`"""
    order: Any
    run_after: Any
    max_norm: Any
    def __init__(self, max_norm: float = 1.0) -> None:
        """Parameters
        ----------
        max_norm
            Largest norm of all gradients together, > 0"""
    def before_fit(self) -> None: ...
    def before_step(self) -> None: ...
    @property
    def norms(self) -> list:
        """The norm before each step of the last fit, before it was clipped: a list of floats"""

class GradientAccumulation(Callback):
    """Step once for `n_acc` items: the mean gradient over all of them, however they are cut into batches"""
    order: Any
    run_before: Any
    run_valid: Any
    keeps: Any
    n_acc: Any
    n_items: Any
    n_done: Any
    n_new: Any
    def __init__(self, n_acc: int, n_items=None) -> None:
        """Parameters
        ----------
        n_acc
            Items to gather for a step, ≥ 1: samples, or what `n_items` counts
        n_items
            Function of the learner: over how many items, ≥ 1, the loss is a mean; default: samples, weighed by `loss_items`"""
    def before_train(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def before_backward(self) -> None: ...
    def before_step(self) -> None: ...
    def after_train(self) -> None: ...
    def after_cancel_backward(self) -> None: ...
    def after_cancel_step(self) -> None: ...
    def after_step(self) -> None: ...
    def after_cancel_batch(self) -> None: ...
    def before_batch(self) -> None: ...

class NaNPolicy(TerminateOnNaN):
    """Before the step, when the loss or a gradient is NaN or infinite: stop the fit, skip the batch, or roll back to a good state"""
    run_valid: Any
    keeps: Any
    policy: Any
    every: Any
    bad: Any
    n_good: Any
    def __init__(self, policy: str = 'stop', every: int = 100) -> None:
        """Parameters
        ----------
        policy
            'stop', 'skip' or 'rollback'
        every
            Good batches between copies to roll back to, ≥ 1"""
    def before_fit(self) -> None: ...
    def before_batch(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def before_step(self): ...
    def after_fit(self) -> None: ...

class EMA(Callback):
    """Keep a debiased moving average of the weights; `with learn.ema.swapped():` puts it into the model"""
    order: Any
    decay: Any
    in_valid: Any
    avg: Any
    n_steps: Any
    def __init__(self, decay: float = 0.999, in_valid: bool = False) -> None:
        """Parameters
        ----------
        decay
            How much of the average is kept from step to step, in [0,1): it reaches back about 1/(1-decay) steps
        in_valid
            Validate and predict with the averaged weights?"""
    def reset(self) -> None:
        """Forget the average"""
    @property
    def is_swapped(self) -> bool: ...
    def after_step(self) -> None: ...
    def before_fit(self) -> None: ...
    def swapped(self) -> AbstractContextManager[Any]:
        """In this context the model has the averaged weights"""
    def before_validate(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def state_dict(self) -> dict:
        """The average, to save; `load_state_dict` takes it back"""
    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved average

        Parameters
        ----------
        state
            What `state_dict` returned; it is copied"""
    def after_cancel_epoch(self): ...
    def after_cancel_fit(self): ...
    def after_validate(self): ...

class BnFreeze(Callback):
    """While training, keep norm layers with running statistics in evaluation mode if their parameters are frozen"""
    run_after: Any
    def before_train(self) -> None: ...

class SampleByLoss(Callback):
    """Draw the samples of each epoch with probabilities in proportion to a power of their losses"""
    keeps: Any
    begins_amid: Any
    power: Any
    drawn: Any
    def __init__(self, power: float = 0.5) -> None:
        """Parameters
        ----------
        power
            0 draws all alike, 1 in proportion to the loss; ≥ 0"""
    def before_train(self) -> None: ...
