"""A transformer that writes text byte by byte: the blocks written plainly, the Learner unchanged"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from ..callbacks import Callback
from ..learner import Learner
from torch import nn

__all__ = ['n_bytes', 'python_help', 'encode', 'decode', 'Bigram', 'text_dls', 'token_loss', 'bits_per_byte', 'Block', 'GPT', 'generate', 'gpt_learner', 'SameSettings', 'options', 'parser', 'show_result', 'main']

def python_help():
    """The language reference that `help` shows, each paragraph once"""
n_bytes: int
def encode(text: str):
    """The bytes of a text, in UTF-8

    Parameters
    ----------
    text
        Any text

    Returns
    -------
    Integers (n,), from 0 to 255"""
def decode(tokens):
    """The text that has these bytes

    Parameters
    ----------
    tokens
        Integers (n,), from 0 to 255

    Returns
    -------
    Text; what is no UTF-8 becomes a question mark in a diamond"""
class Bigram(nn.Module):
    """The next byte by the last one alone, from counted pairs"""
    block_size: Any
    table: Any
    def __init__(self, x, y, prior: float = 0.01) -> None:
        """Parameters
        ----------
        x
            Bytes, integers of any shape
        y
            For each the one that followed; where it is negative, the pair is left out
        prior
            Added to each count, > 0"""
    def forward(self, tokens): ...

def text_dls(text: str, bs: int = 16, block_size: int = 64, valid_pct: float = 0.1):
    """Loaders of windows of a text: each byte is the target of those before it in its window

    Parameters
    ----------
    text
        To learn from; its end is held out
    bs
        Windows in a batch, ≥ 1
    block_size
        Bytes in a window, ≥ 1, and fewer than are held out
    valid_pct
        How much of the text is held out for validation, in (0,1)

    Returns
    -------
    DataLoaders of inputs and targets (bs, block_size)"""
def token_loss(pred, targ):
    """The mean cross-entropy over all tokens

    Parameters
    ----------
    pred
        Logits (n, time, classes)
    targ
        Integers (n, time); those of -100 do not count

    Returns
    -------
    0-d tensor, in nats"""
def bits_per_byte(pred, targ):
    """The mean cross-entropy over all tokens, in bits

    Parameters
    ----------
    pred
        Logits (n, time, classes)
    targ
        Integers (n, time); those of -100 do not count

    Returns
    -------
    0-d tensor"""
class Block(nn.Module):
    """A pre-norm transformer block: attention to a place and those before it, then a small network for each place"""
    mlp: Any
    n_head: Any
    drop: Any
    norm1: Any
    norm2: Any
    qkv: Any
    out: Any
    def __init__(self, dim: int, n_head: int, dropout: float = 0.0) -> None:
        """Parameters
        ----------
        dim
            Size of the vectors, a multiple of n_head
        n_head
            Attention heads, ≥ 1
        dropout
            Of attention weights and of what is added, in [0,1)"""
    def attend(self, x): ...
    def forward(self, x): ...

class GPT(nn.Module):
    """A transformer decoder: from each token, and those before it, the logits of the next one"""
    blocks: Any
    block_size: Any
    drop: Any
    norm: Any
    tokens: Any
    places: Any
    def __init__(self, block_size: int = 64, n_layer: int = 3, n_head: int = 4, dim: int = 64, dropout: float = 0.0, n_vocab: int = ...) -> None:
        """Parameters
        ----------
        block_size
            How many tokens it can look at, ≥ 1
        n_layer
            Blocks, ≥ 1
        n_head
            Attention heads in each, ≥ 1
        dim
            Size of the vectors, a multiple of n_head
        dropout
            In [0,1)
        n_vocab
            Kinds of tokens, ≥ 1"""
    def forward(self, tokens):
        """The logits of what follows each token

        Parameters
        ----------
        tokens
            Integers (n, time), time at most block_size

        Returns
        -------
        Logits (n, time, n_vocab)"""
    def groups(self) -> list:
        """The matrices of the blocks, which are decayed, and all else: `Learner(…, splitter=GPT.groups, wd=[.1,0.])`"""

def generate(model, prompt: str = '\n', n: int = 300, temperature: float = 1.0, generator=None):
    """Continue a text, byte by byte; leaves the model as it was

    Parameters
    ----------
    model
        From tokens (1, time) to logits (1, time, 256), with block_size
    prompt
        How the text begins, at least one character
    n
        Bytes to add, ≥ 0
    temperature
        > 0
    generator
        torch.Generator on the CPU; default: the global one

    Returns
    -------
    Text that begins with prompt"""
def gpt_learner(text: str | None = None, bs: int = 16, block_size: int = 64, lr: float = 0.01, wd: float = 0.1, n_acc: int | None = None, seed: int = 42, cbs=..., device=None, **kwargs) -> Learner:
    """A Learner that trains a `GPT` on a text

    Parameters
    ----------
    text
        To learn from; default: python_help
    bs
        Windows in a batch, ≥ 1
    block_size
        Bytes in a window, ≥ 1
    lr
        Learning rate, the highest of the cycle, > 0
    wd
        Weight decay of the matrices, ≥ 0
    n_acc
        Windows to gather for a step, ≥ 1; default: those of a batch
    seed
        Of weights, order and dropout
    cbs
        More callbacks
    device
        Where to train; default: the best there is
    kwargs
        Passed to GPT: n_layer, n_head, dim, dropout

    Returns
    -------
    Learner"""
class SameSettings(Callback):
    """Keeps the settings of a run in its checkpoints, and refuses to go on with others"""
    keeps: Any
    settings: Any
    def __init__(self, **settings) -> None:
        """Parameters
        ----------
        settings
            Numbers and texts by name"""
    def check_run_state(self, state) -> None:
        """A `ValueError` that names what is other"""

def options(epochs: int = 4, text: str | None = None, bs: int = 16, block_size: int = 64, n_layer: int = 3, n_head: int = 4, dim: int = 64, dropout: float = 0.0, lr: float = 0.01, wd: float = 0.1, n_acc: int | None = None, seed: int = 42, folder: str = 'gpt', every_batches: int = 200, resume: bool = False, prompt: str = 'The ', length: int = 500):
    """The options of the program, by name

    Parameters
    ----------
    epochs
        How often the training goes through the text
    text
        File with a text in UTF-8 to learn from; default: what Python says in help()
    bs
        Windows in a batch
    block_size
        Bytes in a window: how far the model looks back
    n_layer
        Blocks
    n_head
        Attention heads in each block
    dim
        Size of the vectors, a multiple of n_head
    dropout
        Fraction of activations that is dropped in training, from 0 to below 1
    lr
        Highest learning rate of the cycle
    wd
        Weight decay of the matrices
    n_acc
        Windows to gather for a step; default: those of a batch
    seed
        Of weights, order and dropout, and of the sample
    folder
        Where checkpoints are kept
    every_batches
        Batches between two checkpoints
    resume
        Go on with the run in the folder, if there is one
    prompt
        How the sample begins
    length
        Bytes of the sample

    Returns
    -------
    Dictionary of them"""
def parser():
    """The command line, from the signature of `options`"""
def show_result(learn, prompt: str = 'The ', length: int = 500, seed: int = 42) -> None:
    """Print the bits per byte of a bigram and of the model on the text held out, and a sample

    Parameters
    ----------
    learn
        A Learner from gpt_learner, after fit
    prompt
        How the sample begins
    length
        Bytes of the sample
    seed
        Of the sample"""
def main(argv: list | None = None):
    """The program `python -m optimloop.projects.gpt`

    Parameters
    ----------
    argv
        Arguments; default: those of the command

    Returns
    -------
    Exit code: 0, 2 or 130"""
