"""Probe of the optional libraries: what is installed, what the others would unlock, and how to get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement

from nas.cli.probes.finding import Finding, ok, problem
from nas.cli.probes.versions import PACKAGE

UNLOCKS: Mapping[str, str] = {
    "dashboard": "nas dashboard",
    "export": "ONNX files",
    "openvino": "OpenVINO files",
    "mlflow": "tracking=mlflow",
    "postgres": "storage=postgres",
    "ray": "workers=ray",
    "tensorboard": "tracking=tensorboard",
}
"""Purpose of an extra."""
DEVELOPMENT = ("dev", "docs")
"""Extras that a user has no need of."""

Installed = Callable[[str], str]


def probe(
    needed: Sequence[str] = (), extras: Mapping[str, Sequence[str]] | None = None, installed: Installed = version
) -> list[Finding]:
    """Return the extras that are there and those that are not.

    Args:
        needed: extras that the settings ask for, whose absence is a problem.
        extras: requirements of each extra; None for those of the package.
        installed: returns the version of a distribution.
    """
    known = _extras() if extras is None else extras
    have = [name for name, parts in known.items() if all(_is_installed(part, installed) for part in parts)]
    lacking = [name for name in known if name not in have]
    missing = [name for name in needed if name in lacking]
    if missing:
        return [problem("extras", f"{', '.join(missing)} must be installed for these settings", _pip(missing))]
    text = f"installed: {', '.join(have) or 'none'}"
    if lacking:
        offered = ", ".join(f"{name} ({UNLOCKS[name]})" if name in UNLOCKS else name for name in lacking)
        text += f"; not: {offered}, by {_pip(['NAME'])}"
    return [ok("extras", text)]


def _extras() -> dict[str, list[str]]:
    """Return the names of the distributions that each extra brings."""
    wanted = [Requirement(text) for text in requires(PACKAGE) or ()]
    names = [name for name in metadata(PACKAGE).get_all("Provides-Extra") or () if name not in DEVELOPMENT]
    return {name: [each.name for each in wanted if _belongs(each, name)] for name in names}


def _belongs(each: Requirement, extra: str) -> bool:
    if each.marker is None or each.name == PACKAGE:
        return False
    return each.marker.evaluate({"extra": extra}) and not each.marker.evaluate({"extra": ""})


def _is_installed(name: str, installed: Installed) -> bool:
    try:
        return bool(installed(name))
    except PackageNotFoundError:
        return False


def _pip(names: Sequence[str]) -> str:
    return f"pip install '{PACKAGE}[{','.join(names)}]'"
