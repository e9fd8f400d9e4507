"""The one convenience import: `from optimloop.all import *`"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from .optimizer import *
from .callbacks import *
from .learner import *
from .schedulers import *
from .mixed_precision import *
from .basics.data import *
from .basics.batches import *
from .basics.averages import *
from .basics.plotting import *
from .basics.saved_state import *
from .optimizers.family import *
from .optimizers.wrapping import *
from .training.callbacks import *
from .training.checks import *
from .training.display import *
from .training.half import *
from .training.inspection import *
from .training.prediction import *
from .training.schedules import *
from .training.tracking import *
from .runs.parts import *
from .runs.saving import *
from .runs.export import *
from .runs.loaders import *
from .runs.checkpoints import *
