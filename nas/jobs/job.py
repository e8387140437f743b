"""Data that pass between the driver and the processes that train: a job out, its outcome back.

A job says "train this architecture from epoch a to epoch b, attempt n, starting from this checkpoint". Freezing,
thawing, promoting, retrying and resuming a training are all just another job. Every value here is plain data, so that
it crosses a process or a machine boundary as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, cast


@dataclass(frozen=True)
class Epoch:
    """One row of a learning curve.

    Attributes:
        epoch: 1-based number of the completed epoch.
        train_loss: mean loss over the epoch's training batches, as optimised (label smoothing included).
        val_loss: mean cross-entropy on the validation part, without label smoothing; None, like the accuracies, after
            an epoch without validation (`training.validate_every`).
        val_accuracy: accuracy on the validation part, in [0, 1].
        val_balanced_accuracy: mean over classes of the recall on the validation part, in [0, 1].
        seconds: wall-clock seconds of this epoch, with its validation, the copy of its state for the checkpoint, and
            any wait for the last checkpoint to be written.
    """

    epoch: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    seconds: float

    @property
    def validated(self) -> bool:
        """True if the network was validated after this epoch."""
        return self.val_loss is not None

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Epoch:
        """Return the row that `to_json` wrote."""
        return cls(**row)


Curve = tuple[Epoch, ...]
"""A learning curve, from epoch 1."""


def curve_seconds(curve: Curve) -> float:
    """Return the training seconds of a learning curve.

    >>> curve_seconds((Epoch(1, 2.0, 1.9, 0.3, 0.3, 1.5), Epoch(2, 1.5, 1.6, 0.4, 0.4, 1.25)))
    2.75
    """
    return sum(row.seconds for row in curve)


def validated_part(curve: Curve) -> Curve:
    """Return a learning curve up to its last epoch with a validation.

    >>> len(validated_part((Epoch(1, 2.0, 1.9, 0.3, 0.3, 1.5), Epoch(2, 1.5, None, None, None, 1.25))))
    1
    """
    last = max((row.epoch for row in curve if row.validated), default=0)
    return tuple(row for row in curve if row.epoch <= last)


class FailureKind(StrEnum):
    """Kinds of failure of a job; docs/failures.md says what becomes of each."""

    NAN = "nan"
    OUT_OF_MEMORY = "out_of_memory"
    DATA = "data"
    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    CHECKPOINT = "checkpoint"
    PARENT = "parent"
    START = "start"
    DIED = "died"
    DEADLINE = "deadline"
    ERROR = "error"


class EndReason(StrEnum):
    """Reasons for which a driver ends.

    `DONE` is that of a list of known trainings, `BUDGET`, `CONVERGED`, `EXHAUSTED`, `MINUTES` and `STOPPED` are those
    of a search, `INTERRUPTED` (Ctrl-C) and `TERMINATED` (SIGTERM) those of either.
    """

    DONE = "done"
    BUDGET = "budget"
    CONVERGED = "converged"
    EXHAUSTED = "exhausted"
    MINUTES = "minutes"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"


@dataclass(frozen=True)
class Failure:
    """Reason for which a job ended without an outcome.

    Attributes:
        kind: its kind.
        message: one line that a user can act on.
    """

    kind: FailureKind
    message: str

    def to_json(self) -> dict[str, str]:
        """Return the failure as a JSON object."""
        return {"kind": str(self.kind), "message": self.message}

    @classmethod
    def from_json(cls, document: Mapping[str, str]) -> Failure:
        """Return the failure that `to_json` wrote."""
        return cls(FailureKind(document["kind"]), document["message"])


@dataclass(frozen=True)
class Parent:
    """A trained network whose weights a child starts from, for the last part of the schedule.

    Attributes:
        trial: its number in the study.
        architecture: its architecture's JSON form.
        checkpoint: its last checkpoint.
        skips: epochs at the beginning of the schedule that the child is spared, at least 1.
    """

    trial: int
    architecture: Mapping[str, Any]
    checkpoint: Path
    skips: int

    def __post_init__(self) -> None:
        if self.skips < 1:
            raise ValueError(f"a child must be spared at least 1 epoch, got {self.skips}")


@dataclass(frozen=True)
class Job:
    """Training of one architecture from epoch `from_epoch` to epoch `to_epoch`.

    Attributes:
        trial: the trial's number in the study.
        attempt: 1 for the first job of a trial, one more for each further job of it.
        architecture: the architecture's JSON form.
        seed: seeds the initial weights, the batch order and the augmentation.
        from_epoch: epochs already trained, 0 for a new trial.
        to_epoch: last epoch to train; at most the recipe's full horizon, less the epochs that a parent spares.
        folder: folder of the job's checkpoints and log.
        checkpoint: checkpoint to start from; None exactly if `from_epoch` is 0.
        micro_batches: parts that each batch is cut into, with their gradients accumulated, so that a step needs less
            memory; batch norm then sees the parts one by one. 1 for whole batches.
        devices: number of devices that train it together, each on its share of every batch, in its own process.
        repeat: 0 for the trial's own training, i for its i-th repeat with another seed.
        parent: network whose weights a new trial starts from, None for fresh weights.
        pack: further jobs that are trained together with this one, in one process and as one network: of the same
            network with other seeds, from the same epoch to the same one.
    """

    trial: int
    attempt: int
    architecture: Mapping[str, Any]
    seed: int
    from_epoch: int
    to_epoch: int
    folder: Path
    checkpoint: Path | None = None
    micro_batches: int = 1
    devices: int = 1
    repeat: int = 0
    parent: Parent | None = None
    pack: tuple[Job, ...] = ()

    def __post_init__(self) -> None:
        self._check_pack()
        if self.devices < 1:
            raise ValueError(f"devices must be >= 1, got {self.devices}")
        if self.micro_batches < 1:
            raise ValueError(f"micro_batches must be >= 1, got {self.micro_batches}")
        if self.repeat < 0:
            raise ValueError(f"repeat must be >= 0, got {self.repeat}")
        if not 0 <= self.from_epoch <= self.to_epoch:
            raise ValueError(
                f"a job goes forward: 0 <= from_epoch <= to_epoch, got {self.from_epoch} and {self.to_epoch}"
            )
        if (self.checkpoint is None) != (self.from_epoch == 0):
            raise ValueError(
                f"a job starts from a checkpoint exactly when epochs are already trained, "
                f"got from_epoch {self.from_epoch} and checkpoint {self.checkpoint}"
            )

    @property
    def members(self) -> tuple[Job, ...]:
        """The jobs of the pack, itself first; itself alone without a pack."""
        return (replace(self, pack=()), *self.pack) if self.pack else (self,)

    def _check_pack(self) -> None:
        if not self.pack:
            return
        span = (self.from_epoch, self.to_epoch)
        for job in self.members:
            plain = job.devices == job.micro_batches == 1 and job.parent is None and not job.pack
            if not plain or (job.from_epoch, job.to_epoch) != span or job.architecture != self.architecture:
                raise ValueError(
                    f"the jobs of a pack must train one network with whole batches on one device between the same "
                    f"epochs, trial {job.trial} does not"
                )
        if len({job.folder for job in self.members}) <= len(self.pack):
            raise ValueError("the jobs of a pack must have folders of their own")

    @property
    def skips(self) -> int:
        """Epochs at the beginning of the schedule that are not trained."""
        return 0 if self.parent is None else self.parent.skips


def repeat_folder(trial: Path, repeat: int) -> Path:
    """Return the folder of the `repeat`-th further training of a trial's network, inside the trial's folder."""
    return trial / f"repeat{repeat}"


@dataclass(frozen=True)
class Outcome:
    """Result of a job.

    Attributes:
        job: the job itself.
        curve: whole learning curve of the training so far, from epoch 1, the epochs before this job included.
        checkpoint: newest complete checkpoint, None if no epoch was completed.
        failure: reason of a failure, None for a success.
        pack: outcomes of the further jobs of a pack.
    """

    job: Job
    curve: Curve
    checkpoint: Path | None
    failure: Failure | None = None
    pack: tuple[Outcome, ...] = ()

    @property
    def members(self) -> tuple[Outcome, ...]:
        """The outcomes of the jobs of a pack, that of its first job first; itself alone without a pack."""
        return (replace(self, job=self.job.members[0], pack=()), *self.pack) if self.job.pack else (self,)

    @property
    def failed(self) -> bool:
        """True if any job of the pack failed."""
        return any(outcome.failure is not None for outcome in (self, *self.pack))

    @classmethod
    def failing(cls, job: Job, failure: Failure, curves: Sequence[Curve] = ()) -> Outcome:
        """Return the outcome of a job, or of a whole pack, that failed for one reason.

        Args:
            job: the job.
            failure: the reason.
            curves: epochs of each job of the pack that are known; empty for none.
        """
        first, *others = [
            cls(each, curves[index] if curves else (), None, failure) for index, each in enumerate(job.members)
        ]
        return replace(first, job=job, pack=tuple(others))

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""
        return len(self.curve)

    @property
    def seconds(self) -> float:
        """Training seconds so far, over all jobs of the training."""
        return curve_seconds(self.curve)


class Control(Protocol):
    """Callbacks of a training."""

    def epoch_done(self, row: Epoch) -> None:
        """Report an epoch, once its checkpoint is complete on disk; perhaps from another thread, see `in_step`."""
        ...

    def should_stop(self) -> bool:
        """Return whether the job has been asked to stop after the current epoch; asked at each epoch's end."""
        ...


