"""What a parameter means, where its user asks for it"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.

__all__ = ['show_comments']

def show_comments(*names) -> None:
    """Let `help` and Shift-Tab show the comments of the parameters of all that these modules define

    Parameters
    ----------
    names
        Globals of a module of this library, or of several"""
