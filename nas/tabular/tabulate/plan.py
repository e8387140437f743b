"""Plan of a table: the architectures of a space, the trainings that they need, and the join of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from nas.objectives.requirements import Examined, Requirements
from nas.search.proposer import training_seed
from nas.tabular.columns import COLUMNS, NETWORK_COLUMNS, SAMPLE_COLUMNS, TableError
from nas.tabular.tabulate.sample import Member
from nas.tabular.tabulate.task import NetworkTask
from search_space.identity import canonical_json
from search_space.space import Space

LARGEST = 20_000
"""Limit on the architectures of a space: a mistaken space should not begin weeks of training."""


def enumerate_architectures(space: Space) -> list[Examined]:
    """Return all architectures of a space with their costs and identities.

    Raises:
        TableError: there are more than `LARGEST`.
    """
    if space.size > LARGEST:
        raise TableError(
            f"a space to tabulate must have at most {LARGEST:,} architectures, {space.name} has {space.size:,}; "
            f"sample=1000 tabulates a sample of it"
        )
    requirements = Requirements()
    return [requirements.examine(architecture) for architecture in space.architectures()]


def training_tasks(trainings: Iterable[tuple[Examined, int]], epochs: int, folder: Path) -> list[NetworkTask]:
    """Return the trainings of a table: one a network and seed, also where several architectures share the network.

    Args:
        trainings: architectures, each with a seed of the table.
        epochs: of a full training.
        folder: parent of the trainings' folders.
    """
    first: dict[tuple[str, int], Examined] = {}
    for examined, seed in trainings:
        first.setdefault((examined.network_id, seed), examined)
    return [
        NetworkTask(
            number=number,
            network_id=network,
            architecture=examined.architecture.to_json(),
            table_seed=seed,
            seed=training_seed(seed, network),
            epochs=epochs,
            folder=folder / f"{network}-{seed}",
        )
        for number, ((network, seed), examined) in enumerate(first.items())
    ]


def join_rows(members: Sequence[Member], rows: pd.DataFrame, trainings: Collection[tuple[str, int]]) -> pd.DataFrame:
    """Return the rows of a table: every architecture joined with the trainings of its network.

    Args:
        members: the architectures; a sample's have origins.
        rows: of all shards.
        trainings: networks and seeds of the table; rows of others are left out.
    """
    described = pd.DataFrame([_described(each) for each in members], columns=["origin", *NETWORK_COLUMNS])
    described = described.astype({"origin": "str", **NETWORK_COLUMNS})
    wanted = pd.DataFrame(sorted(trainings), columns=["network_id", "seed"])
    wanted = wanted.astype({"network_id": "str", "seed": "int64"})
    joined = described.merge(rows.merge(wanted, on=["network_id", "seed"]), on="network_id", how="inner")
    return joined[list(SAMPLE_COLUMNS if any(each.origin for each in members) else COLUMNS)]


def _described(member: Member) -> dict[str, object]:
    examined = member.examined
    return {
        "origin": member.origin,
        "architecture": canonical_json(examined.architecture.to_json()),
        "id": examined.architecture.id,
        "network_id": examined.network_id,
        "summary": examined.summary,
        **examined.costs,
    }
