"""Equality of exported networks with the torch module, for random architectures and for all published networks.

The architectures are drawn from every space in conf/space and from a space of one block for every block family; they
and the published networks take the smallest images that all of their layers fit, and have random weights, norms and
running statistics. Each is written as ONNX, as a program of torch.export and as source. A process that cannot import
this project runs the files on 72 images, half of them random pixels and half photographs, in batches of 1, 7 and 64,
and the torch module runs on the same batches here. ONNX and torch.export must differ by at most 1e-5; the difference is
that of the logits, divided by the largest logit where that exceeds 1, as float32 has seven digits whatever the size;
the table has the absolute one too. The source must give the same bits, pass ruff, be the same text again and in a
process of another hash seed, print its help, and classify odd pictures (grey, transparent, of a palette, of 16 bits,
turned by EXIF, large) as the decoder of a search reads them. Exits with 1 if anything is missed.

    python benchmarks/export_equality.py [--architectures 50] [--references all] [--seed 0] [--rows FILE]

Networks whose rows are in FILE already are not run again, unless they or the versions have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from exported_cases import Network, drawn, published, randomised
from numpy.typing import NDArray
from odd_pictures import odd_pictures, photographs
from rich.console import Console
from rich.table import Table

import nas.exports.onnx as onnx_format
import nas.exports.safetensors as safetensors_format
import nas.exports.source as source_format
import nas.exports.torch_export as program_format
from nas.data.decode import Entry, decode_to
from nas.exports.bundle import TOLERANCE
from nas.exports.format import PREPROCESSING
from nas.exports.isolation import load_program, normalise, relative_difference, run_isolated
from nas.exports.subject import Subject
from nas.jobs.files import write_json
from search_space.cost import cost
from search_space.documents import graph_of
from search_space.network import build
from search_space.references import REFERENCES
from search_space.source import source

if TYPE_CHECKING:  # the isolated process imports these
    import contextlib
    import io

    import onnxruntime

IMAGES = 72
"""One, seven and sixty-four."""
CHUNK = 5
"""Networks that one isolated process runs."""
PIXELS, ODD = "pixels.npy", "odd"
FORMS = ("onnx", "torch_export", "source")
IMPORTS = ("contextlib", "io", "onnxruntime", "torch")
LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow", "ruff")
HASHES = """
import hashlib, json, sys
from search_space.documents import graph_of
from search_space.source import source
texts = (source(graph_of(document)) for document in json.load(sys.stdin))
print(json.dumps([hashlib.sha256(text.encode()).hexdigest() for text in texts]))
"""


@dataclass(frozen=True)
class Row:
    """Result of a network.

    Attributes:
        name: of the network.
        key: hash of the network and of the versions.
        params: its parameters.
        input: shape of its images.
        differences: relative and absolute difference by format.
        agreement: smallest share of images with the torch module's class, over the formats.
        missed: laws that do not hold.
    """

    name: str
    key: str
    params: int
    input: tuple[int, int, int]
    differences: Mapping[str, tuple[float, float]]
    agreement: float
    missed: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Found:
    """Outputs of the files of a network.

    Attributes:
        logits: (N, classes) of the images by format, in the order of `FORMS`.
        odd: (M, classes) of the odd pictures by the source.
        printed: texts that the program prints: its help, and the classes of the odd pictures as JSON.
        hash: SHA-256 of the source of another process.
    """

    logits: Sequence[NDArray[np.float32]]
    odd: NDArray[np.float32]
    printed: Sequence[str]
    hash: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--architectures", type=int, default=50)
    parser.add_argument("--references", default="all", help="names with commas between them, all, or none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    names = {"all": list(REFERENCES), "none": []}.get(given.references, given.references.split(","))
    networks = [*drawn(given.architectures, given.seed), *published(names)]
    rows = list(checked(networks, given.rows))
    console = Console(width=150)
    console.print(table(rows))
    for row in rows:
        for law in row.missed:
            console.print(f"{row.name}: {law}", markup=False)
    worst = {name: max(row.differences[name][0] for row in rows) for name in FORMS}
    console.print(f"{len(rows)} networks, largest difference {worst}, at least {min(r.agreement for r in rows):.1%}")
    console.print(f"{platform.machine()}, {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}")
    if any(row.missed for row in rows):
        raise SystemExit(1)


def checked(networks: Sequence[Network], file: Path | None = None) -> Iterator[Row]:
    """Yield the row of each network, and append those that are new to a file of JSON lines."""
    stored = {}
    if file is not None and file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            stored[found["key"]] = Row(**{**found, "missed": tuple(found["missed"]), "input": tuple(found["input"])})
    todo = iter([network for network in networks if key_of(network) not in stored])
    while chunk := list(islice(todo, CHUNK)):
        for row in run(chunk):
            stored[row.key] = row
            sys.stderr.write(f"{row.name}: {', '.join(row.missed) or 'as it must be'}\n")
            if file is not None:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(f"{json.dumps(asdict(row))}\n")
    yield from (stored[key_of(network)] for network in networks)


def key_of(network: Network) -> str:
    """Return a hash of a network and the versions of the libraries."""
    content = [network.name, network.seed, network.document, [version(name) for name in LIBRARIES]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def run(networks: Sequence[Network]) -> list[Row]:
    """Return the rows of some networks: their files are written here, and run in one isolated process."""
    with tempfile.TemporaryDirectory(prefix="export-equality-") as scratch:
        subjects = []
        for number, network in enumerate(networks):
            folder = Path(scratch, f"{number:02}")
            folder.mkdir()
            subjects.append((network, subject_of(network), folder))
            write(subjects[-1][1], folder)
        ran = run_isolated("a file", outputs, Path(scratch), np.zeros(1, np.uint8), imports=IMPORTS)
        sizes = [rows * columns for rows, columns in ran.facts["shapes"]]
        parts = np.split(ran.outputs, np.cumsum(sizes)[:-1])
        logits = iter([part.reshape(shape) for part, shape in zip(parts, ran.facts["shapes"], strict=True)])
        found = [
            Found([next(logits) for _ in FORMS], next(logits), printed, text)
            for printed, text in zip(ran.facts["printed"], hashes_elsewhere(networks), strict=True)
        ]
        return [row_of(*subject, one) for subject, one in zip(subjects, found, strict=True)]


def subject_of(network: Network) -> Subject:
    """Return a network with random weights, and the images that it is checked on."""
    graph = graph_of(network.document)
    module = randomised(build(graph), graph.input, network.seed)
    shape = (graph.input.channels, graph.input.height, graph.input.width)
    names = [f"class {number}" for number in range(graph.output.channels)]
    channels = range(shape[0])
    rule = {"mean": [0.45 + 0.02 * c for c in channels], "std": [0.25 + 0.01 * c for c in channels], "classes": names}
    pixels = images(shape, network.seed)
    empty, labels = np.zeros((0, len(names)), np.float32), np.zeros(len(pixels), np.int64)
    return Subject(network.document, graph, module, rule, pixels, labels, empty, pixels, {})


def images(shape: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """Return random pixels and photographs in turns (N, C, H, W)."""
    noise = np.random.default_rng(seed).integers(0, 256, (IMAGES, *shape), dtype=np.uint8)
    noise[1::2] = photographs(shape, IMAGES // 2, seed)
    return noise


def write(subject: Subject, folder: Path) -> None:
    """Write the files under test, and the images: pixels, and odd pictures."""
    write_json(folder / PREPROCESSING, subject.preprocessing)
    for form in (onnx_format, program_format, safetensors_format, source_format):
        form.FORMAT.write(subject, folder)
    np.save(folder / PIXELS, subject.pixels)
    (folder / ODD).mkdir()
    odd_pictures(folder / ODD)


def outputs(folder: Path, _: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, Any]]:
    """Return all logits one after another, their shapes by network and file, and the classes that programs print."""
    logits, shapes, printed = [], [], []

    def keep(found: list[NDArray[np.float32]]) -> None:
        whole = np.concatenate(found)
        logits.append(whole.ravel())
        shapes.append(whole.shape)

    for case in sorted(folder.glob("[0-9]*")):
        pixels, odd = np.load(case / "pixels.npy", allow_pickle=False), sorted((case / "odd").iterdir())
        batches = np.split(pixels, (1, 8))
        session = onnxruntime.InferenceSession(case / "model.onnx", providers=["CPUExecutionProvider"])
        keep([session.run(["logits"], {"pixels": part})[0] for part in batches])
        program = torch.export.load(case / "model.pt2").module()
        model = load_program(case)
        network, images = model.load(), np.split(normalise(case, pixels), (1, 8))
        with torch.inference_mode():
            keep([program(torch.from_numpy(part)).numpy() for part in batches])
            keep([network(torch.from_numpy(part)).numpy() for part in images])
            keep([network(model.read_image(path)).numpy() for path in odd])
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            model.main(["--help"])
        said.write("\0")
        with contextlib.redirect_stdout(said):
            model.main(["--json", "--topk", "1", *map(str, odd)])
        printed.append(said.getvalue().split("\0"))
    return np.concatenate(logits), {}, {"shapes": shapes, "printed": printed}


def hashes_elsewhere(networks: Sequence[Network]) -> list[str]:
    """Return the hash of the source of each network, as a process with another hash seed writes it."""
    ran = subprocess.run(
        [sys.executable, "-c", HASHES], input=json.dumps([network.document for network in networks]), text=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"}, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    hashes: list[str] = json.loads(ran.stdout)
    return hashes


def row_of(network: Network, subject: Subject, folder: Path, found: Found) -> Row:
    """Return the row of a network from what its files gave."""
    expected, odd = expected_logits(subject, folder)
    differences = {
        name: (relative_difference(logits, expected), float(np.abs(logits - expected).max()))
        for name, logits in zip(FORMS, found.logits, strict=True)
    }
    agreement = min(float((logits.argmax(1) == expected.argmax(1)).mean()) for logits in found.logits)
    missed = [f"{name} differs by {differences[name][0]:.2g}" for name in FORMS if differences[name][0] > TOLERANCE]
    if not np.array_equal(found.logits[-1], expected):
        missed.append("model.py must give the same bits")
    if agreement < 1:
        missed.append(f"every class must be the same, {agreement:.1%} are")
    missed += [*source_faults(subject, folder, found), *odd_faults(subject, folder, found, odd)]
    graph = subject.graph
    return Row(network.name, key_of(network), cost(graph).params, graph.input, differences, agreement, tuple(missed))


def expected_logits(subject: Subject, folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the torch module's logits of the images, in the batches of the files, and of the odd pictures."""
    shape = subject.pixels.shape[1:]
    pictures = [decode_to(Entry(path.name, path), shape)[None] for path in sorted((folder / ODD).iterdir())]
    batches = [*np.split(subject.pixels, (1, 8)), *pictures]
    with torch.inference_mode():
        logits = [subject.network(torch.from_numpy(normalise(folder, part))).numpy() for part in batches]
    return np.concatenate(logits[:3]), np.concatenate(logits[3:])


