"""How a published checkpoint's parameter names become ours: renames of modules, kept beside each network."""

from __future__ import annotations

import re
from collections.abc import Iterable

Rename = tuple[str, str]

# A convolution and its norm are `conv` and `bn` in the published modules, `conv` and `norm` in ours.
_UNIT = {"conv": "conv", "bn": "norm"}


def rename(module: str, renames: Iterable[Rename]) -> str | None:
    """Our name of the module that a publication calls `module`, None where no rule fits.

    A rule is a pattern of a whole name and what it becomes. Where the publication has a convolution with its norm as
    one module, the rule names that module and the two parts follow.

    >>> rename("fc", [("fc", "classifier")])
    'classifier'
    >>> rename("conv1.bn", [(r"conv1", r"stem.conv1")])
    'stem.conv1.norm'
    """
    whole, _, part = module.rpartition(".")
    for pattern, replacement in renames:
        exact = re.fullmatch(pattern, module)
        if exact:
            return exact.expand(replacement)
        unit = re.fullmatch(pattern, whole)
        if unit and part in _UNIT:
            return f"{unit.expand(replacement)}.{_UNIT[part]}"
    return None
