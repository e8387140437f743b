"""Random brightness, contrast, saturation and hue, by kornia (Krizhevsky 2012; Howard 2013, arXiv:1312.5402)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, cast

from kornia.augmentation import ColorJitter as KorniaJitter
from torch import Tensor, nn

from nas.config.ranges import Range, check_fields
from nas.data.augment.base import PixelAugmentation
from nas.data.statistics import Shape
from search_space.plugins import with_settings


@dataclass(frozen=True)
class Options:
    """Largest changes.

    Attributes:
        brightness: of the factor of all values, from 1.
        contrast: of the factor of the difference from the image's mean.
        saturation: of the factor of the difference from grey; grey images have none.
        hue: of the angle, as a share of the circle; grey images have none.
    """

    brightness: Annotated[float, Range(0, 1)] = 0.4
    contrast: Annotated[float, Range(0, 1)] = 0.4
    saturation: Annotated[float, Range(0, 1)] = 0.4
    hue: Annotated[float, Range(0, 0.5)] = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "color_jitter")


class ColorJitter(PixelAugmentation):
    """Changes by factors that are drawn for each image, in an order that is drawn for each chunk."""

    def __init__(self, jitter: nn.Module) -> None:
        super().__init__()
        self.jitter = jitter

    def forward(self, images: Tensor) -> Tensor:
        """Change the colors of (B, C, H, W) in [0, 1]."""
        return cast(Tensor, self.jitter(images))


@with_settings(Options)
def make(shape: Shape, options: Options) -> nn.Module:
    """Return random changes of the colors."""
    largest = asdict(options)
    if shape[0] == 1:
        largest |= {"saturation": 0.0, "hue": 0.0}
    return ColorJitter(KorniaJitter(**largest, p=1.0))
