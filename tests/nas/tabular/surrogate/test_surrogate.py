"""Surrogates: what they predict for networks they have not seen, the noise of their worlds, and their benchmark."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau
from strategies import strategy
from synthetic_samples import (
    EPOCHS,
    IMAGES,
    LARGER,
    PORTIONS,
    TEST_IMAGES,
    examined_truth,
    larger_space,
    sample_members,
    synthetic_sample,
)
from synthetic_tables import IMAGE, synthetic_table

from nas.cli import main
from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.tabular.columns import TableError
from nas.tabular.simulation.pool import SimulationPool
from nas.tabular.simulation.scores import score
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.simulation.truth import truth_of
from nas.tabular.surrogate import benchmark, front_search
from nas.tabular.surrogate.benchmark import SurrogateBenchmark, open_surrogate
from nas.tabular.surrogate.curves import CurveCoder, accuracy_of, logit
from nas.tabular.surrogate.ensemble import CostTrend, left_out_predictions
from nas.tabular.surrogate.front_search import Effort, FoundFront, FrontSearch
from nas.tabular.surrogate.model import Surrogate, mean_seconds
from nas.tabular.surrogate.noise import (
    LastAccuracies,
    Residuals,
    TrainingNoise,
    network_deviations,
    part_luck_share,
    seed_deviations,
)
from nas.tabular.table import Table, read_table
from search_space.architecture import Architecture
from search_space.space import SpaceError, parse_space

SMALL_EFFORT = Effort(drawn=150, walks=10, generations=4, bins=10, parents=3, neighbours=400)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_sample(tmp_path_factory.mktemp("sample") / "sample.parquet")


@pytest.fixture(scope="module")
def table(path: Path) -> Table:
    return read_table(path)


@pytest.fixture(scope="module")
def surrogate(table: Table) -> Surrogate:
    return Surrogate(table)


@pytest.fixture
def effort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search for the true front with little effort, and cache it in a folder of the test."""
    monkeypatch.setattr(front_search, "Effort", lambda: SMALL_EFFORT)
    monkeypatch.setattr(front_search, "_cache_folder", lambda: tmp_path / "fronts")
    monkeypatch.setattr(benchmark, "USUAL", 100)


@pytest.fixture(scope="module")
def unseen(table: Table) -> list[Architecture]:
    generator = random.Random("unseen")
    drawn = {architecture.id: architecture for architecture in map(larger_space().draw, [generator] * 120)}
    return [architecture for name, architecture in drawn.items() if name not in table.entries]


def test_networks_that_were_not_trained_are_ranked_better_than_by_their_cost(
    surrogate: Surrogate, unseen: list[Architecture]
) -> None:
    predicted, truth = surrogate.predict(unseen), examined_truth(unseen)
    by_model = kendalltau([each.test_accuracy for each in predicted], truth).statistic
    by_cost = kendalltau([each.described.costs["macs"] for each in predicted], truth).statistic
    assert by_model > by_cost + 0.1
    assert by_model > 0.75


def test_seconds_and_accuracy_are_near_the_truth(surrogate: Surrogate, unseen: list[Architecture]) -> None:
    predicted = surrogate.predict(unseen)
    expected = np.array([EPOCHS * (1e-6 * each.described.costs["macs"] + 0.1) for each in predicted])
    assert np.abs(np.array([each.seconds for each in predicted]) / expected - 1.0).mean() < 0.1
    truth = np.array(examined_truth(unseen)) - 2.0 * 0.5**EPOCHS
    found = logit(np.array([each.test_accuracy for each in predicted]), TEST_IMAGES)
    assert np.sqrt(((found - truth) ** 2).mean()) < 0.4 * truth.std()


def test_equal_tables_give_equal_models(table: Table, surrogate: Surrogate, unseen: list[Architecture]) -> None:
    again = Surrogate(table)
    for first, second in zip(surrogate.predict(unseen[:9]), again.predict(unseen[:9]), strict=True):
        assert first.test_accuracy == second.test_accuracy
        assert surrogate.curve(first, 3, 1) == again.curve(second, 3, 1)


def test_one_network_is_predicted_as_it_is_in_a_batch(surrogate: Surrogate, unseen: list[Architecture]) -> None:
    batch = surrogate.predict(unseen[:20])
    for architecture, together in zip(unseen[:20], batch, strict=True):
        (alone,) = surrogate.predict([architecture])
        assert alone.test_accuracy == together.test_accuracy
        assert alone.vector == pytest.approx(together.vector, rel=1e-9)
    assert surrogate.predict([]) == []


