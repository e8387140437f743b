"""Studies that a command names, resolved and opened."""

from __future__ import annotations

import errno
import gc
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from nas.study.folders import existing_study
from nas.study.reading import uncollected
from nas.study.summary import open_for_reading

if TYPE_CHECKING:
    from nas.config.storage import StorageSpec
    from nas.study.study import Study
    from nas.study.summary import StudyReader


class NamesStudy(Protocol):
    """Configuration of a command that works on an existing study."""

    @property
    def study(self) -> str | None:
        """Name or path; None if not given."""
        ...

    @property
    def outputs(self) -> str:
        """Folder of the studies."""
        ...

    @property
    def storage(self) -> StorageSpec:
        """Kind of database."""
        ...


def reading(config: NamesStudy) -> StudyReader:
    """Open the study of a command for reading.

    Raises:
        ValueError: no study is given, it does not exist, or it cannot be read.
    """
    folder = existing_study(config.study, config.outputs, in_folder=config.storage.kind == "sqlite")
    with uncollected():
        reader = open_for_reading(folder, config.storage.kind)
        gc.freeze()  # the records stay until the end: no search for cyclic garbage need look at them
    return reader


@contextmanager
def writing_beside(study: Study, output: str | None, file: str) -> Iterator[None]:
    """Run a block that writes a result; name the way out if it would lie in a study's folder that can't be written to.

    Args:
        study: the study.
        output: `output` of the command, None for the study's folder.
        file: the kind of path that `output` takes.

    Raises:
        ValueError: the study's folder can't be written to.
    """
    try:
        yield
    except OSError as error:
        if output is not None or error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        folder = study.folder
        raise ValueError(f"{folder} must be a folder that can be written to, it is not: set output={file}") from error


def study_overrides(config: NamesStudy) -> str:
    """Return the overrides that name the study of a command, quoted for a shell; defaults are left out."""
    words = [f"study={config.study}"]
    words += [f"outputs={config.outputs}"] if config.outputs != "outputs" else []
    words += [f"storage={config.storage.kind}"] if config.storage.kind != "sqlite" else []
    return shlex.join(words)
