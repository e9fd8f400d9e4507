"""An optimizer is a list of small callbacks, mixed and matched"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from .basics.param_groups import HyperView
from .basics.torch_optimizer import StepperError
from .basics.torch_optimizer import TorchOptimizer
from .basics.param_groups import check_hyper
from .basics.param_groups import hyper_ranges
from .basics.param_groups import split_params
from .basics.param_groups import spread

__all__ = ['step_engines', 'sgd_step', 'step_stat', 'weight_decay', 'l2_reg', 'inner_stepper', 'stepper_name', 'hyper_defaults', 'stepper_args', 'check_args', 'check_keys', 'run_loop', 'Engine', 'find_engine', 'no_remarks', 'Optimizer', 'average_grad', 'momentum_step', 'SGD', 'sgd_or_momentum_step', 'average_sqr_grad', 'rms_prop_step', 'RMSProp', 'debias', 'adam_step', 'Adam', 'HyperView', 'StepperError', 'check_hyper', 'hyper_ranges', 'split_params', 'spread']

def sgd_step(p, lr, **kwargs) -> None:
    """Move `p` against its gradient: `p -= lr * grad`"""
def step_stat(p, step=0, **kwargs) -> dict:
    """Count the steps of `p`, from 1: returns `step`"""
def weight_decay(p, lr, wd, do_wd=True, **kwargs) -> None:
    """Decoupled weight decay: `p *= 1 - lr*wd`, unless `do_wd` is off for `p`"""
def l2_reg(p, lr, wd, do_wd=True, **kwargs) -> None:
    """L2 regularization: `grad += wd*p`, unless `do_wd` is off for `p`"""
def inner_stepper(cb):
    """A stepper without the partials around it"""
def stepper_name(cb):
    """What a stepper is called in messages"""
def hyper_defaults(cb) -> dict:
    """The hyper-parameters that a stepper declares

    Parameters
    ----------
    cb
        A stepper, or a functools.partial of one

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
    Names of its arguments, without the parameter itself and **kwargs"""
def check_args(cb, given: dict) -> None:
    """Raise an error if a stepper lacks something

    Parameters
    ----------
    cb
        A stepper that failed
    given
        What it was given"""
def check_keys(cb, new: dict, hypers: dict, writers: dict):
    """Raise an error if a stepper returns a name that is a hyper-parameter, or that another stepper keeps

    Parameters
    ----------
    cb
        A stepper
    new
        What it returned
    hypers
        The hyper-parameters
    writers
        From a name in the state to the stepper that keeps it; is updated

    Returns
    -------
    new"""
def run_loop(opt) -> None:
    """Run each parameter that has a gradient through the steppers, one after another

    Parameters
    ----------
    opt
        Optimizer"""
step_engines: dict
class Engine:
    """A way to run the steppers of an optimizer, known by its name"""
    name: Any
    run: Any
    describe: Any
    def __init__(self, name: str, run, describe, default: bool = False) -> None:
        """Parameters
        ----------
        name
            What to pass as engine=…
        run
            Called with an optimizer; runs the steppers for all parameters that have a gradient
        describe
            Called with an optimizer; a remark about each stepper, '' where there is nothing to say
        default
            Is it the engine of the optimizers that ask for none?"""

def find_engine(name: str):
    """The engine of this name; `ValueError` if there is none

    Parameters
    ----------
    name
        Name of an engine, or None for the default

    Returns
    -------
    Engine"""
def no_remarks(opt):
    """What the loop says about each stepper: it runs as it is written

    Parameters
    ----------
    opt
        Optimizer

    Returns
    -------
    List of empty strings"""
class Optimizer(TorchOptimizer):
    """Runs each parameter through a list of steppers"""
    kept_attrs: Any
    arg_names: Any
    cbs: Any
    writers: Any
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
    def __init__(self, params, cbs, engine: str | None = None, **hypers) -> None:
        """Parameters
        ----------
        params
            Iterable of tensors, of (name, tensor) pairs, of lists of either, or of dicts with an entry params
        cbs
            Steppers, called in this order; or a single one
        engine
            How they are run: loop, batched or compiled; None: the default
        hypers
            Hyper-parameters, over the defaults that steppers declare; lists and slices are spread over groups"""
    def run_steppers(self, p, state, hypers) -> None:
        """Run `p` through the steppers, and keep what they return in `state`"""
    def step_params(self) -> None:
        """Run all parameters that have a gradient through the steppers, by the engine"""
    def __repr__(self) -> str: ...
    @property
    def engine(self) -> Any:
        """Name of the engine; may be set"""
    @engine.setter
    def engine(self, value) -> None: ...

def average_grad(p, mom, dampening=False, grad_avg=None, **kwargs) -> dict:
    """Keep the moving average `grad_avg` of the gradients of `p`; with `dampening`, new ones count `1-mom`, else 1"""
def momentum_step(p, lr, grad_avg, **kwargs) -> None:
    """Move `p` against its averaged gradient: `p -= lr * grad_avg`"""
def SGD(params, lr: float, mom: float = 0.0, wd: float = 0.0, decouple_wd: bool = True, engine: str | None = None, **kwargs) -> Optimizer:
    """Stochastic gradient descent, with momentum if `mom` is not 0

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        Momentum, in [0,1); at 0 no average is kept
    wd
        Weight decay, ≥ 0
    decouple_wd
        weight_decay, or else l2_reg?
    engine
        How the steppers are run: loop, batched or compiled; None: the default
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def sgd_or_momentum_step(p, lr, mom, grad_avg=None, **kwargs):
    """`sgd_step`; or, while `mom` is not 0, `average_grad` and `momentum_step`"""
def average_sqr_grad(p, sqr_mom, dampening=True, sqr_avg=None, **kwargs) -> dict:
    """Keep the moving average `sqr_avg` of the squared gradients of `p`"""
def rms_prop_step(p, lr, sqr_avg, eps, grad_avg=None, **kwargs) -> None:
    """Move `p` against its gradient, or its averaged gradient where one is kept, over the root of `sqr_avg`"""
def RMSProp(params, lr: float, mom: float = 0.0, sqr_mom: float = 0.99, eps: float = 1e-08, wd: float = 0.0, decouple_wd: bool = True, engine: str | None = None, **kwargs) -> Optimizer:
    """Divide each gradient by the root of the average of its squares

    Parameters
    ----------
    params
        As for Optimizer
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
        weight_decay, or else l2_reg?
    engine
        How the steppers are run: loop, batched or compiled; None: the default
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def debias(mom: float, damp: float, step: int):
    """By how much a moving average that started from 0 is too small

    Parameters
    ----------
    mom
        How much of the average is kept at each step
    damp
        Weight of a new value: 1-mom in a dampened average, 1 in one that is not
    step
        Number of values taken in so far, from 1

    Returns
    -------
    The sum of the weights of all values so far; divide the average by it"""
def adam_step(p, lr, mom, sqr_mom, step, grad_avg, sqr_avg, eps, **kwargs) -> None:
    """Move `p` against its debiased average gradient, over the root of its debiased average square"""
def Adam(params, lr: float, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-05, wd: float = 0.01, decouple_wd: bool = True, engine: str | None = None, **kwargs) -> Optimizer:
    """Averaged gradients over the root of their averaged squares, both debiased

    Parameters
    ----------
    params
        As for Optimizer
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
        weight_decay (AdamW), or else l2_reg (Adam)?
    engine
        How the steppers are run: loop, batched or compiled; None: the default
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
