"""Text of `nas COMMAND --help`: config groups with their options, fields with present values, exit codes."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nas.cli.app.compose import items_of
from nas.cli.app.keys import documented, inner_groups, is_group
from nas.config.commands import ROOTS

WIDTH = 118
EXIT_CODES = "0 success; 1 internal error, with a traceback; 2 user error, in one line; 130 Ctrl-C; 143 SIGTERM."
OPTIONS = {
    "--help": "this page, with the overrides applied",
    "--cfg job": "print the composed configuration and exit",
    "-m": "sweep: one run for each value of key=a,b",
    "--config-dir DIR": "add options of groups, DIR/GROUP/OPTION.yaml, and Python modules of plug-ins, DIR/*.py",
}


def help_text(command: str, composed: DictConfig) -> str:
    """Return the help of a command; Hydra's own lists all of its own options first, which takes a second.

    Args:
        command: its name.
        composed: its configuration, as the running application has composed it.
    """
    plain: Any = OmegaConf.to_container(composed, resolve=False)
    root, hydra = ROOTS[command], HydraConfig.get()
    choices = typing.cast(dict[str, Any], OmegaConf.to_container(hydra.runtime.choices))
    sections = [
        ("Config groups, set with group=option (* marks the present option):", _groups(root, plain, choices)),
        (
            "Fields, set with key=value, with their present values:",
            _fields(root, plain, "", choices),
        ),
        ("Options:", (f"  {option:<18} {meaning}" for option, meaning in OPTIONS.items())),
        ("Exit codes:", (f"  {EXIT_CODES}",)),
    ]
    return "\n\n".join([hydra.help.header, *("\n".join([title, *lines]) for title, lines in sections)])


def _groups(root: type, plain: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[str]:
    # Hydra records no choice for a group of several options; those are the names in the mapping itself.
    chosen = {group: [option] for group, option in choices.items() if not group.startswith("hydra/")}
    hints = typing.get_type_hints(root)
    chosen |= {group: list(plain[group]) for group in hints if dataclasses.is_dataclass(items_of(hints[group]))}
    for group, path in inner_groups(root).items():
        outer, _, name = path.partition(".")
        present = plain[outer][name]
        chosen[group] = list(present) if isinstance(present, Mapping) else []
    for group in sorted(chosen, key=lambda group: [*hints, group].index(group)):
        options = sorted({file.stem for folder in _folders() for file in (folder / group).glob("*.yaml")})
        yield f"  {group:<12} {' '.join(f'*{option}' if option in chosen[group] else option for option in options)}"


def _fields(spec: type, values: Mapping[str, Any], path: str, choices: Mapping[str, Any]) -> Iterator[str]:
    meanings, hints = documented(spec), typing.get_type_hints(spec)
    for field in sorted(dataclasses.fields(typing.cast(Any, spec)), key=lambda field: is_group(hints[field.name])):
        key, value = f"{path}{field.name}", values[field.name]
        annotation = hints[field.name]
        if not is_group(annotation):
            yield _entry(f"{key}={_shown(value)}", meanings.get(field.name, ""))
            continue
        heading = f"  {key}: {meanings.get(field.name, '')}"
        yield "\n" + textwrap.fill(heading, WIDTH, subsequent_indent=" " * 4, break_on_hyphens=False)
        yield from _group_fields(annotation, value, key, choices)


def _group_fields(annotation: Any, value: Any, key: str, choices: Mapping[str, Any]) -> Iterator[str]:
    if dataclasses.is_dataclass(annotation):
        yield from _fields(typing.cast(type, annotation), value, f"{key}.", choices)
        return
    comments = _comments(key, choices)
    for name, child in value.items():
        for setting in _settings(f"{key}.{name}", child):
            yield _entry(setting, comments.get(str(name), ""))
    if not value:
        yield _entry(f"{key}={{}}", "")
    item = items_of(annotation)
    for name, meaning in documented(item).items() if item is not None else ():
        yield _entry(f"{key}.NAME.{name}", meaning)


def _settings(key: str, value: Any) -> Iterator[str]:
    """Yield a value as one setting a line, split until mappings and lists inside it fit on one."""
    inner: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else {}
    if isinstance(value, Mapping):
        inner = dict(value)
    if any(isinstance(child, Mapping | list) for child in inner.values()):
        for name, child in inner.items():
            yield from _settings(f"{key}.{name}", child)
    else:
        yield f"{key}={_shown(value)}"


def _comments(key: str, choices: Mapping[str, Any]) -> dict[str, str]:
    """Return the comments on the settings in a mapping `GROUP.options`, from the YAML file of the present option."""
    group, _, mapping = key.rpartition(".")
    if mapping != "options" or group not in choices:
        return {}
    files = [folder / group / f"{choices[group]}.yaml" for folder in _folders()]
    text = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
    return dict(re.findall(r"^  (\w+): .*? # (.+)$", text, re.MULTILINE))


def _folders() -> list[Path]:
    """Return the folders of options: ours, and that of --config-dir."""
    search_path = GlobalHydra.instance().config_loader().get_search_path().get_path()
    paths = [str(each.path).removeprefix("file://") for each in search_path]
    return [Path(path) for path in paths if "://" not in path]


def _shown(value: Any) -> str:
    """Return a value as it is written in an override."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(inner)}" for key, inner in value.items()) + "}"
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else str(value) or "''"


def _entry(setting: str, meaning: str) -> str:
    if not meaning:
        return textwrap.fill(f"  {setting}", WIDTH, subsequent_indent=" " * 4, break_on_hyphens=False)
    head = f"  {setting:<34} "
    return textwrap.fill(head + meaning, WIDTH, subsequent_indent=" " * 37, break_on_hyphens=False)
