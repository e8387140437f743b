"""Which sampler draws the architectures, as plain checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

REJECTED_AS = ("pruned", "worst")


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler and how it is told what was rejected.

    Attributes:
        name: names the sampler.
        optuna_class: class in `optuna.samplers`; null for a sampler of our own.
        options: arguments of that sampler, the seed apart.
        rejected_as: how the sampler sees an architecture that breaks a limit: `pruned`, a pruned trial with its
            constraints, or `worst`, a complete trial with the worst values.
        module: a sampler of our own, by its module in nas/samplers; null for one of Optuna's.

    Raises:
        ValueError: a word that there is not, none or two samplers, or a seed among the options.
    """

    name: str
    optuna_class: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    rejected_as: str = "pruned"
    module: str | None = None

    def __post_init__(self) -> None:
        if (self.optuna_class is None) == (self.module is None):
            raise ValueError(
                f"a sampler must have either optuna_class or module, got {self.optuna_class} and {self.module}"
            )
        if self.optuna_class is not None and not self.optuna_class.isidentifier():
            raise ValueError(f"sampler.optuna_class must be the name of a class, got {self.optuna_class!r}")
        if self.rejected_as not in REJECTED_AS:
            raise ValueError(f"sampler.rejected_as must be one of {', '.join(REJECTED_AS)}, got {self.rejected_as!r}")
        if "seed" in self.options:
            raise ValueError("sampler.options must not set seed: each ask is seeded by the study's seed and the trial")
