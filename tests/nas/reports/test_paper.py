"""Figures for a paper: their texts, their fonts, the same bytes twice, and ticks that differ."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from nas.cli.app.entry import main
from nas.reports.document import ReportContext, study_document
from nas.reports.paper import draw_figures
from nas.reports.paper.panels import draw_front, scale_of
from nas.reports.paper.scales import Scale, even_ticks, log_ticks
from nas.study.study import Study
from nas.study.summary import StudyReader

ERROR = Scale("error (%)", log=True, percent=True, error=True)
MEASURES = ("val_accuracy", "macs", "params", "memory_mib")
FILES = ("curves", "front", "hypervolume", *(f"importance_{name}" for name in MEASURES))


@pytest.fixture(scope="module")
def study(make_study: Callable[..., Study]) -> Study:
    return make_study(40)


@pytest.fixture(scope="module")
def document(study: Study) -> dict[str, Any]:
    mean = {"mean": 0.8, "sd": 0.02, "n": 3}
    results = [{"trial": 0, "test_accuracy": mean, "val_accuracy": mean}]
    return study_document(StudyReader(study), ReportContext("study=invented", retrained=results))


def labels(figure: Figure, side: str) -> list[str]:
    axis = getattr(figure.axes[0], f"{side}axis")
    return [text.get_text() for text in axis.get_ticklabels() if text.get_text()]


def ticks_between(low: float, high: float) -> tuple[list[float], list[str]]:
    ticks = log_ticks(low, high)
    return ticks, ERROR.texts(ticks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.02, 0.6, ["3", "10", "30"]),
        (0.061, 0.069, ["6.2", "6.4", "6.6", "6.8"]),
        (0.0105, 0.0108, ["1.05", "1.06", "1.07", "1.08"]),
        (0.5, 0.5005, ["50.00", "50.01", "50.02", "50.03", "50.04", "50.05"]),
    ],
)
def test_ticks_of_an_error_differ_however_close_they_are(low: float, high: float, texts: Sequence[str]) -> None:
    ticks, found = ticks_between(low, high)
    assert found == list(texts)
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize("share", [1.001, 1.01, 1.5, 3, 40, 1e3, 1e7, 1e12])
def test_every_axis_has_a_few_ticks(share: float) -> None:
    for low in (1e-4, 0.03, 7.0, 12345.0):
        for ticks in (log_ticks(low, share * low), even_ticks(low, share * low)):
            texts = Scale("cost", log=True).texts(ticks)
            assert 2 <= len(ticks) <= 7
            assert len(set(texts)) == len(ticks)


def test_an_accuracy_is_shown_as_an_error_and_a_number_that_is_none_not_at_all(document: dict[str, Any]) -> None:
    scale = scale_of(document, "val_accuracy")
    assert (scale.title, scale.shown(0.9), scale.shown(-0.2)) == ("validation error (%)", pytest.approx(0.1), 1.0)
    assert math.isnan(scale.shown(1.0))
    assert math.isnan(scale.shown(None))
    assert scale_of(document, "macs").title == "MACs"


@pytest.mark.slow
def test_figures_are_the_same_bytes_twice_with_text_as_text(document: dict[str, Any], tmp_path: Path) -> None:
    first = draw_figures(document, tmp_path / "first", ("svg", "pdf", "png"), 3.3)
    second = draw_figures(document, tmp_path / "second", ("svg", "pdf", "png"), 3.3)
    assert sorted(path.name for path in first) == sorted(
        f"{name}.{kind}" for name in FILES for kind in ("pdf", "png", "svg")
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    front = (tmp_path / "first" / "front.svg").read_text(encoding="utf-8")
    assert all(text in front for text in (">validation error (%)<", ">MACs<", "90 % interval", "retrained, test mean"))
    assert 'width="237.6pt"' in front  # 3.3 inches
    pdf = (tmp_path / "first" / "front.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType
    assert b"/Type3" not in pdf


def test_the_front_shows_costs_and_errors(document: dict[str, Any]) -> None:
    figure = draw_front(document, 3.3)
    figure.draw_without_rendering()
    assert len(labels(figure, "x")) >= 3
    assert len(set(labels(figure, "y"))) == len(labels(figure, "y")) >= 3
    errors = [100 * (1 - row["believed"]["mean"]) for row in document["trials"] if row["front"]]
    low, high = figure.axes[0].get_ylim()
    assert low < min(errors) / 100 < max(errors) / 100 < high


@pytest.mark.parametrize(("trials", "objectives"), [(1, ("val_accuracy", "macs")), (24, ("val_accuracy",))])
def test_few_trials_and_one_objective_are_drawn(
    make_study: Callable[..., Study], tmp_path: Path, trials: int, objectives: tuple[str, ...]
) -> None:
    made = make_study(trials, objectives=objectives, name="$few<b>")
    document = study_document(StudyReader(made), ReportContext("study=few"))
    files = draw_figures(document, tmp_path, ("svg",), 6.9)
    assert {path.stem for path in files} >= {"front", "curves", document["progress"]["measure"]}


def test_the_command_names_its_files(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = tmp_path / "pictures"
    words = [f"study={study.folder}", f"output={where}", "formats=[png]", "width=4", "format=json"]
    assert main(["figures", *words]) == 0
    found = json.loads(capsys.readouterr().out)["figures"]
    assert sorted(found) == sorted(str(where / f"{name}.png") for name in FILES)
    assert main(["figures", f"study={study.folder}", "formats=[gif]"]) == 2
    assert "formats must be of png, svg, pdf, each once, got ['gif']" in capsys.readouterr().err
