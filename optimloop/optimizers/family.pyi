"""The rest of the family, in pieces of a few lines: elementwise, norm-based, modified and routed"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..optimizer import Optimizer

__all__ = ['nesterov_step', 'Nesterov', 'rectification', 'radam_step', 'RAdam', 'qhadam_step', 'QHAdam', 'lion_step', 'Lion', 'average_diff', 'adan_step', 'late_weight_decay', 'Adan', 'warm_up', 'ademamix_step', 'AdEMAMix', 'larc_layer_lr', 'larc_step', 'Larc', 'lamb_step', 'Lamb', 'Chain', 'WithUpdate', 'WithGrad', 'agreeing', 'cautious', 'value_clipped', 'norm_clipped', 'clip_value', 'clip_norm', 'slow_weights', 'lookahead_step', 'with_cbs', 'Lookahead', 'ranger', 'Route', 'set_flag', 'orthogonalize', 'muon_step', 'is_matrix', 'Muon']

def nesterov_step(p, lr, mom, grad_avg, **kwargs) -> None:
    """Move `p` against its gradient plus `mom` times its averaged gradient"""
def Nesterov(params, lr: float, mom: float = 0.9, wd: float = 0.0, decouple_wd: bool = True, **kwargs) -> Optimizer:
    """SGD with Nesterov's momentum

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        Momentum, in [0,1)
    wd
        Weight decay, ≥ 0
    decouple_wd
        weight_decay, or else l2_reg?
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def rectification(sqr_mom: float, step: int):
    """By how much RAdam shortens Adam's step

    Parameters
    ----------
    sqr_mom
        How much of the averaged squares is kept, in [0,1)
    step
        Number of squares taken in so far, from 1

    Returns
    -------
    A factor in (0,1), or None while there are too few squares to divide by their average"""
def radam_step(p, lr, mom, sqr_mom, step, grad_avg, sqr_avg, eps, beta, **kwargs) -> None:
    """Adam's step times `rectification`; along the debiased average gradient alone while that is `None`"""
def RAdam(params, lr: float, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-05, wd: float = 0.0, beta: float = 0.0, decouple_wd: bool = True, **kwargs) -> Optimizer:
    """Adam with a step that is shorter while its divisor is uncertain

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        How much of the averaged gradient is kept (β₁), in [0,1)
    sqr_mom
        How much of the averaged squares is kept (β₂), in [0,1)
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    beta
        Smooth the divisor by softplus with this β; 0 leaves it as it is
    decouple_wd
        weight_decay, or else l2_reg?
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def qhadam_step(p, lr, mom, sqr_mom, step, grad_avg, sqr_avg, eps, nu_1, nu_2, **kwargs) -> None:
    """Adam's step, with `1-nu_1` of the gradient and `1-nu_2` of its square mixed into their averages"""
def QHAdam(params, lr: float, mom: float = 0.999, sqr_mom: float = 0.999, nu_1: float = 0.7, nu_2: float = 1.0, eps: float = 1e-08, wd: float = 0.0, decouple_wd: bool = True, **kwargs) -> Optimizer:
    """Adam with a share of the newest gradient in its averages

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        How much of the averaged gradient is kept (β₁), in [0,1)
    sqr_mom
        How much of the averaged squares is kept (β₂), in [0,1)
    nu_1
        Weight of the averaged gradient, the rest is the gradient's; ≥ 0
    nu_2
        Weight of the averaged squares, the rest is the square's; ≥ 0
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    decouple_wd
        weight_decay, or else l2_reg?
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def lion_step(p, lr, mom, avg_mom, grad_avg=None, **kwargs) -> dict:
    """Move each weight by `lr`, by the sign of its gradient mixed into its average; then update the average, `grad_avg`"""
def Lion(params, lr: float, mom: float = 0.9, avg_mom: float = 0.99, wd: float = 0.0, decouple_wd: bool = True, **kwargs) -> Optimizer:
    """Steps of one size, by the sign of an averaged gradient

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0: the size of every step; a third to a tenth of Adam's
    mom
        Weight of the average in the step (β₁), in [0,1)
    avg_mom
        How much of the average is kept (β₂), in [0,1)
    wd
        Weight decay, ≥ 0
    decouple_wd
        weight_decay, or else l2_reg?
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def average_diff(p, diff_mom, sqr_mom, prev_grad=None, diff_avg=None, sqr_avg=None, **kwargs) -> dict:
    """Keep `diff_avg`, the average change of the gradient, and `sqr_avg`, that of the squared gradient expected next"""
def adan_step(p, lr, mom, diff_mom, sqr_mom, step, grad_avg, diff_avg, sqr_avg, eps, **kwargs) -> None:
    """Move `p` against its averaged gradient and the averaged change of it, over the root of `sqr_avg`, all debiased"""
def late_weight_decay(p, lr, wd, do_wd=True, **kwargs) -> None:
    """Weight decay after the step: `p /= 1 + lr*wd`, unless `do_wd` is off for `p`"""
