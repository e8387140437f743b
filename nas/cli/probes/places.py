"""Probe of the places that a search writes to: outputs, database, cache of decoded images."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path

from nas.cli.probes.finding import Finding, ok, problem, warning
from nas.config.storage import StorageSpec
from nas.jobs.cache_folder import CACHE_VARIABLE, user_cache_folder

GIB = 2**30
LITTLE, TOO_LITTLE = 2.0, 0.2
"""GiB of free disk below which a search may run out of it, and below which none should be begun."""
NETWORK_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs")
"""Beginnings of the names of file systems that machines share, on which the memory that SQLite maps does not work."""
DATABASE_URL = "NAS_STORAGE_URL"
OWN_HOSTS = ("", "localhost", "127.0.0.1", "::1")


def probe_outputs(outputs: str, mounts: Path = Path("/proc/mounts")) -> list[Finding]:
    """Return whether the folder of studies can be written to, its disk, and its kind of file system."""
    folder = Path(outputs).expanduser().absolute()
    place = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    shown = str(folder) if place == folder else f"{folder}, to be made in {place}"
    if (reason := _unwritable(place)) is not None:
        return [problem("outputs", f"{shown} can't be written to: {reason}", "outputs=DIR names another folder")]
    free, kind = shutil.disk_usage(place).free / GIB, file_system(place, mounts)
    text = f"{shown}: {free:.1f} GiB free" + (f" on {kind}" if kind else "")
    if free < TOO_LITTLE:
        return [problem("outputs", text, "free some space, or outputs=DIR on another disk")]
    if free < LITTLE:
        return [warning("outputs", text, "workers.keep=none keeps no checkpoints; outputs=DIR on another disk")]
    return [ok("outputs", text)]


def _unwritable(place: Path) -> str | None:
    """Return why no file can be made in a folder, None if one can."""
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".nas-doctor-") as file:
            file.write(b"0" * 4096)
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def file_system(folder: Path, mounts: Path) -> str | None:
    """Return the kind of the file system that a folder lies on, None where the system does not tell."""
    try:
        rows = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    path = str(folder.resolve())
    places = {row[1].encode().decode("unicode_escape"): row[2] for row in rows if len(row) > 2}
    above = [place for place in places if path == place or path.startswith(f"{place.rstrip('/')}/")]
    return places[max(above, key=len)] if above else None


def probe_database(
    storage: StorageSpec, outputs: str, *, network: bool, environ: Mapping[str, str] = os.environ
) -> list[Finding]:
    """Return whether the database of a study can be used.

    Args:
        storage: kind of the database.
        outputs: folder of the studies, where SQLite's files lie.
        network: whether a database on another machine may be called.
        environ: the environment.
    """
    if storage.kind == "postgres":
        return _postgres(network=network, environ=environ)
    return _sqlite(Path(outputs).expanduser().absolute())


def _sqlite(folder: Path, mounts: Path = Path("/proc/mounts")) -> list[Finding]:
    place = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    kind = file_system(place, mounts) or ""
    if kind.startswith(NETWORK_SYSTEMS):
        advice = "outputs=DIR on a disk of this machine, or storage=postgres"
        return [warning("database", f"SQLite's write-ahead log is not safe on {kind}, a network file system", advice)]
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".nas-doctor-") as temporary:
            mode = _journal_mode(Path(temporary) / "probe.db")
    except OSError as error:
        return [problem("database", f"no database can be made in {place}: {error.strerror}", "outputs=DIR elsewhere")]
    if mode != "wal":
        advice = "outputs=DIR on a disk of this machine, or storage=postgres"
        return [warning("database", f"SQLite can't keep a write-ahead log in {place}, it has {mode}", advice)]
    return [ok("database", f"SQLite {sqlite3.sqlite_version}, one file a study, write-ahead log works")]


def _journal_mode(file: Path) -> str:
    with closing(sqlite3.connect(file, timeout=5)) as connection:
        mode = str(connection.execute("PRAGMA journal_mode=wal").fetchone()[0])
        connection.execute("CREATE TABLE probe (number INTEGER)")
        connection.commit()
    return mode


def _postgres(*, network: bool, environ: Mapping[str, str]) -> list[Finding]:
    try:
        url_module = import_module("nas.study.storage.url")
        psycopg = import_module("psycopg")
    except ImportError:
        advice = "pip install 'inception-nas[postgres]'"
        return [problem("database", "storage=postgres needs psycopg, which is not installed", advice)]
    url = url_module.database_url(environ)
    place = url_module.host_and_database(url)
    if not network and (url.host or "") not in OWN_HOSTS and not str(url.host).startswith("/"):
        return [ok("database", f"PostgreSQL at {place}, not called; network=true calls it")]
    parameters = url_module.connection_parameters(url)
    try:
        with closing(psycopg.connect(**parameters)) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        said = url_module.redact_password(" ".join(str(error).split()), url)
        advice = f"see that the server runs, and that {DATABASE_URL} is right"
        return [problem("database", f"PostgreSQL at {place} can't be reached: {said}", advice)]
    return [ok("database", f"PostgreSQL {version} at {place} answers")]


def probe_cache(cache: str | None, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Return whether the folder of decoded images can be written to, and its free disk."""
    given = cache or environ.get(CACHE_VARIABLE)
    folder = Path(given).expanduser() if given else user_cache_folder()
    place = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()), Path("/"))
    if (reason := _unwritable(place)) is not None:
        text = f"{folder} can't be written to: {reason}"
        return [problem("cache", text, f"data.cache=DIR or {CACHE_VARIABLE}=DIR names another folder")]
    return [ok("cache", f"{folder}: {shutil.disk_usage(place).free / GIB:.1f} GiB free for decoded images")]
