"""Writer of checkpoints beside the training: the state is copied at once, and a thread writes the copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import final

from nas.jobs import Curve
from nas.training.checkpoint import Snapshot, TrainingState
from nas.training.checkpoint_folder import Place


@final
class CheckpointWriter:
    """Writer of one training's checkpoints, one at a time.

    An error of a write is raised once, by the next call.
    """

    def __init__(self, place: Place, identity: Mapping[str, str]) -> None:
        self._place = place
        self._identity = dict(identity)
        self._snapshot = Snapshot()
        self._thread: Thread | None = None
        self._error: Exception | None = None

    def take(self, state: TrainingState) -> None:
        """Copy a state once the last one is written; the training may then go on.

        Raises:
            OSError: the last checkpoint could not be written.
        """
        self.wait()
        self._snapshot.take(state)

    def write(self, curve: Curve, written: Callable[[Curve, Path], None]) -> None:
        """Begin to write the state that was copied.

        Args:
            curve: the learning curve up to its epoch.
            written: called from the writing thread with the curve and the file, once it is on the disk.
        """
        self._thread = Thread(target=self._run, args=(curve, written), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: a checkpoint could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait as `wait` does."""
        self.wait()

    def end(self, epoch: int) -> None:
        """Remove all but the checkpoint of the last epoch."""
        self._place.remove_superseded(epoch, ended=True)

    def _run(self, curve: Curve, written: Callable[[Curve, Path], None]) -> None:
        try:
            written(curve, self._snapshot.save(self._identity, curve, self._place))
        except Exception as error:  # raised by the next call in the training's thread
            self._error = error
