"""Groups that the command line sets."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig


def is_given(group: str) -> bool:
    """Return whether the command line sets a config group, a field of it, or an experiment, which may set it."""
    if not HydraConfig.initialized():
        return False
    keys = [word.lstrip("+~").partition("=")[0] for word in HydraConfig.get().overrides.task]
    return any(key in {group, "experiment"} or key.startswith(f"{group}.") for key in keys)
