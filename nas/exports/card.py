"""Format `README.md`: a model card in the form that the Hugging Face Hub reads, with the network's drawing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from nas.config.commands.networks import WHOLE
from nas.exports.evaluation import wilson_interval
from nas.objectives.costs import title_of
from search_space.drawing import draw

if TYPE_CHECKING:
    from nas.exports.subject import Subject

SHOWN = 20
"""Largest number of classes whose confusion matrix is written out."""
SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|"})


@final
class CardFormat:
    """Model card: metrics with the number of images behind them, costs, data, origin, and how to reproduce it."""

    file = "README.md"
    companions = ("network.svg",)
    needs = ("safetensors",)

    def unavailable(self) -> str | None:
        """Return None: it can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the card and the drawing."""
        (folder / "network.svg").write_text(draw(subject.graph), encoding="utf-8")
        text = "\n".join([*_front_matter(subject), *_body(subject)])
        (folder / self.file).write_text(f"{text}\n", encoding="utf-8")

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the accuracy in the card's metadata, which programs read, with the one that the weights came with."""
        lines = (folder / self.file).read_text(encoding="utf-8").split("---\n")[1].splitlines()
        value = next(line.removeprefix("      value: ") for line in lines if line.startswith("      value: "))
        return {"max_difference": abs(float(value) - _accuracy(subject).value)}


@dataclass(frozen=True)
class _Accuracy:
    """Accuracy with the images behind it, None if their number is not known, and the part that they are of."""

    value: float
    images: int | None
    part: str

    def __str__(self) -> str:
        if self.images is None:
            return f"{self.value:.4f} on the {self.part} part"
        low, high = wilson_interval(self.value, self.images)
        return (
            f"{self.value:.4f} on the {self.images:,} images of the {self.part} part "
            f"(95 % interval {low:.4f} to {high:.4f})"
        )


def _accuracy(subject: Subject) -> _Accuracy:
    """Return the test accuracy of the weights, or if they were never tested their validation accuracy."""
    origin = subject.circumstances.get("weights", {})
    if "test_accuracy" in origin:
        return _Accuracy(origin["test_accuracy"], origin["test_images"], "test")
    if "val_accuracy" in origin:
        return _Accuracy(origin["val_accuracy"], subject.circumstances.get("validation_images"), "validation")
    right = subject.logits.argmax(axis=1) == subject.labels
    return _Accuracy(float(right.mean()), len(right), "validation")


def _front_matter(subject: Subject) -> Iterator[str]:
    """Yield the lines of metadata in YAML; texts are JSON strings, which YAML reads as they are."""
    found, data = _accuracy(subject), subject.circumstances.get("data", "data")
    yield "---"
    if licence := subject.circumstances.get("licence"):
        yield f"license: {json.dumps(licence)}"
    yield "library_name: pytorch"
    yield "pipeline_tag: image-classification"
    yield "tags: [image-classification, inception, neural-architecture-search]"
    yield from ("model-index:", f"- name: {json.dumps(_name(subject))}", "  results:")
    yield "  - task: {type: image-classification}"
    yield f"    dataset: {{name: {json.dumps(data)}, type: {json.dumps(data)}, split: {found.part}}}"
    yield from ("    metrics:", "    - type: accuracy", f"      value: {found.value!r}", "---")


def _name(subject: Subject) -> str:
    known = subject.circumstances
    if "trial" in known:
        return f"{known.get('study', 'network')}-{known['trial']}"
    return str(known.get("name", "network"))


