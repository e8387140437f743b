"""What passes between the driver and whoever trains: a job out, its outcome back, and the shapes both sides keep.

A job says "train this architecture from epoch a to epoch b, attempt n, starting from this checkpoint". Freezing,
thawing, promoting, retrying and resuming a training are all just another job. Every value here is plain data, so that
it crosses a process or a machine boundary as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Epoch:
    """One row of a learning curve.

    Attributes:
        epoch: 1-based number of the epoch that has ended.
        train_loss: mean loss over the epoch's training batches, as optimised (label smoothing included).
        val_loss: mean cross-entropy on the validation part, without label smoothing.
        val_accuracy: share of the validation part classified rightly, in [0, 1].
        val_balanced_accuracy: mean over classes of the share classified rightly, in [0, 1].
        seconds: wall-clock seconds of this epoch, validation included.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Epoch:
        """The row that `to_json` wrote."""
        return cls(**row)


Curve = tuple[Epoch, ...]


@dataclass(frozen=True)
class Failure:
    """Why a job ended without an outcome.

    Attributes:
        kind: one of `nan`, `out_of_memory`, `data`, `disk_full`, `read_only`, `checkpoint`, `parent`, `died`,
            `deadline` and `error`; docs/failures.md says what becomes of each.
        message: one line a person can act on.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class Parent:
    """A trained network whose weights another one starts from, for the last part of the schedule.

    Attributes:
        trial: its number in the study.
        architecture: its architecture's JSON form.
        checkpoint: its last checkpoint.
        skips: epochs at the beginning of the schedule that its child is spared, at least 1.
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
    """Train `architecture` from epoch `from_epoch` to epoch `to_epoch`.

    Attributes:
        trial: the trial's number in the study.
        attempt: 1 for the first run of a trial, one more each time a job of that trial is handed out.
        architecture: the architecture's JSON form.
        seed: seeds the initial weights, the batch order and the augmentation of this trial.
        from_epoch: epochs already trained, 0 for a new trial.
        to_epoch: stop after this epoch; at most the recipe's full horizon, less the epochs that a parent spares.
        folder: where the job writes its checkpoints and its log.
        checkpoint: the checkpoint to start from; None exactly when `from_epoch` is 0.
        micro_batches: parts that each batch is cut into, their gradients added up, so that a step needs less memory;
            batch norm then sees the parts one by one. 1 for whole batches.
        devices: how many devices train it together, each on its share of every batch, in a process of its own.
        repeat: 0 for the trial's own training, i for its i-th repeat with another seed.
        parent: whose weights a new trial starts from, None for fresh ones.
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

    def __post_init__(self) -> None:
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
    def skips(self) -> int:
        """Epochs at the beginning of the schedule that are not trained."""
        return 0 if self.parent is None else self.parent.skips


def repeat_folder(trial: Path, repeat: int) -> Path:
    """Where the `repeat`-th further training of a trial's network lies, in the trial's folder."""
    return trial / f"repeat{repeat}"


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        job: the job itself.
        curve: the whole learning curve of the trial so far, from epoch 1, the epochs before this job included.
        checkpoint: the newest complete checkpoint, None where no epoch was finished.
        failure: why the job failed, None where it did not.
    """

    job: Job
    curve: Curve
    checkpoint: Path | None
    failure: Failure | None = None

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""
        return len(self.curve)

    @property
    def seconds(self) -> float:
        """Training seconds of the trial so far, over all of its jobs."""
        return sum(row.seconds for row in self.curve)


class Control(Protocol):
    """What a training asks of, and says to, whoever runs it."""

    def epoch_done(self, row: Epoch) -> None:
        """Called after each epoch, once its checkpoint is complete on disk."""
        ...

    def should_stop(self) -> bool:
        """True once the job has been asked to stop after the current epoch."""
        ...


class Runner(Protocol):
    """Carries out one job in the process that calls it; picklable, so that a child process can be handed one."""

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job` to its end, or to the end of the epoch in which `control.should_stop()` turns true."""
        ...


class Handle(Protocol):
    """A job that has been handed out."""

    @property
    def job(self) -> Job:
        """The job."""
        ...

    def stop_after_epoch(self) -> None:
        """Ask the job to end after its current epoch; its outcome then has fewer epochs than it was meant to."""
        ...

    def kill(self) -> None:
        """End the job at once, without an outcome."""
        ...


class Executor(Protocol):
    """Runs jobs on slots, each slot one job at a time; a job over several devices takes as many slots."""

    @property
    def slots(self) -> int:
        """How many jobs over one device can run at once."""
        ...

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> Handle:
        """Start `job` on `job.devices` free slots; `on_epoch` is called from `wait` for every epoch that it ends."""
        ...

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Block until a job ends, or for `timeout` seconds; the outcomes of the jobs that ended."""
        ...

    def close(self) -> None:
        """Kill what still runs and give everything back."""
        ...
