"""Bounds of the sizes of a configuration: command line, sweeps, YAML files, and the values that they expand to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with OmegaConf
from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import DictConfig, ListConfig, OmegaConf

LONGEST_WORD = 20_000
"""Most characters of one override."""

LONGEST_LINE = 200_000
"""Most characters of all overrides."""

DEEPEST = 32
"""Most mappings and lists inside one another."""

MOST_NODES = 100_000
"""Most values of a configuration, or of a YAML file once its aliases are expanded."""

MOST_RUNS = 10_000
"""Most runs of a sweep."""

LARGEST_FILE = 2**20
"""Most bytes of a YAML file."""


def check_words(words: Sequence[str]) -> None:
    """Refuse overrides that are too long or too deep to be parsed in a moment.

    Raises:
        ValueError: such an override.
    """
    for word in words:
        key = word.partition("=")[0][:60]
        if len(word) > LONGEST_WORD:
            raise ValueError(f"an override must have at most {LONGEST_WORD} characters, {key} has {len(word)}")
        if _nesting(word) > DEEPEST:
            raise ValueError(f"an override must be at most {DEEPEST} levels deep, {key} has {_nesting(word)}")
    if (total := sum(map(len, words))) > LONGEST_LINE:
        raise ValueError(f"all overrides must have at most {LONGEST_LINE} characters, got {total}")


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def check_sweep(overrides: Sequence[Override]) -> None:
    """Refuse a sweep of more than `MOST_RUNS` runs, before its values are listed.

    Raises:
        ValueError: such a sweep, or a range without an end.
    """
    runs = math.prod(_length(override) for override in overrides if override.is_sweep_override())
    if not runs <= MOST_RUNS:
        raise ValueError(f"a sweep must have at most {MOST_RUNS} runs, got {runs:.6g}")


def _length(override: Override) -> float:
    swept = override.value()
    if isinstance(swept, RangeSweep):
        if not swept.step or swept.start is None or swept.stop is None:
            return math.inf
        return max(1.0, (swept.stop - swept.start) / swept.step)
    listed = getattr(swept, "list", None)
    return len(listed) if isinstance(listed, list) else 1


def check_yaml(path: Path) -> None:
    """Refuse a YAML file that is too large, too deep, or expands to too many values.

    A mapping of aliases of aliases takes a line a level, and multiplies its values with every level.

    Raises:
        ValueError: such a file; one that is not YAML is reported by its reader.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise ValueError(f"a YAML file must be a file, {path} is none")
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise ValueError(f"a YAML file must have at most {LARGEST_FILE} bytes, {path} has {size}")
    try:
        _check_events(path)
    except (yaml.YAMLError, UnicodeDecodeError):
        return


def _check_events(path: Path) -> None:
    """Count the values of a file, those of an alias again, without building any."""
    counts, anchors = [0.0], [""]
    sizes: dict[str, float] = {}
    for event in yaml.parse(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            counts.append(1.0)
            anchors.append(event.anchor or "")
        elif isinstance(event, yaml.CollectionEndEvent):
            size = counts.pop()
            sizes[anchors.pop()] = size
            counts[-1] += size
        elif isinstance(event, yaml.AliasEvent) and event.anchor in anchors:
            raise ValueError(f"an alias must not stand inside what it names, {event.anchor} does in {path}")
        elif isinstance(event, yaml.AliasEvent):
            counts[-1] += sizes.get(event.anchor, 1.0)
        elif isinstance(event, yaml.ScalarEvent):
            counts[-1] += 1.0
        if len(counts) > DEEPEST + 1:
            raise ValueError(f"a YAML file must be at most {DEEPEST} levels deep, {path} is deeper")
        if counts[-1] > MOST_NODES:
            raise ValueError(f"a YAML file must hold at most {MOST_NODES} values with its aliases, {path} has more")


def check_yaml_folder(folder: Path, groups: Sequence[str]) -> None:
    """Refuse a folder of options, one file of which `check_yaml` refuses.

    Args:
        folder: folder given as --config-dir.
        groups: config groups, whose folders in it are read.

    Raises:
        ValueError: such a file.
    """
    for path in (*folder.glob("*.yaml"), *(path for group in groups for path in (folder / group).glob("**/*.yaml"))):
        if path.is_file():
            check_yaml(path)


def check_size(composed: DictConfig) -> None:
    """Refuse a configuration whose values, with its interpolations, are too many or too deep.

    Raises:
        ValueError: such a configuration; OmegaConf's own errors for an interpolation that leads nowhere.
    """
    for number, depth in enumerate(_depths(composed, 1)):
        if number >= MOST_NODES:
            raise ValueError(f"a configuration must hold at most {MOST_NODES} values with its interpolations")
        if depth > DEEPEST:
            raise ValueError(f"a configuration must be at most {DEEPEST} levels deep")


def _depths(value: Any, depth: int) -> Iterator[int]:
    """Yield the depth of every value, each interpolation resolved in its turn."""
    yield depth
    if depth > DEEPEST or not isinstance(value, DictConfig | ListConfig):
        return
    keys: Any = value.keys() if isinstance(value, DictConfig) else range(len(value))
    for key in keys:
        if not OmegaConf.is_missing(value, key):
            yield from _depths(value[key], depth + 1)
