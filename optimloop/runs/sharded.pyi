"""Each process keeps a part of every weight, and a layer is whole only while it computes"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['blocks', 'shard_model', 'shard_learner', 'Used', 'settle', 'is_in_parts', 'check_shards']

def blocks(model, kinds=None) -> list:
    """The modules that are made whole one after the other; what is left is made whole with the model

    Parameters
    ----------
    model
        nn.Module
    kinds
        Class of modules, or a tuple of classes; default: what stands in the model's outermost lists

    Returns
    -------
    List of modules that have parameters, and share none with a module outside"""
def shard_model(model, shard=True, find_unused: bool = False, device=None) -> None:
    """Let each process keep its part of all weights, by torch's `fully_shard`; all or nothing

    Parameters
    ----------
    model
        nn.Module that has its weights already, the same in all processes
    shard
        In its blocks; or a class, or a tuple of classes, of blocks; or a function that calls fully_shard
    find_unused
        May parameters get a gradient on some ranks only? Then the model is one block
    device
        Type of the device that computes; default: where the model is"""
def shard_learner(learn, shard, find_unused: bool = False) -> None:
    """Put the model of a Learner into parts; alone, nothing happens

    Parameters
    ----------
    learn
        Learner
    shard
        As for shard_model, or None: not at all
    find_unused
        As for shard_model"""
class Used:
    """Which parameters of a model that is one block get a gradient, on any rank: others get zeros of `fully_shard`"""
    hooked: Any
    hooks: Any
    seen: Any
    def __init__(self) -> None: ...
    def watch(self, model) -> None:
        """Note those that get one on this rank

        Parameters
        ----------
        model
            nn.Module, whole: in its forward pass"""
    def stop(self) -> None:
        """No longer"""
    def drop_others(self, model) -> None:
        """Those that got none on any rank have none

        Parameters
        ----------
        model
            The model, in parts: after the backward pass"""

def settle(model) -> None:
    """Put all of a model back into parts that was whole when an error came, and let it begin anew

    Parameters
    ----------
    model
        nn.Module"""
def is_in_parts(model):
    """Did `shard_model` cut it?

    Parameters
    ----------
    model
        nn.Module

    Returns
    -------
    bool"""
def check_shards(learn) -> None:
    """Raise a `ValueError` if the model is in parts, and something does not know of it

    Parameters
    ----------
    learn
        Learner, before a fit"""
