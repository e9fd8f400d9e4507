"""What goes into an optimizer, and what comes out when it is saved"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from collections.abc import MutableMapping
from collections import defaultdict

__all__ = ['hyper_ranges', 'torch_keys', 'hyper_aliases', 'param_list', 'split_params', 'check_hyper', 'spread', 'HyperDict', 'nearest_name', 'known_name', 'settle_hypers', 'checked_group', 'HyperView', 'is_optimizer_state', 'check_fit', 'States']

def param_list(group) -> tuple: ...
def split_params(params):
    """`params` as parameter groups; an error says what is wrong with them

    Parameters
    ----------
    params
        Iterable of tensors, of (name, tensor) pairs, of lists of either, or of dicts with an entry `params`

    Returns
    -------
    List of dicts, one for each group"""
hyper_ranges: dict
def check_hyper(name: str, value):
    """Raise an error if `value` is no number, or outside the range of its hyper-parameter: 0 ≤ value < top

    Parameters
    ----------
    name
        Name of a hyper-parameter
    value
        Its value: a number, Python's, numpy's or a tensor with one element and no dimension

    Returns
    -------
    The value, as a Python number"""
def spread(v, n: int):
    """One value for each of `n` groups

    Parameters
    ----------
    v
        A value for all groups, an iterable with one for each, or a slice
    n
        Number of groups

    Returns
    -------
    List of `n` values"""
torch_keys: set
hyper_aliases: dict
class HyperDict(dict):
    """A parameter group, or the defaults: hyper-parameters by their names, and by their other names"""
    def __contains__(self, k) -> bool: ...
    def __setitem__(self, k, v) -> None: ...
    def get(self, k, default=None): ...
    def __reduce__(self) -> tuple: ...
    def __missing__(self, k): ...

def nearest_name(name, names): ...
def known_name(name, defaults): ...
def settle_hypers(groups, given, declared, names) -> tuple:
    """`groups`, each with its share of what is `given`, and the default of each hyper-parameter; `names` are those that steppers take"""
def checked_group(group, groups, defaults) -> HyperDict:
    """`group`, fit to stand beside `groups`; hyper-parameters that it lacks are left to `defaults`"""
class HyperView(MutableMapping):
    """The hyper-parameters of one group, by name: a live view of an entry of `param_groups`"""
    opt: Any
    group: Any
    def __init__(self, opt, group: dict) -> None:
        """Parameters
        ----------
        opt
            `Optimizer`
        group
            One of its `param_groups`"""
    def __getitem__(self, name): ...
    def __setitem__(self, name, v) -> None: ...
    def __delitem__(self, name): ...
    def __iter__(self): ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...

def is_optimizer_state(o): ...
def check_fit(opt, state_dict) -> None: ...
class States(defaultdict):
    """From parameters to their state; empty, for who asks, as long as nothing but flags is kept"""
    def __bool__(self): ...
