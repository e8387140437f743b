from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import zlib
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
from search_space.graph import (
    Activation,
    Concat,
    Conv,
    Graph,
    Identity,
    Linear,
    Norm,
    Residual,
    Scale,
    Seq,
    Shape,
    Tap,
    conv,
)
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
        Seq((Conv(4, (3, 3), activation="relu6", name="stem"), Activation("relu6", name="last"))),
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


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_of_a_pgm_are_read_as_the_data_room_reads_them(channels: int, tmp_path: Path) -> None:
    levels = np.random.default_rng(1).integers(0, 2**16, (12, 12))
    path = tmp_path / "image.pgm"
    path.write_bytes(b"P5 12 12 65535\n" + levels.astype(">u2").tobytes())
    plain = {"mean": [0.0] * channels, "std": [1 / 255] * channels}
    tmp_path.joinpath("preprocessing.json").write_text(json.dumps(plain))
    found = execute(Graph(Linear(2), Shape(channels, 12, 12)), tmp_path).read_image(path)
    expected = decode(Entry("image", path), PixelFormat(12, channels))
    torch.testing.assert_close(found, torch.tensor(expected)[None].float(), rtol=0, atol=1e-4)
    assert expected[0].tolist() == (levels >> 8).tolist()


def run_program(folder: Path, *words: str, **environment: str) -> tuple[int, str, list[str]]:
    """Return exit code, standard output and the lines of standard error of `model.py` in a process of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ran = subprocess.run(
        [sys.executable, "-B", str(folder / "model.py"), *words],
        cwd=folder, env=kept | environment, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode().splitlines()


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Folder of an export with files that are no pictures, and one that is."""
    export(small(), tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "good.png")
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "bomb.png").write_bytes(png_of(50_000, 50_000))
    return tmp_path


