"""Interactive figure of the front."""

from __future__ import annotations

from typing import Any

from engine import AXES

from nas.tracking.front_figure import front_figure


def row(trial: int, accuracy: float, macs: float, summary: str = "3:8") -> dict[str, Any]:
    return {"trial": trial, "summary": summary, "values": {"val_accuracy": accuracy, "macs": macs}}


ROWS = [row(0, 0.5, 1e3), row(1, 0.9, 1e6), row(2, 0.4, 1e4), {"trial": 3, "summary": "", "values": {}}]


def test_cost_lies_along_a_logarithmic_axis_and_the_front_in_its_order() -> None:
    axes = [AXES["val_accuracy"].to_json(), AXES["macs"].to_json()]
    figure = front_figure(ROWS, [1, 0], axes).to_plotly_json()
    dominated, front = figure["data"]
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert (list(front["x"]), list(front["y"])) == ([1e3, 1e6], [0.5, 0.9])
    assert (list(dominated["x"]), list(dominated["y"])) == ([1e4], [0.4])
    assert dominated["name"] == "dominated (1)"


def test_without_a_cost_trials_stand_in_their_order() -> None:
    figure = front_figure(ROWS, [1], [AXES["val_accuracy"].to_json()]).to_plotly_json()
    assert figure["layout"]["xaxis"]["title"]["text"] == "trial"
    assert list(figure["data"][0]["x"]) == [0, 2]


def test_a_summary_is_no_markup() -> None:
    figure = front_figure([row(7, 0.5, 1e3, "<a href='x'>&")], [7], [AXES["val_accuracy"].to_json()]).to_plotly_json()
    assert figure["data"][1]["text"][0].endswith("<br>&lt;a href='x'>&amp;")
