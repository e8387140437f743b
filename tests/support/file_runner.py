"""Runner that trains nothing but keeps files as a training does; Ray's workers import this module by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from toy_runners import toy_row

from nas.jobs import Control, Job, Outcome

ROWS = "rows.txt"


@dataclass(frozen=True)
class FileRunner:
    """Runner that in each epoch writes a checkpoint, removes the last one, and adds a row to a file beside it.

    Attributes:
        images: folder that it would read its images from; written into the rows.
    """

    images: str = "its own"

    def with_images_in(self, folder: Path) -> FileRunner:
        """Return the same runner with its images in `folder`."""
        return replace(self, images=str(folder))

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`."""
        job.folder.mkdir(parents=True, exist_ok=True)
        rows, checkpoint = job.folder / ROWS, job.checkpoint
        begun = len(rows.read_text().splitlines()) if rows.exists() else 0
        if begun != job.from_epoch or (checkpoint is not None and checkpoint.read_text() != str(begun)):
            raise ValueError(f"rows and checkpoint must be those of epoch {job.from_epoch}, got {begun}")
        for epoch in range(job.from_epoch + 1, job.to_epoch + 1):
            print(f"epoch {epoch} in {job.folder}", flush=True)
            path = job.folder / f"attempt{job.attempt}-epoch{epoch:03d}.pt"
            path.write_text(str(epoch))
            if checkpoint is not None:
                checkpoint.unlink()
            checkpoint = path
            with rows.open("a") as file:
                file.write(f"{epoch} {self.images}\n")
            control.epoch_done(toy_row(epoch))
        return Outcome(job, tuple(toy_row(epoch) for epoch in range(1, job.to_epoch + 1)), checkpoint)
