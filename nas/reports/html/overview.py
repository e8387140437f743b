"""Overview at the head of the report: data, space, objectives, settings and machine, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.objectives.pareto import Axis
from nas.reports.document.context import ReportContext
from nas.reports.measures import SHARES, axis_title, title
from nas.reports.text import duration_text, number_text, size_text
from search_space.graph import Shape
from search_space.space import parse_space


def value_text(name: str, value: float | None) -> str:
    """Return a measure as text, an accuracy in percent.

    >>> value_text("val_accuracy", 0.91234), value_text("macs", 174000.0), value_text("memory_mib", None)
    ('91.2 %', '174,000', '–')
    """
    if value is None:
        return "–"
    if name in SHARES:
        return f"{100 * value:.1f} %"
    return number_text(int(value) if float(value).is_integer() else value)


def axis_text(axis: Axis) -> str:
    """Return the title of an objective and an arrow in its direction.

    >>> axis_text(Axis("macs", "minimize", True, 1e3, 1e6))
    'MACs ↓'
    """
    return f"{axis_title(axis)} {'↑' if axis.direction == 'maximize' else '↓'}"


def overview(
    fingerprint: Mapping[str, Any],
    axes: Sequence[Axis],
    limits: Mapping[str, float],
    status: Mapping[str, Any],
    context: ReportContext,
) -> Iterator[tuple[str, str]]:
    """Yield the terms of the overview with their texts.

    Args:
        fingerprint: fingerprint of the study.
        axes: its objectives.
        limits: limits of its latest trial, by cost.
        status: its status document.
        context: settings and machine.
    """
    yield "Data", _data(fingerprint)
    yield "Space", _space(fingerprint["space"])
    yield "Objectives", ", ".join(map(axis_text, axes))
    yield "Limits", _limits(limits, context.config) or "none"
    yield "Training", _recipe(fingerprint["training"])
    if "sampler" in context.config:
        yield "Sampler", f"{context.config['sampler']['name']}, seed {context.config.get('seed', 'unknown')}"
    yield "Budget", _budget(status.get("budget") or {})
    time = f"{duration_text(status['clock_seconds'])} by the clock, {duration_text(status['seconds'])} of training"
    yield "Time", time
    machine = _machine(context.environment)
    if machine:
        yield "Machine", machine


def start_weights(stored: object) -> Iterator[tuple[str, str]]:
    """Yield the term of the weights that all trainings start from, with the shares that the starts inherit.

    Args:
        stored: attribute of the study; one that is damaged counts as none.

    >>> list(start_weights({"file": "w.safetensors", "sha256": "0" * 64, "shares": {"googlenet": 0.725}}))
    [('Weights at the start', 'w.safetensors (SHA-256 00000000): 72.5 % of the parameters of start googlenet')]
    """
    if not isinstance(stored, Mapping) or not isinstance(stored.get("shares"), Mapping):
        return
    shares = [
        f"{100 * share:.1f} % of the parameters of start {name}"
        for name, share in stored["shares"].items()
        if isinstance(share, float)
    ]
    origin = f"{stored.get('file')} (SHA-256 {str(stored.get('sha256'))[:8]})"
    yield "Weights at the start", f"{origin}: {', '.join(shares)}" if shares else origin


def _data(fingerprint: Mapping[str, Any]) -> str:
    data, space = fingerprint["data"], fingerprint["space"]
    channels, height, width = space["input"]
    parts = [
        f"{data.get('name') or data.get('source')}: {space['classes']} classes, {channels}×{height}×{width} images"
    ]
    if data.get("train_fraction", 1.0) < 1:
        parts.append(f"{data['train_fraction']:.0%} of the training part")
    if "val_fraction" in data:
        parts.append(f"{data['val_fraction']:.1%} held out for validation (split seed {data.get('split_seed', 0)})")
    return ", ".join(parts)


def _space(space: Mapping[str, Any]) -> str:
    described = {key: value for key, value in space.items() if key not in {"input", "classes"}}
    try:
        size = parse_space(described, Shape(*space["input"]), space["classes"]).size
    except ValueError as error:
        return f"{space.get('name', 'unnamed')}, unreadable here: {error}"
    return f"{space.get('name', 'unnamed')}: {size_text(size)} architectures"


def _limits(limits: Mapping[str, float], config: Mapping[str, Any]) -> str:
    """Return the limits of the latest trial, or those of the settings if there is no trial."""
    asked = {limit.removeprefix("max_"): value for limit, value in config.get("limits", {}).items()}
    held = limits or {name: limit for name, limit in asked.items() if limit is not None}
    return ", ".join(f"{title(name)} ≤ {value_text(name, limit)}" for name, limit in held.items())


def _recipe(recipe: Mapping[str, Any]) -> str:
    parts = [f"{recipe[key]} {unit}" for key, unit in (("epochs", "epochs"),) if key in recipe]
    if "optimizer" in recipe:
        parts.append(f"{recipe['optimizer']} at {recipe.get('learning_rate')}, {recipe.get('schedule')}")
    if "batch_size" in recipe:
        parts.append(f"batches of {recipe['batch_size']}")
    if recipe.get("augmentation"):
        parts.append(f"augmentation by {', '.join(str(each.get('name')) for each in recipe['augmentation'])}")
    if recipe.get("progressive_resize") is not None:
        parts.append(f"images from {recipe['progressive_resize']:.0%} of their side on")
    return ", ".join(parts)


def _budget(budget: Mapping[str, Any]) -> str:
    parts = [f"{budget[key]:,} {key}" for key in ("trials", "minutes", "trainings") if budget.get(key) is not None]
    return ", ".join(parts) or "unknown"


def _machine(environment: Mapping[str, Any]) -> str:
    if not environment:
        return ""
    gpus = environment.get("gpus") or ["no GPU"]
    packages = environment.get("packages", {})
    versions = [f"{name} {packages[name]}" for name in ("torch", "optuna") if name in packages]
    machine = [str(environment.get("processor", "")), f"{environment.get('cores')} cores", *gpus]
    return ", ".join([*filter(None, machine), f"inception-nas {environment.get('inception-nas')}", *versions])
