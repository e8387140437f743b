"""How far trials are trained, as plain checked values."""

from __future__ import annotations

from dataclasses import dataclass

FIDELITIES = ("full",)


@dataclass(frozen=True)
class FidelitySpec:
    """How far a trial is trained before the next decision about it.

    Attributes:
        name: `full`, every trial to the recipe's last epoch.

    Raises:
        ValueError: a name that there is not.
    """

    name: str = "full"

    def __post_init__(self) -> None:
        if self.name not in FIDELITIES:
            raise ValueError(f"fidelity.name must be one of {', '.join(FIDELITIES)}, got {self.name!r}")
