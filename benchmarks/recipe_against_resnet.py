"""Best networks of a search beside ResNet-20, at its MACs and at its parameters, under one recipe.

The search is an ordinary `nas search` of the space `cifar` within ResNet-20's MACs and parameters, run first unless
--study has its result; what it knows of a network is its validation accuracy after short trainings. Then ResNet-20 and
the best networks within its MACs, and within its parameters, are trained side by side, seed by seed, and measured on
the test part.

Reduced for a CPU: CIFAR-10 at 16×16, 6,000 training images, 12 epochs. With --full: 32×32, all images, the recipe's
epochs, on a GPU if there is one. Finished trainings stand in --rows and are not repeated.

    python benchmarks/recipe_against_resnet.py DATA [--study S] [--seeds 3] [--recipe cifar] [--rows FILE] [--full]
        [--overrides training.learning_rate=0.1 ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipe_trainings import Rows, Training, points, print_circumstances
from rich.console import Console
from rich.table import Table

from nas.objectives.limits import Limits
from nas.study.selection import pick_records
from nas.study.summary import open_for_reading
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.graph import Graph, Shape
from search_space.lowering import lower
from search_space.references.resnet import resnet20

REDUCED = (
    *("data=cifar10", "data.resolution=16", "data.val_fraction=0.0625", "data.train_fraction=0.16"),
    "data.crop_padding=2",
)
FULL = ("data=cifar10", "data.val_fraction=0.0625")
SEARCH = ("space=cifar", "objective=[val_accuracy]", "workers.slots=1", "tracking=none")
EPOCHS, SEARCH_EPOCHS, TRIALS = 12, 6, 24
RESNET = "ResNet-20"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", help="folder of CIFAR-10's Parquet files")
    parser.add_argument(
        "--study", default="outputs/against-resnet20", help="study of the search, made if it is missing"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="cifar", help="recipe of conf/training")
    parser.add_argument("--rows", type=Path, default=Path("recipe_against_resnet.jsonl"), help="finished trainings")
    parser.add_argument("--trials", type=int, default=TRIALS, help="trainings of the search")
    parser.add_argument("--overrides", nargs="*", default=[], help="of the recipe, such as training.learning_rate=0.1")
    parser.add_argument("--full", action="store_true", help="32×32, all images and epochs")
    arguments = parser.parse_args()
    resnet = resnet20(Shape(3, 32, 32) if arguments.full else Shape(3, 16, 16))
    data = [*(FULL if arguments.full else REDUCED), f"data.path={arguments.data}"]
    if not (Path(arguments.study) / "study.db").is_file():
        search(arguments.study, data, resnet, arguments.trials)
    networks = {RESNET: resnet, **best_networks(arguments.study, resnet)}
    recipe = [
        f"training={arguments.recipe}",
        *([] if arguments.full else [f"training.epochs={EPOCHS}"]),
        *arguments.overrides,
    ]
    trainings = [
        Training(label, graph, [*data, *recipe], seed)
        for seed in range(arguments.seeds)
        for label, graph in networks.items()
    ]
    rows = Rows(arguments.rows, "auto" if arguments.full else "cpu")
    for training in trainings:
        rows.result(training)
    print_table(rows, trainings, " ".join([f"training={arguments.recipe}", *arguments.overrides]))


def search(study: str, data: Sequence[str], resnet: Graph, trials: int) -> None:
    """Search within the MACs and parameters of ResNet-20."""
    costs = cost(resnet)
    limits = [f"limits.max_macs={costs.macs}", f"limits.max_params={costs.params}"]
    words = [*data, *SEARCH, *limits, f"study={study}", f"budget.trials={trials}", f"training.epochs={SEARCH_EPOCHS}"]
    subprocess.run([sys.executable, "-m", "nas", "search", *words], check=True)


def best_networks(study: str, resnet: Graph) -> Mapping[str, Graph]:
    """Return the best networks of a study within the MACs, and within the parameters; one if they are the same."""
    reader, costs = open_for_reading(Path(study)), cost(resnet)
    found: dict[str, str] = {}
    graphs = {}
    for name, limits in (
        ("MACs", Limits(max_macs=costs.macs)),
        ("parameters", Limits(max_params=costs.params)),
    ):
        (record,) = pick_records(reader.records, reader.study.believer, "best", limits)
        found[record.candidate.id] = (
            f"{found[record.candidate.id]} and {name}" if record.candidate.id in found else name
        )
        graphs[record.candidate.id] = lower(Architecture.from_json(record.candidate.architecture))
    return {f"search, at its {name}": graphs[key] for key, name in found.items()}


def print_table(rows: Rows, trainings: Sequence[Training], title: str) -> None:
    """Print the accuracy of each network, and its mean difference from ResNet-20 seed by seed, with 95 % intervals."""
    found = {(training.label, training.seed): rows.result(training) for training in trainings}
    graphs = {training.label: training.graph for training in trainings}
    seeds = sorted({seed for _, seed in found})
    table = Table(title=f"{title}, {len(seeds)} seeds")
    for column in ("network", "params", "MACs", "validation", "test", f"test, above {RESNET}", "processor s"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for label, graph in graphs.items():
        costs, mine = cost(graph), [found[label, seed] for seed in seeds]
        accuracies = [points([row[name] for row in mine]) for name in ("val_accuracy", "test_accuracy")]
        above = [found[label, seed]["test_accuracy"] - found[RESNET, seed]["test_accuracy"] for seed in seeds]
        seconds = sum(row["processor_seconds"] for row in mine) / len(mine)
        difference = "" if label == RESNET else points(above, signed=True)
        table.add_row(label, f"{costs.params:,}", f"{costs.macs:,}", *accuracies, difference, f"{seconds:.0f}")
    console = Console(width=140)
    console.print(table)
    print_circumstances(console, list(found.values()))


if __name__ == "__main__":
    main()
