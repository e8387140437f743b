"""Optuna's samplers by the name of their class, made anew for every ask."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import optuna
from optuna.samplers import BaseSampler

from nas.samplers.view import SamplerFactory


def optuna_sampler(class_name: str, options: Mapping[str, Any]) -> SamplerFactory:
    """Makes samplers of one of Optuna's classes from a seed.

    Args:
        class_name: a class of `optuna.samplers`, such as `TPESampler`.
        options: its other arguments.

    Raises:
        ValueError: Optuna has no such sampler, or it takes no such option or no seed.
    """
    sampler = getattr(optuna.samplers, class_name, None)
    if not (inspect.isclass(sampler) and issubclass(sampler, BaseSampler)):
        raise ValueError(f"sampler.optuna_class must be a sampler of optuna.samplers, got {class_name!r}")
    known = set(inspect.signature(sampler).parameters)
    unknown = sorted({"seed", *options} - known)
    if unknown:
        raise ValueError(f"{class_name} takes {sorted(known)}, got {unknown}")
    return cast(SamplerFactory, partial(_make, sampler, dict(options)))


def _make(sampler: type[BaseSampler], options: dict[str, Any], seed: int) -> BaseSampler:
    return sampler(seed=seed, **options)  # type: ignore[call-arg]  # checked in optuna_sampler: the class takes a seed
