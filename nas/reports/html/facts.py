"""What was searched on what, in words: the facts at the head of the report and the circumstances at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.objectives.pareto import Axis
from nas.reports.html.figures import SHARES, title
from nas.reports.tables import duration, size_text
from nas.reports.tables import number as plain_number
from search_space.graph import Shape
from search_space.space import parse_space


@dataclass(frozen=True)
class Circumstances:
    """What stands beside a study, and the commands that go on from it.

    Attributes:
        reference: the words that name the study on a command line, quoted for a shell: `study=mine`.
        search: the command that searched it, quoted for a shell; None where the settings are not known.
        exact: whether that command composes to the stored settings.
        config: the settings of the latest search of it; empty where they are not known.
        settings: the same as text, as they stand in its folder.
        environment: machine and versions of the latest search of it; empty where they are not known.
        retrained: the results of networks that were trained again after the search, as `nas retrain` writes them.
        named: the first of the words of `reference`, which says the name; empty where it is the only one.
    """

    reference: str
    search: str | None = None
    exact: bool = True
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    retrained: Sequence[Mapping[str, Any]] = ()
    named: str = ""


def value_text(name: str, value: float | None) -> str:
    """A measure as a person reads it: a share in percent.

    >>> value_text("val_accuracy", 0.91234), value_text("macs", 174000.0), value_text("memory_mib", None)
    ('91.2 %', '174,000', '–')
    """
    if value is None:
        return "–"
    if name in SHARES:
        return f"{100 * value:.1f} %"
    return plain_number(int(value) if float(value).is_integer() else value)


def axis_text(axis: Axis) -> str:
    """An objective and which way it goes.

    >>> axis_text(Axis("macs", "minimize", True, 1e3, 1e6))
    'MACs ↓'
    """
    return f"{title(axis.name)} {'↑' if axis.direction == 'maximize' else '↓'}"


def facts(
    fingerprint: Mapping[str, Any],
    axes: Sequence[Axis],
    limits: Mapping[str, float],
    status: Mapping[str, Any],
    around: Circumstances,
) -> Iterator[tuple[str, str]]:
    """Term and text of what was searched on what."""
    yield "Data", _data(fingerprint)
    yield "Space", _space(fingerprint["space"])
    yield "Objectives", ", ".join(map(axis_text, axes))
    yield "Limits", _limits(limits, around.config) or "none"
    yield "Training", _recipe(fingerprint["training"])
    if "sampler" in around.config:
        yield "Sampler", f"{around.config['sampler']['name']}, seed {around.config['seed']}"
    yield "Budget", _budget(status.get("budget") or {})
    spent = f"{duration(status['clock_seconds'])} by the clock, {duration(status['seconds'])} of training"
    yield "Spent", spent
    machine = _machine(around.environment)
    if machine:
        yield "Machine", machine


def _data(fingerprint: Mapping[str, Any]) -> str:
    data, space = fingerprint["data"], fingerprint["space"]
    channels, height, width = space["input"]
    words = [
        f"{data.get('name') or data.get('source')}: {space['classes']} classes, {channels}×{height}×{width} images"
    ]
    if data.get("train_fraction", 1.0) < 1:
        words.append(f"{data['train_fraction']:.0%} of the training part")
    if "val_fraction" in data:
        words.append(f"{data['val_fraction']:.1%} held out for validation (split seed {data.get('split_seed', 0)})")
    return ", ".join(words)


def _space(space: Mapping[str, Any]) -> str:
    described = {key: value for key, value in space.items() if key not in {"input", "classes"}}
    size = parse_space(described, Shape(*space["input"]), space["classes"]).size
    return f"{space.get('name', 'unnamed')}: {size_text(size)} architectures"


def _limits(limits: Mapping[str, float], config: Mapping[str, Any]) -> str:
    """The limits that trials were held to; those of the settings where there is no trial yet."""
    asked = {limit.removeprefix("max_"): value for limit, value in config.get("limits", {}).items()}
    held = limits or {name: limit for name, limit in asked.items() if limit is not None}
    return ", ".join(f"{title(name)} ≤ {value_text(name, limit)}" for name, limit in held.items())


def _recipe(recipe: Mapping[str, Any]) -> str:
    words = [f"{recipe[key]} {unit}" for key, unit in (("epochs", "epochs"),) if key in recipe]
    if "optimizer" in recipe:
        words.append(f"{recipe['optimizer']} at {recipe.get('learning_rate')}, {recipe.get('schedule')}")
    if "batch_size" in recipe:
        words.append(f"batches of {recipe['batch_size']}")
    return ", ".join(words)


def _budget(budget: Mapping[str, Any]) -> str:
    words = [f"{budget[key]:,} {key}" for key in ("trials", "minutes", "trainings") if budget.get(key) is not None]
    return ", ".join(words) or "not known"


def _machine(environment: Mapping[str, Any]) -> str:
    if not environment:
        return ""
    gpus = environment.get("gpus") or ["no GPU"]
    packages = environment.get("packages", {})
    versions = [f"{name} {packages[name]}" for name in ("torch", "optuna") if name in packages]
    machine = [str(environment.get("processor", "")), f"{environment.get('cores')} cores", *gpus]
    return ", ".join([*filter(None, machine), f"inception-nas {environment.get('inception-nas')}", *versions])
