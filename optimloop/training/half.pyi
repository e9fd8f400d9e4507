"""Masters by hand, whole models in half, and weights in bf16 alone"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..mixed_precision import PrecisionCallback

__all__ = ['HalfWeights', 'NonNativeMixedPrecision', 'ModelToHalf', 'stochastic_round', 'PureBF16']

class HalfWeights(PrecisionCallback):
    """Within a batch, up to the end of its backward pass, all but norm layers is in half precision; outside it the weights are fp32"""
    def cleanup_fit(self) -> None: ...

class NonNativeMixedPrecision(HalfWeights):
    """Train in fp16 from scratch: fp16 weights with fp32 masters, and a scaled loss; norm layers stay in fp32"""
    dynamic: Any
    def __init__(self, dynamic: bool = True, **kwargs) -> None:
        """Parameters
        ----------
        dynamic
            Adapt the scale, or else only skip steps that overflow?
        kwargs
            Settings of the loss scale, as for `LossScale`"""

class ModelToHalf(PrecisionCallback):
    """The whole model, its weights and the optimizer's averages, in half precision during a fit: what the others are there to avoid"""
    def __init__(self, amp_mode: str = 'fp16') -> None:
        """Parameters
        ----------
        amp_mode
            'fp16' or 'bf16'"""
    def before_fit(self) -> None: ...
    def before_train(self) -> None: ...
    def state_dict(self) -> dict: ...
    def cleanup_fit(self) -> None: ...

def stochastic_round(x, generator=None, noise=None):
    """Round to one of the two nearest numbers, with probabilities that make it right on average

    Parameters
    ----------
    x
        fp32 tensor
    generator
        `torch.Generator` on the device of `x`; default: the global one
    noise
        What to add instead of random bits: an int32 tensor of the shape of `x`, from 0 to 65535

    Returns
    -------
    bf16 tensor"""
class PureBF16(HalfWeights):
    """The model in bf16 within a batch, norm layers excepted, and no autocast; weights rounded at random, or with fp32 masters"""
    rounding: Any
    seed: Any
    def __init__(self, rounding: str = 'stochastic', seed: int = 0) -> None:
        """Parameters
        ----------
        rounding
            'stochastic', without masters, or 'master', to the nearest with fp32 masters
        seed
            Seed of the random bits"""
    def state_dict(self) -> dict:
        """Where the random numbers are"""
    def load_state_dict(self, state: dict) -> None:
        """Go on with the random numbers of a saved run

        Parameters
        ----------
        state
            What `state_dict` returned"""
