"""Four optimizers, with and without 1cycle, on real handwritten digits: the command `optimloop`"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['schedules', 'racers', 'precisions', 'on_arrays', 'on_folder', 'RaceError', 'choose', 'load_arrays', 'run', 'table', 'plot_race', 'race', 'options', 'parser', 'check_options', 'main']

schedules: dict
racers: dict
precisions: dict
class RaceError(ValueError):
    """Something that the user of the race can put right; the message says what and how"""

def choose(names: str, known: dict, what: str) -> list:
    """The names that were asked for, in the order of `known`

    Parameters
    ----------
    names
        Names with commas between them, or 'all'; in capitals or not
    known
        What there is, by name
    what
        What they are names of, for the error

    Returns
    -------
    List of names"""
def load_arrays(file: str) -> tuple:
    """Read and check arrays of images and labels; `RaceError` if something is wrong with them

    Parameters
    ----------
    file
        Path of an .npz file

    Returns
    -------
    `x_train,y_train,x_valid,y_valid`: float tensors (n, channels, h, w) and integer tensors (n,)"""
def run(racer: str, schedule: str, data, epochs: int = 6, bs: int = 32, lr: float | None = None, find_lr: bool = False, precision: str = 'fp32', seed: int = 42, desc: str = ''):
    """Train `conv_net` with one optimizer and one schedule

    Parameters
    ----------
    racer
        A name in racers
    schedule
        A name in schedules
    data
        Images and labels: x_train,y_train,x_valid,y_valid, standardized
    epochs
        Number of epochs, ≥ 1
    bs
        Batch size, ≥ 1
    lr
        Learning rate, > 0, the highest where it is scheduled; default: the racer's for the schedule
    find_lr
        Take the learning rate that lr_find suggests, where it suggests one?
    precision
        A name in precisions
    seed
        Seed of weights and batches
    desc
        Written in front of the progress bars

    Returns
    -------
    `Learner` after the fit, with the `seconds` that it took"""
def table(runs: dict):
    """The results of the race

    Parameters
    ----------
    runs
        From (racer, schedule) to Learner

    Returns
    -------
    Lines of text in a string"""
def plot_race(runs: dict):
    """The loss curves and the schedules of the race

    Parameters
    ----------
    runs
        From (racer, schedule) to Learner

    Returns
    -------
    The matplotlib `Figure`"""
def race(data, names: list, scheds: list, runs: dict | None = None, bs: int = 32, **kwargs):
    """Every racer with every schedule

    Parameters
    ----------
    data
        Images and labels: x_train,y_train,x_valid,y_valid
    names
        Racers
    scheds
        Schedules
    runs
        Results are added to this dictionary
    bs
        Batch size, from 1 to the number of training images
    kwargs
        Passed to run

    Returns
    -------
    From (racer, schedule) to `Learner`"""
def options(optimizers: str = 'all', schedule: str = 'all', epochs: int | None = None, bs: int | None = None, lr: float | None = None, find_lr: bool = False, precision: str = 'fp32', seed: int = 42, data: str | None = None, recipes: str | None = None, arch: str | None = None, size: int | None = None, workers: int | None = None, checkpoints: str | None = None, resume: bool = False, out: str = 'optimloop_race.png'):
    """The options of the command, by name

    Parameters
    ----------
    optimizers
        Which optimizers: sgd, momentum, rmsprop, adam; several with commas between them, or all
    schedule
        Which schedules of the learning rate: constant, 1cycle; both with a comma, or all
    epochs
        How often each run goes through the training images, at least 1; default: 6, with a folder 3
    bs
        Images in a batch, from 1 to the number of training images; default: 32, with a folder 128
    lr
        Learning rate of all runs (the highest, with 1cycle), above 0 and at most 10; default: one for each
    find_lr
        Instead, take the rate that the learning-rate finder suggests; the default where there is none
    precision
        Numbers to compute with: fp32, bf16 or fp16; the last two are slow on a CPU
    seed
        Seed of the first weights and of the order of the batches, from 0 to 2**63-1
    data
        Images of your own: a folder or an .npz file, see below; default: scikit-learn's 1,797 digits
    recipes
        On a folder, which: adam, rmsprop, sgd, momentum, sgd_1cycle; several with commas; default: all
    arch
        On a folder, the network: resnet18 or resnet34; default: resnet34
    size
        On a folder, height and width that images are brought to, from 8 to 1024 pixels; default: 128
    workers
        On a folder, processes that read images, 0 to 64; default: one a core, at most 8
    checkpoints
        On a folder, where to keep what is needed to go on after the race was broken off
    resume
        Go on with the race in --checkpoints, if there is one
    out
        File for the figure, which ends in .png, .pdf or .svg; one that exists is replaced

    Returns
    -------
    Dictionary of them"""
def parser():
    """The command line, from the signature of `options`"""
on_arrays: dict
on_folder: dict
def check_options(o: dict) -> dict:
    """Raise a `RaceError` for anything that cannot be run

    Parameters
    ----------
    o
        What options returns

    Returns
    -------
    The same, with lists of names, and the defaults that go with the data"""
def main(argv: list | None = None):
    """The command `optimloop`

    Parameters
    ----------
    argv
        Arguments; default: those of the command

    Returns
    -------
    Exit code: 0, 2, 130 or 141"""
