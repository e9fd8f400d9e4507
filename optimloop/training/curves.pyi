"""The losses of a fit, drawn; and what a Learner holds, in words"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = []
