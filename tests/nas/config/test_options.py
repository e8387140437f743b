"""Options of samplers, fidelities and augmentations: the YAML files show every one, with the default of the code."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from engine import AXES, SMALL, TWO, space_of

from nas.cli.app.compose import compose, conf_dir
from nas.config.fidelity import FidelitySpec
from nas.config.sampler import SamplerSpec
from nas.data.augment.pipeline import AUGMENTATION
from nas.fidelity.factory import POLICY, Horizon, policy_of
from nas.samplers.factory import SAMPLER, Domain, sampler_defaults, sampler_factory

SAMPLERS = sorted(path.stem for path in (conf_dir() / "sampler").glob("*.yaml"))
AUGMENTATIONS = sorted(path.stem for path in (conf_dir() / "augmentation").glob("*.yaml"))
FIDELITIES = sorted(path.stem for path in (conf_dir() / "fidelity").glob("*.yaml"))
CHOSEN: dict[str, dict[str, Any]] = {
    "nsga2": {"population_size": 10},
    "nsga3": {"population_size": 10},
    "tpe_multivariate": {"multivariate": True, "group": True},
}
"""Arguments of Optuna's samplers whose values in the files differ from Optuna's defaults."""
NOT_SETTINGS = ("warn_independent_sampling", "group")
"""Plain arguments of Optuna's that no file needs to show: a warning, and one that goes with `multivariate`."""


def shown(group: str, option: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    return dict(found["options"])


def as_yaml(defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}


def sampler_spec(option: str, **changes: Any) -> SamplerSpec:
    spec = compose("search", [f"sampler={option}"]).sampler
    assert isinstance(spec, SamplerSpec)
    return SamplerSpec(**{**vars(spec), **changes})


@pytest.mark.parametrize("option", FIDELITIES)
def test_a_fidelity_shows_all_of_its_options_with_their_defaults(option: str) -> None:
    assert list(shown("fidelity", option).items()) == list(as_yaml(POLICY.defaults(option)).items())


@pytest.mark.parametrize("option", AUGMENTATIONS)
def test_an_augmentation_shows_all_of_its_options_with_their_defaults(option: str) -> None:
    (spec,) = compose("search", [f"augmentation=[{option}]"]).training.augmentation
    assert (spec.name, spec.module) == (option, option)
    assert list(shown("augmentation", option).items()) == list(as_yaml(AUGMENTATION.defaults(option)).items())


@pytest.mark.parametrize("option", SAMPLERS)
def test_a_sampler_shows_its_options_with_their_defaults(option: str) -> None:
    spec = sampler_spec(option)
    defaults, options = as_yaml(sampler_defaults(spec)), shown("sampler", option)
    if spec.module is not None:
        assert list(options.items()) == list(defaults.items())
        return
    assert options == {**{name: defaults[name] for name in options}, **CHOSEN.get(option, {})}
    plain = {name for name, value in defaults.items() if isinstance(value, bool | int | float)}
    assert plain - set(NOT_SETTINGS) <= set(options)


def test_every_module_that_is_a_plug_in_has_its_file() -> None:
    assert {spec.module for spec in map(sampler_spec, SAMPLERS) if spec.module} == set(SAMPLER.names())
    assert set(FIDELITIES) == set(POLICY.names())
    assert set(AUGMENTATIONS) == set(AUGMENTATION.names())


@pytest.mark.parametrize("option", SAMPLERS)
def test_a_sampler_of_an_older_configuration_without_options_is_made(option: str) -> None:
    domain = Domain(space_of(SMALL), [AXES[name] for name in TWO])
    sampler_factory(sampler_spec(option, options={}), domain)(0)


@pytest.mark.parametrize("option", FIDELITIES)
def test_a_fidelity_of_an_older_configuration_without_options_is_the_one_of_the_file(option: str) -> None:
    horizon = Horizon(12, [AXES[name] for name in TWO], lambda curve, costs: {})
    written = compose("search", [f"fidelity={option}"]).fidelity
    assert isinstance(written, FidelitySpec)
    old, new = policy_of(FidelitySpec(option), horizon), policy_of(written, horizon)
    assert {k: v for k, v in vars(old).items() if k != "_full"} == {k: v for k, v in vars(new).items() if k != "_full"}
