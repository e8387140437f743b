"""Configuration of the multi-fidelity policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from nas.config.ranges import Range, check_fields, show


@dataclass(frozen=True)
class FidelitySpec:
    """Multi-fidelity policy: how many epochs a trial is trained before the next decision about it.

    Attributes:
        name: module of nas/fidelity, such as `full`, which trains every trial to the last epoch, or the dotted path of
            a policy of your own.
        options: options of that policy.
        repeats: number of further trainings, each with another seed, of a network on the front before it counts as
            found, at least 0; its values are the means over its trainings.

    Raises:
        ValueError: the name is neither a module name nor a dotted path, or repeats is not a whole number of at least 0.
    """

    name: str = "full"
    options: dict[str, Any] = field(default_factory=dict)
    repeats: Annotated[int, Range(0, 1000)] = 0

    def __post_init__(self) -> None:
        check_fields(self, "fidelity")
        if not all(part.isidentifier() for part in self.name.split(".")):
            raise ValueError(f"fidelity.name must be the name of a module, or a dotted path, got {show(self.name)}")
