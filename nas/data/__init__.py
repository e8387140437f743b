"""Image sets, held on the device or streamed from disk; their splits and augmentation.

The names below are this room's public interface. They are imported at first use: an image set is described without
loading torch, and a warm cache is read without `datasets` or scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nas.config.data import DataSpec
from nas.data.errors import DataError

if TYPE_CHECKING:
    from nas.data.augment.pipeline import make_augmentation, usual_augmentation
    from nas.data.dataset import ImageSet, Part, StreamedSet
    from nas.data.decode import Entry
    from nas.data.images import ImageData, load, load_test, load_whole, whole_statistics
    from nas.data.info import DataInfo, announce, describe
    from nas.data.loader import TensorLoader, evaluation_loader, train_loader
    from nas.data.placement import resolve_streaming
    from nas.data.readers import Source, SourcePart
    from nas.data.tensors import from_datamodule, from_tensors, make_image_set, write_tensors

__all__ = [
    "DataError",
    "DataInfo",
    "DataSpec",
    "Entry",
    "ImageData",
    "ImageSet",
    "Part",
    "Source",
    "SourcePart",
    "StreamedSet",
    "TensorLoader",
    "announce",
    "describe",
    "evaluation_loader",
    "from_datamodule",
    "from_tensors",
    "load",
    "load_test",
    "load_whole",
    "make_augmentation",
    "make_image_set",
    "resolve_streaming",
    "train_loader",
    "usual_augmentation",
    "whole_statistics",
    "write_tensors",
]

_MODULES = {
    **dict.fromkeys(("ImageData", "load", "load_test", "load_whole", "whole_statistics"), "nas.data.images"),
    **dict.fromkeys(("DataInfo", "announce", "describe"), "nas.data.info"),
    **dict.fromkeys(("TensorLoader", "evaluation_loader", "train_loader"), "nas.data.loader"),
    **dict.fromkeys(("from_datamodule", "from_tensors", "make_image_set", "write_tensors"), "nas.data.tensors"),
    **dict.fromkeys(("ImageSet", "Part", "StreamedSet"), "nas.data.dataset"),
    **dict.fromkeys(("Source", "SourcePart"), "nas.data.readers"),
    "Entry": "nas.data.decode",
    **dict.fromkeys(("make_augmentation", "usual_augmentation"), "nas.data.augment.pipeline"),
    "resolve_streaming": "nas.data.placement",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
