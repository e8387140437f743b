"""The real configuration: every option composes, and every key in it is known."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import yaml

import nas.cli.app.compose
from nas.cli.app.compose import compose, conf_dir, convert, schema
from nas.config.budget import Budget
from nas.config.commands import ROOTS, DescribeConfig, SearchConfig
from nas.config.objective import Objective
from nas.objectives.limits import Limits

CONF = conf_dir()
NEEDS = {
    "data=image_folder": ["data.path=somewhere"],
    "data=signals": ["data.path=somewhere.npz"],
    "data=hub": ["data.name=owner/name"],
    "data=tensors": ["data.path=somewhere"],
}
NEEDED = {"measure": ["fit=true"], "finetune": ["model=somewhere", "data.path=somewhere"]}
"""Words that a command needs."""
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml") if path.parent.name not in {"experiment"}
)


def as_plain(value):
    """Return a configuration as plain YAML values."""
    if dataclasses.is_dataclass(value):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("command", ROOTS)
def test_every_command_composes_to_its_class(command):
    assert type(compose(command, NEEDED.get(command, []))) is ROOTS[command]


def test_there_are_options_to_test():
    assert {"data=digits", "sampler=nsga2", "objective=macs", "space=quick"} <= set(OPTIONS)


@pytest.mark.few(21)
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_says_what_its_file_says(option):
    group, name = option.split("=")
    config = compose("search", [option, *NEEDS.get(option, [])])
    written = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    written.pop("defaults", None)
    composed = config.training.augmentation if group == "augmentation" else getattr(config, group)
    composed = as_plain(composed[0] if group in {"augmentation", "objective"} else composed)
    given = {word.split("=")[0].split(".")[1] for word in NEEDS.get(option, [])}
    assert {key: composed[key] for key in written if key not in given} == {
        key: value for key, value in written.items() if key not in given
    }


EXPERIMENTS = sorted(p.stem for p in (CONF / "experiment").glob("*.yaml") if not p.stem.startswith("surrogate_"))


@pytest.mark.few(10)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("command", ["search", "describe"])
def test_every_experiment_composes(command, experiment):
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    named = "/data:" in text and "/data: digits" not in text
    config = compose(command, [f"experiment={experiment}", *(["data.path=somewhere"] if named else [])])
    assert config.data.path == ("somewhere" if named else None)


@pytest.mark.parametrize(
    ("experiment", "portions"),
    [
        ("surrogate_digits", {"random": 450, "spread": 350, "tpe": 150, "evolution": 150, "known_cost": 150}),
        ("surrogate_cifar16", {"random": 144, "spread": 112, "tpe": 48, "evolution": 48, "known_cost": 48}),
    ],
)
def test_a_sample_is_of_the_default_space_and_recipe(experiment, portions):
    words = ["data.path=somewhere"] if "cifar" in experiment else []
    table = compose("tabulate", [f"experiment={experiment}", *words])
    assert table.portions() == portions
    search = compose("search", ["experiment=cifar_quick", *words] if words else [])
    assert (table.data, table.space, table.training) == (search.data, search.space, search.training)


@pytest.mark.parametrize("name", ["digits", "cifar16"])
def test_a_table_and_a_search_are_made_of_the_same(name):
    words = [f"experiment=table_{name}", *(["data.path=somewhere"] if name == "cifar16" else [])]
    table, search = compose("tabulate", words), compose("search", words)
    assert (table.data, table.space, table.training) == (search.data, search.space, search.training)
    assert table.space["name"] == f"tabulated_{name}"


@pytest.mark.parametrize("path", sorted(CONF.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_option_begins_with_what_it_is(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")


def test_describe_takes_what_a_search_takes():
    def groups(command):
        defaults = yaml.safe_load((CONF / f"{command}.yaml").read_text(encoding="utf-8"))["defaults"]
        return [entry for entry in defaults if isinstance(entry, dict) and not any("override" in k for k in entry)]

    assert groups("describe") == groups("search")


def test_objectives_come_in_the_order_given():
    assert [o.name for o in compose("search").objective] == ["val_accuracy", "macs"]
    assert [o.name for o in compose("search", ["objective=[macs,val_balanced_accuracy,params]"]).objective] == [
        "macs",
        "val_balanced_accuracy",
        "params",
    ]


@pytest.mark.parametrize("override", ["objective=val_accuracy", "objective=[val_accuracy]"])
def test_one_objective_is_enough(override):
    assert [o.name for o in compose("search", [override]).objective] == ["val_accuracy"]


def test_no_limit_is_set_unless_asked_for():
    assert Limits(**compose("search").limits) == Limits()


@pytest.mark.parametrize("root", [*ROOTS.values(), Objective, Budget])
def test_a_schema_has_the_fields_and_defaults_of_its_class(root):
    twin = schema(root)
    assert [f.name for f in dataclasses.fields(twin)] == [f.name for f in dataclasses.fields(root)]
    for field in dataclasses.fields(root):
        if field.default is not dataclasses.MISSING:
            assert getattr(twin, field.name) == field.default
    assert not twin.__dataclass_params__.frozen
    assert "__post_init__" not in vars(twin)


def test_tuples_of_numbers_are_composed_as_lists():
    @dataclasses.dataclass(frozen=True)
    class Sides:
        sides: tuple[int, ...]

    globals()["Sides"] = Sides
    made = nas.cli.app.compose.OmegaConf.structured(schema(Sides))
    made.sides = [1, 2]
    assert typing.get_type_hints(schema(Sides))["sides"] == list[int]
    assert convert(Sides, made) == Sides((1, 2))


def test_what_is_missing_is_named():
    incomplete = nas.cli.app.compose.OmegaConf.structured(schema(Objective))
    incomplete.name = "mine"
    with pytest.raises(ValueError, match="source must be given"):
        convert(Objective, incomplete)


def test_an_added_key_is_refused():
    with pytest.raises(ValueError, match="got 'nope' at training"):
        compose("search", ["+training.nope=1"])


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        compose("search").seed = 1


@pytest.mark.parametrize(
    ("root", "values", "law"),
    [
        (SearchConfig, ["seed=-1"], "seed must be at least 0, got -1"),
        (SearchConfig, ["objective=[]"], "objective must name at least one"),
        (SearchConfig, ["format=xml"], "format must be one of table, json, csv, got 'xml'"),
        (DescribeConfig, ["samples=0"], "samples must be at least 1, got 0"),
        (DescribeConfig, ["seed=-1"], "seed must be at least 0, got -1"),
    ],
)
def test_values_out_of_range_are_refused(root, values, law):
    command = next(name for name, known in ROOTS.items() if known is root)
    with pytest.raises(ValueError, match=law):
        compose(command, values)


@pytest.mark.parametrize("place", ["nas/conf", "conf"])
def test_the_files_are_found_in_a_wheel_and_in_a_checkout(place, tmp_path, monkeypatch):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "search.yaml").touch()
    monkeypatch.setattr(nas.cli.app.compose, "__file__", str(tmp_path / "nas" / "cli" / "app" / "compose.py"))
    assert conf_dir() == tmp_path / place


def test_a_broken_installation_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setattr(nas.cli.app.compose, "__file__", str(tmp_path / "nas" / "cli" / "app" / "compose.py"))
    with pytest.raises(FileNotFoundError, match=r"must lie in .*conf or .*conf"):
        conf_dir()


def test_composing_imports_nothing_heavy():
    code = "import sys, nas.cli.app.compose; nas.cli.app.compose.compose('search'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "omegaconf" in loaded
    assert not {"torch", "optuna", "wandb", "numpy", "datasets", "sklearn"} & set(loaded)


def test_the_files_are_where_the_project_keeps_them():
    assert Path(nas.cli.app.compose.__file__).resolve().parents[3] / "conf" == CONF
