"""Our published networks against torchvision's and timm's modules: the same random weights, the same logits.

Runs in an environment of its own, as torchvision's wheel breaks other packages beside a CPU-only torch:

    python3.11 -m venv .venv-oracles
    .venv-oracles/bin/pip install --no-deps -r tests/oracles/requirements.txt
    .venv-oracles/bin/python tests/oracles/published.py

Prints a table and exits with 1 where a difference is above the tolerance.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    (
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    ),
)
LIBRARY = torch.library.Library("torchvision", "DEF")  # kept alive: the operators go with it
for operator in OPERATORS:  # which a CUDA build of torchvision lacks beside a CPU-only torch
    LIBRARY.define(operator)

import timm  # noqa: E402 - the operators must be there first
from torchvision import models  # noqa: E402 - the operators must be there first

from search_space.weights import load_reference_weights  # noqa: E402 - the path must be set first

TOLERANCE = 1e-4
Outputs = list[Tensor]


def randomise(network: nn.Module) -> None:
    """Random weights, statistics and layer scales, of a size that keeps activations in range."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("running_var", "gamma")) or (tensor.dim() == 1 and name.endswith("weight")):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.1)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def ours(network: nn.Module, images: Tensor) -> Outputs:
    """Main logits, then the auxiliary ones in order."""
    outputs = network(images)
    if isinstance(outputs, Tensor):
        return [outputs]
    logits, taps = outputs
    return [logits, *(tap for tap, _ in taps)]


def theirs(network: nn.Module, images: Tensor) -> Outputs:
    """Main logits, then the auxiliary ones in order; torchvision's GoogLeNet names the second first."""
    outputs = network(images)
    if isinstance(outputs, Tensor):
        return [outputs]
    return [outputs[0], *reversed(outputs[1:])]


def difference(name: str, make: Callable[[], nn.Module], side: int, *, training: bool) -> tuple[float, int]:
    """Largest difference of an output, relative to the largest logit, and the number of outputs."""
    torch.manual_seed(0)
    published = make().train(training)
    randomise(published)
    network = load_reference_weights(name, published.state_dict()).train(training)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = torch.randn(2, 3, side, side)  # (N, C, H, W)
    with torch.no_grad():
        expected, got = theirs(published, images), ours(network, images)
    if len(expected) != len(got):
        raise AssertionError(f"{name}: {len(expected)} outputs are published, we have {len(got)}")
    errors = [float((a - b).abs().max() / a.abs().max()) for a, b in zip(expected, got, strict=True)]
    if not all(float(a.std()) > 0 for a in expected):
        raise AssertionError(f"{name}: the published logits are all alike, which shows nothing")
    return max(errors), len(errors)


CASES: tuple[tuple[str, str, Callable[[], nn.Module], int, bool], ...] = (
    ("googlenet", "torchvision", lambda: models.googlenet(aux_logits=True, init_weights=False), 224, False),
    ("googlenet", "torchvision", lambda: models.googlenet(aux_logits=True, init_weights=False), 224, True),
    ("googlenet", "torchvision", lambda: models.googlenet(aux_logits=False, init_weights=False), 96, False),
    ("inception_v3", "torchvision", lambda: models.inception_v3(aux_logits=True, init_weights=False), 299, False),
    ("inception_v3", "torchvision", lambda: models.inception_v3(aux_logits=True, init_weights=False), 299, True),
    ("inception_v3", "timm", lambda: timm.create_model("inception_v3", aux_logits=True), 299, True),
    ("inception_v3", "timm", lambda: timm.create_model("inception_v3", num_classes=10), 128, False),
    ("inception_v4", "timm", lambda: timm.create_model("inception_v4"), 299, False),
    ("inception_resnet_v2", "timm", lambda: timm.create_model("inception_resnet_v2"), 299, False),
    ("xception", "timm", lambda: timm.create_model("legacy_xception"), 299, False),
    ("xception", "timm", lambda: timm.create_model("legacy_xception", num_classes=7), 96, True),
    ("inception_next_atto", "timm", lambda: timm.create_model("inception_next_atto"), 224, False),
    ("inception_next_tiny", "timm", lambda: timm.create_model("inception_next_tiny"), 64, True),
    ("mobilenet_v2", "torchvision", models.mobilenet_v2, 224, False),
    ("mobilenet_v2", "torchvision", lambda: models.mobilenet_v2(num_classes=7), 64, True),
)


def main() -> int:
    """Compares every case; 1 where one differs."""
    warnings.simplefilter("error")
    failed = 0
    for name, package, make, side, training in CASES:
        error, outputs = difference(name, make, side, training=training)
        failed += not error <= TOLERANCE
        mode = "training" if training else "inference"
        verdict = "ok" if error <= TOLERANCE else f"above {TOLERANCE}"
        print(f"{name:22}{package:14}{side:4}  {mode:10}{outputs} outputs  {error:.1e}  {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
