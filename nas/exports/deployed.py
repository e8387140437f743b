"""Network with its preprocessing inside: from pixels as bytes to logits, for formats that ship without a program."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

INPUT, OUTPUT = "pixels", "logits"


@final
class Deployed(nn.Module):
    """Network that takes pixels (N, C, H, W) uint8, divides by 255, normalises, and returns logits (N, classes).

    Attributes:
        example: pixels (2, C, H, W).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Mapping[str, Any], shape: tuple[int, int, int]) -> None:
        """Put the preprocessing in front of a network, which is shared.

        Args:
            network: from normalised images (N, C, H, W) to logits, in evaluation mode.
            preprocessing: `mean` and `std` of each channel.
            shape: (C, H, W) of its images.
        """
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            values = torch.tensor(preprocessing[name], dtype=torch.float32)
            self.register_buffer(name, values[:, None, None])  # (C, 1, 1)
        self.example = torch.zeros(2, *shape, dtype=torch.uint8)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (N, classes) for pixels (N, C, H, W)."""
        logits: Tensor = self.network((pixels.to(torch.float32) / 255 - self.mean) / self.std)
        return logits

    def save_program(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write the module as a program of `torch.export` for any batch size, with metadata as JSON files inside."""
        program = torch.export.export(self, (self.example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        program._example_inputs = None  # stored as a pickle otherwise
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # places of source files on this machine
        extra = {f"{name}.json": json.dumps(value) for name, value in metadata.items()}
        torch.export.save(program, path, extra_files=extra)

    def save_onnx(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write the module as an ONNX model for any batch size, with metadata as JSON texts."""
        # The exporter warns of torchvision's operators, which no network of ours has.
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # torch 2.13 triggers this deprecation warning of its own.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            program = torch.onnx.export(
                self,
                (self.example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        assert program is not None
        program.model.graph.metadata_props.clear()  # the whole program as text once more
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()  # places of source files on this machine
        program.model.metadata_props.update({name: json.dumps(value) for name, value in metadata.items()})
        program.save(path, external_data=False)
