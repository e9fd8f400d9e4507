"""Any torch optimizer under our names, and any of ours in torch's tools"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from collections.abc import MutableMapping
from ..optimizer import Optimizer

__all__ = ['torch_names', 'hyper_places', 'TorchView', 'OptimWrapper', 'HPOptimizer', 'ParamState', 'ParamStates']

torch_names: dict
def hyper_places(defaults: dict):
    """Where torch keeps the hyper-parameters that we know under other names

    Parameters
    ----------
    defaults
        defaults of a torch optimizer, or one of its param_groups

    Returns
    -------
    Dictionary from our names to (torch's key, index in the tuple that is there; None if it is no tuple)"""
class TorchView(MutableMapping):
    """A group of a torch optimizer under our names: it reads there and writes there"""
    group: Any
    places: Any
    def __init__(self, group: dict, places: dict) -> None:
        """Parameters
        ----------
        group
            One of the param_groups, or the defaults
        places
            As from hyper_places"""
    def __contains__(self, name) -> bool: ...
    def __iter__(self): ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    def __delitem__(self, name): ...
    def __getitem__(self, name): ...
    def __setitem__(self, name, v) -> None: ...
    def own_name(self, name: str):
        """The one name under which a hyper-parameter is known here; `TypeError` if there is no such thing

        Parameters
        ----------
        name
            A name of ours or of torch's

        Returns
        -------
        Our name, or torch's for what has none of ours, such as betas as a whole"""
    def place(self, name: str):
        """Where a hyper-parameter is

        Parameters
        ----------
        name
            A name of ours or of torch's

        Returns
        -------
        (torch's key, index or None)"""
    def check(self, name: str, v):
        """Raise an error if `v` will not do for this hyper-parameter; nothing is written

        Parameters
        ----------
        name
            Name of a hyper-parameter
        v
            Its value

        Returns
        -------
        The value, ready to be written"""

class OptimWrapper(Optimizer):
    """A torch optimizer of any make, with its hyper-parameters under our names"""
    flags: Any
    def __init__(self, params=None, opt=None, **hypers) -> None:
        """Parameters
        ----------
        params
            Parameters, as for Optimizer; none if opt has its own
        opt
            A torch optimizer; or what makes one of groups and hyper-parameters, such as a class of torch.optim
        hypers
            Hyper-parameters, by our names or torch's; a list or a slice is spread over the groups"""
    def __repr__(self) -> str: ...
    def hyper_name(self, name: str):
        """The one name under which a hyper-parameter is known here; a `TypeError` names the nearest if there is none

        Parameters
        ----------
        name
            A name of ours or of torch's

        Returns
        -------
        Our name"""
    def set_hypers(self, **kwargs) -> None:
        """Set several hyper-parameters; nothing is changed if a value is bad

        Parameters
        ----------
        kwargs
            Hyper-parameters: a value for all groups, one for each in a list, or a slice to spread over them"""
    def __setattr__(self, name, v) -> None:
        """`opt.lr = …` sets a hyper-parameter"""
    def clear_state(self) -> None:
        """Forget what the wrapped optimizer keeps, as if it were new; the flags `do_wd` and `force_train` stay"""
    def step(self, closure=None):
        """A step of the wrapped optimizer, without weight decay where `do_wd` is off

        Parameters
        ----------
        closure
            Function that recomputes the loss and its gradients, and returns the loss

        Returns
        -------
        What the wrapped optimizer returns: that of closure, or None"""
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients

        Parameters
        ----------
        set_to_none
            Drop the gradients, or fill them with zeros?"""
    def add_param_group(self, param_group: dict) -> None:
        """Add a group of parameters; nothing is added if something is wrong with it

        Parameters
        ----------
        param_group
            params, and the hyper-parameters in which this group differs from the defaults"""
    def state_dict(self):
        """A copy of all state, hyper-parameters and flags"""
    def check_load(self, state_dict) -> None:
        """Raise an error if `state_dict` does not fit"""
    def load_state_dict(self, state_dict: dict) -> None:
        """Load state, hyper-parameters and flags; a `ValueError` names what does not fit, and nothing is changed

        Parameters
        ----------
        state_dict
            What state_dict returned, here or of a bare optimizer; it is copied, never changed"""
    def __getstate__(self) -> dict:
        """What copies and pickles need"""
    def __setstate__(self, state) -> None:
        """Be the wrapper that `state` came from"""
    @property
    def engine(self) -> Any:
        """`None`: the wrapped optimizer steps by itself"""
    @engine.setter
    def engine(self, value) -> None: ...
    @property
    def param_groups(self) -> Any: ...
    @property
    def defaults(self) -> Any: ...
    @property
    def hypers(self) -> Any: ...
    def __getattr__(self, name: str) -> Any: ...
    @property
    def state(self) -> Any: ...

class HPOptimizer(OptimWrapper):
    """An `OptimWrapper` around what `opt_fn` makes"""
    def __init__(self, params, opt_fn, init_lr: float) -> None:
        """Parameters
        ----------
        params
            Parameters, as for Optimizer
        opt_fn
            Called with groups and lr; returns a torch optimizer
        init_lr
            Learning rate, ≥ 0"""

class ParamState(MutableMapping):
    """What was said about a parameter, and what the wrapped optimizer keeps for it"""
    kept: Any
    flags: Any
    p: Any
    def __init__(self, kept, flags, p) -> None:
        """Parameters
        ----------
        kept
            State of the wrapped optimizer, by parameter
        flags
            Flags, by parameter
        p
            Parameter"""
    def __getitem__(self, k): ...
    def __setitem__(self, k, v) -> None: ...
    def __delitem__(self, k) -> None: ...
    def __iter__(self): ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...

class ParamStates(MutableMapping):
    """From parameters to their `ParamState`"""
    kept: Any
    flags: Any
    def __init__(self, kept, flags) -> None:
        """Parameters
        ----------
        kept
            State of the wrapped optimizer, by parameter
        flags
            Flags, by parameter"""
    def __getitem__(self, p) -> ParamState: ...
    def __setitem__(self, p, new) -> None: ...
    def __delitem__(self, p) -> None: ...
    def __contains__(self, p) -> bool: ...
    def __iter__(self): ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
