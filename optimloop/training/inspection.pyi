"""What runs when, what the model is made of, where the time goes"""
# Written by .ci/stubs.py from the notebooks: edit them, not this file.
from typing import Any
from typing import NamedTuple

__all__ = ['LayerInfo', 'ModelSummary']

class LayerInfo(NamedTuple):
    name: Any
    layer: Any
    output: Any
    params: Any
    trainable: Any

class ModelSummary:
    """The layers of a model, its parameters and its memory"""
    layers: Any
    sizes: Any
    def __init__(self, layers: list, sizes: dict) -> None:
        """Parameters
        ----------
        layers
            LayerInfos
        sizes
            Numbers by name, those of memory in bytes"""
    def __str__(self) -> str: ...