def test_curves_are_those_of_trainings(surrogate: Surrogate, unseen: list[Architecture]) -> None:
    for predicted in surrogate.predict(unseen):
        curve = surrogate.curve(predicted, 0, 0)
        assert [row.epoch for row in curve] == [1, 2, 3, 4]
        for row in curve:
            assert 0.0 <= row.val_accuracy <= 1.0
            assert 0.0 <= row.val_balanced_accuracy <= 1.0
            assert row.val_accuracy * IMAGES == pytest.approx(round(row.val_accuracy * IMAGES), abs=1e-9)
            assert min(row.train_loss, row.val_loss, row.seconds) > 0.0


def test_worlds_and_repeats_differ_and_come_back(surrogate: Surrogate, unseen: list[Architecture]) -> None:
    predicted = surrogate.predict(unseen[:30])
    curves = {
        (world, repeat): [surrogate.curve(each, world, repeat) for each in predicted]
        for world in (0, 1)
        for repeat in (0, 1)
    }
    kinds = list(curves.values())
    assert all(kinds[i] != kinds[j] for i in range(4) for j in range(i))
    assert curves[1, 0] == [surrogate.curve(each, 1, 0) for each in predicted]


def test_the_noise_between_repeats_is_that_between_recorded_seeds(surrogate: Surrogate, table: Table) -> None:
    coder = surrogate.coder
    twice = [surrogate.vectors(entry) for entry in table.entries.values() if len(entry.curves) == 2]
    recorded = np.array([(first - second) / np.sqrt(2.0) for first, second in twice])
    predicted = surrogate.predict([entry.architecture for entry in table.entries.values()])
    drawn = np.array(
        [
            (surrogate.noisy_vector(each, world, 0) - surrogate.noisy_vector(each, world, 1)) / np.sqrt(2.0)
            for each in predicted
            for world in range(5)
        ]
    )
    for name in ("val_accuracy", "train_loss", "seconds"):
        mine, theirs = (values[:, coder.columns(name)].std() for values in (drawn, recorded))
        assert mine == pytest.approx(theirs, rel=0.25)
    both = [np.corrcoef(v[:, coder.columns("val_loss").stop - 1], v[:, 3])[0, 1] for v in (drawn, recorded)]
    assert both[0] == pytest.approx(both[1], abs=0.3), "quantities deviate together as they do in trainings"


def test_repeats_share_the_deviation_of_their_network(surrogate: Surrogate, unseen: list[Architecture]) -> None:
    last = surrogate.coder.columns("val_accuracy").stop - 1
    predicted = surrogate.predict(unseen[:40])
    drawn = np.array(
        [
            [surrogate.noisy_vector(each, 0, repeat)[last] - each.vector[last] for repeat in range(40)]
            for each in predicted
        ]
    )
    own = drawn.var(axis=1, ddof=1).mean()
    shared = drawn.mean(axis=1).var(ddof=1) - own / 40
    assert own == pytest.approx((surrogate.seed_noise.values[:, last] ** 2).mean(), rel=0.25)
    assert shared == pytest.approx((surrogate.network_noise.values[:, last] ** 2).mean(), rel=0.5)
    assert shared > 0


def test_what_networks_deviate_by_beyond_their_accuracy_is_found() -> None:
    """Deviations of curves that go with the true accuracy, those that do not, and the seeds' noise are told apart."""
    generator = np.random.default_rng(0)
    truth, own = generator.normal(0.0, 1.0, 4000), generator.normal(0.0, [0.5, 0.0], (4000, 2))
    seeds, test = generator.normal(0.0, 0.3, (4000, 2)), generator.normal(0.0, 0.4, 4000)
    residuals = Residuals(np.zeros(4000), truth[:, None] * [2.0, 1.0] + own + seeds, truth + test)
    found = network_deviations(residuals, TrainingNoise(np.full(2, 0.09), 0.16, np.zeros(2)))
    assert found.values.std(axis=0) == pytest.approx([0.5, 0.0], abs=0.12)
    nothing = network_deviations(
        Residuals(np.zeros(4000), seeds, test), TrainingNoise(np.full(2, 0.1), 0.17, np.zeros(2))
    )
    assert np.abs(nothing.values).max() == 0.0


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_the_part_luck_is_found_in_accuracies(share: float) -> None:
    generator = np.random.default_rng(1)
    truth = generator.uniform(0.3, 0.9, 4000)
    spread = np.sqrt(share * truth * (1.0 - truth))

    def seen(images: int) -> np.ndarray[Any, Any]:
        common = generator.standard_normal(4000) * spread / np.sqrt(images)
        return (truth + common)[:, None] + generator.normal(0.0, 0.01, (4000, 2))

    found = part_luck_share(LastAccuracies(seen(300), seen(400), 300, 400))
    assert found == pytest.approx(share, abs=0.12)


