"""The kept copy of a data set, as files that a machine which doesn't have them can fetch and lay into its own cache."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nas.config.data import DataSpec
from nas.data.build import RECORD
from nas.data.cache import aside, cache_root, kept, put_in_place
from nas.data.errors import DataError

PART_BYTES = 16 * 2**20

Fetch = Callable[[str, int], bytes]


@dataclass(frozen=True)
class Shipment:
    """What a search's images lie in, and how they are known elsewhere.

    Attributes:
        spec: the images; of it, only where a machine keeps its cache is looked at elsewhere.
        folder: where they lie on the machine that this was made on.
        record: content of the folder's record, which holds the hashes of the images.
        sizes: bytes of every file of the folder, by name.
        complete: whether the images are in these files, and not listed in them.
    """

    spec: DataSpec
    folder: Path
    record: bytes
    sizes: Mapping[str, int]
    complete: bool

    @classmethod
    def of(cls, spec: DataSpec) -> Shipment:
        """The images of `spec`, read first where that has not been done yet.

        Raises:
            DataError: they can't be had.
        """
        spec = replace(spec, cache=spec.cache and str(Path(spec.cache).expanduser().absolute()))
        found = kept(spec)
        folder = found.folder.resolve()
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
        return cls(spec, folder, (folder / RECORD).read_bytes(), sizes, found.complete)

    @property
    def place(self) -> Path:
        """Where another machine keeps them."""
        return cache_root(self.spec).resolve() / f"shipped-{hashlib.sha256(self.record).hexdigest()[:16]}"

    def here(self) -> Path | None:
        """The folder on this machine that holds them whole: the first one, where this machine sees it, or its own."""
        return next((folder for folder in (self.folder, self.place) if self._whole(folder)), None)

    def read(self, name: str, offset: int) -> bytes:
        """A part of a file from `offset` on, empty at its end; on the machine that this was made on.

        Raises:
            DataError: it can't be read.
        """
        if name not in self.sizes:
            raise DataError(f"a shipment has the files {', '.join(self.sizes)}, got {name!r}")
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(offset)
                return file.read(PART_BYTES)
        except OSError as error:
            raise DataError(
                f"the images must stay where they are while a search runs, {self.folder}: {error}"
            ) from error

    def lay_out(self, fetch: Fetch) -> Path:
        """The folder that holds them on this machine, fetched by one process and awaited by the others.

        Args:
            fetch: `read` of the machine that has them.

        Raises:
            DataError: the cache of this machine can't be written, or the images are not in what would be fetched.
        """
        if not self.complete:
            raise DataError(
                f"images that are decoded anew in every epoch must lie where all machines see them, {self.folder} only "
                f"lists them: share that folder and theirs, or keep them decoded with data.cache_gib"
            )
        place = self.place
        with aside(place) as partial, _alone(place.with_name(f".{place.name}.lock")):
            if not self._whole(place):
                for name in self.sizes:
                    self._fetch(name, partial / name, fetch)
                if not self._whole(partial):
                    raise DataError(f"images must arrive as they were sent, those for {place} have not")
                put_in_place(partial, place)
        return place

    def _fetch(self, name: str, path: Path, fetch: Fetch) -> None:
        with path.open("wb") as file:
            while part := fetch(name, file.tell()):
                file.write(part)

    def _whole(self, folder: Path) -> bool:
        try:
            sizes = {name: (folder / name).stat().st_size for name in self.sizes}
            return sizes == dict(self.sizes) and (folder / RECORD).read_bytes() == self.record
        except OSError:
            return False


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process of this machine is inside; the system lets the next one in when a holder dies."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
