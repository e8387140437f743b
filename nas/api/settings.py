"""Keywords of the Python interface as overrides of a command, so that both have one set of settings and checks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from nas.cli.app.bounds import check_yaml_folder
from nas.cli.app.compose import compose, group_names
from nas.cli.app.mistakes import MISTAKES, explain
from nas.cli.app.overrides import fit, quoted
from nas.cli.app.plugin_folder import add_plugin_folder
from nas.config.commands import ROOTS


class SearchSettings(TypedDict, total=False):
    """Keywords of `search`, each a group or a key of `nas search`, with its defaults.

    A group is named by one of its options (`"tpe"`), or given as a mapping of its keys, with `name` for the option
    (`{"name": "tpe", "startup": 20}`).

    Attributes:
        study: name of the study, or a path; by default the images name it, so that the same call goes on.
        outputs: folder of the studies.
        test: images and labels of the test part, which only a retraining reads.
        classes: names of the classes; by default the sorted distinct labels.
        val_fraction: share of the images to validate on, in (0, 1).
        space: a search space by name, or as a mapping like one of conf/space.
        objectives: objectives of the front, in order, such as `("val_accuracy", "macs")`.
        limits: upper limits on costs, such as `{"max_macs": 1e6}`.
        budget: number of trials, or a mapping such as `{"minutes": 5}`; totals of the study.
        sampler: the sampler of architectures.
        fidelity: the policy of how many epochs each network is trained.
        training: the recipe, such as `"quick"` or `{"epochs": 10}`.
        augmentation: augmentations by name.
        workers: the worker processes.
        slots: trainings at a time.
        tracking: the tracker, such as `"none"`.
        seed: seed of the sampler and of every training.
        start: networks to evaluate first.
        plugins: folder of plug-ins, as `--config-dir` names it.
        overrides: further overrides as on a command line.
    """

    study: str | Path | None
    outputs: str | Path
    test: tuple[Any, Any] | None
    classes: Sequence[str] | None
    val_fraction: float
    space: str | Mapping[str, Any]
    objectives: Sequence[str]
    limits: Mapping[str, float | None]
    budget: int | Mapping[str, Any]
    sampler: str | Mapping[str, Any]
    fidelity: str | Mapping[str, Any]
    training: str | Mapping[str, Any]
    augmentation: Sequence[str]
    workers: str | Mapping[str, Any]
    slots: int | None
    tracking: str | Mapping[str, Any]
    seed: int
    start: Sequence[str]
    plugins: str | Path | None
    overrides: Sequence[str]


DOTTED_NAME = re.compile(r"\w+(\.\w+)*")
GROUPS = ("sampler", "fidelity", "training", "workers", "tracking")
PLAIN = {
    "seed": "seed",
    "slots": "workers.slots",
    "augmentation": "augmentation",
    "objectives": "objective",
    "start": "start",
}
"""Keys of the overrides that a keyword of one value is."""


def check_keywords(given: Mapping[str, Any], place: str) -> None:
    """Refuse an unknown keyword.

    Raises:
        TypeError: there is one; the message has the nearest keyword.
    """
    known = SearchSettings.__annotations__
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it takes {', '.join(known)}"
            raise TypeError(f"{place} takes no keyword {name!r}; {hint}")


def configured(command: str, words: Sequence[str], plugins: str | Path | None = None) -> Any:
    """Return the configuration of `nas COMMAND WORDS`.

    Args:
        command: name of the command.
        words: its overrides, as on a command line.
        plugins: folder of plug-ins, None for none.

    Raises:
        ValueError: an unknown key or option or a value out of range, in one line with the nearest name.
    """
    root = ROOTS[command]
    for word in words:
        if not isinstance(word, str) or word.startswith("-") or "=" not in word:
            raise ValueError(
                f"overrides must be written key=value, got {word!r}; plugins=FOLDER takes the place of --config-dir"
            )
    try:
        return compose(command, [*_searched(plugins), *fit(words, root)])
    except MISTAKES as error:
        raise ValueError(explain(error, root)) from error


def _searched(plugins: str | Path | None) -> list[str]:
    """Return the overrides that let the files of a folder be options, after its modules can be imported."""
    folder = add_plugins(plugins)
    return [] if folder is None else [f"hydra.searchpath=[{quoted(folder.as_uri())}]"]


def add_plugins(plugins: str | Path | None) -> Path | None:
    """Let the modules of a folder be imported as plug-ins, and return its path; None for none.

    Raises:
        ValueError: it is no folder, or a file of settings in it is too large.
    """
    if plugins is None:
        return None
    folder = Path(plugins).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"plugins must be a folder, got {folder}")
    check_yaml_folder(folder, group_names())
    add_plugin_folder(folder)
    return folder


def words_of(settings: SearchSettings) -> list[str]:
    """Return the overrides of `nas search` that keywords stand for, all but a space given as a mapping.

    >>> words_of({"budget": {"minutes": 5}, "sampler": "tpe", "seed": 3})
    ['seed=3', 'sampler=tpe', 'budget.minutes=5', 'budget.trials=null']
    """
    words = [f"{key}={written(settings[name])}" for name, key in PLAIN.items() if settings.get(name) is not None]  # type: ignore[literal-required]
    for group in GROUPS:
        if group in settings:
            words += _group(group, settings[group])  # type: ignore[literal-required]
    space = settings.get("space")
    if isinstance(space, str):
        words.append(f"space={space}")
    words += [f"limits.{name}={written(most)}" for name, most in _keys("limits", settings.get("limits") or {}).items()]
    words += _budget(settings["budget"]) if "budget" in settings else []
    further = settings.get("overrides", ())
    if isinstance(further, str):
        raise TypeError(f"overrides must be a list of key=value, got {further!r}")
    return [*words, *further]


def _keys(name: str, given: Any) -> Mapping[str, Any]:
    """Return a mapping of keys.

    Raises:
        TypeError: it is none, or a key is no name.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a mapping of its keys, got {given!r}")
    odd = next((key for key in given if not (isinstance(key, str) and DOTTED_NAME.fullmatch(key))), None)
    if odd is not None:
        raise TypeError(f"a key of {name} must be a name, got {odd!r}")
    return given


