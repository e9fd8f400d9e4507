"""fp16/bf16 training: what half a number can hold, what breaks, and the callback that mends it"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from .callbacks import Callback

__all__ = ['get_master', 'to_master_grads', 'to_model_params', 'test_overflow', 'grad_overflow', 'LossScale', 'PrecisionCallback', 'MixedPrecision']

def get_master(groups) -> tuple:
    """Parameters and their fp32 masters

    Parameters
    ----------
    groups
        A model; or parameters, in one or several groups, as for `Optimizer`

    Returns
    -------
    Two lists with a list of parameters for each group: the given ones, and their masters, copies that are not in half precision"""
def to_master_grads(model_pgs, master_pgs) -> None:
    """Give the masters the gradients of the parameters, in the masters' precision

    Parameters
    ----------
    model_pgs
        Lists of parameters, from `get_master`
    master_pgs
        Their masters"""
def to_model_params(model_pgs, master_pgs) -> None:
    """Copy the masters to the parameters, rounded to their precision

    Parameters
    ----------
    model_pgs
        Lists of parameters, from `get_master`
    master_pgs
        Their masters"""
def test_overflow(x) -> bool:
    """Is a number in `x` infinite or NaN?

    Parameters
    ----------
    x
        Tensor

    Returns
    -------
    Bool"""
def grad_overflow(params):
    """Is a gradient infinite or NaN? Asks the device once

    Parameters
    ----------
    params
        Parameters; those without gradient are passed over

    Returns
    -------
    Bool"""
class LossScale:
    """What `torch.amp.GradScaler` does, in the open"""
    growth_factor: Any
    backoff_factor: Any
    growth_interval: Any
    dynamic: Any
    value: Any
    n_good: Any
    finite: Any
    def __init__(self, init_scale: float = ..., growth_factor: float = 2.0, backoff_factor: float = 0.5, growth_interval: int = 2000, dynamic: bool = True) -> None:
        """Parameters
        ----------
        init_scale
            What the loss is multiplied by at first, > 0
        growth_factor
            Multiplies the scale after `growth_interval` good steps, > 1
        backoff_factor
            Multiplies it after an overflow, in (0,1)
        growth_interval
            Steps in a row, ≥ 1
        dynamic
            Adapt the scale, or else only skip steps?"""
    def get_scale(self): ...
    def scale(self, loss):
        """Parameters
        ----------
        loss
            0-d tensor"""
    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> None:
        """Parameters
        ----------
        state
            What `state_dict` returned"""
    def step(self, opt) -> None:
        """Unscale the gradients and step, or do nothing if one is not finite

        Parameters
        ----------
        opt
            Whatever has `param_groups` and `step`"""
    def update(self) -> None:
        """Set the scale for the next batch"""

class PrecisionCallback(Callback):
    """What callbacks that compute in half precision have in common: where it begins and ends, and the scale of the loss"""
    order: Any
    run_before: Any
    amp_mode: Any
    scaler_args: Any
    scaler: Any
    scales: Any
    device_type: Any
    def __init__(self, amp_mode: str, **kwargs) -> None:
        """Parameters
        ----------
        amp_mode
            'fp16' or 'bf16'
        kwargs
            Settings of the loss scale, fp16 only: `init_scale` (> 0), `growth_factor` (> 1), `backoff_factor` (in (0,1)), `growth_interval` (steps)"""
    def before_train(self) -> None: ...
    def before_validate(self) -> None: ...
    def before_batch(self) -> None: ...
    def after_pred(self) -> None: ...
    def after_loss(self) -> None: ...
    def cleanup_fit(self) -> None: ...
    def before_backward(self) -> None: ...
    def after_cancel_backward(self) -> None: ...
    def before_step(self) -> None: ...
    def before_fit(self) -> None: ...
    def state_dict(self):
        """The scale of the loss, and the number of good steps since it last changed"""
    def load_state_dict(self, state: dict) -> None:
        """Go on with a saved scale: at once in the midst of a fit, or else from the start of the next

        Parameters
        ----------
        state
            What `state_dict` returned; an empty one, as bf16 has it, changes nothing"""
    keeps: Any
    def after_backward(self): ...
    def after_batch(self): ...
    def after_cancel_batch(self): ...
    def after_cancel_epoch(self): ...
    def after_cancel_fit(self): ...
    def after_cancel_train(self): ...
    def after_cancel_validate(self): ...
    def after_epoch(self): ...
    def after_fit(self): ...
    def after_train(self): ...
    def after_validate(self): ...

class MixedPrecision(PrecisionCallback):
    """Compute predictions and loss in half precision with fp32 weights; in fp16, with a loss scale that adapts"""
    after_backward: Any
    def __init__(self, amp_mode: str = 'fp16', **kwargs) -> None:
        """Parameters
        ----------
        amp_mode
            'fp16' or 'bf16'
        kwargs
            For `GradScaler`, fp16 only: `init_scale` (> 0), `growth_factor` (> 1), `backoff_factor` (in (0,1)), `growth_interval` (steps)"""
    def after_loss(self) -> None: ...
