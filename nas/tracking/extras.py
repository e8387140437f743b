"""Packages that only one tracker needs."""

from __future__ import annotations

from importlib.util import find_spec


def check_installed(package: str, extra: str) -> None:
    """Refuse a tracker whose package is not installed.

    Args:
        package: the package.
        extra: extra of this project that installs it.

    Raises:
        ValueError: as above; the message has the command that installs it.
    """
    if find_spec(package) is None:
        raise ValueError(f"tracking={extra} needs the package {package}: pip install 'inception-nas[{extra}]'")
