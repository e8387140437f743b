"""A default stands in a dataclass and, for the reader, in one YAML file; the two cannot drift apart."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.cli.app.compose import compose, conf_dir, selections_of
from nas.cli.app.keys import is_group
from nas.config.commands import ROOTS, SearchConfig
from nas.objectives.costs import built_in_costs

CONF = conf_dir()
GROUPS = ("data", "prior", "training", "budget", "workers", "storage", "tracking")
DIFFERENT = {"data": {"crop_padding"}}
"""Fields in which the default option differs from the class, as a comment there says."""


def written(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in {"defaults", "hydra"}}


def defaults_list() -> dict[str, Any]:
    entries = yaml.safe_load((CONF / "search.yaml").read_text(encoding="utf-8"))["defaults"]
    return {group: option for entry in entries if isinstance(entry, dict) for group, option in entry.items()}


def class_defaults(spec: type) -> dict[str, Any]:
    """Return the default of every field of a class, None for a field without one."""
    made = {}
    for field in dataclasses.fields(spec):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        made[field.name] = None if default is dataclasses.MISSING else default
    return made


@pytest.mark.parametrize("group", GROUPS)
def test_the_default_option_names_every_field_with_its_default(group: str) -> None:
    spec = typing.get_type_hints(SearchConfig)[group]
    expected = {name: value for name, value in class_defaults(spec).items() if name not in selections_of(spec)}
    path = CONF / group / f"{defaults_list()[group]}.yaml"
    found = written(path)
    assert list(found) == list(expected)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in expected.items()}
    assert {name for name in found if found[name] != plain[name]} == DIFFERENT.get(group, set())
    assert path.read_text(encoding="utf-8").startswith("# The default")


@pytest.mark.parametrize("group", GROUPS)
def test_other_options_name_only_what_differs(group: str) -> None:
    defaults = class_defaults(typing.get_type_hints(SearchConfig)[group])
    for path in (CONF / group).glob("*.yaml"):
        if path.stem != defaults_list()[group]:
            found = written(path)
            assert set(found) <= set(defaults), path
            assert {name for name in found if found[name] == defaults[name]} == set(), path


def test_the_limits_that_can_be_set_on_our_own_costs_are_shown() -> None:
    shown = {cost.limit: None for cost in built_in_costs().members}
    assert written(CONF / "limits" / "none.yaml") == {**shown, "max_latency_ms": None}


@pytest.mark.parametrize("command", ROOTS)
def test_a_command_names_its_own_fields_with_their_defaults(command: str) -> None:
    root = ROOTS[command]
    groups = {name for name, annotation in typing.get_type_hints(root).items() if is_group(annotation)}
    own = {name: value for name, value in class_defaults(root).items() if name not in groups}
    found = {name: value for name, value in written(CONF / f"{command}.yaml").items() if name not in groups}
    assert found == {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}


def test_the_default_option_of_limits_names_every_cost_of_ours() -> None:
    names = (*built_in_costs().names, "latency_ms")
    assert written(CONF / "limits" / "none.yaml") == {f"max_{name}": None for name in names}


def test_a_long_retraining_leaves_nothing_to_the_study() -> None:
    recipe = dataclasses.asdict(compose("search", ["training=long"]).training)
    assert recipe.pop("augmentation") == ()  # a selection of its own, which stays
    assert compose("retrain", ["training=long"]).training.changes() == recipe
    assert compose("retrain").training.changes() == {}
