"""Networks to retrain, and the training of one with one seed, as the driver of a list of trainings takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nas.evaluation.retrain.baselines import Baseline
from nas.evaluation.retrain.files import baseline_folder, finished_result, trial_folder
from nas.study.trial import Record


@dataclass(frozen=True)
class Subject:
    """Network to retrain: that of a picked trial, or a baseline.

    Attributes:
        number: the trial's number; of a baseline a negative one.
        name: `trial 17` or `baseline resnet20`.
        folder: folder of its trainings and its result.
        facts: identities, summary, architecture, costs and values, as JSON values, as they head its result.
    """

    number: int
    name: str
    folder: Path
    facts: Mapping[str, Any]

    @classmethod
    def of_trial(cls, record: Record, study: Path) -> Self:
        """Return the network of a trial of the study in a folder."""
        candidate = record.candidate
        facts = {
            "trial": record.number,
            "id": candidate.id,
            "network_id": candidate.network_id,
            "summary": candidate.summary,
            "architecture": dict(candidate.architecture),
            "costs": dict(candidate.costs),
            "values": dict(record.values or {}),
        }
        return cls(record.number, f"trial {record.number}", trial_folder(study, record.number), facts)

    @classmethod
    def of_baseline(cls, baseline: Baseline, study: Path, number: int) -> Self:
        """Return a baseline for the study in a folder; `number` is negative."""
        return cls(number, f"baseline {baseline.name}", baseline_folder(study, baseline.folder), baseline.facts())

    @property
    def architecture(self) -> Mapping[str, Any]:
        """JSON form of the network."""
        found: Mapping[str, Any] = self.facts["architecture"]
        return found


@dataclass(frozen=True)
class RetrainTask:
    """A network and a seed.

    Attributes:
        subject: the network.
        seed: seed of the initial weights, the batch order and the augmentation.
        folder: folder of its checkpoints, log and result.
        devices: number of devices that train it, at least 1; a number above that of the slots means all slots.
    """

    subject: Subject
    seed: int
    folder: Path
    devices: int = 1

    @property
    def number(self) -> int:
        """The subject's number."""
        return self.subject.number

    @property
    def label(self) -> str:
        """Subject and seed, for a log."""
        return f"{self.subject.name} seed {self.seed}"

    @property
    def architecture(self) -> Mapping[str, Any]:
        """JSON form of the network."""
        return self.subject.architecture

    @property
    def done(self) -> bool:
        """True if it is trained in full and measured, and its weights exist."""
        return finished_result(self.folder) is not None
