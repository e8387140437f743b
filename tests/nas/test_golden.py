"""Studies, tables and searches of an earlier version: they open, go on and export, and draw what they drew then.

The studies under tests/golden/studies and the values in expected.json were made by version 0.1.0 on one thread.
Identities are compared exactly, losses loosely, since another processor's kernels round differently.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nas.cli import main
from nas.study.study import open_study

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
DRAWN = ("trial", "state", "id", "network_id", "ask", "seed", "params", "costs")
ALONE = ("workers.slots=1", "workers.threads_per_slot=1", "tracking=none", "space=tabulated_digits")
BOX = ("objective.val_accuracy.scale=linear", "objective.macs.worst=125800")  # the default box of the earlier version
FROZEN = (
    "study=frozen", "seed=5", "sampler=random", "fidelity=full", "budget.trials=4", "training.epochs=60",
    "data.train_fraction=0.5", "workers.keep=front", "limits.max_params=20000",
)  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache-of-golden"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN / "studies", tmp_path / "outputs")


def rows(study: str) -> list[dict[str, Any]]:
    """The trials of a study in the form of expected.json."""
    found = [
        {
            "trial": r.number,
            "state": str(r.state),
            "id": r.candidate.id,
            "network_id": r.candidate.network_id,
            "ask": r.candidate.ask,
            "seed": r.candidate.seed,
            "params": dict(r.candidate.params),
            "costs": dict(r.candidate.costs),
            "curve": [[e.train_loss, e.val_loss, e.val_accuracy, e.val_balanced_accuracy] for e in r.curve],
            "repeats": [[[e.train_loss, e.val_accuracy] for e in repeat.curve] for repeat in r.repeats],
            "values": None if r.values is None else dict(r.values),
        }
        for r in open_study(Path("outputs") / study).records()
    ]
    return json.loads(json.dumps(found))


def drawn(trials: list[dict[str, Any]], *but: str) -> list[dict[str, Any]]:
    return [{key: trial[key] for key in DRAWN if key not in but} for trial in trials]


def compare_curves(found: list[dict[str, Any]], expected: list[dict[str, Any]], epochs: int) -> None:
    """The first epochs are the same up to rounding."""
    for one, other in zip(found, expected, strict=True):
        for here, there in list(zip(one["curve"], other["curve"], strict=False))[:epochs]:
            assert here == pytest.approx(there, rel=1e-3, abs=2e-2), one["trial"]


@pytest.mark.parametrize("study", ["frozen", "repeated"])
def test_a_study_of_an_earlier_version_is_read_as_it_was(study: str) -> None:
    assert rows(study) == EXPECTED[study]


def test_a_frozen_search_of_an_earlier_version_goes_on_from_its_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *FROZEN, *BOX, *ALONE, "format=json"]) == 0
    found, expected = rows("frozen"), EXPECTED["resumed"]
    assert drawn(found) == drawn(expected)
    compare_curves(found[:3], expected[:3], 14)  # the third was frozen after epoch 11
    compare_curves(found[3:], expected[3:], 3)
    assert found[2]["curve"][:11] == EXPECTED["frozen"][2]["curve"]


def test_a_checkpoint_of_an_earlier_version_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "study=frozen", "pick=1", "formats=[safetensors,source]", "format=json"]) == 0
    checks = json.loads(capsys.readouterr().out)["exported"][0]["checks"]
    assert checks
    assert all(check["max_difference"] <= 1e-4 for check in checks.values())


def test_reports_of_an_earlier_study_are_written() -> None:
    assert main(["report", "study=repeated"]) == 0
    assert (Path("outputs") / "repeated" / "report.html").stat().st_size > 10_000


def test_a_seeded_random_search_draws_and_trains_the_same_networks(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("study=again", "seed=3", "sampler=random", "fidelity=full", "budget.trials=5")
    assert main(["search", *words, "training.epochs=3", "data.train_fraction=0.3", *ALONE, "format=json"]) == 0
    found, expected = rows("again"), EXPECTED["random"]
    assert drawn(found) == drawn(expected)
    compare_curves(found, expected, 3)


def test_a_seeded_default_search_begins_with_the_same_networks(capsys: pytest.CaptureFixture[str]) -> None:
    """Its first four draws follow from costs alone; later ones depend on measured seconds."""
    words = ("study=again", "seed=3", "budget.trials=4", "training.epochs=3", "data.train_fraction=0.3")
    assert main(["search", *words, *ALONE, "format=json"]) == 0
    found, expected = rows("again"), EXPECTED["default"]
    assert drawn(found, "state") == drawn(expected, "state")
    compare_curves(found, expected, 3)


def test_a_default_search_over_a_table_decides_as_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds come from the table, so that every draw is determined."""
    table = ROOT / "benchmarks" / "tables" / "digits.parquet"
    words = (f"table={table}", "seeds=1", "seed=2", "budget.trainings=20", "budget.trials=null", "plot=null")
    assert main(["rehearse", *words, "format=json"]) == 0
    found = json.loads(capsys.readouterr().out)["rehearsals"][0]
    expected = EXPECTED["rehearsed"]
    assert found["trained"] == expected["trained"]
    assert found["returned"] == expected["returned"]
    assert found["trials"] == expected["counts"]
