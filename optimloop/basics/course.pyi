"""The surfaces, the data and the small networks that the lessons share"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['bowl', 'rosenbrock', 'descend', 'synth_data', 'synth_dls', 'digits', 'standardize', 'digits_dls', 'conv_net', 'squeeze_net', 'on_ranks']

def bowl(x, y):
    """A quadratic that is thirty times steeper in `y` than in `x`

    Parameters
    ----------
    x
        First coordinate, a tensor
    y
        Second coordinate, of the same shape

    Returns
    -------
    Heights, of that shape; lowest, 0, at (0,0)"""
def rosenbrock(x, y):
    """Rosenbrock's curved valley

    Parameters
    ----------
    x
        First coordinate, a tensor
    y
        Second coordinate, of the same shape

    Returns
    -------
    Heights, of that shape; lowest, 0, at (1,1)"""
def descend(opt_func, f, start: tuple, steps: int = 50):
    """Walk down `f` from `start` with the optimizer that `opt_func` makes

    Parameters
    ----------
    opt_func
        Called with a list of one tensor; returns the optimizer
    f
        Function of two tensors x, y; the surface
    start
        Where to start, (x,y)
    steps
        Number of steps

    Returns
    -------
    The points visited, start included: a tensor of shape (`steps`+1, 2)"""
def synth_data(n: int = 160, a: float = 2.0, b: float = 3.0, noise: float = 0.1, seed: int = 0) -> tuple:
    """Points on the line `y = a*x + b`, with noise

    Parameters
    ----------
    n
        Number of points
    a
        Slope of the line
    b
        Height of the line at x=0
    noise
        Standard deviation of what is added to y
    seed
        Seed of the points; the global random state is not touched

    Returns
    -------
    `x,y`, two float tensors of shape (n, 1)"""
def synth_dls(bs: int = 16, **kwargs):
    """Training and validation batches of `synth_data`, four fifths and one fifth of it

    Parameters
    ----------
    bs
        Batch size
    kwargs
        Passed to synth_data

    Returns
    -------
    `DataLoaders`"""
def digits(valid_pct: float = 0.2, seed: int = 42) -> tuple:
    """scikit-learn's handwritten digits, shuffled and split

    Parameters
    ----------
    valid_pct
        Fraction held out for validation
    seed
        Seed of the split

    Returns
    -------
    `x_train,y_train,x_valid,y_valid`: images (n,1,8,8), floats in [0,1]; labels (n,), integers 0 to 9"""
def standardize(x_train, x_valid) -> tuple:
    """Shift and scale so that the training inputs have mean 0 and variance 1

    Parameters
    ----------
    x_train
        Float tensor, the training inputs
    x_valid
        Float tensor, the validation inputs

    Returns
    -------
    The two tensors, shifted and scaled alike"""
def digits_dls(bs: int = 64):
    """Training and validation batches of standardized `digits`

    Parameters
    ----------
    bs
        Batch size

    Returns
    -------
    `DataLoaders`"""
def conv_net(n_out: int = 10, n_in: int = 1):
    """A small convolutional network for small images

    Parameters
    ----------
    n_out
        Number of classes
    n_in
        Number of colour channels

    Returns
    -------
    `nn.Sequential`, for images (n, `n_in`, h, w) of any size; returns logits (n, `n_out`)"""
def squeeze_net(seed: int = 0, sizes: tuple = (64, 32, 16, 32, 64)):
    """A small autoencoder; each time it has the same first weights

    Parameters
    ----------
    seed
        Seed of the weights; it is set globally
    sizes
        Numbers that go into each layer, and out of the last

    Returns
    -------
    `nn.Sequential`, for flat images (n, 64)"""
def on_ranks(n: int, f, *needs, head: str = '', timeout: float = 120, **values) -> tuple:
    """Call `f` in `n` processes, which torchrun starts on CPU cores

    Parameters
    ----------
    n
        Number of processes, ≥ 1
    f
        Function without arguments, from a cell or a module
    head
        First lines of the script: imports
    timeout
        In seconds; then a RuntimeError is raised
    needs
        Functions and classes that it uses
    values
        What else it uses, by its name

    Returns
    -------
    What it returned, and what it printed: two lists with an entry for each process"""
