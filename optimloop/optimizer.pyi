"""An optimizer is a list of small callbacks, mixed and matched"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from .basics.param_groups import HyperView
from .basics.param_groups import check_hyper
from .basics.param_groups import hyper_ranges
from .basics.param_groups import split_params
from .basics.param_groups import spread
import torch

__all__ = ['step_engines', 'sgd_step', 'step_stat', 'weight_decay', 'l2_reg', 'inner_stepper', 'stepper_name', 'hyper_defaults', 'stepper_args', 'Optimizer', 'run_loop', 'StepperError', 'check_args', 'average_grad', 'momentum_step', 'SGD', 'sgd_or_momentum_step', 'average_sqr_grad', 'rms_prop_step', 'RMSProp', 'debias', 'adam_step', 'Adam', 'dtype_name', 'own_dtype', 'by_param', 'split_params', 'hyper_ranges', 'check_hyper', 'spread', 'HyperView']

def sgd_step(p, lr, **kwargs) -> None:
    """Move `p` against its gradient: `p -= lr * grad`"""
def step_stat(p, step=0, **kwargs) -> dict:
    """Count the steps of `p`, from 1: returns `step`"""
def weight_decay(p, lr, wd, do_wd=True, **kwargs) -> None:
    """Decoupled weight decay: `p *= 1 - lr*wd`, unless `do_wd` is off for `p`"""
def l2_reg(p, lr, wd, do_wd=True, **kwargs) -> None:
    """L2 regularization: `grad += wd*p`, unless `do_wd` is off for `p`"""
def inner_stepper(cb): ...
def stepper_name(cb): ...
def hyper_defaults(cb) -> dict:
    """The hyper-parameters that a stepper declares

    Parameters
    ----------
    cb
        A stepper, or a `functools.partial` of one

    Returns
    -------
    Dictionary from hyper-parameter to default"""
def stepper_args(cb) -> list:
    """The names that a stepper can use; `TypeError` if it is no stepper

    Parameters
    ----------
    cb
        A stepper

    Returns
    -------
    Names of its arguments, without the parameter itself and `**kwargs`"""
class Optimizer(torch.optim.Optimizer):
    """Runs each parameter through a list of steppers"""
    cbs: Any
    arg_names: Any
    state: Any
    engine: Any
    param_groups: Any
    lr: Any
    wd: Any
    mom: Any
    sqr_mom: Any
    eps: Any
    beta: Any
    nu_1: Any
    nu_2: Any
    avg_mom: Any
    diff_mom: Any
    slow_mom: Any
    slow_alpha: Any
    warmup: Any
    trust_coeff: Any
    max_value: Any
    max_norm: Any
    k: Any
    alpha: Any
    def __init__(self, params, cbs, engine: str = 'batched', **hypers) -> None:
        """Parameters
        ----------
        params
            Iterable of tensors, of (name, tensor) pairs, of lists of either, or of dicts with an entry `params`
        cbs
            Steppers, called in this order; or a single one
        engine
            How they are run: loop, batched or compiled
        hypers
            Hyper-parameters, over the defaults that the steppers declare; a list or a slice is spread over the groups"""
    def __repr__(self) -> str: ...
    def step(self, closure=None):
        """Step all parameters that have a gradient

        Parameters
        ----------
        closure
            Function that recomputes the loss and its gradients, and returns the loss

        Returns
        -------
        What `closure` returned, or `None`"""
    def zero_grad(self, set_to_none: bool = True):
        """Forget the gradients; torch's own takes longer to ask for profilers than to do that

        Parameters
        ----------
        set_to_none
            Take the gradients away, or else set them to 0?"""
    def add_param_group(self, param_group: dict) -> None:
        """Add a group of parameters; nothing is added if something is wrong with it

        Parameters
        ----------
        param_group
            `params`, and the hyper-parameters in which this group differs from the defaults"""
    def set_hyper(self, name: str, v) -> None:
        """Set a hyper-parameter; nothing is changed if a value is bad

        Parameters
        ----------
        name
            Name of a hyper-parameter
        v
            A number for all groups, one for each in a list, or a slice to spread over them"""
    def set_hypers(self, **kwargs) -> None:
        """Set several hyper-parameters; nothing is changed if a value is bad

        Parameters
        ----------
        kwargs
            Hyper-parameters and their values, as for `set_hyper`"""
    @property
    def hypers(self) -> list:
        """A list of dictionaries, one for each group"""
    def __setattr__(self, name, v) -> None: ...
    def __dir__(self) -> list[str]: ...
    def freeze_to(self, n: int) -> None:
        """Train only the groups from `n` on, and parameters marked `force_train`

        Parameters
        ----------
        n
            Number of the first group to train; negative numbers count from the end"""
    def freeze(self) -> None:
        """Train only the last group"""
    def unfreeze(self) -> None:
        """Train all groups"""
    def clear_state(self) -> None:
        """Forget the state of all parameters, but for flags such as `do_wd` and `force_train`"""
    def state_dict(self):
        """A copy of all state and hyper-parameters"""
    def __getstate__(self) -> dict: ...
    def __setstate__(self, state) -> None: ...
    def load_state_dict(self, state_dict: dict) -> None:
        """Load state and hyper-parameters; a `ValueError` names what does not fit, and nothing is changed

        Parameters
        ----------
        state_dict
            What `state_dict` returned; it is copied, never changed"""
    def __getattr__(self, name: str) -> Any: ...

def run_loop(opt) -> None:
    """Run each parameter that has a gradient through the steppers, one after another

    Parameters
    ----------
    opt
        `Optimizer`"""
step_engines: dict
class StepperError(TypeError, ValueError):
    """Steppers that do not fit together"""

def check_args(cb, given) -> None: ...
def average_grad(p, mom, dampening=False, grad_avg=None, **kwargs) -> dict:
    """Keep the moving average `grad_avg` of the gradients of `p`; with `dampening`, new ones count `1-mom`, else 1"""
def momentum_step(p, lr, grad_avg, **kwargs) -> None:
    """Move `p` against its averaged gradient: `p -= lr * grad_avg`"""
def SGD(params, lr: float, mom: float = 0.0, wd: float = 0.0, decouple_wd: bool = True, engine: str = 'batched', **kwargs) -> Optimizer:
    """Stochastic gradient descent, with momentum if `mom` is not 0

    Parameters
    ----------
    params
        As for `Optimizer`
    lr
        Learning rate, ≥ 0
    mom
        Momentum, in [0,1); at 0 no average is kept
    wd
        Weight decay, ≥ 0
    decouple_wd
        `weight_decay`, or else `l2_reg`?
    engine
        How the steppers are run: loop, batched or compiled
    kwargs
        More for `Optimizer`

    Returns
    -------
    `Optimizer`"""
def sgd_or_momentum_step(p, lr, mom, grad_avg=None, **kwargs):
    """`sgd_step`; or, while `mom` is not 0, `average_grad` and `momentum_step`"""
def average_sqr_grad(p, sqr_mom, dampening=True, sqr_avg=None, **kwargs) -> dict:
    """Keep the moving average `sqr_avg` of the squared gradients of `p`"""
def rms_prop_step(p, lr, sqr_avg, eps, grad_avg=None, **kwargs) -> None:
    """Move `p` against its gradient, or its averaged gradient where one is kept, over the root of `sqr_avg`"""
def RMSProp(params, lr: float, mom: float = 0.0, sqr_mom: float = 0.99, eps: float = 1e-08, wd: float = 0.0, decouple_wd: bool = True, engine: str = 'batched', **kwargs) -> Optimizer:
    """Divide each gradient by the root of the average of its squares

    Parameters
    ----------
    params
        As for `Optimizer`
    lr
        Learning rate, ≥ 0
    mom
        Momentum, in [0,1); 0 leaves it out
    sqr_mom
        How much of the averaged squares is kept, in [0,1)
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    decouple_wd
        `weight_decay`, or else `l2_reg`?
    engine
        How the steppers are run: loop, batched or compiled
    kwargs
        More for `Optimizer`

    Returns
    -------
    `Optimizer`"""
def debias(mom: float, damp: float, step: int):
    """By how much a moving average that started from 0 is too small

    Parameters
    ----------
    mom
        How much of the average is kept at each step
    damp
        Weight of a new value: `1-mom` in a dampened average, 1 in one that is not
    step
        Number of values taken in so far, from 1

    Returns
    -------
    The sum of the weights of all values so far; divide the average by it"""
def adam_step(p, lr, mom, sqr_mom, step, grad_avg, sqr_avg, eps, **kwargs) -> None:
    """Move `p` against its debiased average gradient, over the root of its debiased average square"""
def Adam(params, lr: float, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-05, wd: float = 0.01, decouple_wd: bool = True, engine: str = 'batched', **kwargs) -> Optimizer:
    """Averaged gradients over the root of their averaged squares, both debiased

    Parameters
    ----------
    params
        As for `Optimizer`
    lr
        Learning rate, ≥ 0: about the size of a step
    mom
        How much of the averaged gradient is kept (β₁), in [0,1)
    sqr_mom
        How much of the averaged squares is kept (β₂), in [0,1)
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    decouple_wd
        `weight_decay` (AdamW), or else `l2_reg` (Adam)?
    engine
        How the steppers are run: loop, batched or compiled
    kwargs
        More for `Optimizer`

    Returns
    -------
    `Optimizer`"""
def dtype_name(p): ...
def own_dtype(v, p, was):
    """The dtype of a saved `v`: its own, unless it had that of the parameter, which `was` another one than now"""
def by_param(opt, state_dict) -> list:
    """(number, parameter) of all that is in `state_dict`"""
