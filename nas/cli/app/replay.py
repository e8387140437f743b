"""Reconstruction of the command of a stored configuration: group options, and the keys that differ from them."""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas.cli.app.compose import compose, conf_dir, items_of, read_yaml, schema, selections_of
from nas.cli.app.keys import is_free, is_group
from nas.cli.app.overrides import quoted
from nas.config.commands import SearchConfig
from nas.config.fidelity import FidelitySpec
from nas.config.sampler import SamplerSpec
from nas.fidelity.factory import POLICY
from nas.samplers.factory import sampler_defaults

PLAIN = re.compile(r"[A-Za-z0-9_./~-]+")
NOT_TEXT = re.compile(r"(?i)(null|true|false|nan|[-+]?inf|[-+]?[0-9.][0-9_.e+-]*)")
OMITTED = ("format",)  # the output format is no part of a search


def search_command(stored: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the command of a stored configuration, and whether it reproduces all of it.

    Args:
        stored: content of config.yaml.

    Returns:
        The command, quoted for a shell; and False if overrides cannot express some value, such as an option of a
        user's own file with other keys.
    """
    stored = _with_defaults(stored)
    words = [*_scalars(stored), *_groups(stored)]
    return shlex.join(["nas", "search", *words]), _reproduces(words, stored)


def _with_defaults(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration with the options of sampler and fidelity that its version did not write, at their values.

    Only those that the YAML file of the same name shows are filled in, since these would otherwise change.
    """
    found = dict(stored)
    for group, kind in (("sampler", SamplerSpec), ("fidelity", FidelitySpec)):
        path = conf_dir() / group / f"{stored.get(group, {}).get('name')}.yaml"
        if not path.is_file():
            continue
        fields = {field.name for field in dataclasses.fields(kind)}
        spec = kind(**{key: value for key, value in stored[group].items() if key in fields})
        defaults = sampler_defaults(spec) if isinstance(spec, SamplerSpec) else POLICY.defaults(spec.name)
        shown = {key: _as_stored(defaults[key]) for key in read_yaml(path)["options"] if key in defaults}
        found[group] = {**stored[group], "options": {**shown, **stored[group].get("options", {})}}
    return found


def _as_stored(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _reproduces(words: list[str], stored: Mapping[str, Any]) -> bool:
    holder = GlobalHydra.instance()
    running = holder.hydra
    holder.clear()  # a command is itself a Hydra application, of which there is one at a time
    try:
        composed = _plain(compose("search", words))
    except (ValueError, KeyError, HydraException, OmegaConfBaseException):
        return False
    finally:
        holder.clear()
        if running is not None:
            holder.initialize(running)
    return not any(list(_differences(composed[key], stored[key], key)) for key in stored if key not in OMITTED)


def _plain(config: SearchConfig) -> dict[str, Any]:
    """Return a configuration as in config.yaml."""
    return typing.cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(dataclasses.asdict(config))))


def _scalars(stored: Mapping[str, Any]) -> Iterator[str]:
    """Yield overrides of plain fields that differ from the default; always that of the study's name, first."""
    defaults = _primary()
    for key, annotation in typing.get_type_hints(SearchConfig).items():
        if is_group(annotation) or key in OMITTED or key not in stored:
            continue
        if key == "study" or stored[key] != defaults.get(key):
            yield f"{key}={_value(stored[key])}"


def _groups(stored: Mapping[str, Any]) -> Iterator[str]:
    for group, annotation in typing.get_type_hints(SearchConfig).items():
        if not is_group(annotation) or group not in stored:
            continue
        item = items_of(annotation)
        if item is not None:
            yield from _several(_Selection(group, item, group, _defaults()[group]), stored[group])
            continue
        option = _nearest(group, annotation, stored[group])
        if option != _defaults()[group]:
            yield f"{group}={option}"
        for selection in _selections(group, option, annotation):
            yield from _several(selection, stored[group].get(selection.group, []))
        yield from _from_option(group, option, annotation, _without_selections(annotation, stored[group]))


@dataclass(frozen=True)
class _Selection:
    """Config group of several options.

    Attributes:
        group: its name.
        item: class of an option.
        path: key of the options in the configuration.
        usual: names that are selected without an override.
    """

    group: str
    item: type
    path: str
    usual: Sequence[str]


