"""What is asked of tensors in half precision: which they are, and to widen them"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['half_dtypes', 'scale_settings', 'check_precision', 'cast_tensors', 'to_float', 'new_autocast', 'check_halving', 'check_scale_state']

half_dtypes: dict
scale_settings: dict
def check_precision(amp_mode: str, settings: dict) -> None:
    """Complain of a precision that there is not, and of settings that have no effect or make no sense

    Parameters
    ----------
    amp_mode
        A name in half_dtypes
    settings
        Settings of the loss scale by name, for fp16 only"""
def cast_tensors(o, given, dtype):
    """Bring tensors to another precision, wherever in `o` they are

    Parameters
    ----------
    o
        A tensor, or a tuple, list or dict of what may hold some
    given
        Only tensors of these dtypes are cast
    dtype
        To this one

    Returns
    -------
    The same, cast"""
def to_float(o):
    """Bring tensors in half precision to fp32

    Parameters
    ----------
    o
        A tensor, or a tuple, list or dict of what may hold some

    Returns
    -------
    The same, without half precision"""
def new_autocast(device_type: str, amp_mode: str):
    """An autocast context; a `ValueError` if the device lacks the precision

    Parameters
    ----------
    device_type
        'cpu', 'cuda' or 'mps'
    amp_mode
        A name in half_dtypes

    Returns
    -------
    `torch.autocast`"""
def check_halving(params, cbs) -> None:
    """Raise `ValueError` if a parameter that is trained is halved already, or two of the callbacks are switched on

    Parameters
    ----------
    params
        Parameters that are to be halved within a batch
    cbs
        All callbacks that compute in half precision"""
def check_scale_state(state, whose: str) -> None:
    """Raise `ValueError` if this is no saved scale

    Parameters
    ----------
    state
        Dictionary with scale and growth_tracker, or an empty one
    whose
        Name of the class that made it, for the error"""
