"""A file for state that runs no code, and is whole or an error"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from typing import Any
from pathlib import Path

__all__ = ['sync_folder', 'save_state', 'DamagedFile', 'is_pickle', 'load_state']

def pack_state(state, copied=False) -> tuple:
    """The skeleton of a state, its tensors, by name, and the number of its parts"""
def with_entries(packed, **more) -> tuple:
    """What `pack_state` returned of a dictionary, with more entries, of plain data"""
def replacing(path) -> AbstractContextManager[Any]:
    """A new file, open, which takes the place of `path` in one step when it is written, or goes away"""
def sync_folder(folder) -> None:
    """Bring the names in a folder to the disk"""
def write_bytes(fd, part) -> None:
    """Write all of `part` to an open file"""
def remove_file(path) -> None:
    """Take a file away, if it is there and may go"""
def write_packed(path, skeleton, tensors, n_parts) -> None:
    """Write what `pack_state` returned"""
def packed_size(skeleton, tensors, n_parts):
    """Bytes of the file that `write_packed` would write"""
def save_state(path: str | Path, state):
    """Write a state to a file, all of it or nothing; the path of anything that is no data is in the error

    Parameters
    ----------
    path
        The file; by custom it ends in .safetensors
    state
        Dictionaries, lists, tuples, sets, tensors, arrays, bytes, numbers, strings, None, nested as you like

    Returns
    -------
    Path of the file"""
def link_file(file, name) -> None:
    """Give `file` a second name, in one step; where there are no links, a copy"""
class DamagedFile(ValueError):
    """A file that is not whole, or was not written by `save_state`"""

def is_pickle(path: str | Path):
    """Is it no safetensors file, but one that `torch.save` or `pickle` wrote?

    Parameters
    ----------
    path
        A file

    Returns
    -------
    bool"""
def is_whole(path) -> bool:
    """Is it a file of `save_state`, with the very content that was written?"""
def load_state(path: str | Path):
    """Read what `save_state` wrote: no code is run, and a file that is not whole is a `DamagedFile` that says why

    Parameters
    ----------
    path
        The file

    Returns
    -------
    The state; its tensors are on the CPU"""