def Adan(params, lr: float, mom: float = 0.98, diff_mom: float = 0.92, sqr_mom: float = 0.99, eps: float = 1e-08, wd: float = 0.0, **kwargs) -> Optimizer:
    """Adam that expects the gradient to go on changing as it did

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0; the paper's are 5 to 10 times Adam's
    mom
        How much of the averaged gradient is kept (1-β₁ of the paper), in [0,1)
    diff_mom
        How much of the averaged change is kept (1-β₂), in [0,1)
    sqr_mom
        How much of the averaged squares is kept (1-β₃), in [0,1)
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay after the step, ≥ 0
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def warm_up(alpha: float, mom: float, slow_mom: float, step: int, warmup: int) -> tuple:
    """AdEMAMix's α and β₃ while they grow

    Parameters
    ----------
    alpha
        α at the end, ≥ 0
    mom
        β₁, where β₃ starts, in [0,1)
    slow_mom
        β₃ at the end, in [0,1)
    step
        Number of the step, from 1
    warmup
        Steps until both are what they will be; 0: from the beginning

    Returns
    -------
    α and β₃ for this step"""
def ademamix_step(p, lr, mom, sqr_mom, slow_mom, slow_alpha, warmup, step, grad_avg, sqr_avg, eps, slow_avg=None, **kwargs) -> dict:
    """Update `slow_avg`, and move `p` as Adam does, with `slow_alpha` times `slow_avg` added to the averaged gradient"""
def AdEMAMix(params, lr: float, mom: float = 0.9, sqr_mom: float = 0.999, slow_mom: float = 0.9999, slow_alpha: float = 5.0, warmup: int = 0, eps: float = 1e-08, wd: float = 0.0, **kwargs) -> Optimizer:
    """Adam with a second, very slow average of the gradient

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        How much of the averaged gradient is kept (β₁), in [0,1)
    sqr_mom
        How much of the averaged squares is kept (β₂), in [0,1)
    slow_mom
        How much of the slow average is kept (β₃), in [0,1)
    slow_alpha
        Weight of the slow average (α), ≥ 0; the paper's are 4 to 10
    warmup
        Steps over which slow_mom and slow_alpha grow; best the length of the run
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def larc_layer_lr(p, lr, trust_coeff, wd, eps, clip=True, do_wd=True, **kwargs) -> dict:
    """Keep `local_lr`, in proportion to the norm of `p` over that of its gradient; with `clip`, at most `lr`"""
def larc_step(p, mom, local_lr, scaled_avg=None, **kwargs) -> dict:
    """Move `p` against `scaled_avg`, the moving sum of its gradients, each times the `local_lr` of its time"""
def Larc(params, lr: float, mom: float = 0.9, clip: bool = True, trust_coeff: float = 0.02, eps: float = 1e-08, wd: float = 0.0, decouple_wd: bool = True, **kwargs) -> Optimizer:
    """SGD with momentum and a learning rate for each layer

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        Momentum, in [0,1)
    clip
        Let no layer's rate exceed lr (LARC)? Otherwise LARS
    trust_coeff
        Length of a step over the norm of the layer, at lr=1; ≥ 0
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    decouple_wd
        weight_decay, or else l2_reg, as in the paper?
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
def lamb_step(p, lr, mom, sqr_mom, step, grad_avg, sqr_avg, eps, **kwargs) -> None:
    """Adam's step, stretched to the norm of `p`, but at most tenfold"""
def Lamb(params, lr: float, mom: float = 0.9, sqr_mom: float = 0.99, eps: float = 1e-05, wd: float = 0.0, decouple_wd: bool = True, **kwargs) -> Optimizer:
    """Adam with steps in proportion to the norm of each layer

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0: about the length of a step over the norm of the layer
    mom
        How much of the averaged gradient is kept (β₁), in [0,1)
    sqr_mom
        How much of the averaged squares is kept (β₂), in [0,1)
    eps
        Added to the divisor, ≥ 0
    wd
        Weight decay, ≥ 0
    decouple_wd
        weight_decay, or else l2_reg?
    kwargs
        More for Optimizer

    Returns
    -------
    Optimizer"""
class Chain:
    """Several steppers as one, run in their order"""
    cbs: Any
    made_of: Any
    writers: Any
    defaults: Any
    shared: Any
    def __init__(self, *cbs) -> None:
        """Parameters
        ----------
        cbs
            Steppers"""
    def __call__(self, p, **kwargs): ...

class WithUpdate(Chain):
    """The steppers, with the change that they make to `p` replaced by `f(p, change, **kwargs)`"""
    f: Any
    made_of: Any
    def __init__(self, f, *cbs) -> None:
        """Parameters
        ----------
        f
            Called with p as it was, the change (may be changed in place), hypers and state; returns the change to make
        cbs
            Steppers"""
    def __call__(self, p, **kwargs): ...

class WithGrad(WithUpdate):
    """The steppers, run with `f(p, **kwargs)` for a gradient"""
    def __call__(self, p, **kwargs): ...

def agreeing(p, change, **kwargs):
    """What of `change` goes down the gradient, enlarged to make up for the rest"""
