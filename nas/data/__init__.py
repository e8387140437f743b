"""Image sets, held on the device or streamed from disk; their splits and augmentation.

The names below are this room's surface. They are imported when first used: a spec is checked without loading torch, and
a warm cache is read without `datasets` or scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nas.config.data import DataSpec
from nas.data.errors import DataError

if TYPE_CHECKING:
    from nas.data.dataset import ImageSet, Part, StreamedSet
    from nas.data.images import DataInfo, ImageData, describe, load, load_test
    from nas.data.loader import TensorLoader, plain_loader, train_loader
    from nas.data.placement import settle
    from nas.data.tensor_files import hand_in
    from nas.data.tensors import from_datamodule, from_tensors, image_set

__all__ = [
    "DataError",
    "DataInfo",
    "DataSpec",
    "ImageData",
    "ImageSet",
    "Part",
    "StreamedSet",
    "TensorLoader",
    "describe",
    "from_datamodule",
    "from_tensors",
    "hand_in",
    "image_set",
    "load",
    "load_test",
    "plain_loader",
    "settle",
    "train_loader",
]

_HOMES = {
    **dict.fromkeys(("DataInfo", "ImageData", "describe", "load", "load_test"), "nas.data.images"),
    **dict.fromkeys(("TensorLoader", "plain_loader", "train_loader"), "nas.data.loader"),
    **dict.fromkeys(("from_datamodule", "from_tensors", "image_set"), "nas.data.tensors"),
    **dict.fromkeys(("ImageSet", "Part", "StreamedSet"), "nas.data.dataset"),
    "hand_in": "nas.data.tensor_files",
    "settle": "nas.data.placement",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
