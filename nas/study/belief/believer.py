"""Belief about trained networks: the posterior of their true losses, given all trainings of a study.

One validation accuracy is noisy: it is of one training, on few images. A front of the best measured values holds many
lucky networks (the winner's curse). Here a front is chosen by the posterior mean of a Gaussian process over networks
(`gp.py`), which sees a network's own trainings and those of networks like it. For each network there are an interval of
its true value and the probability that it is on the front of the trained networks, from draws of the joint posterior.

The noise of an observation is that between seeds, which is fitted, and that of the validation part: an accuracy p on n
images has the variance p(1 − p)/n. The latter is shared by all networks, so that it widens intervals and counts in no
comparison beyond what the fit leaves of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import is_
from typing import final

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from nas.objectives.limits import Limits
from nas.objectives.loss_scale import LossScale
from nas.objectives.pareto import Axis, dominated, front, losses
from nas.study.belief.features import FeatureMap
from nas.study.belief.gaps import CONFIDENCE, DRAWS, OWN_SHARE, Gap, drawn_gap, is_share, measured_gap, normal_draws
from nas.study.belief.gp import Floats, GaussianProcess, Observations
from nas.study.belief.surrogate import SurrogateFitter, fitted, regrets, relevant
from nas.study.trial import Record
from search_space.architecture import Architecture

LEAST_TRIALS = 4
"""Complete trials from which on the posterior is believed; fewer are taken as measured."""

MOST_CANDIDATES = 512
"""Most networks, those nearest to the measured front, whose posterior is computed; the others, far above the front,
keep their measured loss."""

HOPE = 0.1
"""Modelled loss by which further results may bring a network closer to the front; a third of the error, or less."""


@dataclass(frozen=True)
class Believed:
    """Belief about one trained network.

    Attributes:
        means: posterior median of each trained objective, by name.
        intervals: equal-tailed interval of probability `CONFIDENCE` of each, lower end first.
        front_probability: probability that no other trained network dominates it.
        margins: half the width of the interval that is left of each without the error of the validation part, which all
            networks share; that of the difference of two is at most the root of the sum of their squares.
    """

    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    front_probability: float
    margins: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the belief as a JSON object."""
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        return {"values": dict(self.means), "intervals": intervals, "front_probability": self.front_probability}


@dataclass(frozen=True)
class Posterior:
    """Posterior of one objective over the complete trials of a study.

    Attributes:
        process: the Gaussian process of the modelled losses.
        rows: (n, f) features of the trials.
        measured: (n,) modelled losses as measured.
        candidates: rows of the trials that the process is asked about.
    """

    process: GaussianProcess
    rows: Floats
    measured: Floats
    candidates: Sequence[int]

    @cached_property
    def means(self) -> Floats:
        """Posterior means (n,) of the modelled losses; measured ones for all but the candidates."""
        found = self.measured.copy()
        found[list(self.candidates)] = self.process.predict(self.rows[list(self.candidates)])[0]
        return found

    def joint(self, asked: Sequence[int]) -> tuple[Floats, Floats]:
        """Return means (n,) and covariances (n, n) of the true modelled losses of some trials, given by their rows."""
        centre, covariance = self.process.joint(self.rows[asked])
        covariance[np.diag_indices_from(covariance)] += OWN_SHARE * self.process.noise
        return centre, covariance


