"""Every field of every configuration, given hostile values: one line that refuses, or a value in its stated range."""

from __future__ import annotations

import copy
import dataclasses
import math
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser

from nas.cli.app.application import MISTAKES
from nas.cli.app.bounds import check_size, check_sweep, check_words, check_yaml_folder
from nas.cli.app.compose import compose, conf_dir, convert, items_of, schema
from nas.cli.app.keys import is_group
from nas.cli.app.mistakes import LONGEST, explain
from nas.cli.app.overrides import fit
from nas.config.commands import ROOTS
from nas.config.commands.networks import Overrides
from nas.config.objective import Objective
from nas.config.ranges import LONGEST_TEXT, Range, check_number, hints_of, interval_of, members_of, show

HOSTILE = [
    *("nan", "inf", "-inf", "-1", "0", "0.5", "1e300", "1e30", str(10**30), "9" * 5000, "-0.0", "1e-320"),
    *("", "''", "[]", "{}", "[1,2]", "{a:1}", "[[a]]", "true", "null", "???", "${seed}", "${nothing.here}"),
    *("x" * 5000, "x" * 30_000, "a\0b", "[/x]", "../../x", "[" * 100 + "]" * 100, "range(0,3)", "1,2"),
]
GROUPS_ONCE = (
    "data",
    "objective",
    "sampler",
    "prior",
    "fidelity",
    "training",
    "budget",
    "workers",
    "storage",
    "tracking",
)


