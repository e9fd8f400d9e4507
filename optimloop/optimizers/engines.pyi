"""Steppers that were written for one parameter, run over all parameters at once, and compiled"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from typing_extensions import Self

__all__ = ['SLICE', 'SMALL', 'PACK', 'FEW', 'PIECES', 'CannotRecord', 'StandIn', 'Notes', 'replay', 'as_source', 'Reach', 'Recorded', 'record', 'Tried', 'try_notes', 'Pack', 'Rows', 'Single', 'replay_pack', 'run_notes', 'Batch', 'Plan', 'step_by_plan', 'reach_of', 'run_batched', 'how_run', 'describe', 'run_compiled_notes', 'run_compiled']

class CannotRecord(Exception):
    """A stepper did something that must be done to each parameter by itself"""

class StandIn:
    """Stands in for a tensor: what is done to it is noted down, and not done"""
    def __init__(self, notes, i, grad=None) -> None: ...
    def detach(self) -> Self: ...
    def __getattr__(self, name): ...
    @property
    def grad(self): ...
    def __setattr__(self, name, v) -> None: ...
    @classmethod
    def __torch_function__(cls, func, types, args=..., kwargs=None): ...
    @property
    def data(self) -> Any: ...
    def abs(self, *args, **kwargs): ...
    def abs_(self, *args, **kwargs): ...
    def add(self, *args, **kwargs): ...
    def add_(self, *args, **kwargs): ...
    def addcdiv(self, *args, **kwargs): ...
    def addcdiv_(self, *args, **kwargs): ...
    def addcmul(self, *args, **kwargs): ...
    def addcmul_(self, *args, **kwargs): ...
    def amax(self, *args, **kwargs): ...
    def amin(self, *args, **kwargs): ...
    def atan2(self, *args, **kwargs): ...
    def atan2_(self, *args, **kwargs): ...
    def bfloat16(self, *args, **kwargs): ...
    def ceil(self, *args, **kwargs): ...
    def ceil_(self, *args, **kwargs): ...
    def clamp(self, *args, **kwargs): ...
    def clamp_(self, *args, **kwargs): ...
    def clamp_max(self, *args, **kwargs): ...
    def clamp_max_(self, *args, **kwargs): ...
    def clamp_min(self, *args, **kwargs): ...
    def clamp_min_(self, *args, **kwargs): ...
    def clip(self, *args, **kwargs): ...
    def clip_(self, *args, **kwargs): ...
    def clone(self, *args, **kwargs): ...
    def copy_(self, *args, **kwargs): ...
    def copysign(self, *args, **kwargs): ...
    def copysign_(self, *args, **kwargs): ...
    def cos(self, *args, **kwargs): ...
    def cos_(self, *args, **kwargs): ...
    def div(self, *args, **kwargs): ...
    def div_(self, *args, **kwargs): ...
    def double(self, *args, **kwargs): ...
    def eq(self, *args, **kwargs): ...
    def eq_(self, *args, **kwargs): ...
    def erf(self, *args, **kwargs): ...
    def erf_(self, *args, **kwargs): ...
    def exp(self, *args, **kwargs): ...
    def exp_(self, *args, **kwargs): ...
    def expm1(self, *args, **kwargs): ...
    def expm1_(self, *args, **kwargs): ...
    def fill_(self, *args, **kwargs): ...
    def float(self, *args, **kwargs): ...
    def floor(self, *args, **kwargs): ...
    def floor_(self, *args, **kwargs): ...
    def ge(self, *args, **kwargs): ...
    def ge_(self, *args, **kwargs): ...
    def gt(self, *args, **kwargs): ...
    def gt_(self, *args, **kwargs): ...
    def half(self, *args, **kwargs): ...
    def isfinite(self, *args, **kwargs): ...
    def isinf(self, *args, **kwargs): ...
    def isnan(self, *args, **kwargs): ...
    def le(self, *args, **kwargs): ...
    def le_(self, *args, **kwargs): ...
    def lerp(self, *args, **kwargs): ...
    def lerp_(self, *args, **kwargs): ...
    def log(self, *args, **kwargs): ...
    def log1p(self, *args, **kwargs): ...
    def log1p_(self, *args, **kwargs): ...
    def log2(self, *args, **kwargs): ...
    def log2_(self, *args, **kwargs): ...
    def log_(self, *args, **kwargs): ...
    def logical_and(self, *args, **kwargs): ...
    def logical_and_(self, *args, **kwargs): ...
    def logical_not(self, *args, **kwargs): ...
    def logical_not_(self, *args, **kwargs): ...
    def logical_or(self, *args, **kwargs): ...
    def logical_or_(self, *args, **kwargs): ...
    def lt(self, *args, **kwargs): ...
    def lt_(self, *args, **kwargs): ...
    def masked_fill(self, *args, **kwargs): ...
    def masked_fill_(self, *args, **kwargs): ...
    def max(self, *args, **kwargs): ...
    def maximum(self, *args, **kwargs): ...
    def mean(self, *args, **kwargs): ...
    def min(self, *args, **kwargs): ...
    def minimum(self, *args, **kwargs): ...
    def mul(self, *args, **kwargs): ...
    def mul_(self, *args, **kwargs): ...
    def nan_to_num(self, *args, **kwargs): ...
    def nan_to_num_(self, *args, **kwargs): ...
    def ne(self, *args, **kwargs): ...
    def ne_(self, *args, **kwargs): ...
    def neg(self, *args, **kwargs): ...
    def neg_(self, *args, **kwargs): ...
    def norm(self, *args, **kwargs): ...
    def pow(self, *args, **kwargs): ...
    def pow_(self, *args, **kwargs): ...
    def reciprocal(self, *args, **kwargs): ...
    def reciprocal_(self, *args, **kwargs): ...
    def relu(self, *args, **kwargs): ...
    def relu_(self, *args, **kwargs): ...
    def round(self, *args, **kwargs): ...
    def round_(self, *args, **kwargs): ...
    def rsqrt(self, *args, **kwargs): ...
    def rsqrt_(self, *args, **kwargs): ...
    def sigmoid(self, *args, **kwargs): ...
    def sigmoid_(self, *args, **kwargs): ...
    def sign(self, *args, **kwargs): ...
    def sign_(self, *args, **kwargs): ...
    def sin(self, *args, **kwargs): ...
    def sin_(self, *args, **kwargs): ...
    def sqrt(self, *args, **kwargs): ...
    def sqrt_(self, *args, **kwargs): ...
    def square(self, *args, **kwargs): ...
    def square_(self, *args, **kwargs): ...
    def sub(self, *args, **kwargs): ...
    def sub_(self, *args, **kwargs): ...
    def sum(self, *args, **kwargs): ...
    def tanh(self, *args, **kwargs): ...
    def tanh_(self, *args, **kwargs): ...
    def trunc(self, *args, **kwargs): ...
    def trunc_(self, *args, **kwargs): ...
    def where(self, *args, **kwargs): ...
    def zero_(self, *args, **kwargs): ...

class Notes:
    """What was done to stand-ins: lines of function, arguments, keyword arguments and number of the result"""
    ones: Any
    lines: Any
    n: Any
    refused: Any
    def __init__(self) -> None: ...
    def new(self, grad=None) -> StandIn:
        """A stand-in for one more tensor"""
    def refuse(self, why) -> CannotRecord:
        """Remember that something cannot be noted: a stepper might catch the error"""
    def add(self, func, args, kwargs):
        """Note down a call"""

def replay(notes, tensors: list, changed=None):
    """Do what was noted down

    Parameters
    ----------
    notes
        Notes
    tensors
        One for each number in the notes; what comes up on the way has a place at the end
    changed
        Set to add the addresses of tensors to that are changed in place

    Returns
    -------
    The list, filled"""
def as_source(notes, n_given: int, wanted: tuple = ..., compiled: bool = False) -> tuple:
    """Notes as the source of a function `step`

    Parameters
    ----------
    notes
        Notes
    n_given
        Number of tensors that the function is given, the first in the notes
    wanted
        Numbers of the tensors that it returns
    compiled
        For the compiler? Then factors are multiplied in, and what it must know is written out

    Returns
    -------
    Source of a function; what was taken out, a list; the functions that it calls, by their names in it"""
class Reach:
    """What steppers reach besides their arguments, and `why` they must run one parameter at a time, if they must"""
    found: Any
    cbs: Any
    seen: Any
    why: Any
    def __init__(self, cbs) -> None:
        """Parameters
        ----------
        cbs
            Steppers"""
    def holds(self, cbs):
        """Is all of it still what it was?"""
    def look(self, o, name) -> None:
        """Look at something that a stepper uses under this name"""

class Recorded:
    """A list of steppers, noted down"""
    grad: Any
    p: Any
    state: Any
    n_given: Any
    notes: Any
    keys: Any
    by_tensor: Any
    out: Any
    numbers: Any
    def __init__(self, keys: list, ones: list) -> None:
        """Parameters
        ----------
        keys
            Names of state of the parameter's shape
        ones
            Names of state that is a single number, in a tensor"""
    def close(self) -> Self:
        """Settle what comes of it: new state and numbers"""

def record(opt, hypers: dict, numbers: dict, keys: list, ones: list, like: list = ..., order: list = ...):
    """Run the steppers on stand-ins

    Parameters
    ----------
    opt
        Optimizer
    hypers
        Hyper-parameters
    numbers
        State that is no tensor
    keys
        Names of state of the parameter's shape
    ones
        Names of state that is a single number, in a tensor
    like
        Tensors of a parameter: gradient, weights, state; if a stepper fails, its notes are tried on these
    order
        Names of state, in the order in which a stepper is to see them

    Returns
    -------
    Recorded; an error CannotRecord if the loop must do it"""
class Tried:
    """What came of notes on tensors of two numbers"""
    changed: Any
    kept: Any
    def __init__(self, notes, like: list, out: dict = {}) -> None:
        """Parameters
        ----------
        notes
            Notes
        like
            Tensors of a parameter, as the notes number them: gradient, weights, state
        out
            From the names of new state to the numbers of its tensors"""

def try_notes(rec, like: list):
    """Try notes, unless their like have been tried before

    Parameters
    ----------
    rec
        Recorded
    like
        As for Tried

    Returns
    -------
    Tried; an error CannotRecord if the notes cannot be carried out"""
class Pack:
    """Small parameters side by side in one long tensor"""
    is_1d: Any
    counts: Any
    data: Any
    params: Any
    states: Any
    state: Any
    sizes: Any
    flat: Any
    windows: Any
    arrays: Any
    def __init__(self, params: list, states: list, keys: list, ones: list) -> None:
        """Parameters
        ----------
        params
            Parameters, those of a size side by side
        states
            Their state, a dictionary for each; its tensors become windows onto the pack
        keys
            Names of state of the parameter's shape
        ones
            Names of state that is a single number, in a tensor"""
    def join(self, tensors): ...
    def split(self, flat) -> list: ...
    def parts(self, flat, one) -> list: ...
    def keep(self, k, flat, one=False) -> None:
        """Make `flat` the state `k`: a tensor for each parameter, or `one` number for each"""
    def copy_back(self): ...
    def pieces(self, rec, grads: list, size) -> list:
        """The pack, filled with weights and gradients

        Parameters
        ----------
        rec
            Recorded
        grads
            Gradients of the parameters, in their order
        size
            Of no use here: a pack is small

        Returns
        -------
        One piece with its function, in a list"""
    def one_of_each(self, func, flat, *args):
        """`func` of each tensor in `flat`"""
    def spread(self, numbers, like):
        """Each of the numbers as often as its tensor is long, in the precision of `like`"""

class Rows(list):
    """The tensors of a piece, known to be flat and contiguous"""

SLICE: int
class Single:
    """A parameter that is stepped by itself"""
    p: Any
    state: Any
    def __init__(self, p, state: dict) -> None:
        """Parameters
        ----------
        p
            Parameter
        state
            Its state"""
    def pieces(self, rec, grads: list, size) -> list:
        """The parameter, or its slices

        Parameters
        ----------
        rec
            Recorded
        grads
            Its gradient
        size
            Numbers in a slice, at most

        Returns
        -------
        Pieces, each with its function, in a list"""
    def keep(self, rec, given) -> None: ...

def replay_pack(notes, tensors: list, pack: Pack):
    """As `replay` for a pack, with a list of numbers for what is one number of a tensor

    Parameters
    ----------
    notes
        Notes
    tensors
        As for replay
    pack
        Whose tensors they are

    Returns
    -------
    The list, filled"""
def run_notes(rec, pieces: list):
    """Carry out the notes on one piece after another

    Parameters
    ----------
    rec
        Recorded
    pieces
        Lists of tensors

    Returns
    -------
    For each piece, the tensors in rec.out"""
SMALL: int
PACK: int
class Batch:
    """Parameters of one group that have the same numbers in their state"""
    parts: Any
    refused: Any
    copies: Any
    keys: Any
    ones: Any
    numbers: Any
    group: Any
    where: Any
    params: Any
    states: Any
    in_loop: Any
    rec: Any
    pieces: Any
    kept: Any
    watched: Any
    sizes: Any
    passed: Any
    starts: Any
    ends: Any
    def __init__(self, group: dict, where: list, params: list, states: list, in_loop: bool) -> None:
        """Parameters
        ----------
        group
            One of param_groups
        where
            Numbers of those of its parameters that are alike, among all of the optimizer's
        params
            These parameters
        states
            Their state, a dictionary for each
        in_loop
            Must they go through the loop?"""
    def pack(self, unshared) -> None:
        """Pack what is small, those of a size side by side, if there are several and only they look at their state"""
    def prepare(self, opt, grads: list, size, unshared) -> bool:
        """All of a step that changes nothing

        Parameters
        ----------
        opt
            Optimizer
        grads
            Gradients of the parameters, in their order
        size
            Numbers in a slice, at most
        unshared
            Memory that only the state of this optimizer looks at

        Returns
        -------
        Are rec and pieces there, or must the loop do it?"""
    def carry_out(self, run) -> None:
        """What was prepared

        Parameters
        ----------
        run
            Carries out notes on pieces"""
    def is_new(self):
        """Has the state got other tensors than it had, in number or in kind?"""
    def watch(self) -> None:
        """Keep what the batch was made from, to compare with later"""
    def holds(self, grads) -> bool:
        """Is all of it as it was, and none of its memory that of a gradient?"""

class Plan:
    """The parameters that have gradients, in batches"""
    batch: Any
    groups: Any
    params: Any
    rest: Any
    patience: Any
    lacks_grad: Any
    batches: Any
    keys: Any
    dicts: Any
    def __init__(self, opt, patience: int = 1, few: int = 0) -> None:
        """Parameters
        ----------
        opt
            Optimizer
        patience
            Steps until a list that was refused is asked again
        few
            So many parameters that are alike, or fewer, go through the loop"""
    def sign(self, p, state) -> tuple | None:
        """What `p` has in common with those that it is stepped with, or `None` where the loop is needed"""
    def grads(self, opt):
        """The gradients, `None` where there is none; or `None` in place of all if the plan does not hold"""
    @property
    def refused(self) -> Any: ...

def step_by_plan(opt, run=..., slices: bool = True, few: int = 0, kind: type = ...) -> None:
    """Step all parameters that have gradients, batch by batch

    Parameters
    ----------
    opt
        Optimizer
    run
        Carries out notes on pieces
    slices
        Step large tensors on a CPU in slices?
    few
        So many parameters that are alike, or fewer, go through the loop
    kind
        Of the plan"""
def reach_of(opt):
    """What the steppers of an optimizer reach, looked at anew if that has changed

    Parameters
    ----------
    opt
        Optimizer

    Returns
    -------
    Reach"""
FEW: int
def run_batched(opt) -> None:
    """batched: all parameters at once

    Parameters
    ----------
    opt
        Optimizer"""
def how_run(opt):
    """How the batched and the compiled engine run the steppers of an optimizer

    Parameters
    ----------
    opt
        Optimizer

    Returns
    -------
    A word or two for each stepper"""
def describe(opt) -> list:
    """What `repr` says about the steppers: nothing about those that run together

    Parameters
    ----------
    opt
        Optimizer

    Returns
    -------
    A remark about each stepper"""
PIECES: int
def run_compiled_notes(rec, pieces):
    """As `run_notes`, in one pass over memory"""
def run_compiled(opt) -> None:
    """compiled: all parameters at once, in one pass over memory

    Parameters
    ----------
    opt
        Optimizer"""