def source_faults(subject: Subject, folder: Path, found: Found) -> Iterator[str]:
    """Yield the laws of a source text that do not hold."""
    text = (folder / "model.py").read_text(encoding="utf-8")
    if text != source(subject.graph) or hashlib.sha256(text.encode()).hexdigest() != found.hash:
        yield "model.py must be the same text whenever it is written"
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "-q", str(folder / "model.py")]
    checked = subprocess.run(ruff, capture_output=True, text=True, check=False)
    if checked.returncode:
        yield f"model.py must pass ruff: {checked.stdout.strip().splitlines()[:1]}"
    if "usage: model.py" not in found.printed[0]:
        yield "model.py must print its help"


def odd_faults(subject: Subject, folder: Path, found: Found, odd: NDArray[np.float32]) -> Iterator[str]:
    """Yield the odd pictures that `model.py` does not read as the decoder of a search does."""
    names = subject.preprocessing["classes"]
    printed = [image["classes"][0]["name"] if "classes" in image else image for image in json.loads(found.printed[1])]
    files = sorted((folder / ODD).iterdir())
    for file, logits, said, expected in zip(files, found.odd, printed, odd, strict=True):
        if said != names[int(expected.argmax())] or relative_difference(logits, expected) > TOLERANCE:
            yield f"{file.name} must be of {names[int(expected.argmax())]}, model.py says {said}"


def table(rows: Sequence[Row]) -> Table:
    """Return the table of all networks."""
    columns = (
        "network",
        "input",
        "parameters",
        *(f"{name}, relative / absolute" for name in FORMS),
        "classes",
        "missed",
    )
    found = Table(*columns, box=None)
    for row in rows:
        cells = [" / ".join(f"{number:.1e}" for number in row.differences[name]) for name in FORMS]
        size = "×".join(map(str, row.input))
        found.add_row(row.name, size, f"{row.params:,}", *cells, f"{row.agreement:.1%}", str(len(row.missed)))
    return found


if __name__ == "__main__":
    main()
