"""The training loop itself never changes; all tweaks live in callbacks"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from contextlib import AbstractContextManager
from .training.activations import ActivationStats
from typing import Any
from .training.checks import BatchToDevice
from .training.callbacks import BnFreeze
from .training.tracking import CSVLogger
from .callbacks import Callback
from .callbacks import CallbackRunner
from .training.checks import CheckFirstBatch
from .runs.checkpoints import Checkpoint
from .runs.distributed import Distributed
from .training.callbacks import EMA
from .training.tracking import EarlyStopping
from .training.schedules import FreezeUntil
from .projects.gan import GANCallback
from .training.prediction import GatherPreds
from .training.callbacks import GradientAccumulation
from .training.callbacks import GradientClip
from .training.half import HalfWeights
from .schedulers import LRFinder
from .mixed_precision import MixedPrecision
from .training.callbacks import ModelResetter
from .training.inspection import ModelSummary
from .training.half import ModelToHalf
from .training.half import NonNativeMixedPrecision
from .optimizer import Optimizer
from pathlib import Path
from .mixed_precision import PrecisionCallback
from .training.display import ProgressCallback
from .training.half import PureBF16
from .training.callbacks import RNNRegularizer
from .training.tracking import ReduceLROnPlateau
from .projects.gpt import SameSettings
from .training.callbacks import SampleByLoss
from .training.schedules import Samples
from typing_extensions import Self
from .training.tracking import ShortEpoch
from .training.display import ShowGraph
from .training.tracking import SkipValidation
from .training.schedules import Steps
from .training.tracking import StopValidation
from .training.callbacks import TerminateOnNaN
from .training.schedules import TorchScheduler
from .training.tracking import TrackValue
from .callbacks import TrainEvalCallback
from .basics.arguments import norm_layers
from .basics.arguments import rehearses
from .basics.arguments import trainable_params

__all__ = ['default_callbacks', 'fit_options', 'LearnerLoop', 'by_default', 'Learner', 'synth_learner', 'Recorder', 'norm_layers', 'rehearses', 'trainable_params']

class LearnerLoop(CallbackRunner):
    """The training loop: stages within stages, and an event between any two lines"""
    epoch: Any
    iter: Any
    pred: Any
    loss: Any
    stepped: Any
    training: Any
    dl: Any
    n_iter: Any
    first_iter: Any
    xb: Any
    yb: Any
    whole: Any
    def validation_phase(self, dl) -> None:
        """Run the validation phase on `dl`

        Parameters
        ----------
        dl
            Iterable of batches"""
    @property
    def x(self) -> Any:
        """The input of the batch; a tuple if there are several"""
    @x.setter
    def x(self, value) -> None: ...
    @property
    def y(self) -> Any:
        """The target of the batch; a tuple if there are several"""
    @y.setter
    def y(self, value) -> None: ...
    @property
    def loss_grad(self) -> Any:
        """It is `loss`"""
    @loss_grad.setter
    def loss_grad(self, value) -> None: ...

default_callbacks: list
def by_default(cls):
    """Give a callback of this class to every Learner; it takes the place of one that has the same name

    Parameters
    ----------
    cls
        Class of a callback

    Returns
    -------
    The class: this is a decorator"""
class Learner(LearnerLoop):
    """Trains a model on data, with callbacks"""
    model: Any
    opt_func: Any
    splitter: Any
    model_dir: Any
    wd: Any
    wd_bn_bias: Any
    train_bn: Any
    moms: Any
    opt: Optimizer
    n_epoch: Any
    start_epoch: Any
    epoch: Any
    train_iter: Any
    pct_train: Any
    dls: Any
    loss_func: Any
    path: Any
    metrics: Any
    lr: Any
    logger: Any
    asked: Any
    asked_device: Any
    training: Any
    wrap_handler: Any
    cb_times: Any
    loss: Any
    pred: Any
    xb: Any
    yb: Any
    dl: Any
    fits_done: Any
    earlier_fits: Any
    stepped: Any
    whole: Any
    n_iter: Any
    train_eval: TrainEvalCallback
    recorder: Recorder
    precision: PrecisionCallback
    mixed_precision: MixedPrecision
    gan: GANCallback
    same_settings: SameSettings
    checkpoint: Checkpoint
    distributed: Distributed
    lr_finder: LRFinder
    activation_stats: ActivationStats
    terminate_on_nan: TerminateOnNaN
    gradient_clip: GradientClip
    gradient_accumulation: GradientAccumulation
    ema: EMA
    bn_freeze: BnFreeze
    model_resetter: ModelResetter
    rnn_regularizer: RNNRegularizer
    sample_by_loss: SampleByLoss
    batch_to_device: BatchToDevice
    check_first_batch: CheckFirstBatch
    progress: ProgressCallback
    show_graph: ShowGraph
    half_weights: HalfWeights
    non_native_mixed_precision: NonNativeMixedPrecision
    model_to_half: ModelToHalf
    pure_bf16: PureBF16
    gather_preds: GatherPreds
    freeze_until: FreezeUntil
    torch_scheduler: TorchScheduler
    track_value: TrackValue
    early_stopping: EarlyStopping
    reduce_lr_on_plateau: ReduceLROnPlateau
    short_epoch: ShortEpoch
    skip_validation: SkipValidation
    stop_validation: StopValidation
    csv_logger: CSVLogger
    def __init__(self, dls, model, loss_func=None, opt_func=..., lr: float | slice = ..., splitter=..., cbs=None, metrics=None, path: str | Path | None = None, model_dir: str = 'models', wd: float | None = None, wd_bn_bias: bool = False, train_bn: bool = True, moms: tuple = (0.95, 0.85, 0.95), default_cbs: bool = True, device=None) -> None:
        """Parameters
        ----------
        dls
            DataLoaders, anything with train and valid, or a pair of loaders
        model
            nn.Module
        loss_func
            Function of predictions and targets that returns a 0-d tensor; default: that of dls
        opt_func
            Called with the parameters and lr; returns an Optimizer
        lr
            Learning rate or a slice over groups; the default gives way to one in opt_func
        splitter
            Function of the model that returns its parameters, in one or several groups
        cbs
            Callbacks, for the life of this Learner
        metrics
            Functions of predictions and targets, or objects with reset, update, compute
        path
            Folder for files; default: the current one
        model_dir
            Folder in path for saved models
        wd
            Weight decay; default: that of the optimizer
        wd_bn_bias
            Decay norm layers and biases too?
        train_bn
            Train norm layers in frozen groups too?
        moms
            Momenta for fit_one_cycle
        default_cbs
            Add the callbacks in default_callbacks?
        device
            Where the model is moved to; default: from the CPU to the best device there is"""
    def create_opt(self) -> None:
        """Make a new optimizer for the model's parameters, and mark those that are not decayed or always trained"""
    def fit(self, n_epoch: int, lr: float | slice | None = None, wd: float | None = None, cbs=None, reset_opt: bool = False, start_epoch: int = 0, **asked) -> None:
        """Train for epochs `start_epoch` to `n_epoch`

        Parameters
        ----------
        n_epoch
            Number of epochs, ≥ 1
        lr
            Learning rate; default: the Learner's
        wd
            Weight decay; default: the Learner's, or else the optimizer's
        cbs
            Callbacks for this fit only
        reset_opt
            Begin with a new optimizer?
        start_epoch
            Number of the first epoch: earlier ones are taken to be done
        asked
            What callbacks are asked for in this fit: see fit_options"""
    def for_a_while(self, cbs) -> tuple:
        """Callbacks that are there for a while: what to add, and what to undo with `surely`"""
    def added_cbs(self, cbs) -> AbstractContextManager[Self]:
        """In this context, with callbacks added

        Parameters
        ----------
        cbs
            Callbacks or classes, one or a list of them"""
    def removed_cbs(self, cbs) -> AbstractContextManager[Self]:
        """In this context, without these callbacks; one that is not there is no mistake

        Parameters
        ----------
        cbs
            Callbacks, classes or names, one or a list of them"""
    def to_fp16(self, **kwargs) -> Self:
        """Train in fp16, with loss scaling

        Parameters
        ----------
        kwargs
            Settings of the loss scale, as for MixedPrecision

        Returns
        -------
        The Learner"""
    def to_bf16(self) -> Self:
        """Train in bf16"""
    def to_fp32(self) -> Self:
        """Train in fp32 again"""
    def resume(self, path: str | Path) -> Self:
        """Take the state of a run from a checkpoint, to look at it or use it; to go on with the run: `fit(…, resume=path)`

        Parameters
        ----------
        path
            A file that Checkpoint wrote

        Returns
        -------
        The Learner"""
    def distribute(self, find_unused: bool = False, shard=None) -> Self:
        """Let the processes that torchrun has started train as one; alone, nothing changes

        Parameters
        ----------
        find_unused
            May parameters get a gradient in some batches only?
        shard
            Keep the model in parts? True, classes of its blocks, or a function that shards it: see shard_model

        Returns
        -------
        The Learner"""
    def export(self, fname: str | Path | None = None, whole: bool = False):
        """Write the model, as it was validated, the optimizer's state and the Recorder's values to a file, all or nothing

        Parameters
        ----------
        fname
            Name of the file, in the Learner's path; default: export.safetensors, or pickled export.pkl
        whole
            Pickle all of the Learner but its data? Reading that needs trust

        Returns
        -------
        Path of the file"""
    def save(self, name: str, with_opt: bool = True):
        """Save the model, the optimizer and the callbacks' state to `path/model_dir/name.safetensors`

        Parameters
        ----------
        name
            Name of the file, without folder and ending
        with_opt
            Save the optimizer's state too, if there is an optimizer?

        Returns
        -------
        Path of the file"""
    def load(self, name: str, with_opt: bool = True, strict: bool = True) -> Self:
        """Load what `save` wrote; a mismatch is an error that names the parameters, and changes nothing

        Parameters
        ----------
        name
            Name of the file, without folder and ending
        with_opt
            Load the optimizer's state too, if it was saved?
        strict
            Refuse a file that does not fit? If not, load what fits, and warn of the rest

        Returns
        -------
        The Learner"""
    def fit_one_cycle(self, n_epoch: int, lr_max: float | slice | None = None, div: float = 25.0, div_final: float = 100000.0, pct_start: float = 0.25, moms: tuple | None = None, *, wd: float | None = None, cbs=None, reset_opt: bool = False, start_epoch: int = 0, **kwargs) -> None:
        """Train with one cycle of the learning rate, and of momentum where there is one

        Parameters
        ----------
        n_epoch
            Number of epochs, ≥ 1
        lr_max
            Highest learning rate; a slice spreads over the groups; default: the Learner's lr
        div
            The learning rate begins at lr_max/div
        div_final
            and ends at lr_max/div_final
        pct_start
            Fraction of the training in which the rate climbs, in [0,1]
        moms
            Momentum at the beginning, at the highest rate and at the end; default: the Learner's moms
        kwargs
            As for fit"""
    def lr_find(self, start_lr: float = 1e-07, end_lr: float = 10.0, num_it: int = 100, stop_div: bool = True, show_plot: bool = True, suggest_funcs=..., param: str = 'lr'):
        """Find a learning rate by a mock training, which leaves no trace

        Parameters
        ----------
        start_lr
            Learning rate of the first step, > 0
        end_lr
            Learning rate of the last step
        num_it
            Number of steps, ≥ 2; a short loader is run through again and again
        stop_div
            Stop when the loss exceeds 4 times its best?
        show_plot
            Plot the curve and the suggestions?
        suggest_funcs
            Functions of rates and losses that return a rate or None, one or several
        param
            Name of the hyper-parameter to vary in place of the learning rate

        Returns
        -------
        Named tuple with one suggestion for each function, under its name; with several groups, for the last"""
    def __repr__(self) -> str:
        """The model, its data, loss, optimizer and callbacks"""
    def no_bar(self) -> AbstractContextManager[Self]:
        """In this context, without progress bars"""
    def no_logging(self) -> AbstractContextManager[Self]:
        """In this context, without bars and without a table"""
    def show_training_loop(self) -> None:
        """Print the loop, and the callbacks that run at each event in their order"""
    def summary(self, batch: tuple | None = None) -> ModelSummary:
        """The layers of the model with their output shapes, parameters and memory; leaves the Learner as it was

        Parameters
        ----------
        batch
            (x, y) to send through the model; default: a batch of the training loader

        Returns
        -------
        ModelSummary"""
    def timed_cbs(self) -> AbstractContextManager[Self]:
        """In this context the time of each callback at each event is measured, into `cb_times`, for `show_training_loop`"""
    def validate(self, dl=None, cbs=None):
        """The loss and the metrics on a loader

        Parameters
        ----------
        dl
            Iterable of batches; default: the validation loader
        cbs
            Callbacks for this validation only

        Returns
        -------
        List of floats: the loss, then the metrics"""
    def loss_not_reduced(self) -> AbstractContextManager[Self]:
        """In this context the loss function, which must have a setting `reduction`, returns one loss for each sample"""
    def get_preds(self, dl=None, with_input: bool = False, with_loss: bool = False, act=None, with_decoded: bool = False, n_inp: int | None = None) -> tuple:
        """The predictions for a loader

        Parameters
        ----------
        dl
            Iterable of batches; default: the validation loader
        with_input
            Return the inputs too, first?
        with_loss
            Return the loss of each sample too, last?
        act
            Function to apply to the predictions, for instance partial(torch.softmax, dim=1)
        with_decoded
            Return what the predictions stand for too, last?
        n_inp
            How many parts of a batch are inputs; default: all but the last, or all where the model needs all

        Returns
        -------
        Tuple of tensors on the CPU: [inputs,] predictions, targets [, losses] [, decoded], in the order of the loader"""
    def decode(self, preds):
        """What `loss_func.decodes` makes of predictions; for a cross-entropy the class whose logit is largest

        Parameters
        ----------
        preds
            Predictions of the model, (n, …); for a cross-entropy (n, classes, …)

        Returns
        -------
        What they stand for; for a cross-entropy integers (n, …)"""
    def predict(self, x, **kwargs):
        """The prediction for one input

        Parameters
        ----------
        x
            Tensor or array: one input, without the dimension of the batch; a tuple of them for a model of several inputs
        kwargs
            act, with_input and with_decoded as for get_preds

        Returns
        -------
        The prediction, without the dimension of the batch; a tuple if more was asked for"""
    def one_batch(self, batch=None):
        """Train on a single batch, with all events of a fit and without a table

        Parameters
        ----------
        batch
            Tuple of tensors, inputs first; default: the first of the training loader

        Returns
        -------
        Float: its loss, before the step"""
    def freeze_to(self, n: int) -> None:
        """Train only the parameter groups from `n` on, and norm layers if `train_bn`

        Parameters
        ----------
        n
            Number of the first group to train; negative numbers count from the end"""
    def freeze(self) -> None:
        """Train only the last parameter group"""
    def unfreeze(self) -> None:
        """Train all parameter groups"""
    def validation_context(self, cbs=None) -> AbstractContextManager[Self]:
        """In this context the model is in evaluation mode, no gradients are kept, and nothing is recorded or shown

        Parameters
        ----------
        cbs
            Callbacks for this context only"""
    def fit_flat_cos(self, n_epoch: int, lr: float | slice | None = None, div_final: float = 100000.0, pct_start: float = 0.72, curve: str = 'cosine', warmup: float | Steps | Samples = 0.0, *, wd: float | None = None, cbs=None, reset_opt: bool = False, start_epoch: int = 0, **kwargs) -> None:
        """Train at a flat learning rate that comes down at the end

        Parameters
        ----------
        n_epoch
            Number of epochs, ≥ 1
        lr
            Learning rate of the flat part; a slice spreads over the groups; default: the Learner's lr
        div_final
            The learning rate ends at lr/div_final
        pct_start
            Fraction of the training at which it begins to come down, in [0,1]
        curve
            Along which curve: 'cosine', 'linear', 'exponential' or 'sqrt'
        warmup
            How long to climb from 0 before: a fraction, Steps(n) or Samples(n)
        kwargs
            As for fit"""
    def fit_wsd(self, n_epoch: int, lr: float | slice | None = None, warmup: float | Steps | Samples = 0.05, decay: float | Steps | Samples = 0.2, curve: str = 'sqrt', div_final: float = 100000.0, *, wd: float | None = None, cbs=None, reset_opt: bool = False, start_epoch: int = 0, **kwargs) -> None:
        """Train with warm-up, a stable learning rate, and decay

        Parameters
        ----------
        n_epoch
            Number of epochs, ≥ 1
        lr
            Learning rate of the stable part; a slice spreads over the groups; default: the Learner's
        warmup
            How long to climb from 0: a fraction of the training, Steps(n) or Samples(n)
        decay
            How long to come down, at the end
        curve
            Along which curve: 'cosine', 'linear', 'exponential' or 'sqrt'
        div_final
            The learning rate ends at lr/div_final
        kwargs
            As for fit"""
    def fit_linear(self, n_epoch: int, lr: float | slice | None = None, warmup: float | Steps | Samples = 0.1, *, wd: float | None = None, cbs=None, reset_opt: bool = False, start_epoch: int = 0, **kwargs) -> None:
        """Train with warm-up and a learning rate that falls to 0 in a straight line

        Parameters
        ----------
        n_epoch
            Number of epochs, ≥ 1
        lr
            Highest learning rate; a slice spreads over the groups; default: the Learner's lr
        warmup
            How long to climb from 0: a fraction of the training, Steps(n) or Samples(n)
        kwargs
            As for fit"""
    def fit_sgdr(self, n_cycles: int, cycle_len: int, lr_max: float | slice | None = None, cycle_mult: int = 2, *, wd: float | None = None, cbs=None, reset_opt: bool = False, start_epoch: int = 0, **kwargs) -> None:
        """Train with cosines from `lr_max` to 0, one after another, in `cycle_len*(1 + cycle_mult + …)` epochs

        Parameters
        ----------
        n_cycles
            Number of cycles, ≥ 1
        cycle_len
            Epochs in the first cycle, ≥ 1
        lr_max
            Rate at the start of each cycle; a slice spreads over groups; default: the Learner's lr
        cycle_mult
            Each cycle is so many times as long as the one before, ≥ 1
        kwargs
            As for fit"""
    def fine_tune(self, n_epoch: int, lr: float | None = None, freeze_epochs: int = 1, lr_mult: float = 100.0, pct_start: float = 0.3, div: float = 5.0, cbs=None, *, wd: float | None = None, reset_opt: bool = False, start_epoch: int = 0, **kwargs) -> None:
        """Train the last group for `freeze_epochs`, then all: a cycle each

        Parameters
        ----------
        n_epoch
            Number of epochs with all groups, ≥ 1
        lr
            Highest learning rate of the head while the rest is frozen, later half of it; default: learn.lr
        freeze_epochs
            Number of epochs before, with all groups but the last frozen, ≥ 0
        lr_mult
            The first group has a rate this many times lower than the last, those between in equal factors
        pct_start
            Fraction of the second part in which the rate climbs, in [0,1]
        div
            There it begins at its highest divided by div
        cbs
            Callbacks for this fit only
        kwargs
            As for fit; start_epoch counts the frozen epochs too"""
    @property
    def smooth_loss(self) -> Any: ...