def test_logits_and_curves_come_back(table: Table) -> None:
    counts = np.arange(81) / 80
    assert accuracy_of(logit(counts, 80), 80) == pytest.approx(counts, abs=1e-12)
    coder = CurveCoder(EPOCHS, IMAGES)
    for entry in list(table.entries.values())[:5]:
        for curve in entry.curves.values():
            for mine, theirs in zip(coder.decode(coder.encode(curve)), curve, strict=True):
                assert vars(mine) == pytest.approx(vars(theirs), rel=1e-9)


def test_the_trend_is_flat_beyond_the_sample() -> None:
    costs = np.linspace(3.0, 6.0, 50)[:, None]
    trend = CostTrend.fit(costs, 2.0 * costs)
    assert trend.predict(np.array([[4.0]]))[0, 0] == pytest.approx(8.0, abs=0.05)
    assert trend.predict(np.array([[9.0]])) == trend.predict(np.array([[6.0]]))


def test_too_few_pairs_of_seeds_are_refused(tmp_path: Path) -> None:
    few = read_table(synthetic_sample(tmp_path / "few.parquet", sample_members()[:30], again=0.1))
    with pytest.raises(TableError, match="needs 8 networks with two seeds, whose differences are the noise, got 3"):
        Surrogate(few)


def test_a_sample_is_no_table_and_a_table_can_be_a_surrogate(table: Table, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"table must hold a whole space, .* has a sample; surrogate=FILE plays on it"):
        SimulatedTable(table)
    whole = Surrogate(read_table(synthetic_table(tmp_path / "t.parquet")))
    assert len(whole.predict(whole.table.architectures)) == 16


def test_a_training_equivalent_is_the_mean_of_the_random_portion(surrogate: Surrogate, table: Table) -> None:
    drawn = [entry for entry in table.entries.values() if entry.origin == "random"]
    assert len(drawn) == PORTIONS["random"]
    totals = [sum(row.seconds for row in curve) for entry in drawn for curve in entry.curves.values()]
    assert mean_seconds(surrogate) == pytest.approx(np.mean(totals))


def test_the_front_search_beats_the_sample_and_keeps_to_limits(surrogate: Surrogate) -> None:
    found = FrontSearch(surrogate, Limits(), SMALL_EFFORT).run()
    assert found == FrontSearch(surrogate, Limits(), SMALL_EFFORT).run()
    assert FoundFront.from_json(json.loads(json.dumps(found.to_json()))) == found
    members = surrogate.predict(found.members)
    macs = [each.described.costs["macs"] for each in members]
    assert macs == sorted(macs)
    assert all(a.test_accuracy < b.test_accuracy for a, b in pairwise(members))
    trained = surrogate.predict(surrogate.table.architectures)
    for each in trained:
        better = [m for m in members if m.described.costs["macs"] <= each.described.costs["macs"]]
        assert max(m.test_accuracy for m in better) >= each.test_accuracy
    cheap = FrontSearch(surrogate, Limits(max_macs=20_000), SMALL_EFFORT).run()
    assert max(each.described.costs["macs"] for each in surrogate.predict(cheap.members)) <= 20_000
    assert cheap.predictions < 1500