def fields_of(root: type, prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every field of a configuration class that is no group."""
    for name, annotation in hints_of(root).items():
        item = items_of(annotation)
        if dataclasses.is_dataclass(item):
            yield from fields_of(typing.cast(type, item), f"{prefix}{name}.macs.")
        elif dataclasses.is_dataclass(annotation):
            yield from fields_of(typing.cast(type, annotation), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@cache
def places() -> list[tuple[str, str]]:
    """Return every command with its fields; those of a group that several commands share once."""
    found, seen = [], set()
    for command, root in ROOTS.items():
        for key in fields_of(root):
            shared = key if key.partition(".")[0] in GROUPS_ONCE and command != "retrain" else f"{command}: {key}"
            if shared not in seen:
                seen.add(shared)
                found.append((command, key))
    return found


NEEDED = {"finetune": ["model=somewhere", "data.path=somewhere"], "measure": ["architecture=somewhere"]}
"""Words that a command needs."""


@cache
def composed(command: str) -> Any:
    """Return the composed configuration of a command, before it is converted, for copies."""
    from hydra import compose as hydra_compose  # noqa: PLC0415 - beside its context
    from hydra import initialize_config_dir  # noqa: PLC0415

    needed = NEEDED.get(command, [])
    compose(command, needed)  # registers the schemas
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra_compose(command, needed)


def with_override(command: str, word: str) -> Any:
    """Return the configuration of a command with one override more, in Hydra's way."""
    config = copy.deepcopy(composed(command))
    parsed = OverridesParser.create().parse_overrides(fit([word], ROOTS[command]))
    ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
    return convert(ROOTS[command], config)


def value_at(config: Any, key: str) -> tuple[Any, Any]:
    """Return the value at a dotted key, and its annotation."""
    annotation: Any = None
    for part in key.split("."):
        if isinstance(config, tuple):
            config = next(each for each in config if each.name == part)
            continue
        annotation = hints_of(type(config))[part]
        config = getattr(config, part)
    return config, annotation


def in_range(value: Any, annotation: Any) -> bool:
    """Return whether an accepted value is inside what its field states."""
    if value is None:
        return type(None) in members_of(annotation)
    if isinstance(value, bool):
        return bool in members_of(annotation)
    if isinstance(value, int | float):
        interval = interval_of(annotation)
        return interval is not None and interval.holds(value)
    return len(value) <= LONGEST_TEXT and "\0" not in str(value)


@pytest.mark.parametrize("all_values", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["a fifth", "all"])
@pytest.mark.parametrize(("command", "key"), places(), ids=lambda part: part)
def test_a_hostile_value_is_refused_in_one_line_or_is_in_range(command: str, key: str, all_values: bool) -> None:
    root = ROOTS[command]
    composed(command)  # what the command itself lacks would be a refusal too
    for hostile in HOSTILE if all_values else HOSTILE[places().index((command, key)) % 5 :: 5]:
        try:
            config = with_override(command, f"{key}={hostile}")
        except MISTAKES as error:
            line = explain(error, root)
            assert "\n" not in line
            assert 0 < len(line) <= LONGEST + 3
            assert "shows the traceback" not in line, f"{key}={hostile[:40]}: {line}"
            continue
        if key.startswith("objective.macs.name"):
            continue  # it is found by its name below
        value, annotation = value_at(config, key)
        if not is_group(annotation) and not issubclass(type(annotation), Overrides) and annotation is not Any:
            assert in_range(value, annotation), f"{key}={hostile[:40]} gave {value!r}"


def every_class() -> list[type]:
    found: dict[type, None] = {}

    def add(spec: type) -> None:
        found[spec] = None
        for annotation in hints_of(spec).values():
            for inner in (annotation, items_of(annotation)):
                if dataclasses.is_dataclass(inner):
                    add(typing.cast(type, inner))

    for root in ROOTS.values():
        add(root)
    return list(found)


@pytest.mark.parametrize("spec", every_class(), ids=lambda spec: spec.__name__)
def test_every_number_states_its_range_and_its_default_is_in_it(spec: type) -> None:
    for field in dataclasses.fields(typing.cast(Any, spec)):
        annotation = hints_of(spec)[field.name]
        plain = {int, float} & set(members_of(annotation))
        if field.name != "channels":  # 1 or 3: no interval
            assert not plain, f"{spec.__name__}.{field.name} states no range"
        interval = interval_of(annotation)
        if interval is not None:
            assert math.isfinite(interval.least)
            assert math.isfinite(interval.most)
            if isinstance(field.default, int | float):
                assert interval.holds(field.default)


@pytest.mark.parametrize(
    ("command", "words", "law"),
    [
        (
            "search",
            ["training.epochs=1e30"],
            "training.epochs must be at most 100000, got 1000000000000000019884624838656",
        ),
        ("search", ["workers.slots=10000000"], "workers.slots must be at most 4096, got 10000000"),
        ("search", ["budget.minutes=-1"], "budget.minutes must be positive, got -1.0"),
        ("search", ["budget.minutes=nan"], "budget.minutes must be positive, got nan"),
        ("search", ["budget.minutes=inf"], "budget.minutes must be at most 5270400, got inf"),
        ("search", ["prior.weight=inf"], "prior.weight must be at most 1000000000, got inf"),
        ("search", ["objective.macs.worst=1e300"], "objective.worst must be at most 1e\\+18, got 1e\\+300"),
        ("search", ["objective.macs.worst=-7"], "objective.macs.worst must be at least 0, got -7.0"),
        ("search", ["objective.val_accuracy.worst=7"], r"objective.val_accuracy.worst must lie in \[0, 1\], got 7.0"),
        (
            "search",
            ["objective.macs.best=9", "objective.macs.worst=3"],
            "objective.macs.best must be better than objective.macs.worst, got 9 and 3",
        ),
        ("search", ["limits.max_macs=1e300"], "limits.max_macs must be at most 1e\\+18, got an integer of 997 bits"),
        ("search", ["data.val_fraction=1.5"], r"data.val_fraction must lie in \(0, 1\), got 1.5"),
        ("status", ["interval=0"], "interval must be positive, got 0.0"),
        ("export", ["limits=[1,2]"], r"limits must be the name of an option, or a list of names, got \[1,2\]"),
        ("search", ["objective=[1]"], r"objective must be the name of an option, or a list of names, got \[1\]"),
        ("search", ["start=[[a]]"], r"start must be text, got \['a'\]"),
        ("search", ["training.epochs=" + "9" * 5000], "training.epochs must be a value that can be read"),
    ],
)
def test_the_message_names_the_field_and_its_range(command: str, words: list[str], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        compose(command, fit(words, ROOTS[command]))


def test_a_study_may_be_named_like_a_list() -> None:
    assert compose("status", fit(["study=[/x]"], ROOTS["status"])).study == "[/x]"
    assert compose("export", fit(["study={a}"], ROOTS["export"])).study == "{a}"


@pytest.mark.parametrize("value", [True, "1", None, [], {}])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="x must be a whole number"):
        check_number("x", value, Range(0, 1), whole=True)


def test_a_value_given_in_python_is_checked_like_one_of_the_command_line() -> None:
    with pytest.raises(ValueError, match=r"objective\.key must be text, got 3"):
        Objective("a", "curve", 3, "maximize")  # type: ignore[arg-type]
    assert show("é" * 1000).endswith("…")
    assert len(show(list(range(1000)))) < 70


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["seed=range(0,1000000000)"], "a sweep must have at most 10000 runs, got 1e\\+09"),
        (["seed=range(0,200)", "budget.trials=range(1,101)"], "a sweep must have at most 10000 runs, got 20000"),
        (["seed=range(0,inf)"], "a sweep must have at most 10000 runs|must be a value"),
    ],
)
def test_a_sweep_is_bounded_before_its_runs_are_listed(words: list[str], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        fit(words, ROOTS["search"], multirun=True)
    check_sweep(OverridesParser.create().parse_overrides(["seed=range(0,100)", "study=a,b"]))


def test_overrides_are_bounded_before_they_are_parsed() -> None:
    check_words(["start=[" + ",".join(["a"] * 1000) + "]"])
    for words in (["x=" + "a" * 30_000], ["x=" + "[" * 40], [f"+x{i}={'a' * 10_000}" for i in range(30)]):
        with pytest.raises(ValueError, match="must"):
            check_words(words)


def test_interpolations_are_counted_as_they_are_resolved() -> None:
    bomb = composed("search").copy()
    bomb.space = {"name": "x", "a0": [1] * 10} | {f"a{n}": [f"${{space.a{n - 1}}}"] * 10 for n in range(1, 9)}
    with pytest.raises(ValueError, match="at most 100000 values"):
        check_size(bomb)
    loop = composed("search").copy()
    loop.space = {"name": "x", "a": {"b": "${space}"}}
    with pytest.raises(ValueError, match="Interpolation to parent node"):
        check_size(loop)


def test_a_schema_has_no_ranges() -> None:
    """OmegaConf knows no `Annotated`."""
    assert typing.get_type_hints(schema(Objective))["best"] == float | None


@pytest.mark.parametrize(
    ("content", "law"),
    [
        ("a: " + "[" * 40, "at most 32 levels deep"),
        ("x0: &x0 [1, 1, 1]\n" + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12)),
         "at most 100000 values with its aliases"),
        ("a: &a [*a]", "an alias must not stand inside what it names"),
        ("a: " + "x" * 2**20, "at most 1048576 bytes"),
    ],
)  # fmt: skip
def test_a_yaml_file_is_bounded_before_it_is_built(tmp_path: Path, content: str, law: str) -> None:
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "mine.yaml").write_text(content)
    with pytest.raises(ValueError, match=law):
        check_yaml_folder(tmp_path, ["space"])
    check_yaml_folder(conf_dir(), ["space", "data"])