fit_options: dict
def synth_learner(bs: int = 16, lr: float = 0.1, **kwargs) -> Learner:
    """A Learner that fits a line to `synth_data`

    Parameters
    ----------
    bs
        Batch size
    lr
        Learning rate
    kwargs
        Passed to Learner

    Returns
    -------
    Learner"""
class Recorder(Callback):
    """Keep the losses and metrics of a fit, and report them after each epoch"""
    order: Any
    beta: Any
    names: Any
    values: Any
    epoch_ends: Any
    hps: Any
    loss_log: Any
    started: Any
    valid_mean: Any
    valid_values: Any
    seconds: Any
    def __init__(self, beta: float = 0.98) -> None:
        """Parameters
        ----------
        beta
            How much of the smoothed loss is kept from batch to batch, in [0,1)"""
    def reset(self) -> None:
        """Forget all that was recorded"""
    def before_epoch(self) -> None:
        """Start the clock, and forget what was measured before"""
    @property
    def table(self):
        """The results so far: a list with a number for each epoch, under the name of each column"""
    def after_loss(self) -> None:
        """Note the loss of a training batch; take that of a validation batch, and the metrics, into the means"""
    def after_step(self) -> None:
        """The batches so far count, if the step was taken"""
    def after_cancel_batch(self) -> None:
        """The batch does not count, unless its step was taken"""
    def cleanup_fit(self) -> None:
        """What waits for a step gets none any more"""
    def before_fit(self) -> None:
        """Forget the last fit, and print the head of the table"""
    def before_validate(self) -> None:
        """Begin to measure"""
    def after_validate(self) -> None:
        """Read off what was measured"""
    def after_epoch(self) -> None:
        """Keep the epoch's results, and print them as a row of the table"""
    def after_fit(self) -> None:
        """Warn if every batch was cancelled"""
    def run_state(self) -> dict:
        """The history, and the seconds of the epoch so far"""
    def put_run_state(self, state) -> None:
        """Take the history back"""
    def plot_sched(self, names=None):
        """Plot the scheduled hyper-parameters of the last fit, batch by batch

        Parameters
        ----------
        names
            Names of hyper-parameters, one or a list; default: all that were scheduled

        Returns
        -------
        List of Axes"""
    def plot_lr_find(self):
        """Plot the last `lr_find` again"""
    def plot_loss(self, span: float = 0.05, log: bool = False, ax=None):
        """Plot the training loss of each batch, as it is and smoothed, and the validation loss of each epoch

        Parameters
        ----------
        span
            Fraction of the run over which the training loss is smoothed, in (0,1]
        log
            A logarithmic axis for the loss?
        ax
            Axes to draw on; default: new ones

        Returns
        -------
        The Axes"""
    def __dir__(self) -> list[str]:
        """What the tab key offers: no names of other libraries"""
    @property
    def losses(self) -> Any:
        """The training loss of every batch, as floats"""
    @property
    def skipped(self) -> Any:
        """The numbers of the batches whose step did not happen"""
    @property
    def smooth_loss(self) -> Any:
        """The moving average of the losses that count"""
    def after_train(self):
        """The batches so far count, if the step was taken"""
