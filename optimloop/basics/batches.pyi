"""Tensors in nests: their size, their device"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['n_samples', 'default_device', 'to_device', 'like_nest']

def n_samples(*parts): ...
def default_device():
    """CUDA if there is a GPU for it, or else Apple's MPS, or else the CPU; or what the environment variable `OPTIMLOOP_DEVICE` says"""
def to_device(o, device):
    """Move tensors to a device

    Parameters
    ----------
    o
        A tensor, or a tuple, list or dict of what may be moved; anything else is left as it is
    device
        A `torch.device`

    Returns
    -------
    The same, on `device`"""
def like_nest(o, parts): ...
