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
        A model; or parameters, in one or several groups, as for an optimizer

    Returns
    -------
    Two lists with a list of parameters for each group: the given ones; their masters, fp32 copies of them"""
def to_master_grads(model_pgs, master_pgs) -> None:
    """Give the masters the gradients of the parameters, in the masters' precision

    Parameters
    ----------
    model_pgs
        Lists of parameters, from get_master
    master_pgs
        Their masters"""
def to_model_params(model_pgs, master_pgs) -> None:
    """Copy the masters to the parameters, rounded to their precision

    Parameters
    ----------
    model_pgs
        Lists of parameters, from get_master
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
            Multiplies the scale after growth_interval good steps, > 1
        backoff_factor
            Multiplies it after an overflow, in (0,1)
        growth_interval
            Steps in a row, ≥ 1
        dynamic
            Adapt the scale, or else only skip steps?"""
    def get_scale(self):
        """What the loss is multiplied by"""
    def scale(self, loss):
        """The loss, multiplied

        Parameters
        ----------
        loss
            0-d tensor

        Returns
        -------
        0-d tensor"""
    def step(self, opt) -> None:
        """Unscale the gradients and step, or do nothing if one is not finite

        Parameters
        ----------
        opt
            An optimizer, or another object with param_groups and step"""
    def update(self) -> None:
        """Set the scale for the next batch"""
    def state_dict(self) -> dict:
        """The scale, and the number of good steps since it changed"""
    def load_state_dict(self, state: dict) -> None:
        """Take it back

        Parameters
        ----------
        state
            What state_dict returned"""

class PrecisionCallback(Callback):
    """What callbacks that compute in half precision have in common: where it begins and ends, and the scale of the loss"""
    order: Any
    run_before: Any
    fitting: Any
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
            Settings of the loss scale, fp16 only: init_scale, growth_factor, backoff_factor, growth_interval"""
    def enter_half(self) -> None:
        """Begin to compute in half precision: each kind of callback has its own way"""
    def leave_half(self) -> None:
        """End it; may be called twice"""
    def new_scaler(self, device_type: str):
        """What keeps the scale of the loss for a fit

        Parameters
        ----------
        device_type
            'cpu', 'cuda' or 'mps'

        Returns
        -------
        `torch.amp.GradScaler`, or another object with its methods"""
    def leave_batch(self) -> None:
        """Leave half precision and put the true loss back; if this lay within another batch, go on with that"""
    def after_backward(self) -> None:
        """Leave half precision before others look at the loss or the gradients"""
    def before_batch(self) -> None:
        """Enter half precision"""
    def after_pred(self) -> None:
        """Bring the prediction back to fp32"""
    def after_loss(self) -> None:
        """Complain of a loss that is no tensor"""
    def start_phase(self) -> None:
        """Check the model and the other callbacks"""
    def before_fit(self) -> None:
        """Begin with a new scale, or with one that was loaded"""
    def before_train(self) -> None:
        """Begin a phase without gradients: the loop drops those that are left"""
    def before_validate(self) -> None:
        """Begin a phase"""
    def before_backward(self) -> None:
        """Scale the loss"""
    def after_cancel_backward(self) -> None:
        """The loop computed no gradients"""
    def before_step(self) -> None:
        """Unscale the gradients and check them; if one is not finite, drop all and skip the step"""
    def switched_off(self):
        """Leave half precision. Gradients that wait become true ones: the step may come without this callback"""
    def cleanup_fit(self) -> None:
        """End it, whatever has happened"""
    def __getstate__(self) -> dict:
        """What copies need: they are in no batch"""
    def state_dict(self):
        """The scale of the loss, and the number of good steps since it last changed"""
    def load_state_dict(self, state: dict) -> None:
        """Go on with a saved scale: at once during a fit, or else from the start of the next

        Parameters
        ----------
        state
            What state_dict returned; an empty one, as bf16 has it, changes nothing"""
    def check_state(self, state) -> None:
        """Raise an error if `load_state_dict` could not take it"""
    def leave_validate(self):
        """Leave half precision and put the true loss back; if this lay within another batch, go on with that"""
    keeps: Any

class MixedPrecision(PrecisionCallback):
    """Compute predictions and loss in half precision with fp32 weights; in fp16, with a loss scale that adapts"""
    def __init__(self, amp_mode: str = 'fp16', **kwargs) -> None:
        """Parameters
        ----------
        amp_mode
            'fp16' or 'bf16'
        kwargs
            For GradScaler, fp16 only: init_scale, growth_factor, backoff_factor, growth_interval (steps)"""
    def enter_half(self) -> None:
        """Turn autocast on"""
    def leave_half(self) -> None:
        """Put autocast back to what it was"""
    def after_loss(self) -> None:
        """Leave autocast"""