def cautious(*cbs) -> WithUpdate:
    """The steppers, without what goes against the present gradient

    Parameters
    ----------
    cbs
        Steppers; weight decay is better left outside

    Returns
    -------
    A stepper"""
def value_clipped(p, max_value, **kwargs):
    """The gradient of `p`, each value within ±`max_value`"""
def norm_clipped(p, max_norm, **kwargs):
    """The gradient of `p`, shortened to the norm `max_norm` where it is longer"""
def clip_value(*cbs) -> WithGrad:
    """The steppers, with each value of the gradient within ±`max_value`

    Parameters
    ----------
    cbs
        Steppers

    Returns
    -------
    A stepper with the hyper-parameter max_value, by default 1"""
def clip_norm(*cbs) -> WithGrad:
    """The steppers, with a gradient of at most `max_norm`

    Parameters
    ----------
    cbs
        Steppers

    Returns
    -------
    A stepper with the hyper-parameter max_norm, by default 1"""
def slow_weights(p, slow=None, **kwargs) -> dict:
    """Keep `slow`, the weights before the first step"""
def lookahead_step(p, k, alpha, slow, since=0, **kwargs) -> dict:
    """Every `k` steps move `slow` the fraction `alpha` of the way to `p`, and `p` to `slow`"""
def with_cbs(opt, cbs, **hypers):
    """An optimizer like `opt`, its groups, hyper-parameters and state included, with other steppers

    Parameters
    ----------
    opt
        Optimizer, as it was made: it should not be stepped any more
    cbs
        Steppers
    hypers
        Hyper-parameters that it did not have, or other values

    Returns
    -------
    Optimizer"""
def Lookahead(opt, k: int = 6, alpha: float = 0.5):
    """The optimizer, with slow weights that follow it

    Parameters
    ----------
    opt
        Optimizer, fresh from its builder
    k
        Steps between two of the slow weights, ≥ 1
    alpha
        How far these go each time, as a fraction of the way; ≥ 0

    Returns
    -------
    Optimizer"""
def ranger(params, lr: float, mom: float = 0.95, wd: float = 0.01, eps: float = 1e-06, k: int = 6, alpha: float = 0.5, **kwargs):
    """Lookahead around RAdam (L. Wright, 2019)

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        How much of the averaged gradient is kept, in [0,1)
    wd
        Weight decay, ≥ 0
    eps
        Added to the divisor, ≥ 0
    k
        Steps between two of the slow weights, ≥ 1
    alpha
        How far these go each time, as a fraction of the way; ≥ 0
    kwargs
        More for RAdam

    Returns
    -------
    Optimizer"""
class Route(Chain):
    """Two lists of steppers: a flag in the state of a parameter says which of them runs"""
    made_of: Any
    flag: Any
    then: Any
    otherwise: Any
    def __init__(self, flag: str, then, otherwise) -> None:
        """Parameters
        ----------
        flag
            Name of the flag
        then
            Steppers for parameters whose flag is set
        otherwise
            Steppers for the others, and for those that have no flag"""
    def __call__(self, p, **kwargs): ...

def set_flag(opt, flag: str, predicate, model=None):
    """Set a flag in the state of each parameter

    Parameters
    ----------
    opt
        Optimizer
    flag
        Name of the flag, as do_wd
    predicate
        Called with each parameter, its name (or '') and its module (or None); returns whether the flag is set
    model
        nn.Module to find names and modules in; names also come with named parameters

    Returns
    -------
    opt"""
def orthogonalize(g, steps: int = 5, dtype=...):
    """About the nearest matrix to `g` with orthogonal rows or columns

    Parameters
    ----------
    g
        A matrix
    steps
        Rounds of the Newton–Schulz iteration
    dtype
        What it is computed in; the result need not be precise

    Returns
    -------
    A matrix of the shape and type of g, with singular values near 1"""
def muon_step(p, lr, mom, grad_avg, match_rms=True, **kwargs) -> None:
    """Move a matrix against its averaged gradient, with all its directions made equally long; filters count as rows"""
def is_matrix(p, name, module):
    """Has the parameter two dimensions, and is it no embedding?"""
def Muon(params, lr: float, mom: float = 0.95, wd: float = 0.1, use_muon=None, rest=None, model=None, match_rms: bool = True, **kwargs):
    """Steps along orthogonal matrices, and another list of steppers for what is no matrix

    Parameters
    ----------
    params
        As for Optimizer
    lr
        Learning rate, ≥ 0
    mom
        How much of the averaged gradient is kept, in [0,1)
    wd
        Weight decay of all parameters, ≥ 0
    use_muon
        Called with a parameter, its name (or '') and module (or None); default: the inner matrices
    rest
        Steppers for the others; default: Adam's
    model
        nn.Module to find names and modules in, as a Learner gives it; without, embeddings count as matrices
    match_rms
        Steps of about Adam's size? Otherwise the first author's
    kwargs
        More for Optimizer, as the hyper-parameters of rest

    Returns
    -------
    Optimizer"""