def _group(name: str, given: Any) -> Iterator[str]:
    """Yield the overrides of a group that is an option's name, or a mapping of keys."""
    if not isinstance(given, str | Mapping):
        raise TypeError(f"{name} must be the name of an option or a mapping of its keys, got {given!r}")
    keys = {"name": given} if isinstance(given, str) else dict(_keys(name, given))
    option = keys.pop("name", None)
    if option is not None:
        yield f"{name}={option}"
    yield from (f"{name}.{key}={written(value)}" for key, value in keys.items())


def _budget(given: Any) -> list[str]:
    """Return the overrides of a budget; one without trials has no limit on them."""
    if isinstance(given, int) and not isinstance(given, bool):
        return [f"budget.trials={given}"]
    if not isinstance(given, Mapping):
        raise TypeError(f"budget must be a number of trials or a mapping such as {{'minutes': 5}}, got {given!r}")
    words = [f"budget.{key}={written(value)}" for key, value in _keys("budget", given).items()]
    bounded = {"minutes", "trainings"} & set(given)
    return [*words, "budget.trials=null"] if bounded and "trials" not in given else words


def written(value: Any) -> str:
    """Return a value as an override has it.

    >>> written(["a", 1.5]), written(None), written(True), written({"a": 1})
    ('[a,1.5]', 'null', 'true', '{a:1}')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Path):
        return quoted(str(value))
    if isinstance(value, str):
        return value if value.isidentifier() else quoted(value)
    if isinstance(value, Sequence):
        return "[" + ",".join(map(written, value)) + "]"
    return str(value.item() if hasattr(value, "item") else value)  # a number of numpy's


def with_space(config: Any, space: Any) -> Any:
    """Return a configuration with a space that is given as a mapping; any other stays as it is.

    Raises:
        TypeError: the space is neither a name nor a mapping.
    """
    if space is None or isinstance(space, str):
        return config
    if not isinstance(space, Mapping):
        raise TypeError(f"space must be a name or a mapping, got {type(space).__name__}")
    return replace(config, space={"name": "own", **space})
