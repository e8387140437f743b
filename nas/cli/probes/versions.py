"""Probe of the versions of Python and of the libraries, against the ranges that the package asks for."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.version import Version

from nas.cli.probes.finding import Finding, ok, problem, warning

PACKAGE = "inception-nas"
SHOWN = ("torch", "pytorch-lightning", "optuna", "hydra-core", "numpy", "wandb")
"""Libraries whose versions are shown; those of the others only where something is wrong with them."""
UNTRIED = (3, 14)
"""First version of Python that the tests do not run with."""

Installed = Callable[[str], str]
"""Returns the installed version of a distribution, or raises PackageNotFoundError."""


def probe(installed: Installed = version, required: Sequence[str] | None = None) -> list[Finding]:
    """Return the versions, and one finding for each library that is missing or out of range.

    Args:
        installed: returns the version of a distribution.
        required: requirements of the package; None for those that it was installed with.
    """
    wanted = [Requirement(text) for text in (requires(PACKAGE) or () if required is None else required)]
    usual = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [_python(), _shown(installed), *_faults(usual, installed), *_torchvision(installed)]


def _python(found: tuple[int, ...] | None = None) -> Finding:
    release = found or tuple(int(part) for part in platform.python_version_tuple()[:2])
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if release >= UNTRIED:
        return warning("python", f"{text}, newer than what is tested", "should something fail, try Python 3.11 to 3.13")
    return ok("python", text)


def _shown(installed: Installed) -> Finding:
    names = [name for name in SHOWN if _version(name, installed)]
    return ok("libraries", ", ".join(f"{name} {_version(name, installed)}" for name in names) or "none")


def _faults(wanted: Sequence[Requirement], installed: Installed) -> list[Finding]:
    found = []
    for each in wanted:
        have = _version(each.name, installed)
        if have is None:
            found.append(problem("libraries", f"{each.name} is missing", f"pip install {each.name!r}"))
        elif not each.specifier.contains(have, prereleases=True):
            advice = f"pip install '{each.name}{each.specifier}'"
            found.append(problem("libraries", f"{each.name} must be {each.specifier}, got {have}", advice))
    return found


def _torchvision(installed: Installed) -> list[Finding]:
    """Return the finding that torchvision does not fit torch, with which no training library can be imported."""
    torch, vision = _version("torch", installed), _version("torchvision", installed)
    if torch is None or vision is None or Version(torch).local == Version(vision).local:
        return []
    text = f"torchvision {vision} was built for another torch than {torch}, and torchmetrics imports it"
    return [warning("libraries", text, "pip uninstall torchvision: it is not needed")]


def _version(name: str, installed: Installed) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None