def in_step(control: Control) -> bool:
    """Return whether a training waits for this control's reports: its attribute `in_step`, False if it has none.

    Otherwise a checkpoint may be written, and its epoch reported, in another thread while the next epoch trains, and
    `should_stop` may be called for an epoch before it is reported. All epochs are reported before the job ends.
    """
    return bool(getattr(control, "in_step", False))


class PackControl(Control, Protocol):
    """Callbacks of the training of a pack, themselves those of its first job."""

    def member(self, index: int) -> Control:
        """Return the callbacks of a job of the pack, 0 for the first."""
        ...


def controls_of(job: Job, control: Control) -> Sequence[Control]:
    """Return the callbacks of each job of a pack; for a pack, `control` must be a `PackControl`."""
    if not job.pack:
        return (control,)
    return [cast(PackControl, control).member(index) for index in range(len(job.members))]


class Runner(Protocol):
    """Carries out one job in the process that calls it; picklable, so that it can be sent to a worker process."""

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job` to its last epoch, or to the end of the epoch in which `control.should_stop()` turns true."""
        ...


class Handle(Protocol):
    """Handle of a submitted job."""

    @property
    def job(self) -> Job:
        """The job."""
        ...

    def stop_after_epoch(self) -> None:
        """Ask the job to stop after its current epoch; its outcome then has fewer epochs than planned."""
        ...

    def kill(self) -> None:
        """Kill the job at once, without an outcome."""
        ...


class Executor(Protocol):
    """Runs jobs on slots, one job a slot; a job over several devices takes as many slots."""

    @property
    def slots(self) -> int:
        """Number of jobs over one device that run at once."""
        ...

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> Handle:
        """Start `job` on `job.devices` free slots.

        Args:
            job: the job.
            on_epoch: called from within `wait` for every epoch that the job completes.
        """
        ...

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Block until a job ends, or for `timeout` seconds; return the outcomes of the jobs that ended."""
        ...

    def close(self) -> None:
        """Kill the running jobs and release all resources."""
        ...
