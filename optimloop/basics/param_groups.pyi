"""What goes into an optimizer, and what comes out when it is saved"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from collections.abc import MutableMapping
from collections import defaultdict

__all__ = ['hyper_ranges', 'torch_keys', 'hyper_aliases', 'param_list', 'split_params', 'all_params', 'group_hypers', 'is_sharded', 'local_parts', 'check_hyper', 'spread', 'HyperDict', 'nearest_name', 'known_name', 'settle_hypers', 'checked_group', 'check_once', 'HyperView', 'GroupAccess', 'is_optimizer_state', 'check_fit', 'States']

def param_list(group: dict) -> tuple:
    """The parameters of a group, checked

    Parameters
    ----------
    group
        A parameter group

    Returns
    -------
    List of its parameters, or of (name, parameter) pairs; what it holds, "tensors" or "named tensors" """
def split_params(params):
    """`params` as parameter groups; an error says what is wrong with them

    Parameters
    ----------
    params
        Iterable of tensors, of (name, tensor) pairs, of lists of either, or of dicts with an entry params

    Returns
    -------
    List of dicts, one for each group"""
def all_params(groups) -> list:
    """The parameters of all groups, in their order

    Parameters
    ----------
    groups
        Parameter groups, as an optimizer's param_groups

    Returns
    -------
    List"""
def group_hypers(group: dict) -> dict:
    """All entries of a group but its parameters

    Parameters
    ----------
    group
        A parameter group

    Returns
    -------
    Dictionary"""
def is_sharded(p):
    """Is `p` a `DTensor`, whose numbers lie in several processes?

    Parameters
    ----------
    p
        Tensor

    Returns
    -------
    bool"""
def local_parts(tensors) -> list:
    """What this process has of each: its part of a `DTensor`, any other tensor as it is

    Parameters
    ----------
    tensors
        Tensors

    Returns
    -------
    List of tensors"""
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
    List of as many values"""
torch_keys: set
hyper_aliases: dict
class HyperDict(dict):
    """A parameter group, or the defaults: hyper-parameters by their names, and by their other names"""
    def __contains__(self, k) -> bool: ...
    def __setitem__(self, k, v) -> None: ...
    def get(self, k, default=None): ...
    def __reduce__(self) -> tuple: ...
    def __missing__(self, k): ...

def nearest_name(name: str, names):
    """The end of an error message: the names that exist, the nearest first

    Parameters
    ----------
    name
        An unknown name
    names
        Those that exist"""
def known_name(name: str, defaults: HyperDict):
    """The own name of a hyper-parameter; a `TypeError` if there is none of this name

    Parameters
    ----------
    name
        A name, or another name, of a hyper-parameter
    defaults
        The hyper-parameters of an optimizer

    Returns
    -------
    Its own name"""
def settle_hypers(groups: list, given: dict, declared: dict, names) -> tuple:
    """What each hyper-parameter is: the group's value, or else the constructor's, or else the declared one

    Parameters
    ----------
    groups
        Parameter groups
    given
        Hyper-parameters that the constructor was given
    declared
        Those that steppers declare, and their defaults
    names
        Those that steppers take

    Returns
    -------
    Groups, each with its share of what was given; the default of each hyper-parameter"""
def checked_group(group: dict, groups: list, defaults: HyperDict) -> HyperDict:
    """`group`, fit to stand beside `groups`; hyper-parameters that it lacks are left to `defaults`

    Parameters
    ----------
    group
        A parameter group
    groups
        Those that the optimizer has
    defaults
        Its hyper-parameters

    Returns
    -------
    Dictionary"""
def check_once(groups: list) -> None:
    """Raise an error if a parameter comes twice

    Parameters
    ----------
    groups
        Parameter groups"""
class HyperView(MutableMapping):
    """The hyper-parameters of one group, by name: a live view of an entry of `param_groups`"""
    opt: Any
    group: Any
    def __init__(self, opt, group: dict) -> None:
        """Parameters
        ----------
        opt
            An optimizer
        group
            One of its parameter groups"""
    def __getitem__(self, name): ...
    def __setitem__(self, name, v) -> None: ...
    def __delitem__(self, name): ...
    def __iter__(self): ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...

class GroupAccess:
    """Hyper-parameters by name, frozen groups and a clean state, for a class with `param_groups`, `defaults` and `state`"""
    def hyper_name(self, name: str):
        """The name under which a hyper-parameter is kept; a `TypeError` names the nearest if there is none

        Parameters
        ----------
        name
            A name, or another name, of a hyper-parameter

        Returns
        -------
        Its own name"""
    @property
    def hypers(self) -> list:
        """A list of dictionaries, one for each group"""
    def set_hyper(self, name: str, v) -> None:
        """Set a hyper-parameter; nothing is changed if a value is bad

        Parameters
        ----------
        name
            Name of a hyper-parameter
        v
            A number for all groups, one for each in a list, or a slice to spread over them"""
    def set_hypers(self, **kwargs) -> None:
        """Set several hyper-parameters; nothing is changed if a value is bad

        Parameters
        ----------
        kwargs
            Hyper-parameters and their values, as for set_hyper"""
    def __setattr__(self, name, v) -> None:
        """Set a hyper-parameter, or another attribute"""
    def __dir__(self) -> list[str]:
        """What the tab key offers: hyper-parameters too"""
    def freeze_to(self, n: int) -> None:
        """Train only the groups from `n` on, and parameters marked `force_train`

        Parameters
        ----------
        n
            Number of the first group to train; negative numbers count from the end"""
    def freeze(self) -> None:
        """Train only the last group"""
    def unfreeze(self) -> None:
        """Train all groups"""
    def clear_state(self) -> None:
        """Forget the state of all parameters, but for flags such as `do_wd` and `force_train`"""
    def __getattr__(self, name: str) -> Any: ...

def is_optimizer_state(o):
    """Is `o` built as what `state_dict` of an optimizer returns?

    Parameters
    ----------
    o
        Anything

    Returns
    -------
    bool"""
def check_fit(opt, state_dict: dict) -> None:
    """Raise a `ValueError` that says in what a saved state does not fit

    Parameters
    ----------
    opt
        An optimizer, or anything with param_groups and defaults
    state_dict
        A saved state"""
class States(defaultdict):
    """From parameters to their state; counts as empty as long as nothing but flags is kept"""
    def __bool__(self): ...
