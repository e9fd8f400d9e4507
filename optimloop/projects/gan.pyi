"""A GAN and a Wasserstein GAN on handwritten digits: one callback, and the loop untouched"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from torch import nn

__all__ = ['gan_loss', 'GAN', 'GANCallback', 'wgan_loss']

def gan_loss(fake, real=None):
    """The losses of the first GAN: the discriminator's cross-entropy, or the generator's, which does not saturate

    Parameters
    ----------
    fake
        Scores of what the generator made, of any shape
    real
        Scores of real samples; None: it is the generator's turn

    Returns
    -------
    0-d tensor"""
class GAN(nn.Module):
    """A generator and a discriminator as one model, which plays either's turn"""
    generator: Any
    discriminator: Any
    n_noise: Any
    def __init__(self, generator, discriminator, n_noise: int) -> None:
        """Parameters
        ----------
        generator
            nn.Module: from noise (n, n_noise) to samples
        discriminator
            nn.Module: from samples to scores (n, 1) or (n,), high for real ones
        n_noise
            How many numbers of noise make a sample, ≥ 1"""
    def forward(self, z, real=None) -> tuple:
        """Scores in the turn of one of the two: the other is a constant

        Parameters
        ----------
        z
            Noise (n, n_noise)
        real
            Real samples; None: it is the generator's turn

        Returns
        -------
        Scores of fakes; scores of the real ones, or None; the fakes, or None"""
    def groups(self) -> list:
        """The two groups for an optimizer: `Learner(…, splitter=GAN.groups)`"""
    def noise(self, n: int, seed: int | None = None):
        """Noise to make samples of

        Parameters
        ----------
        n
            How many samples are to be made of it
        seed
            Seed of the noise; None: the next numbers of the global generator

        Returns
        -------
        Tensor (n, n_noise), normally distributed, where the generator is"""
    def sample(self, n: int, seed: int = 0):
        """Samples, made in evaluation mode; leaves the model as it was

        Parameters
        ----------
        n
            How many
        seed
            Seed of the noise; None: the next numbers of the global generator

        Returns
        -------
        Tensor on the CPU"""

class GANCallback(Callback):
    """Let the two halves of a `GAN` step by turns: the discriminator `n_disc` times, then the generator once"""
    order: Any
    n_disc: Any
    penalty: Any
    n_steps: Any
    turn: Any
    def __init__(self, n_disc: int = 1, penalty: float = 0.0) -> None:
        """Parameters
        ----------
        n_disc
            Steps of the discriminator for each of the generator, ≥ 1
        penalty
            Weight of the gradient penalty in the discriminator's loss, ≥ 0; 10 for a Wasserstein GAN"""
    def before_batch(self) -> None: ...
    def after_pred(self) -> None: ...
    def after_step(self) -> None: ...
    def leave_batch(self) -> None: ...
    def without_gradient(self):
        """The half that holds still in this batch, for `CheckFirstBatch`: it is no mistake"""
    def before_fit(self) -> None:
        """Begin with the discriminator; an error if the model is no `GAN`, or if a learning rate is looked for"""
    def cleanup_fit(self) -> None:
        """Let go of the last batch"""
    def after_loss(self) -> None:
        """Add the penalty, if there is one, and note the loss of a training batch"""
    @property
    def losses(self) -> dict:
        """The losses of the last fit, batch by batch, under the names `discriminator` and `generator`: lists of floats"""
    def run_state(self) -> dict:
        """What a checkpoint keeps: the number of steps, on which the turn depends, and the losses"""
    def put_run_state(self, state) -> None:
        """Take back what `run_state` returned"""

def wgan_loss(fake, real=None):
    """The losses of the Wasserstein GAN: needs a critic that is nowhere steeper than 1, see `penalty` of `GANCallback`

    Parameters
    ----------
    fake
        Scores of what the generator made, of any shape
    real
        Scores of real samples; None: it is the generator's turn

    Returns
    -------
    0-d tensor; in the critic's turn minus the difference of the means"""
