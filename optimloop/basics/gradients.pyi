"""Which parameters of an optimizer have a gradient, and whether all of it is finite"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['with_gradient', 'grads_of', 'all_finite', 'clip_grads']

def with_gradient(opt) -> list:
    """The parameters of an optimizer that have a gradient, in their order

    Parameters
    ----------
    opt
        An optimizer, or what else has param_groups

    Returns
    -------
    List of parameters"""
def grads_of(opt) -> list:
    """The gradients of an optimizer's parameters, where there are any

    Parameters
    ----------
    opt
        An optimizer, or what else has param_groups

    Returns
    -------
    List of tensors"""
def all_finite(tensors):
    """Are all numbers finite, neither infinite nor NaN?

    Parameters
    ----------
    tensors
        Tensors on one device, dense or sparse, or spread over processes

    Returns
    -------
    0-d bool tensor, the same in all processes that share a tensor; true if there are none"""
def clip_grads(params: list, max_norm: float):
    """Shrink the gradients by one factor such that their common norm is at most `max_norm`

    Parameters
    ----------
    params
        Parameters that have a gradient
    max_norm
        Largest norm of all gradients together, > 0

    Returns
    -------
    0-d tensor: the norm before, the same in all processes that share a parameter"""
