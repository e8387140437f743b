"""The command reconstructed from a stored configuration composes to that configuration."""

from __future__ import annotations

import dataclasses
import shlex

import pytest
import yaml
from omegaconf import OmegaConf

from nas.cli.app.compose import compose
from nas.cli.app.overrides import fit
from nas.cli.app.replay import search_command
from nas.config.commands import SearchConfig


def stored(words):
    """Return the configuration of `nas search` with these words, and the content of its config.yaml."""
    config = compose("search", fit(words, SearchConfig))
    return config, yaml.safe_load(OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))))


@pytest.mark.few(5)
@pytest.mark.parametrize(
    "words",
    [
        ["study=mine"],
        ["study=mine", "seed=7", "outputs=/data/my runs", "budget.trials=100", "limits.max_macs=2e6"],
        ["study=mine", "data=cifar10", "data.path=/images/[new]=a,b", "data.resolution=16", "objective=[macs]"],
        ["study=mine", "experiment=cifar_quick", "data.path=somewhere", "sampler=nsga2"],
        ["study=mine", "objective=[params,val_balanced_accuracy]", "+sampler.options.n_startup_trials=6"],
        ["study=mine", "space.stem.width.high=48", "space.stages=[]", "training=long", "training.epochs=3"],
        ["study=2024_01", "data=hub", "data.name=it's/null", "training.gradient_clip=1.5", "data.flip=false"],
        ["study=null_", "+space.note=true", "~space.stem.stride", "workers.slots=2"],
        ["study=mine", "sampler=random", "data.name='null'"],
        ["study=mine", "augmentation=[flip,crop]", "training.augmentation.crop.options.padding=0.5", "training=long"],
    ],
)
def test_the_command_composes_to_what_is_stored(words):
    config, plain = stored(words)
    command, exact = search_command(plain)
    program, name, *again = shlex.split(command)
    assert (program, name) == ("nas", "search")
    assert compose("search", fit(again, SearchConfig)) == config
    assert exact


@pytest.mark.few(4)
@pytest.mark.parametrize("sampler", ["known_cost", "tpe", "gp", "random"])
@pytest.mark.parametrize("fidelity", ["freeze_thaw", "inherit", "full"])
def test_a_configuration_from_before_options_were_written_has_their_defaults(sampler, fidelity):
    plain = stored(["study=mine", f"sampler={sampler}", f"fidelity={fidelity}"])[1]
    plain["sampler"]["options"] = plain["fidelity"]["options"] = {}
    command, exact = search_command(plain)
    assert exact
    typed = {"sampler": sampler, "fidelity": fidelity}
    standard = {"sampler": "known_cost", "fidelity": "full"}
    expected = ["study=mine", *(f"{group}={name}" for group, name in typed.items() if name != standard[group])]
    assert command == shlex.join(["nas", "search", *expected])


def test_an_option_that_was_left_out_is_not_taken_for_what_the_file_sets():
    plain = stored(["study=mine", "sampler=nsga2"])[1]
    del plain["sampler"]["options"]["population_size"]
    assert search_command(plain) == ("nas search study=mine sampler=nsga2 sampler.options.population_size=50", True)


def test_the_command_is_no_longer_than_what_was_typed():
    words = ["study=mine", "seed=3", "data=cifar10", "data.path=images", "sampler=nsga2", "budget.trials=80"]
    command, _ = search_command(stored(words)[1])
    assert sorted(shlex.split(command)[2:]) == sorted(words)


def test_how_the_front_was_printed_is_no_part_of_it():
    assert search_command(stored(["study=mine", "format=json"])[1]) == ("nas search study=mine", True)


def test_a_field_that_there_was_not_yet_has_its_default():
    plain = stored(["study=mine"])[1]
    del plain["data"]["crop_padding"]
    del plain["workers"]
    assert search_command(plain) == ("nas search study=mine", True)


def test_a_newer_field_has_its_default_though_the_nearest_option_has_another_value():
    config, plain = stored(["study=mine", "training=finetune", "training.weights=null"])
    for newer in ("weights", "augmentation", "validate_every"):
        plain["training"].pop(newer, None)
    command, exact = search_command(plain)
    _, _, *again = shlex.split(command)
    assert compose("search", fit(again, SearchConfig)).training == config.training
    assert exact


def test_what_cannot_be_said_is_not_claimed():
    plain = stored(["study=mine"])[1]
    plain["training"]["of_another_version"] = 3
    assert search_command(plain)[1] is False


def test_an_objective_of_ones_own_is_not_claimed():
    plain = stored(["study=mine"])[1]
    plain["objective"].append({**plain["objective"][0], "name": "mine"})
    assert search_command(plain)[1] is False
