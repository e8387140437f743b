"""What `nas COMMAND --help` shows: groups with their options, fields with present values and meaning, exit codes."""

from __future__ import annotations

import dataclasses
import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from nas.cli.app.compose import items_of
from nas.cli.app.keys import documented, is_group
from nas.config.commands import ROOTS

WIDTH = 118
EXIT_CODES = "0 done; 1 a fault of the program, with its traceback; 2 a mistake, explained in one line; 130 Ctrl-C."
OPTIONS = {
    "--help": "this page, with the values that the overrides lead to",
    "--cfg job": "print the whole configuration and do nothing else",
    "-m": "sweep: one run for each of several values, key=a,b",
    "--config-dir DIR": "add options of groups, DIR/GROUP/OPTION.yaml, and Python modules of plug-ins, DIR/*.py",
}


def register_help() -> None:
    """Make `${nas_help:COMMAND}` known, which the help template of every command uses."""
    OmegaConf.register_new_resolver("nas_help", _render, replace=True)


def _render(command: str, *, _root_: DictConfig) -> str:
    plain: Any = OmegaConf.to_container(_root_.copy(), resolve=False)
    root = ROOTS[command]
    sections = [
        ("Groups, set with group=option (* is what is taken now):", _groups(root, plain)),
        ("Fields, set with key=value, as they are now:", _fields(root, plain, "")),
        ("Options:", (f"  {option:<18} {meaning}" for option, meaning in OPTIONS.items())),
        ("Exit codes:", (f"  {EXIT_CODES}",)),
    ]
    text = "\n\n".join("\n".join([title, *lines]) for title, lines in sections)
    return text.replace("$", "$$")  # Hydra puts the text through string.Template


def _groups(root: type, plain: Mapping[str, Any]) -> Iterator[str]:
    loader, choices = GlobalHydra.instance().config_loader(), plain["hydra"]["runtime"]["choices"]
    hints = typing.get_type_hints(root)
    groups = [group for group, annotation in hints.items() if is_group(annotation)]
    for group in groups + [group for group in choices if group not in groups and not group.startswith("hydra/")]:
        # Hydra notes no choice for a group of several options; those are the names in the mapping itself.
        several = group in hints and items_of(hints[group]) is not None
        taken = list(plain[group]) if several else [choices.get(group)]
        options = loader.get_group_options(group)
        yield f"  {group:<12} {' '.join(f'*{option}' if option in taken else option for option in options)}"


def _fields(spec: type, values: Mapping[str, Any], path: str) -> Iterator[str]:
    meanings, hints = documented(spec), typing.get_type_hints(spec)
    for field in dataclasses.fields(typing.cast(Any, spec)):
        key, value = f"{path}{field.name}", values[field.name]
        annotation = hints[field.name]
        if not is_group(annotation):
            yield _entry(f"{key}={_shown(value)}", meanings.get(field.name, ""))
            continue
        yield f"\n  {key}: {meanings.get(field.name, '')}"
        yield from _group_fields(annotation, value, key)


def _group_fields(annotation: Any, value: Any, key: str) -> Iterator[str]:
    if dataclasses.is_dataclass(annotation):
        yield from _fields(typing.cast(type, annotation), value, f"{key}.")
    else:
        yield from (_entry(setting, "") for setting in _settings(key, value))


def _settings(key: str, value: Any) -> Iterator[str]:
    """A free mapping as one setting a line, as deep as it takes to reach values that fit on one."""
    inner: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else {}
    if isinstance(value, Mapping):
        inner = dict(value)
    if ("." not in key and inner) or any(isinstance(child, Mapping | list) for child in inner.values()):
        for name, child in inner.items():
            yield from _settings(f"{key}.{name}", child)
    else:
        yield f"{key}={_shown(value)}"


def _shown(value: Any) -> str:
    """A value as one would type it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(inner)}" for key, inner in value.items()) + "}"
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else str(value) or "''"


def _entry(setting: str, meaning: str) -> str:
    if not meaning:
        return f"  {setting}"
    head = f"  {setting:<34} "
    return textwrap.fill(head + meaning, WIDTH, subsequent_indent=" " * 37, break_on_hyphens=False)
