"""What a Learner is given: defaults that give way, checks, and the parts of a model that are treated differently"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any

__all__ = ['norm_layers', 'Default', 'arguments', 'settings', 'own_lr', 'check_model', 'check_loss_func', 'check_opt_func', 'check_opt', 'check_parts', 'check_complete', 'check_epochs', 'check_asked', 'rehearses', 'trainable_params', 'mark_params']

class Default(float):
    """A number that stands where the user gave none"""
    ndim: Any
    item: Any

def arguments(f) -> dict:
    """The arguments that `f` takes

    Parameters
    ----------
    f
        A function or class, or a partial of one

    Returns
    -------
    Dictionary of inspect.Parameters by name; empty if Python cannot tell"""
def settings(f) -> dict:
    """The arguments of `f` that have a value: by default, or set by a partial

    Parameters
    ----------
    f
        A function or class, or a partial of one

    Returns
    -------
    Dictionary of values by name"""
def own_lr(opt_func, lr):
    """The learning rate that `opt_func` brings along, if `lr` is only a default; or else `lr`

    Parameters
    ----------
    opt_func
        Function that makes an optimizer
    lr
        A number, a slice, or a Default

    Returns
    -------
    lr, or the rate of opt_func"""
def check_model(model) -> None:
    """A `TypeError` if `model` is no `nn.Module`

    Parameters
    ----------
    model
        What was given as a model"""
def check_loss_func(f) -> None:
    """An error if `f` is no function of predictions and targets

    Parameters
    ----------
    f
        What was given as a loss function"""
def check_opt_func(f) -> None:
    """A `TypeError` if `f` does not make optimizers

    Parameters
    ----------
    f
        What was given as opt_func"""
def check_opt(opt, model) -> None:
    """An error if `opt` is no optimizer whose hyper-parameters can be set by name, or lacks parameters of the model

    Parameters
    ----------
    opt
        What opt_func returned
    model
        The nn.Module whose parameters it was given"""
def check_parts(model, loss_func, opt_func, metrics) -> None:
    """An error if a Learner cannot be made of these

    Parameters
    ----------
    model
        What was given as a model
    loss_func
        What was given as a loss function
    opt_func
        What was given as opt_func
    metrics
        List of what was given as metrics"""
def check_complete(model, opt) -> None:
    """A `ValueError` if a parameter that requires a gradient is in no group of the optimizer

    Parameters
    ----------
    model
        nn.Module
    opt
        Its optimizer"""
def check_epochs(learn, n_epoch, start_epoch=0) -> None:
    """An error if `learn` is at work, if these are no whole numbers, or if there is nothing to train

    Parameters
    ----------
    learn
        The Learner
    n_epoch
        Number of epochs
    start_epoch
        Number of the first one"""
def check_asked(asked: dict, options: dict, cbs: list) -> None:
    """An error if no callback takes an argument, or if the callback that does is not there

    Parameters
    ----------
    asked
        Arguments of fit, by name
    options
        Classes of callbacks, by the names of the arguments that they take
    cbs
        The callbacks that are there"""
def rehearses(cb):
    """Is this fit only a trial, as that of `lr_find`? A callback with `rehearsal = True` says so

    Parameters
    ----------
    cb
        A callback, attached to a learner

    Returns
    -------
    Bool"""
def trainable_params(model) -> list:
    """The parameters of `model` that require a gradient, each once: one group

    Parameters
    ----------
    model
        nn.Module

    Returns
    -------
    List of parameters"""
norm_layers: tuple
def mark_params(opt, model, wd_bn_bias: bool = False, train_bn: bool = True) -> None:
    """Mark in the optimizer's state what is not decayed (`do_wd`) and what is always trained (`force_train`)

    Parameters
    ----------
    opt
        The optimizer
    model
        nn.Module
    wd_bn_bias
        Decay norm layers and biases too?
    train_bn
        Train norm layers in frozen groups too?"""
