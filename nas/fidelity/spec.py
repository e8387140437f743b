"""How far trials are trained, as plain checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FidelitySpec:
    """How far a trial is trained before the next decision about it.

    Attributes:
        name: `full`, every trial to the recipe's last epoch, or another module of nas/fidelity.
        options: settings of that policy.

    Raises:
        ValueError: a name that cannot be a module's.
    """

    name: str = "full"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"fidelity.name must be the name of a module of nas/fidelity, got {self.name!r}")