def test_a_found_front_is_kept(surrogate: Surrogate, effort: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = front_search.true_front(surrogate, Limits())
    monkeypatch.setattr(FrontSearch, "run", lambda self: pytest.fail("searched again"))
    assert front_search.true_front(surrogate, Limits()) == first
    with pytest.raises(pytest.fail.Exception, match="searched again"):
        front_search.true_front(surrogate, Limits(max_macs=20_000))


def test_a_search_sees_noise_and_is_scored_by_the_truth(surrogate: Surrogate, effort: None) -> None:
    simulated = SurrogateBenchmark(surrogate)
    truth = truth_of(simulated, Limits())
    trace = simulate(strategy(budget=Budget(trials=25), seed=4), simulated)
    assert trace.table_seed == 4
    assert {trial.epochs for trial in trace.trials} == {EPOCHS}
    returned = trace.snapshots[-1].front
    assert set(returned) <= set(trace.judged)
    assert all(0.0 <= point["error"] <= 1.0 and point["macs"] > 0 for point in trace.judged.values())
    assert 0.0 < score(trace, truth, 1000.0).share <= 1.0
    best = truth.share(truth.front)
    assert best == pytest.approx(1.0)


def test_repeats_have_no_limit(surrogate: Surrogate, effort: None) -> None:
    repeating = replace(strategy(budget=Budget(trials=6)), fidelity=replace(strategy().fidelity, repeats=5))
    trace = simulate(repeating, SurrogateBenchmark(surrogate))
    assert len(trace.trials) == 6


@pytest.mark.slow
def test_processes_open_the_same_surrogate(path: Path) -> None:
    simulated = open_surrogate(path, 1, "cpu_seconds")
    strategies = [strategy(seed=seed, budget=Budget(trials=6)) for seed in range(2)]
    pooled, alone = (dict(SimulationPool(processes).simulate(strategies, simulated)) for processes in (2, 1))
    assert [pooled[i].trials for i in range(2)] == [alone[i].trials for i in range(2)]
    assert [pooled[i].judged for i in range(2)] == [alone[i].judged for i in range(2)]
    assert pooled[0].snapshots[-1].training_seconds == alone[0].snapshots[-1].training_seconds


def test_an_architecture_of_another_space_has_no_curve(surrogate: Surrogate) -> None:
    other = parse_space({**LARGER, "stem": {"width": 20}}, IMAGE, 10).draw(random.Random(0))
    with pytest.raises(SpaceError):
        SurrogateBenchmark(surrogate).curve_lookup(0)(other.to_json(), 0)


Said = Callable[..., dict[str, Any]]


@pytest.fixture
def rehearsed(path: Path, effort: None, capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> dict[str, Any]:
        given = [f"surrogate={path}", "plot=null", "format=json", "workers.slots=1", "seeds=2", "budget.trainings=8"]
        assert main(["rehearse", *given, *words]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


def test_the_command_plays_worlds_of_their_own(rehearsed: Said) -> None:
    first, again = (rehearsed("sampler=random", "fidelity=full", "seed=5") for _ in range(2))
    assert first == again
    assert [search["table_seed"] for search in first["rehearsals"]] == [5, 6]
    assert first["table"]["surrogate"] == {"networks": 70}
    assert first["table"]["architectures"] == larger_space().size
    assert all(0.0 <= search["share"] <= 1.0 for search in first["rehearsals"])
    assert 0.0 < first["ceiling"] <= 1.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["surrogate=absent.parquet"], "surrogate must be a file that can be read, got absent.parquet: No such file"),
        (["table=t.parquet", "surrogate=s.parquet"], "either table=FILE or surrogate=FILE may be given, got both"),
        ([], "table=FILE must say which table, or surrogate=FILE which sample"),
    ],
)
def test_a_mistake_is_explained_in_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "plot=null", "workers.slots=1", *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_nothing_is_unpickled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(f"pickle.{name}", refused)
    assert open_surrogate(path, 1, "seconds").epochs == EPOCHS


def test_deviations_of_the_nearest_levels_are_drawn() -> None:
    levels = np.linspace(-5.0, 5.0, 60)
    pairs = np.array([[np.full(5, level), np.full(5, level + (0.0 if level < 0 else 1.0))] for level in levels])
    noise = seed_deviations(pairs[::-1], 3)
    generator = np.random.default_rng(0)
    quiet = [noise.draw(-4.5, generator) for _ in range(50)]
    loud = [noise.draw(4.5, generator) for _ in range(500)]
    assert np.abs(quiet).max() == 0.0
    assert np.std([draw[0] for draw in loud]) == pytest.approx(np.sqrt(0.5), rel=0.1)


def test_left_out_predictions_have_not_seen_the_network() -> None:
    generator = np.random.default_rng(0)
    features, noise = generator.normal(size=(200, 4)), generator.normal(size=200)
    found = left_out_predictions(features, np.column_stack([noise, features[:, 0]]))
    assert abs(np.corrcoef(found[:, 0], noise)[0, 1]) < 0.2, "noise can only be known by heart"
    assert np.corrcoef(found[:, 1], features[:, 0])[0, 1] > 0.9
