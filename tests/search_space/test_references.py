"""Published networks against figures counted exactly over their published modules, and against torch's counter."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from search_space.cost import cost, leaf_macs
from search_space.graph import Conv, Graph, Shape, ShapeError, walk
from search_space.identity import network_id
from search_space.network import build
from search_space.references import LAYOUTS, REFERENCES, SCALABLE

# network: parameters without and with auxiliary heads, MACs in inference and in training
NETWORKS = {
    "googlenet": (6_624_904, 13_004_888, 1_498_376_192, 1_506_748_416),
    "googlenet_5x5": (7_005_832, None, 1_582_671_872, None),
    "googlenet_paper": (6_998_552, None, 1_582_671_872, None),
    "bn_inception": (11_285_224, 11_285_224, 2_032_600_064, 2_032_600_064),
    "inception_v3": (23_834_568, 27_161_264, 5_713_216_096, 5_718_899_296),
    "inception_v4": (42_679_816, 42_679_816, 12_253_974_624, 12_253_974_624),
    "inception_resnet_v2": (55_843_464, 55_843_464, 13_155_794_016, 13_155_794_016),
    "resnet20": (272_474, 272_474, 40_813_184, 40_813_184),
    "mobilenet_v2": (3_504_872, 3_504_872, 300_774_272, 300_774_272),
}
# GoogLeNet's blocks: weights and MACs with the paper's 5×5, then with torchvision's 3×3
BLOCKS = {
    "3a": (163_328, 128_049_152, 155_136, 121_626_624),
    "3b": (388_096, 304_267_264, 338_944, 265_732_096),
    "4a": (375_552, 73_608_192, 363_264, 71_199_744),
    "4b": (448_512, 87_908_352, 423_936, 83_091_456),
    "4c": (509_440, 99_850_240, 484_864, 95_033_344),
    "4d": (604_672, 118_515_712, 571_904, 112_093_184),
    "4e": (867_328, 169_996_288, 801_792, 157_151_232),
    "5a": (1_042_432, 51_079_168, 976_896, 47_867_904),
    "5b": (1_442_816, 70_697_984, 1_344_512, 65_881_088),
}
# the least side of an image, as the builders' docstrings say
SMALLEST = {
    "googlenet": 15,
    "googlenet_5x5": 31,
    "googlenet_paper": 31,
    "bn_inception": 31,
    "inception_v3": 75,
    "inception_v4": 75,
    "inception_resnet_v2": 75,
    "xception": 7,
    "inception_next_atto": 32,
    "inception_next_tiny": 32,
    "resnet20": 1,
    "googlenet_small": 2,
    "mobilenet_v2": 1,
}


def small(name: str) -> Graph:
    """Return the reference for the smallest images that it takes, and a few classes."""
    return REFERENCES[name](Shape(3, SMALLEST[name], SMALLEST[name]), 7)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_costs_what_was_counted(name: str) -> None:
    params, training_params, macs, training_macs = NETWORKS[name]
    graph = REFERENCES[name]()
    inference, training = cost(graph), cost(graph, training=True)
    assert (inference.params, inference.macs) == (params, macs)
    if training_params is not None:
        assert (training.params, training.macs) == (training_params, training_macs)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("name", "column"), [("googlenet_5x5", 0), ("googlenet_paper", 0), ("googlenet", 2)])
def test_a_block_of_googlenet_costs_what_was_counted(name: str, column: int, block: str) -> None:
    visits = [v for v in walk(REFERENCES[name]()) if v.path.startswith(f"inception{block}.")]
    convolutions = [(v.leaf, v.input) for v in visits if isinstance(v.leaf, Conv)]
    weights = sum(c.channels * shape.channels * math.prod(c.kernel) for c, shape in convolutions)
    macs = sum(leaf_macs(c, shape) for c, shape in convolutions)
    assert (weights, macs) == BLOCKS[block][column : column + 2]


TAPPED = ("googlenet", "googlenet_5x5", "googlenet_paper", "inception_v3")


@pytest.mark.parametrize(
    ("name", "training"), [*((name, False) for name in REFERENCES), *((name, True) for name in TAPPED)]
)
def test_a_network_costs_what_torch_counts(name: str, training: bool) -> None:
    graph = REFERENCES[name]()
    with torch.device("meta"):
        network = build(graph).train(training)
        images = torch.zeros(1 + training, *graph.input)
    with FlopCounterMode(display=False) as counter:
        network(images)
    whole = cost(graph, training=True)
    assert counter.get_total_flops() == 2 * (1 + training) * cost(graph, training=training).macs
    assert sum(parameter.numel() for parameter in network.parameters()) == whole.params


def test_without_auxiliaries_nothing_is_tapped() -> None:
    for name in TAPPED:
        graph = REFERENCES[name](auxiliaries=False)
        assert cost(graph) == cost(graph, training=True) == cost(REFERENCES[name]())


def test_the_references_are_different_networks() -> None:
    assert len({network_id(builder()) for builder in REFERENCES.values()}) == len(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_classes_and_input_are_arguments(name: str) -> None:
    graph = small(name)
    assert graph.output == Shape(7, 1, 1)
    assert graph.input.height < REFERENCES[name]().input.height


@pytest.mark.parametrize("name", [name for name, side in SMALLEST.items() if side > 1])
def test_a_smaller_image_is_refused_with_its_place(name: str) -> None:
    side = SMALLEST[name] - 1
    with pytest.raises(ShapeError, match=r" at [a-z]\w+"):
        REFERENCES[name](Shape(3, side, side), 7)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_parameter_gets_a_gradient_and_the_promised_shape_is_real(name: str) -> None:
    torch.manual_seed(0)
    graph = small(name)
    network = build(graph).train()
    images = torch.randn(2, *graph.input)  # (N, C, H, W)
    outputs = network(images)
    if isinstance(outputs, Tensor):
        logits, auxiliary = outputs, []
    else:
        logits, auxiliary = outputs
    assert logits.shape == (2, 7)
    (logits.sum() + sum(weight * taps.sum() for taps, weight in auxiliary)).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("side", "last"), [(224, 7), (96, 3), (64, 2), (32, 4), (28, 7), (16, 4), (8, 4), (4, 4), (1, 1)]
)
def test_mobilenet_v2_keeps_a_map_on_small_images(side: int, last: int) -> None:
    (shape,) = [v.output for v in walk(REFERENCES["mobilenet_v2"](Shape(3, side, side))) if v.path == "last"]
    assert shape == Shape(1280, last, last)


@pytest.mark.parametrize("name", SCALABLE)
def test_a_multiplier_of_the_widths_scales_all_of_them(name: str) -> None:
    def widths(**options: float) -> list[int]:
        graph = REFERENCES[name](Shape(3, 32, 32), 7, **options)
        return [v.leaf.channels for v in walk(graph) if isinstance(v.leaf, Conv) and not v.path.startswith("aux")]

    whole, half, least = widths(), widths(width=0.5), widths(width=0.001)
    assert half == [width // 2 for width in whole]  # published widths are even
    assert set(least) <= {1, 3, 6}  # GoogLeNet's stem ends three times as wide as it begins, MobileNetV2 expands by 6
    for width in (0, 1.5):
        with pytest.raises(ValueError, match=rf"width must be in \(0, 1\], got {width}"):
            REFERENCES[name](width=width)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_belongs_to_a_reference(name: str) -> None:
    assert name in REFERENCES
