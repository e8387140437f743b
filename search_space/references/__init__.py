"""Published networks as values of the algebra, each a function of the input's shape and the number of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search_space.graph import Graph
from search_space.references import googlenet as _googlenet
from search_space.references import inception_next as _inception_next
from search_space.references import inception_resnet_v2 as _inception_resnet_v2
from search_space.references import inception_v3 as _inception_v3
from search_space.references import inception_v4 as _inception_v4
from search_space.references import mobilenet_v2 as _mobilenet_v2
from search_space.references import xception as _xception
from search_space.references.bn_inception import bn_inception
from search_space.references.layout import Rename
from search_space.references.resnet import resnet20

REFERENCES: Mapping[str, Callable[..., Graph]] = {
    "googlenet": _googlenet.googlenet,
    "googlenet_5x5": _googlenet.googlenet_5x5,
    "googlenet_paper": _googlenet.googlenet_paper,
    "googlenet_small": _googlenet.googlenet_small,
    "bn_inception": bn_inception,
    "inception_v3": _inception_v3.inception_v3,
    "inception_v4": _inception_v4.inception_v4,
    "inception_resnet_v2": _inception_resnet_v2.inception_resnet_v2,
    "xception": _xception.xception,
    "inception_next_atto": _inception_next.inception_next_atto,
    "inception_next_tiny": _inception_next.inception_next_tiny,
    "resnet20": resnet20,
    "mobilenet_v2": _mobilenet_v2.mobilenet_v2,
}

SCALABLE = ("googlenet", "googlenet_small", "resnet20", "mobilenet_v2")
"""Published networks that take a width multiplier."""


def builder_of(name: str) -> Callable[..., Graph]:
    """Return the function of a published network; it takes the input's shape and the number of classes.

    Raises:
        ValueError: there is no such network.
    """
    if name not in REFERENCES:
        raise ValueError(f"reference must be one of {', '.join(REFERENCES)}, got {name!r}")
    return REFERENCES[name]


_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

NORMALISATIONS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    **dict.fromkeys(("googlenet", "inception_v3", "inception_v4", "inception_resnet_v2", "xception"), _HALF),
    **dict.fromkeys(("inception_next_atto", "inception_next_tiny", "mobilenet_v2"), _IMAGENET),
}
"""Mean and deviation of the channels, of pixels in [0, 1], with which the published checkpoints were trained.

torchvision's GoogLeNet and Inception-v3 take ImageNet's and map them onto these in their `transform_input`.
"""

LAYOUTS: Mapping[str, tuple[Rename, ...]] = {
    "googlenet": _googlenet.LAYOUT,
    "inception_v3": _inception_v3.LAYOUT,
    "inception_v4": _inception_v4.LAYOUT,
    "inception_resnet_v2": _inception_resnet_v2.LAYOUT,
    "xception": _xception.LAYOUT,
    "inception_next_atto": _inception_next.layout(_inception_next.ATTO),
    "inception_next_tiny": _inception_next.layout(_inception_next.TINY),
    "mobilenet_v2": _mobilenet_v2.LAYOUT,
}
