"""Images from a folder, a class a folder, with random crops that a resumed run repeats; and ResNet-18 and ResNet-34, written out"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from torch.utils.data import Dataset
from typing import NamedTuple
from torch import nn

__all__ = ['shapes', 'suffixes', 'imagenet_mean', 'imagenet_std', 'archs', 'draw_shape', 'shape_folder', 'ImageError', 'ImageFile', 'ImageLists', 'list_images', 'as_rgb', 'read_image', 'center_box', 'random_box', 'view_of', 'to_input', 'SeededSampler', 'ImageDataset', 'default_workers', 'image_dls', 'BasicBlock', 'ResNet']

shapes: dict
def draw_shape(name: str, rng, size: tuple = (64, 48)):
    """A disc, box or triangle at a random place before a noisy background

    Parameters
    ----------
    name
        A name in shapes
    rng
        numpy Generator
    size
        Width and height, in pixels

    Returns
    -------
    PIL image"""
def shape_folder(folder, n_train: int = 60, n_valid: int = 20, seed: int = 0):
    """JPEGs of three shapes, in a folder for each

    Parameters
    ----------
    folder
        Where train and val are made
    n_train
        Training images of each class
    n_valid
        Validation images of each class
    seed
        Seed of the drawings

    Returns
    -------
    The folder, a `Path`"""
class ImageError(ValueError):
    """Something about images in a folder that their owner can put right"""
    def __init__(self, message) -> None: ...

class ImageFile(NamedTuple):
    """A file as it was when it was listed"""
    path: Any
    label: Any
    size: Any
    mtime: Any

class ImageLists(NamedTuple):
    """All that is in a folder of images"""
    classes: Any
    train: Any
    valid: Any

suffixes: list
def list_images(folder) -> ImageLists:
    """The images of a folder; `ImageError` if they are not laid out as they must be

    Parameters
    ----------
    folder
        Path of a folder with train and val

    Returns
    -------
    ImageLists"""
def as_rgb(im):
    """Any image as one with three channels of 8 bits: turned as its EXIF data say, transparency on white

    Parameters
    ----------
    im
        PIL image

    Returns
    -------
    PIL image of mode RGB, of its own"""
def read_image(file, header: bool = False):
    """Read an image that was listed; `ImageError`, with its path, if that is not possible

    Parameters
    ----------
    file
        ImageFile
    header
        Only look whether it is an image, and how large?

    Returns
    -------
    PIL image of mode RGB, or its width and height"""
def center_box(w: float, h: float) -> tuple:
    """The largest square in the middle of an image

    Parameters
    ----------
    w
        Width of the image, in pixels
    h
        Its height

    Returns
    -------
    Left, upper, right and lower edge"""
def random_box(w: float, h: float, rng, min_scale: float = 0.5, max_ratio: float = ..., tries: int = 10) -> tuple:
    """A random part of an image

    Parameters
    ----------
    w
        Width of the image, in pixels
    h
        Its height
    rng
        random.Random, which draws
    min_scale
        Smallest part of the area, in (0,1]
    max_ratio
        Of the longer to the shorter side, ≥ 1
    tries
        How often to draw before the middle is taken

    Returns
    -------
    Left, upper, right and lower edge"""
imagenet_mean: Any
imagenet_std: Any
def view_of(im, size: int, seed: int | None = None, min_scale: float = 0.5):
    """A square part of an image

    Parameters
    ----------
    im
        PIL image of mode RGB
    size
        Height and width of the result, in pixels
    seed
        Of a random crop and flip; default: the middle
    min_scale
        Smallest part of the area in a random crop, in (0,1]

    Returns
    -------
    PIL image"""
def to_input(im):
    """The pixels, scaled as ImageNet's are

    Parameters
    ----------
    im
        PIL image of mode RGB

    Returns
    -------
    Float tensor (3, height, width)"""
class SeededSampler:
    """A new order of `n` samples in each epoch, and for each sample a seed for its augmentation"""
    n: Any
    generator: Any
    def __init__(self, n: int, seed: int = 42) -> None:
        """Parameters
        ----------
        n
            Number of samples
        seed
            Seed of orders and seeds"""
    def __len__(self) -> int: ...
    def __iter__(self): ...

class ImageDataset(Dataset):
    """Images that were listed: a number gives the middle of one, a number and a seed a random part"""
    files: Any
    size: Any
    min_scale: Any
    def __init__(self, files: list, size: int = 128, min_scale: float = 0.5) -> None:
        """Parameters
        ----------
        files
            ImageFile for each image
        size
            Height and width, in pixels
        min_scale
            Smallest part of the area in a random crop, in (0,1]"""
    def __len__(self) -> int: ...
    def __getitem__(self, key) -> tuple: ...

def default_workers():
    """One worker for each core that this process may use"""
def image_dls(images, size: int = 128, bs: int = 128, workers: int = 0, seed: int = 42, min_scale: float = 0.5):
    """Batches of images: random parts of them for training, the middle for validation

    Parameters
    ----------
    images
        ImageLists, or the path of a folder
    size
        Height and width, in pixels
    bs
        Images in a training batch, from 2 to their number; in a validation batch twice as many
    workers
        Processes that read images; 0: none but this
    seed
        Seed of order, crops and flips
    min_scale
        Smallest part of the area in a random crop, in (0,1]

    Returns
    -------
    DataLoaders, with the names of the `classes`"""
class BasicBlock(nn.Module):
    """Two convolutions with a skip connection"""
    downsample: Any
    conv1: Any
    bn1: Any
    relu: Any
    conv2: Any
    bn2: Any
    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        """Parameters
        ----------
        n_in
            Channels that go in
        n_out
            Channels that come out
        stride
            2 halves the image"""
    def forward(self, x): ...

class ResNet(nn.Module):
    """Four stages of residual blocks"""
    maxpool: Any
    conv1: Any
    bn1: Any
    relu: Any
    avgpool: Any
    fc: Any
    def __init__(self, depths: tuple, n_out: int = 1000, n_in: int = 3, width: int = 64) -> None:
        """Parameters
        ----------
        depths
            Blocks in each of the four stages
        n_out
            Number of classes
        n_in
            Number of color channels
        width
            Channels of the first stage"""
    def forward(self, x): ...

archs: dict
