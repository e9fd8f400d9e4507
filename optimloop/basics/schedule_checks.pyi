"""Small helpers of the schedules: a value for each group, and errors that say what to write"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['old_names', 'needs_pos', 'check_fraction', 'checked_schedules', 'checked_phases', 'check_names', 'per_group', 'check_alone']

def needs_pos(f):
    """`f` with an error that says what to write when the progress is missing

    Parameters
    ----------
    f
        Function of start, end and progress

    Returns
    -------
    The same function"""
def check_fraction(**kwargs) -> None:
    """Raise an error unless the one argument is a fraction of the training"""
def checked_schedules(scheds, f=None):
    """`scheds`, or an error that says how schedules are given

    Parameters
    ----------
    scheds
        What should be a dictionary from names to functions of the progress
    f
        What stands behind it, if it was written as ('lr', f)

    Returns
    -------
    scheds"""
def checked_phases(pcts, scheds) -> tuple:
    """Fractions and schedules, or an error that says why they do not make one schedule

    Parameters
    ----------
    pcts
        Fractions of the training
    scheds
        Schedules

    Returns
    -------
    Both as lists"""
old_names: dict
def check_names(kwargs: dict) -> None:
    """Raise an error that gives our name for an argument if one has the name that another library gives it

    Parameters
    ----------
    kwargs
        Further arguments"""
def per_group(v, n: int):
    """`v` for each of `n` groups

    Parameters
    ----------
    v
        As for spread: a number, one for each group, or a slice
    n
        Number of groups

    Returns
    -------
    A number, or an array if there are several groups"""
def check_alone(cb, hypers: set) -> None:
    """Raise an error if another callback of the Learner schedules one of these hyper-parameters too

    Parameters
    ----------
    cb
        A callback of a Learner
    hypers
        Names of hyper-parameters that it schedules"""
