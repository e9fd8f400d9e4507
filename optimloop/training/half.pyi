"""Masters by hand, whole models in half, and weights in bf16 alone"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..mixed_precision import LossScale
from ..mixed_precision import PrecisionCallback

__all__ = ['HalfWeights', 'NonNativeMixedPrecision', 'ModelToHalf', 'stochastic_round', 'PureBF16']

class HalfWeights(PrecisionCallback):
    """Within a batch, up to the end of its backward pass, all but norm layers is in half precision"""
    @property
    def dtype(self): ...
    def start_phase(self) -> None:
        """Find what is to be halved, and make room for it"""
    def cleanup_fit(self) -> None:
        """Give the weights back, and the hooks and copies away"""
    def enter_half(self) -> None:
        """Hand each weight its copy"""
    def leave_half(self) -> None:
        """Give each weight its master back, and its gradient in fp32"""

class NonNativeMixedPrecision(HalfWeights):
    """Train in fp16 from scratch: fp16 weights with fp32 masters, and a scaled loss; norm layers stay in fp32"""
    dynamic: Any
    def __init__(self, dynamic: bool = True, **kwargs) -> None:
        """Parameters
        ----------
        dynamic
            Adapt the scale, or else only skip steps that overflow?
        kwargs
            Settings of the loss scale, as for LossScale"""
    def new_scaler(self, device_type: str) -> LossScale:
        """What keeps the scale of the loss for a fit

        Parameters
        ----------
        device_type
            Not needed: the scale is a number

        Returns
        -------
        `LossScale`"""

class ModelToHalf(PrecisionCallback):
    """The whole model, its weights and the optimizer's averages, in half precision during a fit: what the others avoid"""
    fitting: Any
    def __init__(self, amp_mode: str = 'fp16') -> None:
        """Parameters
        ----------
        amp_mode
            'fp16' or 'bf16'"""
    def before_fit(self) -> None:
        """Halve all"""
    def before_train(self) -> None:
        """Halve all now, if this was added while a fit runs"""
    def cleanup_fit(self) -> None:
        """Bring all back to fp32"""
    def state_dict(self) -> dict:
        """There is no scale to keep"""

def stochastic_round(x, generator=None, noise=None):
    """Round to one of the two nearest numbers, with probabilities that make it right on average

    Parameters
    ----------
    x
        fp32 tensor
    generator
        torch.Generator on the device of x; default: the global one
    noise
        What to add instead of random bits: an int32 tensor of the shape of x, from 0 to 65535

    Returns
    -------
    bf16 tensor"""
class PureBF16(HalfWeights):
    """The model in bf16 within a batch, norm layers excepted; weights rounded at random, or with fp32 masters"""
    rounding: Any
    seed: Any
    def __init__(self, rounding: str = 'stochastic', seed: int = 0) -> None:
        """Parameters
        ----------
        rounding
            'stochastic', without masters, or 'master', to the nearest with fp32 masters
        seed
            Seed of the random bits"""
    def enter_half(self):
        """Round each weight at random; in validation, hand it a copy"""
    def leave_half(self):
        """Widen the weights and their gradients; after validation, put the weights back"""
    def state_dict(self) -> dict:
        """Where the random numbers are"""
    def load_state_dict(self, state: dict) -> None:
        """Go on with the random numbers of a saved run

        Parameters
        ----------
        state
            What state_dict returned"""
    def check_state(self, state) -> None:
        """Raise an error if `load_state_dict` could not take it"""
