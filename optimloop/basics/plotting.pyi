"""One look for every figure of the course and of the library"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['plot_axes', 'plot_contours']

def plot_axes(nrows: int = 1, ncols: int = 1, size: tuple = (4.5, 3), xlabel: str = '', ylabel: str = '', titles: str | list = '', **kwargs):
    """A figure of `nrows` by `ncols` panels in the look of the course

    Parameters
    ----------
    nrows
        Rows of panels
    ncols
        Columns of panels
    size
        Width and height of one panel, in inches
    xlabel
        Label of every x axis
    ylabel
        Label of every y axis
    titles
        The title, or one title a panel
    kwargs
        Passed to plt.subplots

    Returns
    -------
    One `Axes`, or a list of `nrows*ncols` of them, row by row"""
def plot_contours(ax, f, xlim: tuple, ylim: tuple, n: int = 25) -> None:
    """Draw the level lines of `f` on `ax`

    Parameters
    ----------
    ax
        Axes to draw on
    f
        Function of two tensors x, y of one shape; returns the heights, ≥ 0, in that shape
    xlim
        Lowest and highest x
    ylim
        Lowest and highest y
    n
        Number of level lines"""
