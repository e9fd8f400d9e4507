__version__ = "0.3.0"

import gc
_collecting = gc.isenabled()
gc.disable() # or the import would set off a collection of all that torch has made
try: from . import all # all modules: engines, callbacks and methods register themselves
finally:
    if _collecting: gc.enable()
