"""Several studies side by side: their fronts, and their hypervolumes at equal training.

Studies that differ in their seed alone are one group, with the mean over seeds and its 95 % interval by Student's t.
Every study counts with its own belief about its networks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any, final

import numpy as np

from nas.objectives.pareto import front as nondominated
from nas.objectives.pareto import hypervolumes, losses
from nas.study.differences import differences
from nas.study.intervals import student_reach
from nas.study.study import Study, StudyMismatchError
from nas.study.summary import StudyReader
from nas.study.trial import Record, in_order_of_ends

SHARES = (0.25, 0.5, 1.0)
"""Shares of the least training of the studies at which they are compared."""
CONFIDENCE = 0.95
APART = ("study", "seed", "outputs", "format", "storage", "tracking")
"""Settings in which studies of one group may differ."""
SHOWN_DIFFERENCES = 6


@final
@dataclass(frozen=True, eq=False)
class Course:
    """Course of one study.

    Attributes:
        reader: the study.
    """

    reader: StudyReader

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.reader.study.name

    @property
    def seed(self) -> Any:
        """Seed of the study, None if it is not known."""
        return _config(self.reader.study).get("seed")

    @cached_property
    def points(self) -> list[tuple[float, float]]:
        """Training seconds and hypervolume at the end of each complete trial; pruned and failed ones cost seconds."""
        ended = in_order_of_ends(record for record in self.reader.records if record.ended)
        complete = [record for record in ended if record.values is not None]
        values = iter(hypervolumes(self.reader.study.believer.losses(complete)))
        seconds, found = 0.0, []
        for record in ended:
            seconds += record.spent
            if record.values is not None:
                found.append((seconds, next(values)))
        return found

    @property
    def seconds(self) -> float:
        """Training seconds of all trials."""
        return sum(record.spent for record in self.reader.records)

    def at_seconds(self, seconds: float) -> float:
        """Return the hypervolume after these seconds of training."""
        return max((value for spent, value in self.points if spent <= seconds), default=0.0)

    def at_trials(self, trials: int) -> float:
        """Return the hypervolume after so many complete trials."""
        return max((value for _, value in self.points[:trials]), default=0.0)


@final
@dataclass(frozen=True, eq=False)
class Group:
    """Studies that differ in their seed alone.

    Attributes:
        name: name of the group.
        courses: the studies, in order of their seeds.
    """

    name: str
    courses: tuple[Course, ...]


def side_by_side(readers: Sequence[StudyReader]) -> dict[str, Any]:
    """Return the comparison of studies as a JSON document.

    Args:
        readers: the studies, at least one.

    Raises:
        StudyMismatchError: their objectives, or the ends of these, differ.
    """
    check_comparable([reader.study for reader in readers])
    groups = groups_of(readers)
    courses = [course for group in groups for course in group.courses]
    seconds = min(course.seconds for course in courses)
    trials = min(len(course.points) for course in courses)
    counts = sorted({math.ceil(share * trials) for share in SHARES} - {0})
    return {
        "studies": [reader.study.name for reader in readers],
        "objectives": [axis.name for axis in readers[0].study.axes],
        "differences": _differences(groups),
        "groups": [
            {
                "name": group.name,
                "studies": [course.name for course in group.courses],
                "seeds": [course.seed for course in group.courses],
                "trials": [len(course.points) for course in group.courses],
                "seconds": [course.seconds for course in group.courses],
                "at_seconds": [
                    {"seconds": share * seconds}
                    | mean([course.at_seconds(share * seconds) for course in group.courses])
                    for share in SHARES
                ],
                "at_trials": [
                    {"trials": count} | mean([course.at_trials(count) for course in group.courses]) for count in counts
                ],
            }
            for group in groups
        ],
        "front": _fronts(groups),
    }


def check_comparable(studies: Sequence[Study]) -> None:
    """Raise unless all studies have one box: the same objectives with the same ends.

    Raises:
        StudyMismatchError: as above; the message says what differs.
    """
    first = studies[0]
    for other in studies[1:]:
        found = differences(
            {"objectives": first.fingerprint["objectives"]},
            {"objectives": other.fingerprint["objectives"]},
            sides=(f"in {first.name}", f"in {other.name}"),
        )
        if found:
            raise StudyMismatchError(
                "studies are compared in one box, that of their objectives; "
                f"{'; '.join(found[:SHOWN_DIFFERENCES])}. Searches of one space, data and limits have one"
            )


def groups_of(readers: Sequence[StudyReader]) -> list[Group]:
    """Return the studies in groups that differ in their seed alone, in order of their first studies.

    Raises:
        ValueError: two studies have the same settings and seed, and so count as one run.
    """
    found: dict[str, list[Course]] = {}
    seeds: set[tuple[str, object]] = set()
    for reader in readers:
        key, seed = _key(reader.study), _config(reader.study).get("seed")
        if seed is not None and (key, seed) in seeds:
            raise ValueError(
                f"studies of a group must differ in their seed, {reader.study.name} has seed {seed} once more"
            )
        seeds.add((key, seed))
        found.setdefault(key, []).append(Course(reader))
    return [Group(_name(courses), tuple(sorted(courses, key=_by_seed))) for courses in found.values()]


def mean(values: Sequence[float]) -> dict[str, Any]:
    """Return the mean of one share a seed with the interval of Student's t in [0, 1]; its ends are None for one value.

    >>> mean([0.5, 0.5]), mean([0.25])
    ({'mean': 0.5, 'low': 0.5, 'high': 0.5, 'n': 2}, {'mean': 0.25, 'low': None, 'high': None, 'n': 1})
    """
    centre, count = fmean(values), len(values)
    if count < 2:
        return {"mean": centre, "low": None, "high": None, "n": count}
    reach = student_reach(stdev(values), count, CONFIDENCE)
    return {"mean": centre, "low": max(0.0, centre - reach), "high": min(1.0, centre + reach), "n": count}


def _config(study: Study) -> Mapping[str, Any]:
    config = study.attribute("config")
    return config if isinstance(config, Mapping) else {}


def _key(study: Study) -> str:
    """Return what the studies of a group share; a study whose settings are not known is a group of its own."""
    shared = _settings(study)
    return json.dumps([shared, study.fingerprint], sort_keys=True) if shared else study.name


def _by_seed(course: Course) -> tuple[bool, int, str]:
    known = isinstance(course.seed, int)
    return (not known, course.seed if known else 0, course.name)


def _name(courses: Sequence[Course]) -> str:
    names = {re.sub(r"[-_.]?(?:seed|s)?[-_.]?\d+$", "", course.name) for course in courses}
    if len(courses) > 1 and len(names) == 1 and (name := names.pop()):
        return name
    return courses[0].name if len(courses) == 1 else " ".join(course.name for course in courses)


def _differences(groups: Sequence[Group]) -> list[str]:
    """Return the settings in which each group differs from the first, one clause each."""
    first, found = groups[0], list[str]()
    for other in groups[1:]:
        one, two = (_settings(group.courses[0].reader.study) for group in (first, other))
        if one and two:
            found += differences(one, two, sides=(f"in {first.name}", f"in {other.name}"))
    return found


def _settings(study: Study) -> dict[str, Any]:
    """Return the settings that make a group, without the places of files and the tracker."""
    return {key: value for key, value in _config(study).items() if key not in APART}


def _fronts(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return the members of all fronts, best first; those that none of another study dominates are `joint`."""
    members = [
        (group, course, record) for group in groups for course in group.courses for record in course.reader.front
    ]
    if not members:
        return []
    axes = members[0][1].reader.study.axes
    points = losses(axes, [record.values or {} for _, _, record in members])
    joint = set(nondominated(points))
    order = np.argsort(points[:, 0], kind="stable")
    return [_member(*members[row], joint=row in joint) for row in map(int, order)]


def _member(group: Group, course: Course, record: Record, *, joint: bool) -> dict[str, Any]:
    return {
        "group": group.name,
        "study": course.name,
        "trial": record.number,
        "joint": joint,
        "values": dict(record.values or {}),
        "summary": record.candidate.summary,
    }
