__version__ = "0.2.0"

# the whole library, whichever part of it is imported first: engines, callbacks and methods register themselves
from . import all
