"""Stages within stages, each left by all that are in it"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['Stages']

class Stages:
    """Has stages that are open, and lets all who are in one leave it, however it ends"""
    stage_outcomes: Any
    open_stages: Any
    def __init__(self) -> None: ...
    def handlers_of(self, event_name: str) -> list:
        """What runs at an event, in that order; each class of stages has its own way

        Parameters
        ----------
        event_name
            Name of an event

        Returns
        -------
        List of pairs: one who is there now, and the function to call"""
    def is_there(self, who) -> bool:
        """Is that one still there?

        Parameters
        ----------
        who
            One of those that were in a pair

        Returns
        -------
        Bool"""
    def within_stage(self, event_name: str, f) -> None:
        """Run `f`, then what `handlers_of` gives for the event, however `f` ends; raise the error that counts most

        Parameters
        ----------
        event_name
            Of leaving the stage
        f
            Function without arguments, the body of the stage"""
    def leave_stages(self, who) -> None:
        """Leave all open stages for `who`, the innermost first, except those it has already left

        Parameters
        ----------
        who
            One that is in some stages, and is taken away"""
