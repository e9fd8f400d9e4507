"""Each process keeps a part of every weight, and a layer is whole only while it computes"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['blocks', 'shard_model', 'is_function', 'shard_learner', 'is_in_parts', 'settle', 'check_shards']

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
    """Let each process keep its part of all weights, by torch's `fully_shard`

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
def is_function(o): ...
def shard_learner(learn, shard, find_unused: bool = False) -> None:
    """Put the model of a Learner into parts; alone, nothing happens

    Parameters
    ----------
    learn
        Learner
    shard
        As for shard_model
    find_unused
        As for shard_model"""
def is_in_parts(model): ...
def settle(model) -> None:
    """Put all of a model back into parts that was whole when an error came, and let it begin anew

    Parameters
    ----------
    model
        nn.Module"""
def check_shards(learn) -> None:
    """Raise a `ValueError` if the model is in parts, and something does not know of it"""
