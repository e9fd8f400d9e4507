"""Habits from other libraries, each answered with the line to write here"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['old_events', 'old_settings', 'old_names', 'looks_like_event', 'right_event', 'no_event', 'one_at_a_time', 'as_tuple', 'class_name', 'own_attr', 'check_handler', 'check_methods', 'warn_of_result', 'OldName', 'OldSetting', 'answer_old_names', 'why_hidden', 'why_learn_is_set', 'check_hides', 'check_kept', 'check_name']

old_events: dict
def looks_like_event(name: str, event_names: tuple) -> bool:
    """Is `name` no event, and yet meant for one?

    Parameters
    ----------
    name
        Name of a method
    event_names
        The events that there are

    Returns
    -------
    Bool"""
def right_event(name: str, event_names: tuple):
    """What was probably meant by `name`, in words

    Parameters
    ----------
    name
        What is no event
    event_names
        The events that there are

    Returns
    -------
    A sentence"""
def no_event(name: str, event_names: tuple) -> str:
    """In words: `name` is no event, and which one was probably meant

    Parameters
    ----------
    name
        What is no event
    event_names
        The events that there are

    Returns
    -------
    A sentence"""
def one_at_a_time(names) -> str:
    """In words: how to run several events

    Parameters
    ----------
    names
        Several events, where one was expected

    Returns
    -------
    A sentence"""
def as_tuple(o) -> tuple:
    """One thing, nothing or any collection of things, as a tuple

    Parameters
    ----------
    o
        Anything

    Returns
    -------
    Tuple"""
def class_name(o):
    """The name of the class of `o`

    Parameters
    ----------
    o
        Any object

    Returns
    -------
    Text"""
def own_attr(o, name: str):
    """What `o` or its class has under `name`, and not what `__getattr__` finds elsewhere

    Parameters
    ----------
    o
        Any object
    name
        Name of an attribute

    Returns
    -------
    Its value, not bound to `o` if it comes from the class; `None` if there is none"""
def check_handler(o, name: str) -> None:
    """Raise `TypeError` if what `o` has for an event cannot be called without arguments

    Parameters
    ----------
    o
        Any object
    name
        Name of the event, under which it has something"""
def check_methods(o, event_names: tuple) -> None:
    """Raise an error if `o` has a method that looks like an event and is none, or one for an event that cannot be called

    Parameters
    ----------
    o
        Any object
    event_names
        The events that there are"""
def warn_of_result(o, event_name: str, res):
    """Warn, once for each event of an object, that what a handler returns has no effect

    Parameters
    ----------
    o
        Object whose handler was called; it keeps in _told that it was warned
    event_name
        The event
    res
        What its handler returned"""
class OldName:
    """A learner's attribute in another library; to read it is an error that says what to write"""
    name: Any
    line: Any
    def __init__(self, name: str, line: str) -> None:
        """Parameters
        ----------
        name
            Under which it stands in its class
        line
            What to write instead"""
    def error(self):
        """The error that says so"""
    def __get__(self, o, cls=None): ...

class OldSetting(OldName):
    """To set it is an error too"""
    def __set__(self, o, value): ...

def answer_old_names(cls, names: dict, settings: dict = {}) -> None:
    """Let the instances of a class answer names of other libraries, and leave these out of `dir`

    Parameters
    ----------
    cls
        The class
    names
        What to write, by the name that is read
    settings
        The same for names that are set, or read"""
old_settings: dict
old_names: dict
def why_hidden(o, learn, name: str, is_cb: bool = False) -> str:
    """In words: why `o` cannot keep something called `name`, and what to write

    Parameters
    ----------
    o
        The callback
    learn
        Its learner
    name
        What it would keep
    is_cb
        Is it another callback that has that name?

    Returns
    -------
    A sentence"""
def why_learn_is_set(o) -> str:
    """In words: why `self.learn = …` is left out

    Parameters
    ----------
    o
        The callback

    Returns
    -------
    A sentence"""
def check_hides(o, name: str, base) -> None:
    """Raise an error that says what to write, unless `name` is the callback's own

    Parameters
    ----------
    o
        The callback, which has a learner
    name
        What it sets, a name that its learner has
    base
        The class of all callbacks"""
def check_kept(o, learn, names: dict, base, but=...) -> None:
    """Raise an error if `o` keeps something under a name that `learn` or another callback has

    Parameters
    ----------
    o
        The callback, which has a name
    learn
        Which it is added to
    names
        The callbacks that there are, by name
    base
        The class of all callbacks
    but
        Names that it may keep"""
def check_name(o, learn, names: dict) -> None:
    """Raise `ValueError` if the name of `o` is taken, by another callback or by something else that the learner has

    Parameters
    ----------
    o
        The callback
    learn
        Which it is added to
    names
        The callbacks that there are, by name"""