def _body(subject: Subject) -> Iterator[str]:
    known = subject.circumstances
    origin, classes = known.get("weights", {}), subject.preprocessing["classes"]
    yield from ("", f"# {_plain(_name(subject))}", "")
    made = known.get("finetuned_from")
    how = f"fine-tuned from {_plain(str(made['name']))}" if made else "found by an architecture search"
    yield f"An Inception network that was {how}. It tells {len(classes)} classes apart:"
    yield f"{', '.join(_plain(name) for name in classes[:SHOWN])}{', …' if len(classes) > SHOWN else ''}."
    yield from ("", f"Accuracy: {_accuracy(subject)}.")
    if pruned := known.get("pruned"):
        yield f"Pruned by {pruned['sparsity']:.1%}; before, {pruned['dense_val_accuracy']:.4f} on the validation part."
    if several := known.get("retrained"):
        yield f"Mean test accuracy over {several['n']} seeds: {several['mean']:.4f}{_spread(several)}."
    if origin.get("train_on") == WHOLE:
        yield "Trained on the training and the validation part, so that the validation images were seen."
    if "test_calibration_error" in origin:
        yield f"Expected calibration error: {origin['test_calibration_error']:.4f}."
    if origin.get("from") == "search":
        yield "The validation part chose this network among others, so that its accuracy there is rather too high."
    yield from (
        "",
        "![Drawing of the network](network.svg)",
        "",
        "## Costs of one image",
        "",
        "| cost | value |",
        "| --- | --- |",
    )
    yield from (f"| {title_of(name)} | {value:,} |" for name, value in known.get("costs", {}).items())
    yield from _latencies(subject)
    yield from _confusion(subject)
    yield from _data(subject)
    yield from _origin(subject)


def _spread(several: Mapping[str, Any]) -> str:
    return "" if several.get("sd") is None else f" ± {several['sd']:.4f} (standard deviation)"


def _latencies(subject: Subject) -> Iterator[str]:
    """Yield the latencies that were measured, by device and circumstances."""
    found: Sequence[Mapping[str, Any]] = subject.circumstances.get("latencies", ())
    if not found:
        return
    yield from ("", "## Latency", "", "| measured on | median (ms) | 95 % interval (ms) |", "| --- | --- | --- |")
    for one in found:
        busy = "" if one["steady"] else ", which did other things too"
        interval = f"{one['low_ms']:.4g} to {one['high_ms']:.4g}"
        yield f"| {_plain(one['on'])}{busy} | {one['median_ms']:.4g} | {interval} |"


def _confusion(subject: Subject) -> Iterator[str]:
    """Yield the confusion matrix of the test part, or of the validation images that the formats were checked on."""
    classes = [_plain(name) for name in subject.preprocessing["classes"]]
    if len(classes) > SHOWN:
        return
    counts: Sequence[Sequence[int]] | None = subject.circumstances.get("weights", {}).get("test_confusion")
    part = "test part" if counts is not None else f"{len(subject.labels):,} images of the validation part"
    if counts is None:
        pairs = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(pairs, (subject.labels, subject.logits.argmax(axis=1)), 1)
        counts = pairs.tolist()
    yield from ("", f"## Confusion on the {part}", "", "Rows are true classes, columns predicted ones.", "")
    yield f"| | {' | '.join(classes)} |"
    yield f"| --- |{' --- |' * len(classes)}"
    yield from (f"| {name} | {' | '.join(map(str, row))} |" for name, row in zip(classes, counts, strict=True))


def _data(subject: Subject) -> Iterator[str]:
    known, (channels, height, width) = subject.circumstances, subject.pixels.shape[1:]
    yield from ("", "## Data", "")
    source = _plain(str(known.get("data", "the study")))
    yield f"Images of {height}×{width} pixels with {channels} channels, of {source}."
    if content := known.get("data_content"):
        yield f"SHA-256 of pixels, labels and class names of the training part: `{content}`."
    yield "From a picture to an input: " + str(subject.preprocessing.get("rule", "see preprocessing.json")) + "."


def _origin(subject: Subject) -> Iterator[str]:
    known = subject.circumstances
    origin = known.get("weights", {})
    yield from ("", "## Origin", "")
    told = {
        "study": known.get("study"),
        "trial": known.get("trial"),
        "architecture": known.get("summary"),
        "network_id": known.get("network_id"),
        "weights": f"{origin['from']}, seed {origin.get('seed')}, {origin.get('epochs')} epochs" if origin else None,
    }
    yield from (f"* {name}: `{str(value).replace('`', '')}`" for name, value in told.items() if value is not None)
    if command := known.get("command"):
        yield from ("", "To reproduce the search:", "", "    " + command.replace("\n", " "))
    yield from ("", "`checks.json` has the deviation of each file from the network, and the versions and machine.")


def _plain(text: str) -> str:
    """Return text on one line, with the signs that mean something in Markdown or HTML escaped."""
    return " ".join(str(text).translate(SPECIAL).split())


FORMAT = CardFormat()
