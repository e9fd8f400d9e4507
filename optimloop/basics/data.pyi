"""Batches of arrays or datasets, and what is in them"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['DataLoaders', 'n_batches', 'as_dls', 'loader_parts', 'InPlaceOf', 'original']

class DataLoaders:
    """A training and a validation loader"""
    train: Any
    valid: Any
    def __init__(self, train, valid=None) -> None:
        """Parameters
        ----------
        train
            Iterable of batches: tuples of tensors, inputs first, the target last
        valid
            The same, for validation, or None"""
    def __getitem__(self, i): ...
    def __repr__(self) -> str: ...
    @classmethod
    def from_arrays(cls, x_train, y_train, x_valid=None, y_valid=None, bs: int = 64):
        """Loaders of batches of arrays; the training part is shuffled in each epoch

        Parameters
        ----------
        x_train
            Training inputs: tensor or numpy array (n, …); a tuple of them for a model of several inputs
        y_train
            Training targets (n, …)
        x_valid
            Validation inputs, likewise
        y_valid
            Validation targets
        bs
            Samples in a batch; the last batch may be smaller

        Returns
        -------
        DataLoaders"""
    @classmethod
    def from_datasets(cls, train_ds, valid_ds=None, bs: int = 64, **kwargs):
        """Loaders of datasets; the training part is shuffled in each epoch

        Parameters
        ----------
        train_ds
            torch.utils.data.Dataset to train on
        valid_ds
            Dataset to validate with
        bs
            Samples in a batch; the last batch may be smaller
        kwargs
            Passed to both DataLoaders, for instance num_workers

        Returns
        -------
        DataLoaders"""

def n_batches(dl) -> None | int:
    """Number of batches in `dl`, or `None` if it cannot tell

    Parameters
    ----------
    dl
        A loader

    Returns
    -------
    Integer or None"""
def as_dls(dls):
    """`dls` as an object with a training and a validation loader

    Parameters
    ----------
    dls
        DataLoaders, anything with train, or a pair of loaders

    Returns
    -------
    Something with train and valid"""
def loader_parts(dl):
    """A loader, its samplers and its data set, and theirs, each once

    Parameters
    ----------
    dl
        A loader, or None

    Returns
    -------
    List of objects, dl first"""
class InPlaceOf:
    """Stands in the place of `real`, and has all that it has"""
    real: Any
    def __init__(self, real) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self): ...
    def __getattr__(self, k): ...

def original(o):
    """The object behind all that stand in its place

    Parameters
    ----------
    o
        Anything

    Returns
    -------
    What o stands in the place of, or o"""
