"""Clip, accumulate, survive a NaN, average the weights, choose the samples: callbacks that change what is trained"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from typing import Any
from ..callbacks import Callback

__all__ = ['TerminateOnNaN', 'GradientClip', 'GradientAccumulation', 'NaNPolicy', 'EMA', 'BnFreeze', 'ModelResetter', 'RNNRegularizer', 'SampleByLoss']

class TerminateOnNaN(Callback):
    """End the fit, before the step, when the loss or a gradient is NaN or infinite; the weights are still good"""
    run_after: Any
    def before_step(self) -> None: ...

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
    def run_state(self):
        """What a checkpoint keeps: the norms so far"""
    def put_run_state(self, state) -> None:
        """Take back what `run_state` returned"""

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
            Items to gather for a step, ≥ 1: samples, or what n_items counts
        n_items
            Function of the learner: over how many items, ≥ 1, the loss is a mean; default: samples"""
    def before_train(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def before_backward(self) -> None:
        """Weigh what flows back by the batch's number of items"""
    def before_step(self) -> None:
        """Cancel the step until it is due; then divide by the number of items that there were"""
    def after_train(self) -> None:
        """Step with what is left at the end of the epoch"""
    def after_cancel_backward(self) -> None:
        """Take the batch out of the count"""
    def after_cancel_step(self) -> None:
        """Take the division back"""
    def after_step(self) -> None:
        """Note that the batch was not cut short"""
    def after_cancel_batch(self) -> None:
        """Keep the gradients of the batches before, which the loop drops"""
    def before_batch(self) -> None:
        """Bring back the gradients that were kept"""

class NaNPolicy(TerminateOnNaN):
    """Before the step, when the loss or a gradient is not finite: stop the fit, skip the batch, or roll back"""
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
    def before_step(self):
        """Look at the loss and the gradients, and do what the policy says"""
    def after_fit(self) -> None:
        """Say how many batches were bad"""

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
            How much of the average is kept in a step, in [0,1): it reaches back about 1/(1-decay) steps
        in_valid
            Validate and predict with the averaged weights?"""
    def reset(self) -> None:
        """Forget the average; if it is in the model, give the model its own weights back first"""
    @property
    def is_swapped(self) -> bool: ...
    def after_step(self) -> None: ...
    def before_fit(self) -> None:
        """Begin the average, or go on with it"""
    def swapped(self) -> AbstractContextManager[Any]:
        """In this context the model has the averaged weights"""
    def before_validate(self) -> None:
        """If `in_valid`, give the model the averaged weights"""
    def leave_validate(self) -> None:
        """Give the model its own weights back, if `before_validate` took them for this validation and not for an outer one"""
    def cleanup_fit(self) -> None:
        """Leave nothing swapped, and let go of the model's tensors"""
    def state_dict(self) -> dict:
        """The average, to save; `load_state_dict` takes it back"""
    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved average

        Parameters
        ----------
        state
            What state_dict returned; it is copied"""
    def check_state(self, state) -> None:
        """Raise an error if `load_state_dict` could not take it; one that was saved before the first fit is empty"""
    def as_measured(self) -> tuple | None:
        """A context in which the model has the weights that a validation measures, and their name; `None` if it has them now"""
    def weights_replaced(self) -> None:
        """Begin a new average: the weights are others now"""

class BnFreeze(Callback):
    """While training, keep norm layers with running statistics in evaluation mode if their parameters are frozen"""
    run_after: Any
    def before_train(self) -> None: ...

class ModelResetter(Callback):
    """Call the model's `reset` before each training and validation phase, and at the end"""
    def before_train(self) -> None: ...
    def before_validate(self) -> None: ...
    def after_fit(self) -> None: ...

class RNNRegularizer(Callback):
    """Penalize the activations of a recurrent model that returns `(pred, raw_outputs, dropped_outputs)`"""
    order: Any
    alpha: Any
    beta: Any
    raw_out: Any
    dropped_out: Any
    def __init__(self, alpha: float = 0.0, beta: float = 0.0) -> None:
        """Parameters
        ----------
        alpha
            Weight of the activations' squares (AR), ≥ 0
        beta
            Weight of the squares of their change in time (TAR), ≥ 0"""
    def after_pred(self) -> None: ...
    def after_loss(self) -> None: ...
    def cleanup_fit(self) -> None: ...

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
