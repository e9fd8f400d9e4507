# Written by .ci/stubs.py from the notebooks: edit them, not this file.
__version__: str
