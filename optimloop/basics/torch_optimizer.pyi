"""The base of our optimizers: steps, hooks, copies and files as torch and its tools want them"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..basics.param_groups import GroupAccess
from ..basics.param_groups import HyperDict
import torch

__all__ = ['TorchOptimizer', 'StepperError', 'dtype_name', 'shapes_and_dtypes', 'own_dtype', 'by_param']

class TorchOptimizer(GroupAccess, torch.optim.Optimizer):
    """The base of our optimizers: all that torch and its tools expect. A subclass says how parameters are stepped"""
    kept_attrs: Any
    state: Any
    param_groups: Any
    def __init__(self, groups: list, defaults: HyperDict) -> None:
        """Parameters
        ----------
        groups
            Parameter groups, dictionaries with an entry params
        defaults
            The default of each hyper-parameter"""
    def run_steppers(self, p, state: dict, hypers: dict):
        """Step one parameter

        Parameters
        ----------
        p
            Parameter that has a gradient
        state
            Its state, which is updated
        hypers
            Hyper-parameters of its group"""
    def step_params(self) -> None:
        """Step all parameters that have a gradient"""
    def add_param_group(self, param_group: dict) -> None:
        """Add a group of parameters; nothing is added if something is wrong with it

        Parameters
        ----------
        param_group
            Its params, and the hyper-parameters in which this group differs from the defaults"""
    def step(self, closure=None):
        """Step all parameters that have a gradient

        Parameters
        ----------
        closure
            Function that recomputes the loss and its gradients, and returns the loss

        Returns
        -------
        What the closure returned, or None"""
    def zero_grad(self, set_to_none: bool = True):
        """Forget the gradients

        Parameters
        ----------
        set_to_none
            Take the gradients away, or else set them to 0?"""
    def try_out(self) -> None:
        """Run the steppers on a copy of the smallest parameter with a gradient of zero; only a `StepperError` counts"""
    def __getstate__(self) -> dict:
        """What copies and pickles need"""
    def __setstate__(self, state) -> None:
        """Be the optimizer that `state` came from"""
    def state_dict(self):
        """A copy of all state and hyper-parameters"""
    def check_load(self, state_dict) -> None:
        """Raise an error if `state_dict` does not fit; nothing is changed"""
    def load_state_dict(self, state_dict: dict) -> None:
        """Load state and hyper-parameters; a `ValueError` names what does not fit, and nothing is changed

        Parameters
        ----------
        state_dict
            What state_dict returned; it is copied, never changed"""
    def __repr__(self) -> str:
        """A line for each group, with its hyper-parameters"""

class StepperError(TypeError, ValueError):
    """Steppers that do not fit together"""

def dtype_name(t):
    """The dtype of a tensor as it is saved: float32, bfloat16, …

    Parameters
    ----------
    t
        Tensor"""
def shapes_and_dtypes(groups) -> dict:
    """What a saved state says of the parameters

    Parameters
    ----------
    groups
        Parameter groups

    Returns
    -------
    Dictionary with entries shapes and dtypes, each by number of the parameter"""
def own_dtype(v, p, was):
    """The dtype of a saved `v`: its own, unless it had that of the parameter, which `was` another one than now

    Parameters
    ----------
    v
        Tensor of a saved state
    p
        Its parameter
    was
        Name of the dtype that the parameter had, or None

    Returns
    -------
    dtype"""
def by_param(opt, state_dict: dict) -> list:
    """All numbers in `state_dict` with the parameters that they stand for

    Parameters
    ----------
    opt
        Optimizer
    state_dict
        A saved state

    Returns
    -------
    List of (number, parameter)"""
