"""One-line messages for user errors."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable

import yaml  # type: ignore[import-untyped]  # comes with OmegaConf
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from nas.cli.app.compose import conf_dir
from nas.cli.app.keys import is_free, known_keys

NEW_LINE = "\n"
SECRET = "set the environment variable NAS_STORAGE_URL, which keeps its password out of the list of processes"
LONGEST = 1200
OWN = ("nas", "search_space")
MISTAKES = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, OSError)


def explain(error: BaseException, root: type) -> str:
    """Return one line of at most `LONGEST` characters that states the error and, if possible, its correction.

    Args:
        error: one of `MISTAKES`.
        root: the configuration class of the command.
    """
    line = one_line(_explained(error, root))
    return line if len(line) <= LONGEST else f"{line[: LONGEST * 2 // 3]} … {line[-LONGEST // 4 :]}"


def _explained(error: BaseException, root: type) -> str:
    if isinstance(error, MissingConfigException):
        return _no_such_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if isinstance(error, yaml.YAMLError):
        return _not_yaml(error)
    cause = error.__cause__ or error.__context__ if isinstance(error, HydraException) else error
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        beside = cause.parent_node
        present = [str(each) for each in beside] if isinstance(beside, DictConfig) and not beside._is_none() else []
        return _file(error) + _no_such_key(str(cause.full_key), root, present)
    deleted = re.fullmatch(r"Could not delete from config\. '(.*)' does not exist\.", str(error))
    if deleted is not None:
        return _no_such_key(deleted[1], root)
    if isinstance(cause, OmegaConfBaseException):
        return f"{_file(error)}{cause.full_key}: {str(cause.msg).partition(NEW_LINE)[0]}"
    if isinstance(error, OSError) and error.strerror:
        named = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{named}"
    return one_line(str(error)) + _origin(error)


def _not_yaml(error: yaml.YAMLError) -> str:
    """Return the place in the file at which YAML ends, and why."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"a file of settings must be YAML: {one_line(str(error))}"
    return f"a file of settings must be YAML, {mark.name}:{mark.line + 1}:{mark.column + 1} is not: {error.problem}"


def _origin(error: BaseException) -> str:
    """Return the module of a library that raised the error: it may be an internal error after all."""
    if isinstance(error, HydraException) or error.__traceback__ is None:
        return ""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = str(frame.f_globals.get("__name__", ""))
    if module.partition(".")[0] in OWN:
        return ""
    return f" ({type(error).__name__} in {module}; HYDRA_FULL_ERROR=1 shows the traceback)"


def one_line(text: str) -> str:
    """Return the text with its lines joined by spaces."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _file(error: BaseException) -> str:
    """Return a prefix that names the file that Hydra was reading, empty if it was reading none."""
    found = re.match(r"In '(.*?)': ", str(error))
    return f"in {found[1]}.yaml, " if found else ""


def _nearest(word: str, words: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _no_such_option(error: MissingConfigException) -> str:
    if (error.missing_cfg_file or "").startswith("storage/") and "://" in (error.missing_cfg_file or ""):
        return f"storage must be sqlite or postgres, got a URL: {SECRET}"
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return one_line(str(error).partition("\nConfig search path:")[0])
    options = error.options or sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    return f"{group} must be one of {', '.join(options)}, got {option!r}{_nearest(option, options)}"


def _unreadable(error: OverrideParseException) -> str:
    if "=" not in error.override:
        return f"an override must be written key=value, got {error.override!r}"
    return one_line(error.message.partition("\nSee https")[0])


def _no_such_key(key: str, root: type, present: Iterable[str] = ()) -> str:
    """Return the complaint about an unknown key, with the whole key that it may have been meant for.

    Args:
        key: the key.
        root: the configuration class of the command.
        present: keys beside it in the configuration, which a free mapping has.
    """
    if key == "storage.url":
        return f"there is no 'storage.url' to set: {SECRET}"
    parent, _, last = key.rpartition(".")
    if is_free(root, parent):
        near = _nearest_in(parent, last, present)
        return f"there is no {key!r} to set{near}{' or,' if near else ';'} to add a key to {parent}, write +{key}=..."
    siblings = [known.rpartition(".")[2] for known in known_keys(root) if known.rpartition(".")[0] == parent]
    if parent and siblings:
        hint = _nearest_in(parent, last, siblings) or f"; in {parent} there are {', '.join(siblings)}"
    else:
        hint = _nearest(key, known_keys(root)) or _elsewhere(last, root) or "; --help lists all keys"
    return f"there is no {key!r} to set{hint}"


def _nearest_in(parent: str, word: str, siblings: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, siblings, n=1)
    return f"; did you mean {parent}.{nearest[0]}?" if nearest else ""


def _elsewhere(name: str, root: type) -> str:
    """Return the keys of this name in the groups of a command, as a question."""
    found = [known for known in known_keys(root) if known.rpartition(".")[2] == name]
    return f"; did you mean {' or '.join(found)}?" if found else ""
