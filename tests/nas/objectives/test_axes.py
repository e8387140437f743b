"""Axes of the objectives: their ends follow direction and source, and a person's own ends come first."""

from __future__ import annotations

import pytest
from engine import SMALL, TINY, curve, space_of

from nas.config.objective import Objective
from nas.objectives.axes import axes_of
from nas.objectives.limits import Limits
from nas.objectives.requirements import exact_measure
from nas.objectives.values import cost_names, costs_known, objective_values

SPACE = space_of(SMALL)


def axis(**fields: object):
    return axes_of((Objective("it", **fields),), SPACE)[0]  # type: ignore[arg-type]  # fields of Objective


@pytest.mark.parametrize(
    ("key", "direction", "ends"),
    [
        ("val_accuracy", "maximize", (1.0, 0.1)),
        ("val_accuracy", "minimize", (0.1, 1.0)),
        ("val_loss", "minimize", (0.0, 3.0)),
        ("val_loss", "maximize", (3.0, 0.0)),
    ],
)
def test_an_objective_of_the_curve_goes_the_way_that_it_says(
    key: str, direction: str, ends: tuple[float, float]
) -> None:
    found = axis(source="curve", key=key, direction=direction)
    assert (found.direction, found.best, found.worst) == (direction, *ends)
    assert found.loss(found.best) == 0
    assert found.loss(found.worst) == 1


def test_ends_that_are_given_come_before_the_usual_ones() -> None:
    found = axis(source="curve", key="val_accuracy", direction="maximize", worst=0.9)
    assert (found.best, found.worst) == (1.0, 0.9)
    with pytest.raises(ValueError, match=r"worst must lie in \[0, 1\], got 1.5"):
        axis(source="curve", key="val_accuracy", direction="maximize", worst=1.5)
    with pytest.raises(ValueError, match=r"needs two finite ends, got 0\.0 and 0\.0"):
        axis(source="curve", key="val_loss", direction="minimize", worst=0.0)


def test_a_cost_goes_from_the_cheapest_to_the_most_expensive_network_of_the_space() -> None:
    tiny, measure = space_of(TINY), exact_measure()
    macs = [measure(architecture)[1]["macs"] for architecture in tiny.architectures()]
    objective = Objective("macs", "cost", "macs", "minimize", scale="log")
    (found,) = axes_of((objective,), tiny)
    assert (found.best, found.worst, found.log) == (min(macs), max(macs), True)
    limit = sorted(macs)[len(macs) // 2] + 1
    (limited,) = axes_of((objective,), tiny, Limits(max_macs=limit))
    assert (limited.best, limited.worst) == (min(macs), max(m for m in macs if m <= limit))


def test_an_accuracy_has_the_scale_of_its_error() -> None:
    found = axis(source="curve", key="val_accuracy", direction="maximize", scale="log", worst=0.9)
    assert (found.error, found.log, found.best, found.worst) == (True, False, 1.0, 0.9)
    assert found.to_json()["error"]
    with pytest.raises(ValueError, match=r"objective.it.scale must be one of linear, log, got 'cubic'"):
        axis(source="curve", key="val_accuracy", direction="maximize", scale="cubic")


def test_a_unit_is_kept_and_an_empty_one_is_not_written() -> None:
    assert axis(source="cost", key="macs", direction="minimize", unit="M").to_json()["unit"] == "M"
    assert "unit" not in axis(source="cost", key="macs", direction="minimize").to_json()


def test_values_are_those_of_the_last_epoch_and_of_the_costs() -> None:
    objectives = (
        Objective("accuracy", "curve", "val_accuracy", "maximize"),
        Objective("work", "cost", "macs", "minimize"),
    )
    assert cost_names(objectives) == {"work": "macs"}
    assert costs_known(objectives, space_of(TINY)).names == ("params", "macs", "memory_mib")
    assert objective_values(objectives, curve(3, 0.75), {"macs": 12}) == {"accuracy": 0.75, "work": 12.0}


def test_a_function_of_ones_own_needs_ends_and_gives_the_value(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "own_objective.py").write_text(
        "def gap(curve, costs):\n    return curve[-1].val_loss - curve[-1].train_loss\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("NAS_PLUGINS", raising=False)
    with pytest.raises(ValueError, match=r"objective.gap.best must be given for source own_objective.gap, got null"):
        Objective("gap", "own_objective.gap", "", "minimize")
    gap = Objective("gap", "own_objective.gap", "", "minimize", best=-1.0, worst=2.0)
    found = axes_of((gap,), SPACE)[0]
    assert (found.best, found.worst) == (-1.0, 2.0)
    last = curve(3)[-1]
    assert objective_values((gap,), curve(3), {}) == {"gap": last.val_loss - last.train_loss}


def test_an_unknown_cost_or_function_is_one_error() -> None:
    with pytest.raises(
        ValueError, match=r"objective.key must be one of latency_ms, macs, memory_mib, params, or a dotted path"
    ):
        axis(source="cost", key="flops", direction="minimize")
    objective = Objective("it", "no_such_module.value", "", "minimize", best=0.0, worst=1.0)
    with pytest.raises(ValueError, match=r"objective.it.source must be importable, got 'no_such_module.value'"):
        objective_values((objective,), curve(1), {})
    with pytest.raises(ValueError, match=r"objective.it.source must be importable, got 'no_such_module.value'"):
        axes_of((objective,), SPACE)
