"""Code can be injected anywhere in the training loop: read all, change all, stop any stage"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from .learner import Learner
from .basics.hints import OldName
from .basics.hints import OldSetting
from typing_extensions import Self
from .basics.stages import Stages
from .basics.cleanup import add_note
from .basics.hints import as_tuple
from .basics.cleanup import autocast_mode
from .basics.hints import class_name
from .basics.hints import own_attr
from .basics.cleanup import surely

__all__ = ['batch_events', 'event_names', 'event', 'switches', 'cancellations', 'check_events', 'run_cbs', 'is_meant', 'sort_cbs', 'Callback', 'CancelBatchException', 'CancelBackwardException', 'CancelStepException', 'CancelTrainException', 'CancelValidException', 'CancelEpochException', 'CancelFitException', 'CallbackRunner', 'TrainEvalCallback', 'OldName', 'OldSetting', 'add_note', 'as_tuple', 'autocast_mode', 'class_name', 'own_attr', 'surely']

def run_cbs(cbs, event_name: str) -> None:
    """Call the method `event_name` of every callback that has one, in the callbacks' order

    Parameters
    ----------
    cbs
        Callbacks, in any order
    event_name
        Name of the event"""
def is_meant(spec, cb) -> bool:
    """Does `spec`, a class or a name, mean `cb`?"""
def sort_cbs(cbs):
    """Callbacks by `order`, each after those that must go before it; `ValueError` if they go round in a circle

    Parameters
    ----------
    cbs
        Callbacks

    Returns
    -------
    List of them, sorted"""
batch_events: list
event_names: tuple
class _event:
    after_create: str
    before_fit: str
    before_epoch: str
    before_train: str
    before_batch: str
    after_pred: str
    after_loss: str
    before_backward: str
    after_cancel_backward: str
    after_backward: str
    before_step: str
    after_cancel_step: str
    after_step: str
    leave_batch: str
    after_cancel_batch: str
    after_batch: str
    leave_train: str
    after_cancel_train: str
    after_train: str
    before_validate: str
    leave_validate: str
    after_cancel_validate: str
    after_validate: str
    after_cancel_epoch: str
    after_epoch: str
    after_cancel_fit: str
    after_fit: str
    cleanup_fit: str

event: _event
switches: tuple
class Callback:
    """Code to run at events of a training loop: a method `before_fit` runs before the fit; `event` has all names"""
    order: Any
    run_before: Any
    run_after: Any
    run: Any
    run_train: Any
    run_valid: Any
    @property
    def learn(self) -> Learner:
        """The learner that the callback is attached to, or `None`"""
    @property
    def name(self):
        """Its name in the learner: what was set before it was added, or the class name in snake case, without `Callback`"""
    def switched_off(self) -> None:
        """Called when `run`, or the switch of this phase, is set to false while the loop runs"""
    def __repr__(self) -> str: ...
    def __getstate__(self) -> dict: ...
    def __getattr__(self, name): ...
    def __setattr__(self, name, value) -> None: ...
    def run_state(self) -> dict:
        """What a checkpoint keeps of this callback: its `state_dict` and the attributes named in `keeps`"""
    def put_run_state(self, state) -> None:
        """Take it back

        Parameters
        ----------
        state
            What run_state returned"""
    def check_run_state(self, state) -> None:
        """An error if the state is of another callback; a warning if the class declares other attributes today

        Parameters
        ----------
        state
            What run_state returned"""

class CancelBatchException(Exception):
    """Skip the rest of this batch: `after_cancel_batch`, then `after_batch`"""

class CancelBackwardException(Exception):
    """Skip the backward pass: `after_cancel_backward`, then `after_backward`"""

class CancelStepException(Exception):
    """Skip the step and keep the gradients: `after_cancel_step`, then `after_step`"""

class CancelTrainException(Exception):
    """Skip the rest of the training phase: `after_cancel_train`, then `after_train`"""

class CancelValidException(Exception):
    """Skip the rest of the validation: `after_cancel_validate`, then `after_validate`"""

class CancelEpochException(Exception):
    """Skip the rest of this epoch: `after_cancel_epoch`, then `after_epoch`"""

class CancelFitException(Exception):
    """End the fit here: `after_cancel_fit`, then `after_fit`"""

cancellations: tuple
class CallbackRunner(Stages):
    """Runs callbacks at events, and stages between events"""
    training: Any
    wrap_handler: Any
    running: Any
    stage_outcomes: Any
    cbs: Any
    def __init__(self, cbs=None) -> None:
        """Parameters
        ----------
        cbs
            Callbacks: instances or classes, one or a list of them"""
    def forget_handlers(self) -> None:
        """Work out afresh what runs at each event"""
    def __call__(self, event_name: str) -> None:
        """Run what the callbacks have to do at an event

        Parameters
        ----------
        event_name
            Name of the event"""
    def stage(self, name: str, f):
        """Run `f` between `before_{name}` and `after_{name}`, or until it is cancelled

        Parameters
        ----------
        name
            fit, epoch, train, validate, batch, backward or step
        f
            Function without arguments, the body of the stage

        Returns
        -------
        Was it run to its end, not cancelled?"""
    def find_handlers(self, event_name: str):
        """Work out what runs at an event, in training or in validation, whichever it is now

        Parameters
        ----------
        event_name
            Name of the event

        Returns
        -------
        List of pairs: a callback and what is called, in the order in which they run"""
    def handlers_of(self, event_name):
        """What `find_handlers` returned, or returns now"""
    def is_there(self, who) -> bool:
        """Is this callback attached here?"""
    def add_cbs(self, cbs) -> Self:
        """Add callbacks; if one cannot be added, none is. One that belongs to another learner moves here

        Parameters
        ----------
        cbs
            Callbacks or classes, one or a list of them

        Returns
        -------
        The runner"""
    def add_cb(self, cb) -> Self:
        """Add a callback; one that belongs to another learner moves here

        Parameters
        ----------
        cb
            A callback, or a class of one

        Returns
        -------
        The runner"""
    def with_cleanup(self, f, undo=...) -> None:
        """Run `f`, then `cleanup_fit` of all callbacks in reverse order, whatever happens; raise the first error

        Parameters
        ----------
        f
            Function without arguments
        undo
            Functions without arguments to call at the end; one that is interrupted is called again, up to five times"""
    def remove_cb(self, cb):
        """Remove a callback; one that is removed while the loop runs does its `cleanup_fit` now

        Parameters
        ----------
        cb
            The callback, its class or its name

        Returns
        -------
        The callback that was removed, or `None` if there was none"""
    def remove_cbs(self, cbs) -> list:
        """Remove callbacks

        Parameters
        ----------
        cbs
            Callbacks, classes or names, one or a list of them

        Returns
        -------
        List of the callbacks that were removed"""
    def __getstate__(self) -> dict:
        """What copies and pickles need"""
    def __setstate__(self, state) -> None:
        """Be the runner that `state` came from, with callbacks of its own"""

check_events: Any
class TrainEvalCallback(Callback):
    """Put the model in training or evaluation mode; keep `training`, `train_iter` and `pct_train`"""
    order: Any
    run_valid: Any
    def before_fit(self) -> None: ...
    def before_train(self) -> None: ...
    def before_validate(self) -> None: ...
    def after_batch(self) -> None: ...
