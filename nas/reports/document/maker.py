"""Assembly of a study's document from its parts, each of which is made once and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, final

from nas.objectives.pareto import Axis
from nas.reports.document.advice import advice
from nas.reports.document.assessment import Assessment, assess
from nas.reports.document.context import ReportContext
from nas.reports.document.importances import importances
from nas.reports.document.latency import latency_measures, measured_values
from nas.reports.document.measures import limits_of, measures, shown_axes
from nas.reports.document.trials import (
    FEW_POINTS,
    MANY_TRIALS,
    MOST_POINTS,
    ChoiceTable,
    number,
    trial_row,
)
from nas.reports.measures import CURVES, axis_title, cost_names, title
from nas.study.architectures import known_choices
from nas.study.belief import CONFIDENCE
from nas.study.intervals import student_reach
from nas.study.overview import END, RUNNING, stored_budget, study_state
from nas.study.study import Study
from nas.study.summary import StudyReader, shown_state, skipped_totals, spent_clock
from nas.study.trial import ENDED, Record

Row = dict[str, Any]


def study_document(reader: StudyReader, context: ReportContext) -> dict[str, Any]:
    """Return the whole document of a study.

    Args:
        reader: the study.
        context: settings, retraining results and commands.
    """
    maker = DocumentMaker(reader.study, context)
    assessment = assess(reader.records, reader.study.believer, maker.y_axis(reader.records).name)
    driven = reader.study.is_driven()
    fields = maker.fields(reader.records, assessment, driven=driven)
    rows = maker.rows(reader.records, assessment, driven=driven)
    found = importances(reader.records, maker.y_axis(reader.records), fields["costs"])
    return {**fields, "choices": maker.choices.to_json(), "trials": rows, "importance": found}


@final
class DocumentMaker:
    """Maker of one study's documents, which keeps the rows of trials that have not changed."""

    def __init__(self, study: Study, context: ReportContext) -> None:
        """Make nothing yet.

        Args:
            study: the study.
            context: settings, retraining results and commands.
        """
        self.study = study
        self.context = context
        self.choices = ChoiceTable()
        self._most_points = MOST_POINTS
        self._rows: dict[int, tuple[Record, tuple[object, ...], Row]] = {}

    def y_axis(self, records: Sequence[Record]) -> Axis:
        """Return the objective on the y axis."""
        name = shown_axes(self.study.axes, _costs_of(records))[1]
        return next(axis for axis in self.study.axes if axis.name == name)

    def rows(self, records: Sequence[Record], assessment: Assessment, *, driven: bool) -> list[Row]:
        """Return the rows of trials; one that is as before is the same object.

        Args:
            records: the trials.
            assessment: front and belief.
            driven: whether a process drives the study now.
        """
        front = set(assessment.front)
        if not self._rows and len(records) > MANY_TRIALS:
            self._most_points = FEW_POINTS
        return [self._row(record, front, assessment, driven) for record in records]

    def _row(self, record: Record, front: set[int], assessment: Assessment, driven: bool) -> Row:
        believed = assessment.believed.get(record.number)
        latency = measured_values(self.context.measured, record.candidate.network_id)
        basis = (driven, record.number in front, believed, latency)
        known = self._rows.get(record.number)
        if known is not None and known[0] is record and known[1] == basis:
            return known[2]
        indices = known[2]["choices"] if known else self.choices.row(known_choices(record.candidate.architecture))
        row = trial_row(record, indices, self._most_points, driven=driven)
        row |= {"front": record.number in front, "believed": believed}
        row["values"] |= latency
        self._rows[record.number] = record, basis, row
        return row

    def fields(self, records: Sequence[Record], assessment: Assessment, *, driven: bool) -> dict[str, Any]:
        """Return the fields of the document other than `trials`, `choices` and `importance`.

        Args:
            records: the trials.
            assessment: front and belief.
            driven: whether a process drives the study now.
        """
        study, axes, costs = self.study, self.study.axes, _costs_of(records)
        x, y = shown_axes(axes, costs)
        status = self._status(records, assessment, driven=driven)
        reference = self.context.reference
        return {
            "study": study.name,
            "single": len(axes) == 1,
            "axes": [axis.to_json() | {"title": axis_title(axis)} for axis in axes],
            "x": x,
            "y": y,
            "measures": measures(costs, axes) | latency_measures(self.context.measured),
            "costs": costs,
            "curves": {name: title(name) for name in CURVES},
            "commands": {name: f"nas {name} {reference} pick=" for name in ("retrain", "export")},
            "n_validation": study.attribute("validation_images"),
            "limits": limits_of(records),
            "front": list(assessment.front),
            "first": assessment.first,
            "best": assessment.best,
            "knee": assessment.knee,
            "progress": dict(assessment.progress),
            "same": {str(trial): list(others) for trial, others in assessment.same.items()},
            "retrained": retrained(self.context.retrained),
            "baselines": [baseline_row(result) for result in self.context.baselines],
            "failures": dict(sorted(Counter(str(record.failure.kind) for record in records if record.failure).items())),
            "on": advice(study, records, status, self.context),
            "status": status,
        }

    def _status(self, records: Sequence[Record], assessment: Assessment, *, driven: bool) -> dict[str, Any]:
        states = Counter(shown_state(record, driven=driven) for record in records)
        counts = {name: states[name] for name in (*map(str, ENDED), "running", "frozen")}
        budget = self.study.attribute("budget")
        end, known = self.study.attribute(END), stored_budget(budget)
        return {
            "driven": driven,
            "state": RUNNING if driven else study_state(end, records, known),
            "counts": counts | skipped_totals(records, self.study.attribute("tail")),
            "hypervolume": assessment.hypervolume,
            "seconds": round(sum(record.spent for record in records), 3),
            "clock_seconds": round(spent_clock(records), 3),
            "budget": budget,
            "live": None,
        }


def _costs_of(records: Sequence[Record]) -> list[str]:
    return cost_names([record.candidate.costs for record in records[:1]])


def retrained(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return accuracies of retrained networks by trial, with their spread over seeds.

    Args:
        results: results of retrained networks, as `nas retrain` writes them.
    """
    names = {"test": "test_accuracy", "val": "val_accuracy"}
    return {
        str(result["trial"]): {
            **{short: _with_interval(result[name]) for short, name in names.items() if name in result},
            "epochs": result.get("training", {}).get("epochs"),
        }
        for result in results
    }


def baseline_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return name, summary, costs, epochs and test accuracy of a baseline, from its result."""
    return {
        "name": result["baseline"],
        "summary": result["summary"],
        "costs": result["costs"],
        "test": _with_interval(result["test_accuracy"]),
        "epochs": result["training"].get("epochs"),
    }


def _with_interval(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return mean, standard deviation and number of seeds, with a t interval of the mean if there are several."""
    mean, deviation, count = found["mean"], found["sd"], found["n"]
    interval = None
    if deviation is not None and count > 1:
        reach = student_reach(deviation, count, CONFIDENCE)
        interval = [number(mean - reach), number(mean + reach)]
    return {"mean": mean, "std": deviation, "n": count, "interval": interval}
