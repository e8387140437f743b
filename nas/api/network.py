"""One network as an object: a trial of a study, an architecture of a file, or a published network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from nas.api.images import as_images
from nas.api.pictures import Difference, Drawing
from nas.api.settings import configured, written
from nas.api.weights import fresh_module, predictor_of, trained_module
from nas.cli.export import export
from nas.cli.retrain import retrain
from nas.exports.predictors import Predictor
from nas.objectives.costs import built_in_costs
from nas.study.architectures import Studies, named_architecture
from nas.study.comparison import Subject
from nas.study.summary import StudyReader
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.drawing import draw
from search_space.graph import Graph, Shape
from search_space.identity import network_id
from search_space.lowering import lower, summary
from search_space.network import Network as Module
from search_space.references import builder_of


@final
@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A network.

    Attributes:
        name: its name for readers.
        graph: its layers.
        summary: one readable line.
        architecture: its choices; None for a published network, which is none of a space.
        record: its trial, None if it is none of a study.
    """

    name: str
    graph: Graph
    summary: str
    architecture: Architecture | None = None
    record: Record | None = None
    _reader: StudyReader | None = None

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Return the network of a JSON file, such as `architecture.json` of an export.

        Raises:
            ValueError: there is no such file, or it is not an architecture.
        """
        found = named_architecture(str(path), Studies()) if Path(path).expanduser().is_file() else None
        if found is None:
            raise ValueError(f"an architecture must be a JSON file, there is none at {path}")
        return cls._of(found[0], str(path))

    @classmethod
    def from_json(cls, document: Mapping[str, Any], name: str = "network") -> Self:
        """Return the network of an architecture's JSON document.

        Raises:
            ValueError: the document is not an architecture.
        """
        return cls._of(Architecture.from_json(document), name)

    @classmethod
    def reference(cls, name: str, input: Sequence[int] | None = None, classes: int | None = None) -> Self:  # noqa: A002
        """Return a published network.

        Args:
            name: its name, such as `googlenet`.
            input: shape of one image, (channels, height, width); None for the one of the publication.
            classes: number of classes, at least 2; None for the number of the publication.

        Raises:
            ValueError: there is no such network, or it does not fit the images.
        """
        make = builder_of(name)
        given = [Shape(*input)] if input is not None else []
        if classes is not None:
            first = next(iter(inspect.signature(make).parameters.values())).default
            given = given or [first]
            graph = make(*given, classes)
        else:
            graph = make(*given)
        graph.output  # noqa: B018 - raises if the network does not fit the images
        return cls(name, graph, f"{name} for {graph.input} images and {graph.output.channels} classes")

    @classmethod
    def of_trial(cls, reader: StudyReader, record: Record) -> Self:
        """Return the network of a trial."""
        architecture = Architecture.from_json(record.candidate.architecture)
        name = f"{reader.study.name}:{record.number}"
        return cls(name, lower(architecture), record.candidate.summary, architecture, record, reader)

    @classmethod
    def _of(cls, architecture: Architecture, name: str) -> Self:
        return cls(name, lower(architecture), summary(architecture), architecture)

    @property
    def number(self) -> int | None:
        """Number of its trial."""
        return None if self.record is None else self.record.number

    @property
    def id(self) -> str:
        """Identity of its architecture, or of its layers."""
        return network_id(self.graph) if self.architecture is None else self.architecture.id

    @property
    def costs(self) -> dict[str, float]:
        """Exact costs by name, those of the study included."""
        stored = {} if self.record is None else dict(self.record.candidate.costs)
        return {**built_in_costs().of_graph(self.graph), **stored}

    @property
    def values(self) -> dict[str, float]:
        """Objectives as the search measured them, by name; empty unless its trial is complete."""
        return dict((self.record.values if self.record else None) or {})

    def module(self, *, weights: bool = True, seed: int = 0) -> Module:
        """Return the network as a torch module.

        Args:
            weights: whether it has the best weights that there are, those of a retraining before those of the search;
                it is then in evaluation mode. It takes normalised images; `predict` takes them as they are.
            seed: seed of fresh weights.

        Raises:
            ValueError: there are no weights.
        """
        if not weights:
            return fresh_module(self.graph, seed)
        reader, record = self._trial("weights")
        return trained_module(reader.study, record)

    def draw(self, *, costs: bool = True) -> Drawing:
        """Return the drawing, with the costs of each block beside it if `costs`."""
        return Drawing(draw(self.graph, f"{self.name}  {self.summary}", costs=costs))

    def diff(self, other: Network) -> Difference:
        """Return what differs between this network and another one.

        Raises:
            ValueError: one of them is a published network, which has layers and no choices.
        """
        return Difference(self._subject(), other._subject())

    def _subject(self) -> Subject:
        if self.architecture is None:
            raise ValueError(f"networks to compare must have choices, {self.name} has only layers")
        return Subject(self.name, self.architecture, self._reader, self.record)

    def retrain(
        self,
        seeds: int = 3,
        *,
        baselines: Sequence[str] = (),
        train_on: str = "train",
        slots: int | None = None,
        replace: bool = False,
        **training: Any,
    ) -> Any:
        """Train the network in full over several seeds, measure each on the test part, and return the result.

        Args:
            seeds: number of trainings, at least 1.
            baselines: published networks to train beside it, each as wide as the network's MACs allow.
            train_on: `train`, or `train+validation`, where there is no validation accuracy.
            slots: trainings at a time.
            replace: delete earlier results that were made with other settings.
            training: settings of the recipe that differ from the study's, such as `epochs=30`.

        Returns:
            The result: `test_accuracy` and `val_accuracy` with mean, sd and n, and `seeds` with each training; with
            baselines also their results, `baselines`, and the differences, `against_baselines`.

        Raises:
            ValueError: the data have no test part, or a training failed in every attempt.
        """
        words = [f"seeds={seeds}", f"replace={written(replace)}", f"train_on={written(train_on)}"]
        words += [f"baselines={written(list(baselines))}"]
        words += [f"workers.slots={slots}"] if slots is not None else []
        words += [f"training.{name}={written(value)}" for name, value in training.items()]
        ended = retrain(self._configured("retrain", words))
        if ended.failed:
            raise ValueError(ended.failed)
        beside = {name: ended.document[name] for name in ("baselines", "against_baselines") if baselines}
        return {**ended.document["networks"][0], **beside}

    def export(self, folder: str | Path | None = None, formats: Sequence[str] = ()) -> Path:
        """Write the network with its best weights as files that need nothing of this project, and return their folder.

        Args:
            folder: the folder; None for `export/TRIAL` in the study's.
            formats: names such as `"safetensors"`, `"source"` or `"onnx"`, each written with those that it needs; none
                for all whose libraries are installed and that need not be asked for. `nas export` lists them.

        Raises:
            ValueError: there are no weights, a library of a format is missing, or a format fails its check.
        """
        words = [f"formats={written(list(formats))}"]
        words += [f"output={written(Path(folder))}"] if folder is not None else []
        return Path(export(self._configured("export", words))["exported"][0]["output"])

    def predictor(self) -> Predictor:
        """Return the network with its best weights and its preprocessing, for many predictions."""
        reader, record = self._trial("weights")
        return predictor_of(reader.study, record)

    def predict_proba(self, images: Any) -> NDArray[np.float32]:
        """Return the probability of each class (n, classes) for images as `nas.search` takes them."""
        return self.predictor().probabilities(as_images(images))

    def predict(self, images: Any) -> NDArray[Any]:
        """Return the name of the most probable class of each image (n,)."""
        predictor = self.predictor()
        names: NDArray[Any] = np.array(predictor.classes)
        found: NDArray[Any] = names[predictor.probabilities(as_images(images)).argmax(axis=1)]
        return found

    def _trial(self, things: str) -> tuple[StudyReader, Record]:
        if self._reader is None or self.record is None:
            raise ValueError(f"a network must be a trial of a study to have {things}, {self.name} is none")
        return self._reader, self.record

    def _configured(self, command: str, words: Sequence[str]) -> Any:
        """Return the configuration of a command on this trial."""
        reader, record = self._trial("trainings")
        place = [f"study={written(reader.study.folder.resolve())}", f"pick={record.number}"]
        kind = [] if reader.study.kind == "sqlite" else [f"storage={reader.study.kind}"]
        return configured(command, [*place, *kind, *words])

    def __repr__(self) -> str:
        return f"Network {self.name}: {self.summary}"

    def _repr_html_(self) -> str:
        facts = {**self.values, **self.costs}
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{value:,.6g}</td></tr>" for name, value in facts.items())
        head = f"<p><b>{escape(self.name)}</b> {escape(self.summary)}</p>"
        return f"{head}<table>{rows}</table>{self.draw().svg}"
