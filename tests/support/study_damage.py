"""Damages of a stored study of four trials, each with a part of the line that names it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

DAMAGED = 2
DEEP = "[" * 100_000 + "]" * 100_000

Damage = str | Callable[[Path], object]


def attribute(key: str, value: str | None) -> str:
    """SQL that sets a user attribute of the damaged trial, or deletes it."""
    where = f"WHERE trial_id = {DAMAGED + 1} AND key = '{key}'"
    if value is None:
        return f"DELETE FROM trial_user_attributes {where}"
    return f"UPDATE trial_user_attributes SET value_json = '{value}' {where}"


def added(key: str, value: str) -> str:
    return f"INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES ({DAMAGED + 1}, '{key}', '{value}')"


def replaced(key: str, old: str, new: str) -> str:
    return (
        f"UPDATE trial_user_attributes SET value_json = replace(value_json, '{old}', '{new}') "
        f"WHERE trial_id = {DAMAGED + 1} AND key = '{key}'"
    )


def of_study(key: str, value: str) -> str:
    return f"INSERT OR REPLACE INTO study_user_attributes (study_id, key, value_json) VALUES (1, '{key}', '{value}')"


def of_trial(table: str, change: str, also: str = "") -> str:
    return f"UPDATE {table} SET {change} WHERE trial_id = {DAMAGED + 1} {also}"


REPEAT = '{"seed": 5, "curve": [], "training": {}, "values": %s, "failure": null}'
NAMED: dict[str, tuple[Damage, str]] = {
    "no architecture": (attribute("architecture", None), "architecture must be a JSON object, got null"),
    "another architecture": (replaced("architecture", '"classes": 10', '"classes": 11'), "id must be that of the arch"),
    "architecture that is none": (attribute("architecture", '{"stem": 3}'), "architecture must be one: "),
    "deep architecture": (attribute("architecture", DEEP), "it must be readable, got RecursionError"),
    "no id": (attribute("id", None), "id must be a text, got null"),
    "no network_id": (attribute("network_id", None), "network_id must be a text, got null"),
    "no summary": (attribute("summary", None), "summary must be a text, got null"),
    "summary of numbers": (attribute("summary", "[1]"), "summary must be a text, got [1]"),
    "no ask": (attribute("ask", None), "ask must be an integer from 0 to 1000000000000, got null"),
    "negative ask": (attribute("ask", "-3"), "ask must be an integer from 0 to 1000000000000, got -3"),
    "ask that is true": (attribute("ask", "true"), "ask must be an integer from 0 to 1000000000000, got true"),
    "no seed": (attribute("seed", None), "seed must be an integer of at least 0, got null"),
    "seed with a fraction": (attribute("seed", "1.5"), "seed must be an integer of at least 0, got 1.5"),
    "huge seed": (attribute("seed", "1" * 30), f"seed must be an integer of at least 0, got {'1' * 30}"),
    "no costs": (attribute("costs", None), "costs must be a JSON object, got null"),
    "costs without MACs": (attribute("costs", '{"params": 1, "memory_mib": 1}'), "lack macs"),
    "negative cost": (replaced("costs", '"params": ', '"params": -'), "costs.params must be a finite number of at l"),
    "cost that is no number": (
        replaced("costs", '"params": ', '"params": NaN, "x": '),
        "costs.params must be a finite",
    ),
    "list of skipped": (attribute("skipped", "[]"), "skipped must be a JSON object, got []"),
    "null curve": (attribute("curve", "null"), "curve must be a JSON list, got null"),
    "half JSON": (attribute("curve", '[{"epoch": 1,'), "it must be readable, got JSONDecodeError"),
    "SQL null": (of_trial("trial_user_attributes", "value_json = NULL", "AND key = 'curve'"), "it must be readable"),
    "accuracy 7": (replaced("curve", '"val_accuracy": 0', '"val_accuracy": 7'), "val_accuracy of epoch 1 of the curve"),
    "negative seconds": (replaced("curve", '"seconds": 1', '"seconds": -1'), "seconds of epoch 1 of the curve must be"),
    "negative loss": (replaced("curve", '"val_loss": 1', '"val_loss": -1'), "val_loss of epoch 1 of the curve must be"),
    "epochs that jump": (
        replaced("curve", '"epoch": 2', '"epoch": 5'),
        "number of epoch 2 of the curve must be an int",
    ),
    "row of another version": (
        replaced("curve", '"epoch": 2', '"epoch": 2, "more": 1'),
        "epoch 2 of the curve must ha",
    ),
    "training of a text": (attribute("training", '"x"'), 'training must be a JSON object, got "x"'),
    "negative clock": (attribute("training", '{"clock": -4}'), "training.clock must be a finite number of at least 0"),
    "retries of texts": (
        attribute("training", '{"retries": {"died": "x"}}'),
        "training.retries.died must be an integer",
    ),
    "failure of no kind": (added("failure", '{"kind": 3, "message": ""}'), "failure.kind must be one of nan, "),
    "parent that is none": (added("inherits", '{"trial": -1, "changes": 0, "skips": 1}'), "inherits.trial must be an"),
    "half an import": (
        "UPDATE trials SET state = 'RUNNING' WHERE trial_id = 3;" + added("imported", "true"),
        "its import",
    ),
    "accuracy of 7 as a value": (
        of_trial("trial_values", "value = 7", "AND objective = 0"),
        "val_accuracy must be a fin",
    ),
    "other MACs": (of_trial("trial_values", "value = 7", "AND objective = 1"), "macs must be the network"),
    "text as a value": (
        of_trial("trial_values", "value = 'abc'", "AND objective = 0"),
        "val_accuracy must be a finite",
    ),
    "no value": (of_trial("trial_values", "value = NULL", "AND objective = 0"), "must be"),
    "no values": (
        "DELETE FROM trial_values WHERE trial_id = 3",
        "values must be those of val_accuracy, macs, got null",
    ),
    "one value": ("DELETE FROM trial_values WHERE trial_id = 3 AND objective = 0", "must be"),
    "unknown state": (of_trial("trials", "state = 'NOPE'"), "it must be readable, got"),
    "waiting": (of_trial("trials", "state = 'WAITING'"), "state must be that of a trial that was started, got WAITING"),
    "number of another": (of_trial("trials", "number = 1"), "its number must be its own, another trial has it too"),
    "no number": (of_trial("trials", "number = NULL"), "it must be readable, got the number None"),
    "huge number": (of_trial("trials", "number = 1000000000"), "it must be readable, got the number 1000000000"),
}
"""Damage of one trial, and a part of the line that names it."""

PART: dict[str, tuple[Damage, str]] = {
    "null repeat": (
        of_study("repeat:2:1", "null"),
        "repeat 1 of trial 2 of mine is damaged and left out: a repeat must",
    ),
    "repeat of accuracy 9": (of_study("repeat:2:1", REPEAT % '{"val_accuracy": 9, "macs": 1}'), "val_accuracy must be"),
    "repeat without values": (
        of_study("repeat:2:1", REPEAT % "{}"),
        "values must be those of val_accuracy, macs, got {}",
    ),
    "second repeat alone": (
        of_study("repeat:2:2", REPEAT % "null"),
        "the repeat before it must have ended, it has not",
    ),
    "repeat of no trial": (of_study("repeat:99:1", REPEAT % "null"), "its trial must be in the study, it is not"),
    "tail of numbers": (of_study("tail", "[1]"), "attribute tail of mine is damaged and left out: tail must be a JSON"),
    "budget of texts": (of_study("budget", '{"trials": "x"}'), "budget.trials must be a finite number of at least 0"),
    "validation images -5": (of_study("validation_images", "-5"), "validation_images must be an integer from 1 to"),
    "config of a text": (of_study("config", '"x"'), "attribute config of mine is damaged and left out"),
    "config that is half JSON": (of_study("config", "{{"), "attribute config of mine is damaged and left out"),
    "space of another version": (
        (
            "UPDATE study_user_attributes SET value_json = replace(value_json, '\"stem\": ', '\"stm\": ') "
            "WHERE key = 'fingerprint'"
        ),
        "the space can't be read",
    ),
}
"""Damage of the study that leaves all trials readable, and a part of its line in some command."""

WHOLE: dict[str, tuple[Damage, str]] = {
    "no fingerprint": (
        "DELETE FROM study_user_attributes WHERE key = 'fingerprint'",
        "must have been made by nas search",
    ),
    "null fingerprint": (of_study("fingerprint", "null"), "fingerprint must be a JSON object, got null"),
    "no objectives": (of_study("fingerprint", '{"format": 1}'), "fingerprint.objectives must be a JSON list, got null"),
    "objective without ends": (
        of_study("fingerprint", '{"objectives": [{"name": "a"}]}'),
        "lacks direction, log, best",
    ),
    "another format": (
        (
            "UPDATE study_user_attributes SET value_json = replace(value_json, '\"format\": 1', '\"format\": 9') "
            "WHERE key = 'fingerprint'"
        ),
        "format must be 1, got 9",
    ),
    "turned box": (
        (
            "UPDATE study_user_attributes SET value_json = replace(value_json, '\"best\": ', '\"best\": -') "
            "WHERE key = 'fingerprint'"
        ),
        "must be an axis",
    ),
    "two extents of the images": (
        (
            "UPDATE study_user_attributes SET value_json = replace(value_json, '[1, 8, 8]', '[1, 8]') "
            "WHERE key = 'fingerprint'"
        ),
        "fingerprint.space.input must be [channels, height, width], got [1, 8]",
    ),
    "no trial without costs": ("DELETE FROM trial_user_attributes WHERE key = 'costs'", "costs must be a JSON object"),
    "newer schema": ("UPDATE alembic_version SET version_num = 'v9.9.9.a'", "must have schema"),
    "no schema": ("DELETE FROM alembic_version", "must have schema"),
    "lost column": ("ALTER TABLE trial_values DROP COLUMN value_type", "it lacks trial_values.value_type"),
    **{
        f"dropped {table}": (f"DROP TABLE {table}", f"it lacks {table}")
        for table in ("trial_params", "trial_values", "trial_user_attributes", "trials", "study_directions")
    },
    "dropped studies": ("DROP TABLE studies", "no such table: studies"),
    "empty file": (lambda folder: (folder / "study.db").write_bytes(b""), "must be a database made by nas search"),
    "random file": (lambda folder: (folder / "study.db").write_bytes(os.urandom(9000)), "file is not a database"),
    "half a file": (lambda folder: os.truncate(folder / "study.db", 50_000), "study"),
    "folder": (lambda folder: [(folder / "study.db").unlink(), (folder / "study.db").mkdir()], "study"),
}
"""Damage after which nothing can be read, and a part of the one line."""


def written(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def edited(old: str, new: str) -> Damage:
    def edit(folder: Path) -> None:
        text = (folder / "config.yaml").read_text()
        assert old in text
        (folder / "config.yaml").write_text(text.replace(old, new, 1))

    return edit


FILES: dict[str, tuple[Damage, str]] = {
    "config in no UTF-8": (written("config.yaml", b"\xff\xfe\x00a: b"), "config.yaml is damaged"),
    "config of a list": (written("config.yaml", b"- 1\n"), "config.yaml is damaged"),
    "config of a number": (written("config.yaml", b"3\n"), "config.yaml is damaged"),
    "config with a tab": (written("config.yaml", b"a:\n\tb: 1\n"), "config.yaml is damaged"),
    "config 5,000 deep": (written("config.yaml", b"[" * 5000), "config.yaml is damaged"),
    "section of another version": (edited("sampler:\n", "magic: {a: 1}\nsampler:\n"), '"magic" is unknown'),
    "key of another version": (edited("sampler:\n", "sampler:\n  nope: 3\n"), 'sampler."nope" is unknown'),
    "sampler of a number": (edited("sampler:\n", "sampler: 4\nold:\n"), "sampler is damaged"),
    "path as a name": (edited("name: known_cost", "name: ../../etc"), "sampler is damaged"),
    "objective of a number": (edited("objective:\n", "objective: 4\nold:\n"), "objective is damaged"),
    "limits of a list": (edited("limits:\n", "limits: [3]\nold:\n"), "limits is damaged"),
    "seed of a list": (edited("seed: 0", "seed: [1]"), "seed is damaged"),
    "interpolation": (edited("seed: 0", "seed: ${oc.env:HOME}"), "seed is damaged"),
    "empty environment": (written("environment.json", b""), "environment.json is damaged"),
    "list as environment": (written("environment.json", b"[1]"), "environment.json is damaged"),
    "environment in no UTF-8": (written("environment.json", b"\xff"), "environment.json is damaged"),
    "environment of types": (written("environment.json", b'{"gpus": 3}'), "environment.json is damaged"),
    "deep environment": (written("environment.json", DEEP.encode()), "environment.json is damaged"),
}
"""Damage of a file beside the database, and a part of the line in `nas report`."""
