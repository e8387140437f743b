"""Configuration of the sampler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas.config.ranges import check_fields, show

REJECTED_AS = ("pruned", "worst")


@dataclass(frozen=True)
class SamplerSpec:
    """Sampler of architectures, one of Optuna's or one of our own.

    Attributes:
        name: name of the sampler in reports.
        optuna_class: class in `optuna.samplers`; null for a sampler of our own.
        options: arguments of the sampler, without the seed.
        rejected_as: state in which the sampler sees an architecture that breaks a limit: `pruned`, a pruned trial with
            constraint values, or `worst`, a complete trial with the worst values.
        module: module of nas/samplers, or the dotted path of a sampler of your own; null for one of Optuna's.

    Raises:
        ValueError: an unknown value, not exactly one of `optuna_class` and `module`, or a seed among the options.
    """

    name: str
    optuna_class: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    rejected_as: str = "pruned"
    module: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "sampler")
        if (self.optuna_class is None) == (self.module is None):
            raise ValueError(
                "a sampler must have either optuna_class or module, "
                f"got {show(self.optuna_class)} and {show(self.module)}"
            )
        if self.optuna_class is not None and not self.optuna_class.isidentifier():
            raise ValueError(f"sampler.optuna_class must be the name of a class, got {show(self.optuna_class)}")
        if self.rejected_as not in REJECTED_AS:
            raise ValueError(
                f"sampler.rejected_as must be one of {', '.join(REJECTED_AS)}, got {show(self.rejected_as)}"
            )
        if "seed" in self.options:
            raise ValueError("sampler.options must not set seed: each ask is seeded by the study's seed and the trial")
