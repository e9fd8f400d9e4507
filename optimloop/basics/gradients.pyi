"""Which parameters of an optimizer have a gradient, and whether all of it is finite"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['with_gradient', 'grads_of', 'all_finite']

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
        Tensors on one device, dense or sparse

    Returns
    -------
    0-d bool tensor; true if there are none"""
