from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nas.data.decode import Entry, PixelFormat, decode
from search_space.graph import Concat, Conv, Graph, Identity, Linear, Norm, Residual, Scale, Seq, Shape, Tap, conv
from search_space.lowering import lower
from search_space.network import build
from search_space.source import source
from search_space.space import parse_space

PREPROCESSING = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "classes": ["cat", "dog", "<script>", "é", "e"]}


def execute(graph: Graph, folder: Path = Path("/nowhere")) -> ModuleType:
    """Return the written file as a module."""
    module = ModuleType("model")
    module.__file__ = str(folder / "model.py")
    exec(compile(source(graph), module.__file__, "exec"), module.__dict__)
    return module


def images(graph: Graph, count: int = 3) -> torch.Tensor:
    return torch.randn(count, *graph.input, generator=torch.Generator().manual_seed(1))


def assert_the_same_network(graph: Graph) -> None:
    built, written = build(graph), execute(graph).Network()
    shapes = {name: tensor.shape for name, tensor in built.state_dict().items()}
    assert {name: tensor.shape for name, tensor in written.state_dict().items()} == shapes
    assert list(written.state_dict()) == list(built.state_dict())
    torch.manual_seed(0)
    built.train()(images(graph))  # moves the running statistics away from where they start
    written.load_state_dict(built.state_dict(), strict=True)
    with torch.no_grad():
        assert written.eval()(images(graph)).equal(built.eval()(images(graph)))
        torch.manual_seed(5)
        expected = built.train()(images(graph))
        torch.manual_seed(5)
        found = written.train()(images(graph))
    if isinstance(expected, torch.Tensor):
        assert found.equal(expected)
        return
    assert found[0].equal(expected[0])
    assert [weight for _, weight in found[1]] == [weight for _, weight in expected[1]]
    assert all(a.equal(b) for (a, _), (b, _) in zip(found[1], expected[1], strict=True))


def test_fifty_random_architectures_are_bit_equal(quick_mapping: dict[str, Any]) -> None:
    generator = random.Random(4)
    for shape in (Shape(1, 8, 8), Shape(3, 16, 16)):
        space = parse_space(quick_mapping, shape, 10)
        for _ in range(25):
            assert_the_same_network(lower(space.draw(generator)))


def test_every_node_type_is_bit_equal(make_graph: Callable[..., Graph]) -> None:
    for seed in range(60):
        assert_the_same_network(make_graph(seed))


@pytest.mark.parametrize(
    "root",
    [
        Linear(5),
        Seq(()),
        conv(4, 3, name="alone"),
        Seq((conv(4, 3, name="first"), conv(3, 1), Seq((conv(2, 1), conv(2, 3, name="b"))), Scale(2, name="last"))),
        Concat((Identity(), conv(2, 1, name="a"), Residual(conv(3, 1)), Tap(Linear(2), 1))),
        Seq((Conv(4, (3, 1), (1, 2), (1, 0), norm=Norm("layer", 1e-3), activation="gelu", name="self"),)),
        Seq((conv(4, 3, name="norm"), conv(4, 3, name="outputs"), Linear(2, name="weight"))),
    ],
)
def test_names_and_positions_are_kept(root: Any) -> None:
    assert_the_same_network(Graph(root, Shape(3, 6, 6)))


def test_the_file_passes_ruff_and_is_deterministic(make_graph: Callable[..., Graph], tmp_path: Path) -> None:
    for seed in range(25):
        text = source(make_graph(seed))
        assert text == source(make_graph(seed))
        tmp_path.joinpath(f"model{seed}.py").write_text(text, encoding="utf-8")
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path)]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_only_what_is_used_is_written() -> None:
    text = source(Graph(Seq((conv(4, 3, name="stem"), Linear(2, name="classifier"))), Shape(1, 8, 8)))
    assert "class Conv(" in text
    for name in ("ChannelNorm", "Cut", "Scale", "ChannelScale", "Parallel", "Sum", "Tap", "search_space", "nas"):
        assert f"class {name}(" not in text
        assert f"import {name}" not in text


