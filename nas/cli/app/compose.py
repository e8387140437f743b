"""Composition of a command's configuration: Hydra schemas derived from the classes of `nas.config`, and conversion.

Those classes are frozen dataclasses that check themselves. OmegaConf makes frozen dataclasses read-only, so Hydra
composes into a schema without the checks, derived here: fields and defaults are defined once. An unknown key, or a
value of another type, is an error of the composition; afterwards the composed values are converted to the classes,
whose checks then run.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml  # type: ignore[import-untyped]  # comes with OmegaConf
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, DictConfig, OmegaConf

from nas.cli.app.bounds import check_size, check_yaml
from nas.config.commands import ROOTS

HYDRA_VERSION = "1.3"

T = TypeVar("T")


def conf_dir() -> Path:
    """Return the folder of YAML files: beside the package in a checkout, inside it if installed from a wheel.

    Raises:
        FileNotFoundError: the folder is missing, so the installation is broken.
    """
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "search.yaml").is_file():
            return folder
    raise FileNotFoundError(f"the configuration must lie in {package / 'conf'} or {package.parent / 'conf'}")


def group_names() -> list[str]:
    """Return the names of the config groups."""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


def register(command: str) -> None:
    """Store the schema of a command under its name, `search_schema` for `search`."""
    ConfigStore.instance().store(name=f"{command}_schema", node=schema(ROOTS[command]), provider="nas")


def compose(command: str, overrides: Sequence[str] = ()) -> Any:
    """Return the configuration of `nas COMMAND OVERRIDES`.

    Inside a command it also finds the files of the folder given by --config-dir.

    Raises:
        ValueError: a value out of range; Hydra's own errors for an unknown key or option.
    """
    register(command)
    if GlobalHydra.instance().is_initialized():
        return convert(ROOTS[command], hydra_compose(command, list(overrides)))
    with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
        return convert(ROOTS[command], hydra_compose(command, list(overrides)))


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, empty if the file does not exist.

    Raises:
        ValueError: the file is not YAML, or not a mapping.
    """
    try:
        check_yaml(path)
        plain = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} must be readable YAML: {error}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{path} must hold a mapping, it does not")  # noqa: TRY004 - a user's file, not a call
    return cast("dict[str, Any]", plain)


def yaml_text(plain: Mapping[str, Any]) -> str:
    """Return a mapping as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(plain)))


def changed(value: T, changes: Mapping[str, Any]) -> T:
    """Return a copy of `value` with some fields replaced, converted and checked.

    Raises:
        ValueError: a value out of range; OmegaConf's own errors for one of another type.
    """
    spec: Any = type(value)
    plain = dataclasses.asdict(cast(Any, value))
    kept = {name: value for name, value in plain.items() if name not in changes}  # a selection is replaced as a whole
    merged = OmegaConf.merge(OmegaConf.structured(schema(spec)), by_name(spec, kept), dict(changes))
    return cast(T, convert(spec, cast(DictConfig, merged)))


@cache
def schema(spec: type) -> type:
    """Return a dataclass for OmegaConf with the fields and defaults of `spec`, neither frozen nor checked.

    A tuple of dataclasses becomes a mapping from name to dataclass, so that each can be a file of its own.
    """
    hints = typing.get_type_hints(spec)
    fields = [(f.name, _composed(hints[f.name]), _default(f, hints[f.name])) for f in _fields(spec)]
    return dataclasses.make_dataclass(spec.__name__, fields, kw_only=True)


def _fields(spec: type) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cast(Any, spec))


def items_of(annotation: Any) -> Any:
    """Return the item type of `tuple[X, ...]`, None for any other annotation."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is tuple else None


@cache
def selections_of(spec: Any) -> Mapping[str, Any]:
    """Return the fields of a class that are selections of several options, with the class of an option."""
    hints = typing.get_type_hints(getattr(spec, "OF", spec)) if dataclasses.is_dataclass(spec) else {}
    items = {name: items_of(annotation) for name, annotation in hints.items()}
    return {name: item for name, item in items.items() if dataclasses.is_dataclass(item)}


def by_name(spec: Any, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain fields of a class with each selection as a mapping from name to option, as in a schema."""
    chosen = {name: plain[name] for name in selections_of(spec) if name in plain}
    return {**plain, **{name: {str(each["name"]): each for each in options} for name, options in chosen.items()}}


def _composed(annotation: Any) -> Any:
    item = items_of(annotation)
    if item is not None:
        named = dataclasses.is_dataclass(item)
        return types.GenericAlias(dict, (str, _composed(item))) if named else types.GenericAlias(list, (item,))
    return schema(cast(type, annotation)) if dataclasses.is_dataclass(annotation) else annotation


def _default(field: dataclasses.Field[Any], annotation: Any) -> Any:
    if dataclasses.is_dataclass(items_of(annotation)):
        return dataclasses.field(default_factory=dict)
    if field.default is not dataclasses.MISSING:
        return dataclasses.field(default=field.default)
    if field.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=field.default_factory)
    composed = _composed(annotation)
    container = typing.get_origin(composed) or composed
    if container in {dict, list} or dataclasses.is_dataclass(container):
        return dataclasses.field(default_factory=container)
    return dataclasses.field(default=MISSING)


def convert(spec: type[T], composed: DictConfig) -> T:
    """Return the composed configuration as a frozen, checked value of class `spec`.

    Raises:
        ValueError: a value is missing or out of range, or a key is no field of `spec`.
    """
    check_size(composed)
    plain = OmegaConf.to_container(composed, resolve=True)
    return cast(T, _value(spec, plain, ""))


def _value(annotation: Any, plain: Any, path: str) -> Any:
    item = items_of(annotation)
    if item is not None and isinstance(plain, Mapping | list):  # the class refuses anything else
        named = plain.items() if isinstance(plain, Mapping) else enumerate(plain)
        return tuple(_value(item, value, f"{path}.{key}") for key, value in named)
    if not dataclasses.is_dataclass(annotation):
        if isinstance(plain, str) and plain == MISSING:
            raise ValueError(f"{path} must be given, e.g. {path}=...")
        return plain
    hints = typing.get_type_hints(annotation)
    unknown = [key for key in plain if key not in hints]
    if unknown:
        raise ValueError(f"a key must be one of {', '.join(hints)}, got {unknown[0]!r} at {path or 'the top'}")
    prefix = f"{path}." if path else ""
    return cast(Any, annotation)(**{key: _value(hints[key], value, f"{prefix}{key}") for key, value in plain.items()})
