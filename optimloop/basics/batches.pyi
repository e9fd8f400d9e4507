"""Tensors in nests: their size, their device"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['n_samples', 'detuplify', 'without_tuple', 'like_nest', 'to_device', 'default_device', 'can_move', 'move_modules']

def n_samples(*parts):
    """How many samples there are in a batch

    Parameters
    ----------
    parts
        Inputs, targets, predictions: the first tensor in them counts

    Returns
    -------
    Integer"""
def detuplify(o):
    """What is in a tuple of one; any other tuple as it is

    Parameters
    ----------
    o
        A tuple

    Returns
    -------
    Its one entry, or the tuple"""
def without_tuple(name: str, doc: str):
    """A property that is another attribute, a tuple, as `detuplify` shows it

    Parameters
    ----------
    name
        x for a view of xb
    doc
        Its docstring

    Returns
    -------
    property"""
def like_nest(o, parts):
    """A nest of the type of `o` with other parts in it

    Parameters
    ----------
    o
        A tuple, named tuple or list
    parts
        Iterable of what is to be in it

    Returns
    -------
    Of the type of o"""
def to_device(o, device):
    """Move tensors to a device

    Parameters
    ----------
    o
        A tensor, or a tuple, list or dict of what may be moved; anything else is left as it is
    device
        A torch.device

    Returns
    -------
    The same, on device"""
def default_device():
    """What the environment variable `OPTIMLOOP_DEVICE` says, or else a CUDA GPU (that of `LOCAL_RANK`), MPS, or the CPU"""
def can_move(model, device):
    """Is `model` all on the CPU, plain and in one piece, and can `device` hold it?

    Parameters
    ----------
    model
        nn.Module
    device
        A torch.device

    Returns
    -------
    Bool"""
def move_modules(things, device) -> None:
    """Move those of `things` that are modules to a device

    Parameters
    ----------
    things
        The model, the loss function, metrics; what is no module is left as it is
    device
        Where to"""
