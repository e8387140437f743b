"""Transfer of a cached image set to the cache of a machine that doesn't have it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nas.config.data import DataSpec
from nas.data.build import RECORD
from nas.data.cache import build_folder, cache_root, cached_source, publish
from nas.data.errors import DataError
from nas.jobs.hashes import content_hash

PART_BYTES = 16 * 2**20

Fetch = Callable[[str, int], bytes]
"""From a file's name and an offset to a part of it, empty at its end."""


@dataclass(frozen=True)
class CacheTransfer:
    """Cached image set of one machine, and its identity on others.

    Attributes:
        spec: the image set; on another machine only its `cache` is read.
        folder: folder of the copy on the machine where this was made.
        record: content of the folder's record, which holds the hashes of the images.
        sizes: bytes of every file of the folder, by name.
        self_contained: whether these files hold the images, rather than paths of other files.
    """

    spec: DataSpec
    folder: Path
    record: bytes
    sizes: Mapping[str, int]
    self_contained: bool

    @classmethod
    def of(cls, spec: DataSpec) -> CacheTransfer:
        """Make the transfer of an image set, and build its cache first if there is none.

        Raises:
            DataError: the images can't be read.
        """
        spec = replace(spec, cache=spec.cache and str(Path(spec.cache).expanduser().absolute()))
        source = cached_source(spec)
        folder = source.folder.resolve()
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
        return cls(spec, folder, (folder / RECORD).read_bytes(), sizes, source.self_contained)

    @property
    def target(self) -> Path:
        """Folder of the copy on another machine."""
        return cache_root(self.spec).resolve() / f"shipped-{content_hash([self.record])[:16]}"

    def local_folder(self) -> Path | None:
        """Return a complete copy on this machine, the original folder or a fetched one; None if there is none."""
        return next((folder for folder in (self.folder, self.target) if self._is_complete(folder)), None)

    def read(self, name: str, offset: int) -> bytes:
        """Return a part of a file from `offset` on, empty at its end; for the machine where this was made.

        Raises:
            DataError: no such file, or it can't be read.
        """
        if name not in self.sizes:
            raise DataError(f"a file must be one of {', '.join(self.sizes)}, got {name!r}")
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(offset)
                return file.read(PART_BYTES)
        except OSError as error:
            raise DataError(
                f"the images must stay where they are while a search runs, {self.folder}: {error}"
            ) from error

    def download(self, fetch: Fetch) -> Path:
        """Fetch the files into this machine's cache and return their folder; one process fetches, others wait.

        Args:
            fetch: `read` on the machine that has the files.

        Raises:
            DataError: this machine's cache can't be written, or the files don't hold the images.
        """
        if not self.self_contained:
            raise DataError(
                f"images that are decoded anew in every epoch must lie where all machines see them, {self.folder} only "
                f"lists them: share that folder and theirs, or keep them decoded with data.cache_gib"
            )
        target = self.target
        with build_folder(target) as partial, _exclusive(target.with_name(f".{target.name}.lock")):
            if not self._is_complete(target):
                for name in self.sizes:
                    self._fetch(name, partial / name, fetch)
                if not self._is_complete(partial):
                    raise DataError(f"images must arrive as they were sent, those for {target} have not")
                publish(partial, target)
        return target

    def _fetch(self, name: str, path: Path, fetch: Fetch) -> None:
        with path.open("wb") as file:
            while part := fetch(name, file.tell()):
                file.write(part)

    def _is_complete(self, folder: Path) -> bool:
        try:
            sizes = {name: (folder / name).stat().st_size for name in self.sizes}
            return sizes == dict(self.sizes) and (folder / RECORD).read_bytes() == self.record
        except OSError:
            return False


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """Hold a file lock among the processes of this machine; the system releases it if the holder dies."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
