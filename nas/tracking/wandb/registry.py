"""Process that links a study's best networks in the model registry, which W&B does online alone.

python -m nas.tracking.wandb.registry TARGET ROLE=ARTIFACT ...
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import wandb


def main(words: Sequence[str]) -> None:
    """Link artifacts to a collection of a registry, each with its role as an alias.

    Args:
        words: path of the collection, then the role and the full name of each artifact.
    """
    target, *artifacts = words
    api = wandb.Api()
    for role, name in (word.split("=", 1) for word in artifacts):
        api.artifact(name, type="model").link(target, aliases=[role])


if __name__ == "__main__":
    main(sys.argv[1:])
