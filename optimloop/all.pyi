"""The one convenience import, optimloop.all, and every name that it gives"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from .optimizer import *
from .callbacks import *
from .learner import *
from .schedulers import *
from .mixed_precision import *
from .optimizers.family import *
from .optimizers.wrapping import *
from .training.callbacks import *
from .training.checks import *
from .training.curves import *
from .training.display import *
from .training.half import *
from .training.inspection import *
from .training.prediction import *
from .training.schedules import *
from .training.suggestions import *
from .training.tracking import *
from .runs.saving import *
from .runs.export import *
from .runs.checkpoints import *
