"""Frozen values some of whose fields are computed when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

_COMPUTED = "_computed"


class Deferrable:
    """Base of a frozen dataclass; a field without a default on the class can be deferred."""

    @classmethod
    def deferred(cls, computed: Mapping[str, Callable[[], object]], **known: object) -> Self:
        """Return a value with the fields `known`, and others that are computed at their first use.

        Args:
            computed: functions that compute fields, by name.
            known: the other fields, all of them, and cached properties.
        """
        made = object.__new__(cls)
        vars(made).update(known)
        vars(made)[_COMPUTED] = computed
        return made

    def __getattr__(self, name: str) -> Any:
        compute = vars(self).get(_COMPUTED, {}).get(name)
        if compute is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        vars(self)[name] = value = compute()
        return value
