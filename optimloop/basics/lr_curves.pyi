"""Find where a curve falls, and draw what was found"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['largest_descent', 'plot_lr_curve', 'plot_histories']

def largest_descent(lrs: list, losses: list) -> tuple:
    """The part of the curve on which the loss falls most

    Parameters
    ----------
    lrs
        Learning rates, ascending by equal factors
    losses
        Smoothed losses at them

    Returns
    -------
    Two lists, of rates and of losses; empty if the loss nowhere falls clearly"""
def plot_lr_curve(finder, suggested: dict):
    """Plot the smoothed loss against the learning rate, or what was varied in its place, with the suggestions

    Parameters
    ----------
    finder
        LRFinder after its fit
    suggested
        Suggested values, or None, by the names of the rules

    Returns
    -------
    The Axes"""
def plot_histories(values: dict):
    """Plot hyper-parameters, batch by batch, a panel each

    Parameters
    ----------
    values
        From name to what a hyper-parameter was in each batch: numbers, or arrays with one for each group

    Returns
    -------
    List of Axes"""
