"""Published checkpoints onto our networks; the logits are compared in tests/oracles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from search_space.graph import Shape
from search_space.network import build
from search_space.references import LAYOUTS, REFERENCES
from search_space.references.layout import modules
from search_space.weights import WeightsError, load_reference_weights, published_weights


def published(name: str, classes: int = 3) -> dict[str, Tensor]:
    """Return a checkpoint of random numbers in the published names."""
    theirs = {ours: published for published, ours in modules(LAYOUTS[name])}
    checkpoint = {}
    network = build(REFERENCES[name](Shape(3, 299, 299), classes))
    for key, tensor in network.state_dict().items():
        path = key.removeprefix("body.")
        module, _, leaf = path.rpartition(".")
        renamed = theirs[path] if path in theirs else f"{theirs[module]}.{leaf}"
        checkpoint[renamed] = torch.rand_like(tensor) if tensor.is_floating_point() else tensor
    return checkpoint


@pytest.fixture(scope="module")
def atto() -> dict[str, Tensor]:
    return published("inception_next_atto")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "xception", "inception_next_atto"])
def test_every_published_tensor_arrives(name: str) -> None:
    checkpoint = published(name)
    network = load_reference_weights(name, checkpoint)
    table = dict(modules(LAYOUTS[name]))
    state = network.state_dict()
    assert len(state) == len(checkpoint)
    for key, tensor in checkpoint.items():
        module, _, leaf = key.rpartition(".")
        ours = table[key] if key in table else f"{table[module]}.{leaf}"
        assert torch.equal(state[f"body.{ours}"], tensor)


def test_names_are_the_published_ones() -> None:
    names = published("googlenet")
    assert {"conv1.conv.weight", "inception4e.branch3.1.bn.running_var", "aux2.fc1.bias", "fc.weight"} <= set(names)
    names = published("inception_v3")
    assert {"Conv2d_2b_3x3.bn.bias", "Mixed_7c.branch3x3dbl_3b.conv.weight", "AuxLogits.conv1.bn.weight"} <= set(names)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_names_every_module_once(name: str) -> None:
    theirs, ours = zip(*LAYOUTS[name], strict=True)
    assert len(set(theirs)) == len(set(ours)) == len(theirs)


def test_a_missing_key_is_named_as_published(atto: dict[str, Tensor]) -> None:
    lacking = {key: tensor for key, tensor in atto.items() if key != "stages.2.blocks.5.mlp.fc1.weight"}
    with pytest.raises(WeightsError, match=r"lacks stages\.2\.blocks\.5\.mlp\.fc1\.weight$"):
        load_reference_weights("inception_next_atto", lacking)


def test_a_missing_layer_scale_is_named_as_published(atto: dict[str, Tensor]) -> None:
    lacking = {key: tensor for key, tensor in atto.items() if key != "stages.0.blocks.1.gamma"}
    with pytest.raises(WeightsError, match=r"lacks stages\.0\.blocks\.1\.gamma$"):
        load_reference_weights("inception_next_atto", lacking)


def test_many_missing_keys_stay_readable(atto: dict[str, Tensor]) -> None:
    lacking = {key: tensor for key, tensor in atto.items() if not key.startswith("stages.")}
    with pytest.raises(WeightsError, match=r"lacks stages\S+(, stages\S+){4} and \d+ more$"):
        load_reference_weights("inception_next_atto", lacking)


def test_a_wrong_shape_is_named_with_both_shapes(atto: dict[str, Tensor]) -> None:
    wrong = {**atto, "stem.0.weight": torch.zeros(40, 3, 3, 3)}
    with pytest.raises(WeightsError, match=r"stem\.0\.weight must have the shape \(40, 3, 4, 4\), got \(40, 3, 3, 3\)"):
        load_reference_weights("inception_next_atto", wrong)


@pytest.mark.parametrize("key", ["head.fc9.weight", "stem.0.gain"])
def test_a_foreign_key_is_named(key: str, atto: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match=f"got also {key}"):
        load_reference_weights("inception_next_atto", {**atto, key: torch.zeros(1)})


def test_a_checkpoint_without_classifier_is_refused(atto: dict[str, Tensor]) -> None:
    headless = {key: tensor for key, tensor in atto.items() if not key.startswith("head.fc2")}
    with pytest.raises(WeightsError, match="classifier's bias"):
        load_reference_weights("inception_next_atto", headless)


def test_old_checkpoints_without_counters_load(atto: dict[str, Tensor]) -> None:
    old = {key: tensor for key, tensor in atto.items() if not key.endswith("num_batches_tracked")}
    load_reference_weights("inception_next_atto", old)


def test_auxiliary_classifiers_are_there_where_the_checkpoint_has_them() -> None:
    checkpoint = published("googlenet")
    bare = {key: tensor for key, tensor in checkpoint.items() if not key.startswith("aux")}
    assert load_reference_weights("googlenet", checkpoint).has_taps
    assert not load_reference_weights("googlenet", bare).has_taps
    half = {key: tensor for key, tensor in checkpoint.items() if not key.startswith("aux2")}
    with pytest.raises(WeightsError, match=r"lacks aux2\.conv\.conv\.weight"):
        load_reference_weights("googlenet", half)


def test_a_reference_without_a_published_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="a published layout must be one of"):
        load_reference_weights("resnet20", {})


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_published_weights_are_those_of_the_architecture_that_a_search_starts_from(name: str) -> None:
    checkpoint = published(name)
    graph, state = published_weights(checkpoint)
    network = load_reference_weights(name, checkpoint)
    body = [tensor for key, tensor in network.state_dict().items() if ".head." not in key]
    ours = [tensor for key, tensor in state.items() if ".head." not in key]
    assert len(body) == len(ours)
    assert all(torch.equal(one, other) for one, other in zip(body, ours, strict=True))
    build(graph).load_state_dict(state)


def test_parameters_of_no_published_network_are_refused(atto: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"must have the names of googlenet, inception_v3, .*, got stem"):
        published_weights(atto)
