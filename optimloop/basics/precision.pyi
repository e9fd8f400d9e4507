"""What is asked of tensors in half precision: which they are, and to widen them"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['half_dtypes', 'scale_settings', 'check_precision', 'cast_tensors', 'to_float', 'new_autocast']

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
