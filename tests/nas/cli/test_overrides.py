"""A typed override reaches the configuration as it was meant."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from nas.cli.app.compose import compose
from nas.cli.app.overrides import fit, quoted
from nas.config.commands import SearchConfig

PATHS = [
    "/tmp/a [b]/x?y",
    "/tmp/a b/c",
    "/tmp/a,b",
    "/tmp/(a)",
    "C:\\Users\\me\\photos",
    "C:\\",
    "/tmp/it's",
    '/tmp/"quoted" {x}',
    "~/photos",
    "/tmp/ä/ß",
    "/tmp/x=1&y=2#z",
    "2024_01",
    "007",
    "1e3",
    "true",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_text_stays_what_was_typed(path):
    (override,) = fit([f"outputs={path}"], SearchConfig)
    assert OverridesParser.create().parse_override(override).value() == path


def test_texts_reach_the_configuration():
    config = compose("search", fit([f"outputs={PATHS[0]}", "study=2024_01", "data.hub_name=1e3"], SearchConfig))
    assert (config.outputs, config.study, config.data.hub_name) == (PATHS[0], "2024_01", "1e3")


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), min_size=1))
def test_quoting_is_undone_by_the_grammar(text):
    parsed = OverridesParser.create().parse_override(f"outputs={quoted(text)}")
    if "${" not in text:
        assert parsed.value() == text


def test_plus_sets_an_option_of_a_sampler_whether_its_file_shows_it_or_not():
    words = ["sampler=tpe", "+sampler.options.n_startup_trials=3", "+sampler.options.prior_weight=2.0"]
    options = compose("search", fit(words, SearchConfig)).sampler.options
    assert (options["n_startup_trials"], options["prior_weight"]) == (3, 2.0)
    plain = compose("search", fit(["sampler=tpe", "sampler.options.n_startup_trials=3"], SearchConfig))
    assert plain.sampler.options["n_startup_trials"] == 3
    assert fit(["+sampler=tpe"], SearchConfig) == ["+sampler=tpe"]


@pytest.mark.parametrize(
    "word",
    [
        "objective=[val_accuracy,macs]",
        "sampler.options={a: 1}",
        "++sampler.options.n=3",
        "~data",
        "study=null",
        "study=abc",
        "seed=3",
        "workers.slots=2",
        "workers.slots=auto",
        "budget.minutes=2.5",
        "training.epochs=abc",
        "space.stem.width={low: 4, high: 8}",
        "space.stem.width=7",
        "no override",
        "bad key]=x y",
    ],
)
def test_the_rest_stays_as_typed(word):
    assert fit([word], SearchConfig) == [word]


@pytest.mark.parametrize(
    ("word", "fitted"),
    [
        ("limits.max_macs=2e6", ["++limits.max_macs=2000000"]),
        ("limits.max_macs=2.5", ["++limits.max_macs=2.5"]),
        ("limits.max_energy_mj=2e0", ["++limits.max_energy_mj=2"]),
        ("objective=val_accuracy,macs", ["objective=[val_accuracy,macs]"]),
        ("training=3", ["training='3'"]),
        ("data=null", ["data='null'"]),
        ("data.name=12", ["data.name='12'"]),
        ("space.stem.width=[4,8]", ["~space.stem.width", "+space.stem.width=[4,8]"]),
    ],
)
def test_what_has_one_meaning_is_written_that_way(word, fitted):
    assert fit([word], SearchConfig) == fitted


def test_a_sweep_stays_a_sweep():
    words = ["outputs=a,b", "objective=macs,params", "seed=1,2"]
    assert fit(words, SearchConfig, multirun=True) == words
    assert fit(["seed=1,2"], SearchConfig) == ["seed=1,2"]


def test_a_list_replaces_a_mapping():
    config = compose("search", fit(["space.stem.width=[4,8]"], SearchConfig))
    assert config.space["stem"]["width"] == [4, 8]
    assert config.space["stem"]["kernel"] == compose("search").space["stem"]["kernel"]