@final
class Believer:
    """Believer of one study: returns fronts and beliefs for its records."""

    def __init__(
        self,
        axes: Sequence[Axis],
        costs: Mapping[str, str],
        features: FeatureMap | None,
        validation_images: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Make a believer that has seen nothing yet.

        Args:
            axes: the objectives.
            costs: the cost that an objective is, by the objective's name, for those that are costs.
            features: map from the study's architectures to features; None believes what is measured.
            validation_images: number of validation images behind an accuracy; None if it is not known.
            limits: limits that a network of the front meets; None for none.
        """
        self.axes = tuple(axes)
        self.limits = limits or Limits()
        self._features = features
        self._images = validation_images
        self._trained = [place for place, axis in enumerate(self.axes) if axis.name not in costs]
        self._known = [place for place, axis in enumerate(self.axes) if axis.name in costs]
        self._fitters: dict[int, SurrogateFitter] = {}
        self._rows: dict[int, Floats] = {}
        self._asked: tuple[Record, ...] = ()
        self._answer: dict[int, Posterior] = {}

    @classmethod
    def of_measured(cls, axes: Sequence[Axis]) -> Believer:
        """Return a believer of measured values."""
        return cls(axes, {}, None)

    def losses(self, records: Sequence[Record]) -> Floats:
        """Return the believed losses (n, m) of complete trials: posterior medians, and exact costs.

        Those of a network over the limits are NaN, so that it is on no front and adds no hypervolume, but its training
        tells of networks like it.
        """
        found = self._believed(records)
        found[self._over(records)] = np.nan
        return found

    def _over(self, records: Sequence[Record]) -> NDArray[np.bool_]:
        """Return a mask (n,) of the networks that exceed a limit."""
        limits = self.limits.by_cost
        return np.array([any(r.candidate.costs.get(c, 0) > most for c, most in limits.items()) for r in records], bool)

    def _believed(self, records: Sequence[Record]) -> Floats:
        found = losses(self.axes, [record.values for record in records if record.values])
        for place, posterior in self._posteriors(records, found).items():
            found[:, place] = self._scale(place).losses(posterior.means)
        return found

    def front(self, records: Sequence[Record]) -> list[Record]:
        """Return the complete trials on the believed front, sorted by their costs in order of the axes."""
        complete = [record for record in records if record.values is not None]
        return self.front_of(complete, self.losses(complete))

    def front_of(self, complete: Sequence[Record], believed: Floats) -> list[Record]:
        """Return the trials on the front of these losses (n, m), sorted as `front` sorts them."""
        members = [complete[index] for index in front(believed)]
        order = [self.axes[place].name for place in self._known] or [
            axis.name for axis in self.axes if axis.direction == "minimize"
        ]
        return sorted(members, key=lambda record: [(record.values or {})[name] for name in order])

    def contenders(self, records: Sequence[Record]) -> set[int]:
        """Return the numbers of the complete trials that further results may bring to the front.

        They are those that are not dominated by the believed front even with a loss that is `HOPE` lower on the
        modelled scale; without a posterior, the members of the front alone. Networks over the limits are among them if
        they would be without limits, which another search of the study may not have.
        """
        complete = [record for record in records if record.values is not None]
        believed, over = self._believed(complete), self._over(complete)
        found = self._undominated(complete, believed.copy())
        if over.any():
            within = [record for record, out in zip(complete, over, strict=True) if not out]
            found |= self._undominated(within, believed[~over])
        return found

    def _undominated(self, complete: Sequence[Record], believed: Floats) -> set[int]:
        members = believed[front(believed)] if complete else believed
        if self._features is not None:
            for place in self._trained:
                scale = self._scale(place)
                believed[:, place] = scale.losses(scale.modelled(believed[:, place]) - HOPE)
        return {record.number for record, out in zip(complete, dominated(believed, members), strict=True) if not out}

    def beliefs(self, records: Sequence[Record]) -> dict[int, Believed]:
        """Return the belief about each complete trial that is near the front, by its number; empty for few trials."""
        complete = [record for record in records if record.values is not None]
        known = losses(self.axes, [record.values for record in complete if record.values])
        posteriors = self._posteriors(complete, known)
        if not posteriors:
            return {}
        asked = self._asked_about(complete, posteriors)
        if not asked:
            return {}
        generator = np.random.default_rng(0)
        draws = np.repeat(known[asked][None], DRAWS, axis=0)
        means, intervals, margins = {}, {}, {}
        for place, posterior in posteriors.items():
            centre, covariance = posterior.joint(asked)
            draws[:, :, place] = normal_draws(generator, centre, covariance)
            name, deviation = self.axes[place].name, np.sqrt(np.diag(covariance))
            means[name], intervals[name] = self._values(place, centre, deviation)
            margins[name] = self._margins(place, centre, deviation)
        shares = _front_shares(draws)
        return {
            complete[row].number: Believed(
                {name: float(values[index]) for name, values in means.items()},
                {name: (float(low[index]), float(high[index])) for name, (low, high) in intervals.items()},
                float(shares[index]),
                {name: float(values[index]) for name, values in margins.items()},
            )
            for index, row in enumerate(asked)
        }

    def doubts(self, records: Sequence[Record], members: Collection[int], name: str) -> dict[int, dict[int, float]]:
        """Return the probabilities that two networks are in the other order than believed.

        Args:
            records: the trials of the study.
            members: numbers of the trials that the others are compared with.
            name: the trained objective that they are ordered by.

        Returns:
            Probabilities in [0, 0.5] by the number of a trial near the front, then by that of a member; empty for few
            trials, or an objective that is not trained.
        """
        complete = [record for record in records if record.values is not None]
        known = losses(self.axes, [record.values for record in complete if record.values])
        posteriors = self._posteriors(complete, known)
        place = next((place for place in posteriors if self.axes[place].name == name), None)
        asked = [] if place is None else self._asked_about(complete, posteriors)
        if place is None or not asked:
            return {}
        centre, covariance = posteriors[place].joint(asked)
        among = [index for index, row in enumerate(asked) if complete[row].number in members]
        own = np.diag(covariance)
        variances = own[:, None] + own[None, among] - 2 * covariance[:, among]
        gaps = np.abs(centre[:, None] - centre[None, among])
        found = ndtr(-gaps / np.sqrt(np.maximum(variances, 1e-18)))
        numbers = [complete[row].number for row in asked]
        return {
            number: {numbers[j]: float(found[i, k]) for k, j in enumerate(among) if i != j}
            for i, number in enumerate(numbers)
        }

    def _asked_about(self, complete: Sequence[Record], posteriors: Mapping[int, Posterior]) -> list[int]:
        """Return the rows of the trials near the front and within the limits."""
        over = self._over(complete)
        near = set.intersection(*(set(each.candidates) for each in posteriors.values()))
        return sorted(row for row in near if not over[row])

    def gaps(self, records: Sequence[Record], first: int, second: int) -> dict[str, Gap]:
        """Return the difference of each trained objective between two trials; empty unless both are complete.

        What the validation part adds to both alike is in neither end of an interval.

        Args:
            records: the trials of the study.
            first: number of the first trial.
            second: number of the second trial.
        """
        complete = [record for record in records if record.values is not None]
        rows = {record.number: row for row, record in enumerate(complete)}
        if first not in rows or second not in rows:
            return {}
        pair = [rows[first], rows[second]]
        known = losses(self.axes, [record.values for record in complete if record.values])
        posteriors = self._posteriors(complete, known)
        found = {}
        for place in self._trained:
            axis = self.axes[place]
            if place in posteriors:
                features = self._features_of(complete, set(pair))[pair]
                found[axis.name] = drawn_gap(axis, posteriors[place].process, features)
            else:
                values = np.array([(complete[row].values or {})[axis.name] for row in pair])
                found[axis.name] = measured_gap(axis, values, self._images)
        return found

    def _values(self, place: int, centre: Floats, deviation: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
        """Return medians and interval ends of an objective, from means and deviations of its modelled losses."""
        axis, scale = self.axes[place], self._scale(place)
        shared = self._sampling(place, axis.value(scale.losses(centre)))
        reach = float(ndtri((1 + CONFIDENCE) / 2)) * np.sqrt(deviation**2 + 2 * shared**2)
        ends = [axis.value(scale.losses(centre + sign * reach)) for sign in (-1, 1)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        return axis.value(scale.losses(centre)), (low, high)

    def _margins(self, place: int, centre: Floats, deviation: Floats) -> Floats:
        """Return half the widths of the intervals of an objective, from means and deviations of its modelled losses."""
        axis, scale = self.axes[place], self._scale(place)
        reach = float(ndtri((1 + CONFIDENCE) / 2)) * deviation
        ends = [axis.value(scale.losses(centre + sign * reach)) for sign in (-1, 1)]
        return np.abs(ends[1] - ends[0]) / 2

    def _posteriors(self, records: Sequence[Record], known: Floats) -> dict[int, Posterior]:
        """Return the posterior of each trained objective by its place; empty if measured values are to be believed.

        Those of the latest records are kept: front, contenders and probabilities are asked for one after another.
        """
        if self._features is None or len(records) < LEAST_TRIALS:
            return {}
        if len(records) != len(self._asked) or not all(map(is_, records, self._asked)):
            self._asked, self._answer = tuple(records), self._fitted(records, known)
        return self._answer

    def _fitted(self, records: Sequence[Record], known: Floats) -> dict[int, Posterior]:
        assert self._features is not None
        order = np.argsort([record.number for record in records], kind="stable")
        trainings = np.array([max(1, record.trainings) for record in records], dtype=np.float64)
        found = {}
        for place in self._trained:
            scale, axis = self._scale(place), self.axes[place]
            modelled = scale.modelled(known[:, place])
            values = np.array([(record.values or {})[axis.name] for record in records])
            costs = known[:, self._known]
            keep = relevant(modelled[order], costs[order])
            near = np.argsort(regrets(modelled, costs), kind="stable")[:MOST_CANDIDATES]
            rows = self._features_of(records, {*order[keep], *order[fitted(len(records))], *near})
            observations = Observations(rows, modelled, self._sampling(place, values), trainings).chosen(order)
            fitter = self._fitters.setdefault(place, SurrogateFitter(self._features.layout))
            process = fitter.fit(observations, np.ones(len(records), dtype=bool), keep)
            found[place] = Posterior(process, rows, modelled, sorted(int(row) for row in near))
        return found

    def _features_of(self, records: Sequence[Record], needed: set[int]) -> Floats:
        """Return the features (n, f) of the records whose places are needed; zeros for the others."""
        assert self._features is not None
        new = [records[place] for place in sorted(needed) if records[place].number not in self._rows]
        if new:
            architectures = [Architecture.from_json(dict(record.candidate.architecture)) for record in new]
            rows = self._features.rows(architectures, [record.candidate.costs for record in new])
            self._rows |= {record.number: row for record, row in zip(new, rows, strict=True)}
        found = np.zeros((len(records), next(iter(self._rows.values())).shape[0]))
        for place in needed:
            found[place] = self._rows[records[place].number]
        return found

    def _scale(self, place: int) -> LossScale:
        return LossScale.of(self.axes[place])

    def _sampling(self, place: int, values: Floats) -> Floats:
        """Return the standard deviations of modelled losses that the finite validation part gives to values (n,)."""
        return sampling_deviations(self.axes[place], values, self._images)


def sampling_deviations(axis: Axis, values: Floats, images: int | None) -> Floats:
    """Return the standard deviations (n,) of modelled losses of an accuracy that is measured on finitely many images.

    The number of right answers of n images is binomial; the accuracy enters the formula with one right and one wrong
    answer more than there were (Agresti and Coull 1998), so that a perfect score has a deviation too.

    Args:
        axis: the objective; other ones than accuracies have deviations of 0.
        values: (n,) accuracies, in [0, 1].
        images: n; None if it is not known.
    """
    if images is None or not is_share(axis):
        return np.zeros(len(values))
    shares = (np.clip(values, 0.0, 1.0) * images + 1.0) / (images + 2.0)
    deviations = np.sqrt(shares * (1.0 - shares) / images)
    scale = LossScale.of(axis)
    ends = [scale.modelled(axis.losses(shares + sign * deviations / 2)) for sign in (-1, 1)]
    return np.abs(ends[1] - ends[0])


def _front_shares(draws: Floats) -> Floats:
    """Return the share of the draws (d, n, m) of losses in which no other point dominates each of the n points."""
    best = np.array([moocore.is_nondominated(draw, keep_weakly=True) for draw in np.ascontiguousarray(draws)])
    return best.mean(axis=0)  # type: ignore[no-any-return]