def _selections(group: str, option: str, annotation: Any) -> Iterator[_Selection]:
    """Yield the selections among the fields of a group, some of which its option makes."""
    defaults = _written(group, option).get("defaults", [])
    made = {key: names for entry in defaults if isinstance(entry, Mapping) for key, names in entry.items()}
    for name, item in selections_of(annotation).items():
        key = f"override /{name}@_global_.{name}"
        yield _Selection(name, item, f"{group}.{name}", made.get(key, _defaults()[name]))


def _without_selections(annotation: Any, stored: Any) -> Any:
    if not isinstance(stored, Mapping):
        return stored
    return {key: value for key, value in stored.items() if key not in selections_of(annotation)}


def _several(selection: _Selection, stored: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield overrides of a group of several options, each under its name."""
    names = [str(one["name"]) for one in stored]
    if names != list(selection.usual):
        yield f"{selection.group}=[{','.join(names)}]"
    for one in stored:
        name = str(one["name"])
        if (conf_dir() / selection.group / f"{name}.yaml").is_file():
            yield from _differences(_option(selection.group, name, selection.item), one, f"{selection.path}.{name}")


def _nearest(group: str, annotation: Any, stored: Any) -> str:
    """Return the option that differs from the stored values in the fewest keys, among equals the default."""
    options = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    options.sort(key=lambda option: option != _defaults()[group])

    def distance(option: str) -> int:
        plain = _without_selections(annotation, stored)
        changed = [
            [str(one["name"]) for one in stored.get(selection.group, [])] != list(selection.usual)
            for selection in _selections(group, option, annotation)
        ]
        return len(list(_from_option(group, option, annotation, plain))) + sum(changed)

    return min(options, key=distance)


def _from_option(group: str, option: str, annotation: Any, stored: Any) -> Iterator[str]:
    """Yield overrides that change an option of a group into the stored values."""
    usual = _option(group, _defaults()[group], annotation)
    yield from _differences(_option(group, option, annotation), stored, group, usual)


def _differences(option: Any, stored: Any, path: str, usual: Any = None) -> Iterator[str]:
    """Yield overrides that change an option into the stored values.

    Args:
        option: composed values of the option.
        stored: the stored values; of a newer field that they lack, the default was the behaviour then. A key of a free
            mapping that they lack is removed, except where the option has null, that is no value, for it.
        path: of both in the configuration.
        usual: values of the group's default option, if the option may have others for a newer field.
    """
    usual = usual if isinstance(usual, Mapping) else {}
    if not isinstance(option, Mapping) or not isinstance(stored, Mapping):
        if option != stored:
            yield f"{path}={_value(stored)}"
        return
    for key in option:
        if key in stored:
            yield from _differences(option[key], stored[key], f"{path}.{key}", usual.get(key))
        elif is_free(SearchConfig, path):
            if option[key] is not None:
                yield f"~{path}.{key}"
        elif option[key] != usual.get(key, option[key]):
            yield f"{path}.{key}={_value(usual[key])}"
    for key in stored:
        if key not in option:
            yield f"+{path}.{key}={_value(stored[key])}"


@cache
def _primary() -> Mapping[str, Any]:
    """Return the primary configuration of `nas search` as it is written."""
    return read_yaml(conf_dir() / "search.yaml")


@cache
def _written(group: str, option: str) -> Mapping[str, Any]:
    """Return an option of a group as it is written."""
    return read_yaml(conf_dir() / group / f"{option}.yaml")


@cache
def _defaults() -> Mapping[str, Any]:
    """Return the default option of every group of `nas search`."""
    found: dict[str, Any] = {}
    for entry in _primary()["defaults"]:
        if isinstance(entry, Mapping):
            found.update(entry)
    return found


@cache
def _option(group: str, option: str, annotation: Any) -> Any:
    """Return the composed values of an option of a group."""
    written = {**_written(group, option)}
    written.pop("defaults", None)  # an option overrides the group's default option, which has the defaults of the class
    if typing.get_origin(annotation) is dict:
        return written
    composed = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(schema(annotation)), written))
    return _without_selections(annotation, composed)


def _value(value: Any) -> str:
    """Return a value in Hydra's grammar.

    >>> _value({"low": 4, "names": ["a b", None]})
    "{low:4,names:['a b',null]}"
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and not NOT_TEXT.fullmatch(value) else quoted(value)
    return repr(value)
