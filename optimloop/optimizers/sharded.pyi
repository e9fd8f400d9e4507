"""Steppers on parameters that lie in several processes, each of which steps what it has"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..optimizers.engines import Batch
from ..optimizers.engines import Plan
from typing_extensions import Self

__all__ = ['SHARE', 'as_sharded', 'part_of', 'placed', 'state_as_here', 'gathered', 'Shards', 'ShardPlan', 'ShardBatch', 'stages', 'step_together', 'share_numbers', 'Part', 'run_sharded', 'has_shards', 'describe_shards']

def as_sharded(local, like):
    """Parts, one in each process, as one tensor

    Parameters
    ----------
    local
        Tensor: what this process has of a larger one
    like
        DTensor that is placed as the larger one

    Returns
    -------
    DTensor; its local tensor is local itself"""
def part_of(whole, like):
    """What this process has of a tensor that is placed as `like`

    Parameters
    ----------
    whole
        Tensor, the same in all processes
    like
        DTensor of its shape

    Returns
    -------
    Tensor"""
def placed(v, like):
    """The numbers of `v`, in parts as those of `like` are, or whole

    Parameters
    ----------
    v
        Tensor, whole or in parts
    like
        Tensor of its shape

    Returns
    -------
    Tensor"""
def state_as_here(opt, state: dict) -> dict:
    """The same, for `opt` to load: what is kept for a parameter lies as the parameter does

    Parameters
    ----------
    opt
        Optimizer
    state
        What a state_dict returned, of an optimizer whose parameters may have been whole, or in other parts

    Returns
    -------
    dict"""
def gathered(o, keep: bool = True, device=None):
    """Make whole tensors of all `DTensor`s in `o`; all processes that have parts must call it

    Parameters
    ----------
    o
        Tensor, or a dictionary, list or tuple of what may hold some
    keep
        Is it wanted here? If not, this process gives its parts, gets None, and needs no memory
    device
        Where whole tensors are moved to, one at a time; default: they stay where they are

    Returns
    -------
    The same, without `DTensor`s"""
class Shards:
    """The parameters of an optimizer as this process has them, with their state: what an engine takes for an optimizer"""
    params: Any
    local: Any
    origin: Any
    param_groups: Any
    sizes: Any
    state: Any
    seen: Any
    others: Any
    opt: Any
    full: Any
    in_parts: Any
    def __init__(self, groups) -> None:
        """Parameters
        ----------
        groups
            Parameter groups of an optimizer"""
    def holds(self, groups):
        """Are these the parameters, and is their memory where it was?

        Parameters
        ----------
        groups
            Parameter groups of an optimizer

        Returns
        -------
        bool"""
    def take(self, opt) -> None:
        """Read hyper-parameters, gradients and state

        Parameters
        ----------
        opt
            Optimizer"""
    def give(self, opt) -> None:
        """Write the state that has come up

        Parameters
        ----------
        opt
            Optimizer"""
    def kind(self, q) -> tuple:
        """What parameters must have in common to be stepped together; first, whether they cannot be

        Parameters
        ----------
        q
            A part

        Returns
        -------
        tuple"""
    def run_steppers(self, q, state: dict, hypers: dict):
        """Run one parameter through the steppers

        Parameters
        ----------
        q
            A part, or a plain parameter
        state
            Its state, which is updated
        hypers
            Hyper-parameters of its group"""
    @property
    def cbs(self) -> Any: ...
    @property
    def writers(self) -> Any: ...

SHARE: int
class ShardPlan(Plan):
    """The parts that this process has, in batches that are the same in all processes"""
    shards: Any
    filled: Any
    def __init__(self, shards: Shards, *args) -> None:
        """Parameters
        ----------
        shards
            What is to be stepped
        args
            As for Plan"""
    def sign(self, q, state): ...
    def batch(self, group, where, params, *args): ...

class ShardBatch(Batch):
    """Parts of parameters that are alike"""
    kind: Any
    shards: Any
    whole: Any
    in_loop: Any
    refused: Any
    pieces: Any
    def __init__(self, shards: Shards, *args) -> None:
        """Parameters
        ----------
        shards
            What they are among
        args
            As for Batch"""
    def prepare(self, *args):
        """All of a step that changes nothing; asked anew in each, so that all processes answer alike"""
    def holds(self, grads):
        """Is all of it as it was?"""
    def carry_out(self, run) -> None:
        """What was prepared; single numbers of whole tensors are made in one go"""

def stages(notes):
    """The lines in stages: none needs a number of a whole tensor that the same stage makes

    Parameters
    ----------
    notes
        Notes

    Returns
    -------
    List of lists of lines"""
def step_together(batch: ShardBatch) -> None:
    """Carry out the notes stage by stage, on all parts at once, with one collective between two stages

    Parameters
    ----------
    batch
        Prepared"""
def share_numbers(whole: list, lines: list, runs: list) -> None:
    """Make numbers of whole tensors of the numbers of their parts

    Parameters
    ----------
    whole
        DTensors, placed alike
    lines
        Lines of notes, each of which makes a number of a whole tensor
    runs
        Numbers of DTensors, the part that holds what is here of them, and its tensors; these are updated"""
class Part:
    """A tensor of which a part is here: it computes element by element on that, and is gathered for anything else"""
    local: Any
    like: Any
    grad: Any
    def __init__(self, local, like, grad=None) -> None:
        """Parameters
        ----------
        local
            Tensor: the part
        like
            DTensor of its shape, placed as it is
        grad
            Its gradient"""
    def whole(self):
        """The whole tensor, the same in all processes; from now on it is what counts"""
    def now(self):
        """The part that is here"""
    @classmethod
    def __torch_function__(cls, func, types, args=..., kwargs=None): ...
    @property
    def data(self) -> Self: ...
    @data.setter
    def data(self, v) -> None: ...
    def detach(self) -> Self: ...
    def __getattr__(self, name: str) -> Any: ...

def run_sharded(opt, run=...) -> None:
    """sharded: all parameters at once, of each the part that is here

    Parameters
    ----------
    opt
        Optimizer
    run
        Called with Shards: steps them"""
def has_shards(opt) -> bool:
    """Is a parameter a `DTensor`?

    Parameters
    ----------
    opt
        Optimizer

    Returns
    -------
    bool"""
def describe_shards(opt):
    """What `repr` says about the steppers of an optimizer that has shards

    Parameters
    ----------
    opt
        Optimizer

    Returns
    -------
    A remark about each stepper"""
