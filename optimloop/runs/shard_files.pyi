"""Each process writes what it has of every weight, and any number of processes reads it"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from pathlib import Path

__all__ = ['split_state', 'write_shards', 'remove_shards', 'check_shard_files', 'read_shards', 'mesh_of', 'parts_beside', 'with_shards', 'is_whole_with_shards', 'size_on_disk', 'remove_orphans', 'new_writers', 'end_writers']

def split_state(state, copied: bool = False) -> tuple:
    """Take the sharded tensors out of a state; to be called by all processes

    Parameters
    ----------
    state
        Dictionaries, lists and tuples, nested as you like, and in them DTensors
    copied
        Copy what this process has of these, to the memory of the CPU?

    Returns
    -------
    State with a description in the place of each DTensor, and a dictionary of the DTensors"""
def write_shards(folder: str | Path, tensors: dict, group=None) -> dict:
    """Let each process write what it has of some tensors; an `OSError` in all of them if one fails

    Parameters
    ----------
    folder
        It is made anew; all processes must see the same one
    tensors
        From names to DTensors, the same names in all processes
    group
        Process group; default: that of all. In a thread it must be the thread's own

    Returns
    -------
    Size and SHA-256 of each file, by name"""
def remove_shards(folder: str | Path) -> None:
    """Take away a folder with all that is in it, if it is there

    Parameters
    ----------
    folder
        One that write_shards made, or began to"""
def check_shard_files(folder: str | Path, files: dict) -> None:
    """A `DamagedFile`, in all processes, if one of the files is missing or is not what was written

    Parameters
    ----------
    folder
        Where they are
    files
        What write_shards returned"""
def read_shards(folder: str | Path, record, whole: bool = False, mesh=None):
    """The state that was split, on the number of processes that there is; a `DamagedFile` if it is not in the files

    Parameters
    ----------
    folder
        Where the files are
    record
        What split_state returned
    whole
        On several processes: read all of each tensor in each?
    mesh
        DeviceMesh over which tensors are sharded; default: that of all processes

    Returns
    -------
    The state"""
def mesh_of(model):
    """Over which processes a model is sharded, if it is

    Parameters
    ----------
    model
        nn.Module

    Returns
    -------
    DeviceMesh or None"""
def parts_beside(file: Path):
    """The folder with its parts, if it has any

    Parameters
    ----------
    file
        One with a record

    Returns
    -------
    Path"""
def with_shards(file, state: dict, mesh=None):
    """Read the parts that a state names, if it does; a `DamagedFile` in all processes if one of them is not whole

    Parameters
    ----------
    file
        It was read, by all processes
    state
        What is in it
    mesh
        DeviceMesh over which tensors are to be sharded; default: they are whole

    Returns
    -------
    The state with all tensors"""
def is_whole_with_shards(file: Path) -> bool:
    """Is it whole, with all its parts? This process looks at all of them

    Parameters
    ----------
    file
        One that may name parts

    Returns
    -------
    bool"""
def size_on_disk(file: Path):
    """How much room there is when it is removed with its parts: none if it has another name

    Parameters
    ----------
    file
        One that may have parts

    Returns
    -------
    Bytes"""
def remove_orphans(folder: Path, best: Path, but=None) -> None:
    """Take away the folders of records that are gone

    Parameters
    ----------
    folder
        Where checkpoints are
    best
        A file there whose parts are needed
    but
        A folder that is being written"""
def new_writers():
    """A group of all processes, for threads that write"""
def end_writers(group, in_haste=False) -> None:
    """Close the connections of a group

    Parameters
    ----------
    group
        As of new_writers; the caller keeps no other reference to it
    in_haste
        May others wait for us that should not?"""