def png_of(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size and holds no pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    packed = [struct.pack(">I", len(body)) + k + body + struct.pack(">I", zlib.crc32(k + body)) for k, body in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


BAD = {
    "cut.jpg": "image file is truncated",
    "empty.png": "cannot identify image file",
    "text.png": "cannot identify image file",
    "folder.png": "it is no file",
    "pipe.png": "it is no file",
    "nowhere.png": "No such file or directory",
    "bomb.png": "exceeds limit",
}


def test_one_bad_file_is_one_line_and_the_others_follow(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = execute(small(), odd)
    files = [str(odd / name) for name in (*BAD, "good.png")]
    assert module.main(files) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert len(lines) == len(BAD)
    for line, file, reason in zip(lines, files, BAD.values(), strict=False):
        assert line.startswith(f"{file}: ")
        assert reason in line
    assert out.splitlines()[0] == files[-1]
    assert len(out.splitlines()) == 1 + 5


def test_json_is_one_document_with_every_file(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = execute(small(), odd)
    good, bad = str(odd / "good.png"), str(odd / "empty.png")
    assert module.main([bad, good, "--json", "--topk", "2"]) == 1
    (first, second) = json.loads(capsys.readouterr().out)
    assert set(first) == {"file", "error"}
    assert (first["file"], second["file"]) == (bad, good)
    with torch.inference_mode():
        expected = module.load()(module.read_image(odd / "good.png"))[0].softmax(0).topk(2)
    names = [PREPROCESSING["classes"][i] for i in expected.indices]
    assert [found["name"] for found in second["classes"]] == names
    assert [found["probability"] for found in second["classes"]] == pytest.approx(expected.values.tolist())
    assert module.main([good, "--json", "--topk", "99"]) == 0
    (alone,) = json.loads(capsys.readouterr().out)
    assert sum(found["probability"] for found in alone["classes"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "usage: model.py"),
        (["--help"], 0, "--topk"),
        (["--topk", "0", "good.png"], 2, "must be a whole number of at least 1, got '0'"),
        (["--topk", "many", "good.png"], 2, "must be a whole number of at least 1, got 'many'"),
    ],
)
def test_the_usage(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        execute(small()).main(words)
    assert raised.value.code == code
    assert message in "".join(capsys.readouterr())


def test_a_console_without_the_letters_of_a_class(odd: Path) -> None:
    names = {"classes": ["猫", "狗", "\udc80", "é", "a\n\x1b[31mb"]}
    odd.joinpath("preprocessing.json").write_text(json.dumps(PREPROCESSING | names), encoding="utf-8")
    (odd / "good.png").rename(odd / "图.png")
    code, out, err = run_program(odd, "图.png", "空.png", PYTHONIOENCODING="ascii")
    assert (code, len(out.splitlines()), len(err)) == (1, 6, 1)
    assert r"\u732b" in out
    assert r"a\n\x1b[31mb" in out
    code, out, _ = run_program(odd, "图.png", "--json", PYTHONIOENCODING="latin-1")
    assert (code, {found["name"] for found in json.loads(out)[0]["classes"]}) == (0, set(names["classes"]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.safetensors", None),
        ("weights.safetensors", b""),
        ("weights.safetensors", b"\xff" * 64),
        ("weights.safetensors", struct.pack("<Q", 2) + b"[]"),
        ("preprocessing.json", None),
        ("preprocessing.json", b"[]"),
        ("preprocessing.json", b'{"mean": [0], "std": [1]}'),
        ("preprocessing.json", b"\xff\xfe"),
    ],
)
def test_a_damaged_export_is_one_line(
    odd: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    (odd / name).unlink()
    if content is not None:
        (odd / name).write_bytes(content)
    assert execute(small(), odd).main([str(odd / "good.png")]) == 1
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    assert line.startswith("model.py: the files beside it must be those of its export, ")


def test_a_closed_or_full_output_is_one_line(odd: Path) -> None:
    command = f'"{sys.executable}" -B model.py good.png'
    for redirected in ("> /dev/full", ">&-"):
        ran = subprocess.run(f"{command} {redirected}", shell=True, cwd=odd, capture_output=True, check=False)
        lines = ran.stderr.decode().splitlines()
        assert "Traceback" not in ran.stderr.decode()
        assert len(lines) <= 1
        assert (ran.returncode, bool(lines)) in {(1, True), (0, False)}


EXIF = {
    "a text for a number": [(0x0112, 3, 1, b"\6\0\0\0"), (0x011A, 2, 3, b"72\0\0")],
    "an orientation that is a text": [(0x0112, 2, 2, b"6\0\0\0")],
    "an orientation out of range": [(0x0112, 3, 1, b"\x63\0\0\0")],
    "two orientations": [(0x0112, 3, 2, b"\6\0\3\0")],
    "an offset out of the file": [(0x0112, 3, 1, b"\6\0\0\0"), (0x8769, 4, 1, b"\xff\xff\xff\x7f")],
    "a type that does not exist": [(0x0112, 99, 1, b"\6\0\0\0")],
    "a division by zero": [(0x0112, 3, 1, b"\6\0\0\0"), (0x011A, 5, 1, b"\x1a\0\0\0")],
}


def exif_of(entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """Return an EXIF block with entries of (tag, type, count, value or offset)."""
    packed = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + packed + b"\0\0\0\0"


@pytest.mark.filterwarnings("ignore")  # Pillow's, of metadata
@pytest.mark.parametrize("kind", EXIF)
@pytest.mark.parametrize("cut", [0, 3, 9])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_never_decide_whether_a_picture_is_read(kind: str, cut: int, suffix: str, tmp_path: Path) -> None:
    graph = Graph(Linear(2), Shape(3, 6, 9))
    plain = {"mean": [0.0] * 3, "std": [1.0] * 3}
    tmp_path.joinpath("preprocessing.json").write_text(json.dumps(plain))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    exif = exif_of(EXIF[kind])
    path = tmp_path / f"odd{suffix}"
    picture.save(path)
    if suffix == ".tif":
        path.write_bytes(with_tiff_entries(path.read_bytes(), EXIF[kind]))
    elif suffix == ".jpg":
        block = exif[: len(exif) - cut]
        content = path.read_bytes()
        path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:])
    else:
        picture.save(path, exif=exif[: len(exif) - cut])
    found = execute(graph, tmp_path).read_image(path)
    picture.save(tmp_path / f"plain{suffix}")
    expected = execute(graph, tmp_path).read_image(tmp_path / f"plain{suffix}")
    upright = Image.Exif()
    upright[0x0112] = 6
    picture.save(tmp_path / f"turned{suffix}", exif=upright)
    other = execute(graph, tmp_path).read_image(tmp_path / f"turned{suffix}")
    assert not other.equal(expected)
    assert found.equal(expected) or found.equal(other)
    if (kind, cut) == ("a text for a number", 0):
        assert found.equal(other)


def with_png_chunk(content: bytes, name: bytes, body: bytes) -> bytes:
    """Return a PNG file with a further chunk behind its header."""
    return (
        content[:33]
        + struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        + content[33:]
    )


def with_jpeg_segment(content: bytes, marker: int, body: bytes) -> bytes:
    """Return a JPEG file with a further segment behind its first marker."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + content[2:]


@pytest.mark.filterwarnings("ignore")  # Pillow's, of metadata
@pytest.mark.parametrize(
    ("suffix", "spoil"),
    [
        (".png", lambda content: with_png_chunk(content, b"zTXt", b"key\0\0" + zlib.compress(bytes(2**22)))),
        (".png", lambda content: with_png_chunk(content, b"iCCP", b"key\0\1" + bytes(9))),
        (".png", lambda content: with_png_chunk(content, b"pHYs", b"")),
        (".png", lambda content: with_png_chunk(content, b"gAMA", b"\1")),
        (".jpg", lambda content: with_jpeg_segment(content, 0xE2, b"MPF\0II*\0" + struct.pack("<IH", 8, 99))),
        (".jpg", lambda content: with_jpeg_segment(content, 0xE0, b"JFIF\0")),
        (".jpg", lambda content: with_jpeg_segment(content, 0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\1\7")),
        (".jpg", lambda content: with_jpeg_segment(content, 0xFE, b"\xff" * 300)),
    ],
)
def test_broken_blocks_of_metadata_are_stepped_over(
    suffix: str, spoil: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    graph = Graph(Linear(2), Shape(3, 6, 9))
    tmp_path.joinpath("preprocessing.json").write_text(json.dumps({"mean": [0.0] * 3, "std": [1.0] * 3}))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    upright = Image.Exif()
    upright[0x0112] = 6
    picture.save(tmp_path / f"turned{suffix}", exif=upright)
    module = execute(graph, tmp_path)
    expected = module.read_image(tmp_path / f"turned{suffix}")
    (tmp_path / f"odd{suffix}").write_bytes(spoil((tmp_path / f"turned{suffix}").read_bytes()))
    assert module.read_image(tmp_path / f"odd{suffix}").equal(expected)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_file_without_its_metadata_has_the_same_pixels(suffix: str, tmp_path: Path) -> None:
    module = execute(small(), tmp_path)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    upright = Image.Exif()
    upright[0x0112] = 6
    picture.save(tmp_path / f"a{suffix}", exif=upright, dpi=(72, 72))
    content = (tmp_path / f"a{suffix}").read_bytes()
    bare, exif = module.without_metadata(content)
    assert len(bare) < len(content)
    assert module.orientation(exif) == 6
    for cut in range(len(exif)):
        assert module.orientation(exif[:cut]) in {None, 6}
    with Image.open(io.BytesIO(bare)) as plain, Image.open(io.BytesIO(content)) as whole:
        assert plain.getexif().get(0x0112) is None
        assert plain.tobytes() == whole.tobytes()
    for cut in range(len(content)):
        module.without_metadata(content[:cut])  # whatever is left of a file


def with_tiff_entries(content: bytes, entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """Return a little-endian TIFF file whose directory, put at the end, has further entries."""
    (offset,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[offset : offset + 2])
    old = [content[offset + 2 + 12 * i : offset + 14 + 12 * i] for i in range(count)]
    new = [struct.pack("<HHI4s", *entry) for entry in entries]
    listed = sorted(old + new, key=lambda entry: struct.unpack("<H", entry[:2]))
    directory = struct.pack("<H", len(listed)) + b"".join(listed) + b"\0\0\0\0"
    return content[:4] + struct.pack("<I", len(content)) + content[8:] + directory
