"""A mistake of the person at the terminal, in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from nas.cli.keys import annotation_at, known_keys

MISTAKES = (HydraException, OmegaConfBaseException, ValueError, OSError)


def explain(error: BaseException, root: type) -> str:
    """One line that says what is wrong with what was typed, and what would be right.

    Args:
        error: one of `MISTAKES`.
        root: the configuration class of the command.
    """
    if isinstance(error, MissingConfigException):
        return _no_such_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    cause = error.__cause__ if isinstance(error, HydraException) else error
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return _no_such_key(str(cause.full_key), root)
    if isinstance(cause, OmegaConfBaseException):
        return f"{cause.full_key}: {one_line(str(cause.msg))}"
    if isinstance(error, OSError) and error.strerror:
        named = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{named}"
    return one_line(str(error))


def one_line(text: str) -> str:
    """The text with its line breaks gone."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _nearest(word: str, words: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _no_such_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group or not error.options:
        return one_line(str(error).partition("\nConfig search path:")[0])
    return f"{group} must be one of {', '.join(error.options)}, got {option!r}{_nearest(option, error.options)}"


def _unreadable(error: OverrideParseException) -> str:
    if "=" not in error.override:
        return f"what to set is written key=value, got {error.override!r}"
    return one_line(error.message.partition("\nSee https")[0])


def _no_such_key(key: str, root: type) -> str:
    hint = _nearest(key, known_keys(root))
    parent = key.rpartition(".")[0]
    if hint:
        return f"there is no {key!r} to set{hint}"
    if annotation_at(root, key.partition(".")[0]) is None:
        return f"there is no {key!r} to set; --help lists what there is"
    siblings = [known for known in known_keys(root) if known.rpartition(".")[0] == parent]
    if siblings:
        return f"there is no {key!r} to set, only {', '.join(siblings)}"
    return f"there is no {key!r} to set; where {parent} may have one, write +{key}=..."