def test_the_network_reads_well() -> None:
    block = Concat((conv(8, 1, name="k1"), Seq((conv(4, 1, name="reduce"), conv(8, (1, 5), name="row")), name="k5")))
    root = Seq((conv(4, 3, stride=2, name="stem"), block, Seq((Residual(conv(16, 3)),), name="stage"), Linear(2)))
    body = source(Graph(root, Shape(1, 8, 8))).split("super().__init__()\n")[-1].split("\n\n")[0]
    assert body == "\n".join(
        [
            "        self.body = Steps(",
            "            stem=Conv(1, 4, 3, stride=2, padding=1),  # 4×4×4",
            '            **{"1": Parallel(',
            "                k1=Conv(4, 8, 1),  # 8×4×4",
            "                k5=Steps(",
            "                    reduce=Conv(4, 4, 1),  # 4×4×4",
            "                    row=Conv(4, 8, (1, 5), padding=(0, 2)),  # 8×4×4",
            "                ),",
            "            )},  # 16×4×4",
            "            stage=nn.Sequential(",
            "                Sum(",
            "                    body=Conv(16, 16, 3, padding=1),  # 16×4×4",
            "                    shortcut=nn.Identity(),  # 16×4×4",
            "                ),  # 16×4×4",
            "            ),",
            '            **{"3": Dense(256, 2)},  # 2×1×1',
            "        )",
        ]
    )


def test_no_text_of_a_user_reaches_the_file() -> None:
    hostile = '"""\nimport os; os.abort()\n"""'
    graph = Graph(Residual(conv(3, 1, name=hostile), name=hostile), Shape(3, 4, 4))
    assert "abort" not in source(graph)
    with pytest.raises(ValueError, match="a name must be an ASCII identifier"):
        Seq((conv(3, 1, name="x=1); import os; f("),))


def export(graph: Graph, folder: Path) -> torch.nn.Module:
    network = build(graph)
    network(images(graph, 8))
    folder.joinpath("model.py").write_text(source(graph), encoding="utf-8")
    save_file(network.state_dict(), folder / "weights.safetensors", metadata={"format": "pt"})
    folder.joinpath("preprocessing.json").write_text(json.dumps(PREPROCESSING), encoding="utf-8")
    return network.eval()


def small() -> Graph:
    return Graph(Seq((conv(4, 3, name="stem"), Linear(5, name="classifier"))), Shape(3, 10, 12))


def test_the_program_prints_the_networks_classes(tmp_path: Path) -> None:
    network = export(small(), tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-I", "model.py", "image.png"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment | {"PYTHONUTF8": "1"}, capture_output=True, check=True, timeout=120
    )
    x = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(PREPROCESSING[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        probabilities = network(((x - mean) / std)[None])[0].softmax(0)
    order = probabilities.argsort(descending=True).tolist()
    expected = [f"{probabilities[i].item():8.2%}  {PREPROCESSING['classes'][i]}" for i in order]
    assert result.stdout.decode().splitlines() == expected


def test_weights_are_read_exactly_and_other_types_refused(tmp_path: Path) -> None:
    network = export(small(), tmp_path)
    module = execute(small(), tmp_path)
    read = module.read_weights(tmp_path / "weights.safetensors")
    assert all(read[name].equal(tensor) for name, tensor in network.state_dict().items())
    with torch.no_grad():
        assert module.load()(images(small())).equal(network(images(small())))
    save_file({"half": torch.zeros(2, dtype=torch.float16)}, tmp_path / "half.safetensors")
    with pytest.raises(ValueError, match=r"weights must be of \['F32', 'I64'\], got F16 for half"):
        module.read_weights(tmp_path / "half.safetensors")
    with pytest.raises(SystemExit, match="usage"):
        module.main([])


def pictures() -> dict[str, Image.Image]:
    rng = np.random.default_rng(1)
    colour = Image.fromarray(rng.integers(0, 256, (31, 47, 3), dtype=np.uint8))
    grey = Image.fromarray(rng.integers(0, 256, (9, 5), dtype=np.uint8))
    turned = colour.copy()
    turned.getexif()[0x0112] = 6
    return {
        "colour": colour,
        "exact size": colour.resize((12, 12)),
        "grey": grey,
        "alpha": Image.fromarray(rng.integers(0, 256, (20, 20, 4), dtype=np.uint8)),
        "palette": colour.convert("P"),
        "one bit": grey.convert("1"),
        "16 bits": Image.fromarray(rng.integers(0, 2**16, (14, 14), dtype=np.uint16)),
        "turned": turned,
    }


@pytest.mark.parametrize("kind", pictures())
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_read_as_the_data_room_reads_them(kind: str, channels: int, tmp_path: Path) -> None:
    graph = Graph(Linear(2), Shape(channels, 12, 12))
    path = tmp_path / "image.png"
    picture = pictures()[kind]
    picture.save(path, exif=picture.getexif())
    plain = {"mean": [0.0] * channels, "std": [1 / 255] * channels}
    tmp_path.joinpath("preprocessing.json").write_text(json.dumps(plain))
    found = execute(graph, tmp_path).read_image(path)
    expected = decode(Entry("image", path), PixelFormat(12, channels))
    torch.testing.assert_close(found, torch.tensor(expected)[None].float(), rtol=0, atol=1e-4)
