"""Configuration of one augmentation of training images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from nas.config.ranges import SHOWN, check_fields, show


@dataclass(frozen=True)
class AugmentationSpec:
    """Random change of training images, applied to whole batches.

    Attributes:
        name: name that the command line selects it by.
        module: module of nas/data/augment, such as `crop`, or the dotted path of a maker of your own.
        options: options of that module.

    Raises:
        ValueError: no name, or a module that is neither a module name nor a dotted path.
    """

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "training.augmentation")
        if not re.fullmatch(r"\w[\w-]*", self.name):
            raise ValueError(f"an augmentation's name must be letters, digits, - and _, got {show(self.name)}")
        if not all(part.isidentifier() for part in self.module.split(".")):
            raise ValueError(
                f"training.augmentation.{self.name[:SHOWN]}.module must be the name of a module, or a dotted path, "
                f"got {show(self.module)}"
            )
