"""Faults that are put into the folder of a study, by name."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

Fault = Callable[[Path, Path], None]
"""Changes the folder of a study; the second folder, beside it, is not ours."""

TABLES = (
    "studies",
    "study_directions",
    "study_user_attributes",
    "trials",
    "trial_params",
    "trial_values",
    "trial_user_attributes",
    "trial_system_attributes",
    "alembic_version",
    "version_info",
)
FILES = ("config.yaml", "environment.json", "front.json", "study.db", "driver.lock")
NOISE = random.Random(7).randbytes(3000)


def replace(name: str, content: bytes | str) -> Fault:
    """Give a file another content."""

    def fault(study: Path, elsewhere: Path) -> None:
        (study / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return fault


def remove(name: str) -> Fault:
    """Remove a file or folder."""

    def fault(study: Path, elsewhere: Path) -> None:
        path = study / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return fault


def folder_for(name: str) -> Fault:
    """Put a folder where a file was."""

    def fault(study: Path, elsewhere: Path) -> None:
        (study / name).unlink()
        (study / name).mkdir()

    return fault


def fifo_for(name: str) -> Fault:
    """Put a named pipe, which nobody writes to, where a file was."""

    def fault(study: Path, elsewhere: Path) -> None:
        (study / name).unlink()
        os.mkfifo(study / name)

    return fault


def linked(name: str) -> Fault:
    """Move a file or folder out of the study, and leave a link to it."""

    def fault(study: Path, elsewhere: Path) -> None:
        target = elsewhere / Path(name).name
        shutil.move(study / name, target)
        (study / name).symlink_to(target)

    return fault


def dangling(name: str) -> Fault:
    """Put a link to a file that does not exist where a file was or would be."""

    def fault(study: Path, elsewhere: Path) -> None:
        (study / name).unlink(missing_ok=True)
        (study / name).symlink_to(elsewhere / "made-by-us")

    return fault


def truncated(name: str, share: float) -> Fault:
    """Keep the first part of a file."""

    def fault(study: Path, elsewhere: Path) -> None:
        content = (study / name).read_bytes()
        (study / name).write_bytes(content[: int(len(content) * share)])

    return fault


def appended(name: str, text: str) -> Fault:
    """Append lines to a file."""

    def fault(study: Path, elsewhere: Path) -> None:
        with (study / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return fault


def overwritten(name: str, start: float) -> Fault:
    """Write noise over a part of a file that begins at this share of it."""

    def fault(study: Path, elsewhere: Path) -> None:
        content = bytearray((study / name).read_bytes())
        first = int(len(content) * start)
        content[first : first + len(NOISE)] = NOISE
        (study / name).write_bytes(bytes(content))

    return fault


def sql(*statements: str) -> Fault:
    """Change the database by statements."""

    def fault(study: Path, elsewhere: Path) -> None:
        with closing(sqlite3.connect(study / "study.db")) as base, base:
            for statement in statements:
                base.execute(statement)

    return fault


def every_checkpoint(change: Callable[[Path], None]) -> Fault:
    """Change every checkpoint of the study."""

    def fault(study: Path, elsewhere: Path) -> None:
        for path in study.glob("trials/*/*.pt"):
            change(path)

    return fault


def nothing(study: Path, elsewhere: Path) -> None:
    """Leave the study as it is."""


LETTERS = "abcdefghi"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join(['*' + before] * 9)}]\n" for before, after in pairwise(LETTERS)
)

CONFIG = {
    "config absent": remove("config.yaml"),
    "config empty": replace("config.yaml", ""),
    "config not UTF-8": replace("config.yaml", b"seed: 0 # caf\xe9\n"),
    "config noise": replace("config.yaml", NOISE),
    "config a list": replace("config.yaml", "- 1\n- 2\n"),
    "config a text": replace("config.yaml", "hello\n"),
    "config with a tab": replace("config.yaml", "seed:\t0\n\tstudy: s\n"),
    "config with an unknown key": appended("config.yaml", "flavour: vanilla\n"),
    "config with an unknown section": appended("config.yaml", "quantum:\n  qubits: 3\n"),
    "config with an alias bomb": replace("config.yaml", BOMB),
    "config with a Python tag": replace("config.yaml", "seed: !!python/object/apply:os.system ['touch pwned']\n"),
    "config with an interpolation": appended("config.yaml", "note: ${oc.env:HOME}\n"),
    "config nested deeply": replace("config.yaml", "[" * 20000),
    "config a folder": folder_for("config.yaml"),
    "config a pipe": fifo_for("config.yaml"),
    "config linked": linked("config.yaml"),
}
ENVIRONMENT = {
    "environment absent": remove("environment.json"),
    "environment empty": replace("environment.json", ""),
    "environment a list": replace("environment.json", "[1]"),
    "environment null": replace("environment.json", "null"),
    "environment noise": replace("environment.json", NOISE),
    "environment nested deeply": replace("environment.json", "[" * 20000),
    "environment a folder": folder_for("environment.json"),
    "environment a pipe": fifo_for("environment.json"),
    "environment linked": linked("environment.json"),
}
DATABASE = {
    "database absent": remove("study.db"),
    "database empty": replace("study.db", ""),
    "database noise": replace("study.db", NOISE),
    "database a text": replace("study.db", "hello\n"),
    "database cut at a tenth": truncated("study.db", 0.1),
    "database cut at a half": truncated("study.db", 0.5),
    "database with noise in its middle": overwritten("study.db", 0.45),
    "database with noise in its schema": overwritten("study.db", 0.002),
    "database a folder": folder_for("study.db"),
    "database a pipe": fifo_for("study.db"),
    "database a dangling link": dangling("study.db"),
    "database of a newer schema": sql("UPDATE alembic_version SET version_num = 'v9.9.9'"),
    "database of two studies": sql("INSERT INTO studies (study_name) VALUES ('other')"),
    "database of no study": sql("DELETE FROM studies"),
} | {f"table {name} dropped": sql(f"DROP TABLE {name}") for name in TABLES}
FOLDER = {
    "lock a folder": folder_for("driver.lock"),
    "lock a pipe": fifo_for("driver.lock"),
    "lock noise": replace("driver.lock", NOISE),
    "lock linked": linked("driver.lock"),
    "lock a dangling link": dangling("driver.lock"),
    "front.json linked": linked("front.json"),
    "front.json a folder": folder_for("front.json"),
    "front.png linked": linked("front.png"),
    "report.html a dangling link": dangling("report.html"),
    "export a dangling link": dangling("export"),
    "retrain a dangling link": dangling("retrain"),
    "trials absent": remove("trials"),
    "trials linked": linked("trials"),
    "a trial linked": linked("trials/00001"),
    "checkpoints absent": every_checkpoint(Path.unlink),
    "checkpoints empty": every_checkpoint(lambda path: path.write_bytes(b"") and None),
    "checkpoints noise": every_checkpoint(lambda path: path.write_bytes(NOISE) and None),
    "checkpoints cut": every_checkpoint(lambda path: path.write_bytes(path.read_bytes()[:2000]) and None),
}
FAULTS: dict[str, Fault] = {"none": nothing} | CONFIG | ENVIRONMENT | DATABASE | FOLDER
