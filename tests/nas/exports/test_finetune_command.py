"""`nas finetune`: other images, from an exported or a published network."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from processes import wait_until
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits

from nas.cli import finetune, main
from nas.config.training import Recipe
from nas.evaluation.finetune.origin import read_exported, read_published
from nas.jobs.hashes import content_hash
from nas.search.starts import with_weights_of_starts
from nas.study.study import open_study
from nas.training.scores import confusion_of
from nas.training.starting_weights import weights_of
from nas.training.weights_error import StartingWeightsError
from search_space.documents import graph_of
from search_space.graph import Shape
from search_space.network import build
from search_space.references import LAYOUTS, REFERENCES
from search_space.references.layout import modules
from search_space.weights import load_reference_weights

pytestmark = pytest.mark.xdist_group("finetune")  # one search for all

PLAIN = ("data.flip=false", "workers.slots=1", "formats=[safetensors]", "format=json")
TRAINED = ("training.epochs=4", "training.head_epochs=1", "training.learning_rate=0.2", "training.batch_size=32")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Digits 0 to 4 and 5 to 9 as folders of pictures, and an exported network that was trained on the first five."""
    root = tmp_path_factory.mktemp("finetune")
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = root / ("low" if label < 5 else "high") / f"digit{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / f"{number:04}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(root / "cache"))
        study = ["study=" + str(root / "study"), "budget.trials=1", "workers.slots=1", "tracking=none"]
        assert main(["search", "data=image_folder", f"data.path={root / 'low'}", "data.flip=false", *study]) == 0
        assert main(["export", f"study={root / 'study'}", f"output={root / 'model'}", "formats=[safetensors]"]) == 0
        yield root


def finetuned(root: Path, output: Path, capfd: Any, *words: str) -> tuple[int, str, str]:
    capfd.readouterr()
    given = [f"data.path={root / 'high'}", f"output={output}", *PLAIN]
    code = main(["finetune", f"model={root / 'model'}", *given, *TRAINED, *words])
    out, err = capfd.readouterr()
    return code, out, err


def test_a_finetuned_network_is_better_than_one_from_scratch(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = finetuned(root, tmp_path / "fine", capfd)
    assert code == 0, err
    assert [line for line in err.splitlines() if line.startswith("seed 0: epoch ")] != []
    document = json.loads(out)
    assert document["classes"] == [f"digit{number}" for number in range(5, 10)]

    scratch = build_scratch(root / "model", tmp_path / "scratch")
    given = [f"data.path={root / 'high'}", f"output={tmp_path / 'anew'}", *PLAIN, *TRAINED]
    assert main(["finetune", f"model={scratch}", *given, "training.backbone_learning_rate=1"]) == 0
    anew = json.loads(capfd.readouterr().out)
    assert document["test_accuracy"]["mean"] > anew["test_accuracy"]["mean"] + 0.05

    picture = next((root / "high" / "digit6").iterdir())
    assert main(["predict", f"model={tmp_path / 'fine'}", str(picture), "format=json"]) == 0
    assert json.loads(capfd.readouterr().out)["images"][0]["classes"][0]["name"].startswith("digit")
    images = ["data=image_folder", f"data.path={root / 'high'}", "format=json"]
    assert main(["evaluate", f"model={tmp_path / 'fine'}", *images]) == 0
    evaluated = json.loads(capfd.readouterr().out)
    assert evaluated["accuracy"] == pytest.approx(document["test_accuracy"]["mean"])
    told = json.loads((tmp_path / "fine" / "checks.json").read_text(encoding="utf-8"))
    assert told["weights"]["from"] == "finetune"
    assert told["finetuned_from"]["name"] == "model"


def build_scratch(model: Path, folder: Path) -> Path:
    """Return an exported folder with the same network, freshly initialised."""
    folder.mkdir()
    document = json.loads((model / "architecture.json").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    described = {"architecture": json.dumps(document), "classes": "[]"}
    save_file(build(graph_of(document)).state_dict(), folder / "weights.safetensors", {"format": "pt", **described})
    (folder / "preprocessing.json").write_bytes((model / "preprocessing.json").read_bytes())
    return folder


def test_the_images_are_normalised_as_the_network_was_trained(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("training.epochs=1", "data.resolution=12")
    assert finetuned(root, tmp_path / "fine", capfd, *words)[0] == 0
    rules = [json.loads((path / "preprocessing.json").read_text()) for path in (root / "model", tmp_path / "fine")]
    assert rules[0]["mean"] == rules[1]["mean"]
    assert rules[0]["std"] == rules[1]["std"]
    assert (rules[1]["height"], rules[1]["channels"]) == (12, 1)


@pytest.mark.slow
def test_a_finetuning_is_resumed_with_its_own_settings_alone(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("training.epochs=2",)
    assert finetuned(root, tmp_path / "fine", capfd, *words)[0] == 0
    before = load_file(tmp_path / "fine" / "weights.safetensors")
    code, out, err = finetuned(root, tmp_path / "fine", capfd, *words, "seeds=2")
    assert code == 0, err
    assert "seed 0: epoch" not in err  # it is done
    assert "seed 1: epoch 2/2" in err
    assert [seed["seed"] for seed in json.loads(out)["seeds"]] == [0, 1]
    if json.loads(out)["best_seed"] == 0:
        after = load_file(tmp_path / "fine" / "weights.safetensors")
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    code, _, err = finetuned(root, tmp_path / "fine", capfd, *words, "training.learning_rate=0.1")
    assert code == 2
    assert "training.learning_rate is " in err
    assert err.strip().count("\n") == err.strip().count("data: ")  # one line, behind those on the images
    assert finetuned(root, tmp_path / "fine", capfd, *words, "training.learning_rate=0.1", "replace=true")[0] == 0


@pytest.mark.slow
def test_a_killed_finetuning_ends_as_an_unbroken_one(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    epochs = ("training.epochs=24", "training.head_epochs=8")
    output, given = tmp_path / "fine", [f"data.path={root / 'high'}", *PLAIN, *TRAINED, *epochs]
    words = ["finetune", f"model={root / 'model'}", f"output={output}", *given]
    program = f"import sys; from nas.cli import main; sys.exit(main({words!r}))"
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        driver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = set((output / "training" / "seed0").glob("attempt*.pt"))
        wait_until(
            partial(lambda old: set((output / "training" / "seed0").glob("attempt*.pt")) - old, before), "no checkpoint"
        )
        driver.send_signal(end)
        assert driver.wait(60) == code
        assert not (output / "weights.safetensors").exists()
    code, _, err = finetuned(root, output, capfd, *epochs)
    assert code == 0
    assert "epoch 1/24" not in err
    assert finetuned(root, tmp_path / "whole", capfd, *epochs)[0] == 0
    one, other = (load_file(folder / "weights.safetensors") for folder in (output, tmp_path / "whole"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    ("words", "law"),
    [
        ([], "either model=FOLDER of an exported network or reference=NAME of a published one must be given, got ne"),
        (["model=a", "reference=googlenet"], "must be given, got both"),
        (["reference=googlenet"], "must be given as reference=NAME weights=FILE, weights=FILE is missing"),
        (["reference=lenet", "weights=a.pth"], "reference must be a network with published weights, googlenet, "),
        (["reference=googlenet", "weights=a.onnx"], "weights must be a file .safetensors, .pth, .bin, got a.onnx"),
        (["reference=googlenet", "weights=absent.pth"], "No such file"),
        (["model=absent"], "model must be a folder that nas export wrote, with weights.safetensors, got absent"),
        (["model=a", "training.weights=b.pt"], "training.weights are those of model or reference here"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    words: list[str], law: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["finetune", "data.path=photos", *words]) == 2
    err = capfd.readouterr().err
    assert law in err
    assert [line for line in err.splitlines() if "Traceback" in line] == []


def published(name: str, path: Path, classes: int = 4, **changes: torch.Tensor) -> Path:
    """Write a state dict of random numbers in the published names, as torchvision and timm save it."""
    theirs = {ours: published for published, ours in modules(LAYOUTS[name])}
    torch.manual_seed(0)
    state = {}
    for key, tensor in build(REFERENCES[name](Shape(3, 299, 299), classes)).state_dict().items():
        place = key.removeprefix("body.")
        module, _, leaf = place.rpartition(".")
        state[theirs.get(place) or f"{theirs[module]}.{leaf}"] = tensor
    torch.save({**state, **changes}, path)
    return path


def test_a_published_network_is_itself_without_auxiliary_classifiers(tmp_path: Path) -> None:
    origin = read_published("inception_next_atto", published("inception_next_atto", tmp_path / "a.pth"))
    assert origin.shape == (3, 224, 224)
    assert origin.mean == (0.485, 0.456, 0.406)
    assert origin.fitted((3, 64, 64), 7) == {"reference": "inception_next_atto", "input": [3, 64, 64], "classes": 7}
    with pytest.raises(ValueError, match=r"images must have the 3 channels of inception_next_atto, got 1"):
        origin.fitted((1, 64, 64), 7)
    with pytest.raises(ValueError, match=r"images must be large enough for inception_next_atto, at 2x2 they are not"):
        origin.fitted((3, 2, 2), 7)
    googlenet = read_published("googlenet", published("googlenet", tmp_path / "g.pth"))
    assert [name for name in googlenet.state if "aux" in name] == []
    assert googlenet.mean == googlenet.std == (0.5, 0.5, 0.5)


def test_a_published_network_is_evaluated_on_images_of_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    path, names = published("inception_next_atto", tmp_path / "a.pth"), ["n01", "n02", "n03", "n04"]
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        folder = tmp_path / "images" / "test" / names[number % 4]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:02}.png")
    (tmp_path / "images" / "train").symlink_to(tmp_path / "images" / "test")
    network = load_reference_weights("inception_next_atto", torch.load(path, weights_only=True)).eval()
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        logits = network((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std)
    expected = confusion_of(logits, torch.arange(40) % 4)

    data = ["data=image_folder", f"data.path={tmp_path / 'images'}", "data.resolution=32", "format=json"]
    words = ["evaluate", "reference=inception_next_atto", f"weights={path}", *data]
    assert main(words) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["confusion"] == expected.tolist()
    (tmp_path / "names.txt").write_text("\n".join(names[::-1]), encoding="utf-8")
    assert main([*words, f"classes={tmp_path / 'names.txt'}"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["classes"] == names[::-1]
    assert document["confusion"] == expected.flip(0).tolist()
    (tmp_path / "names.txt").write_text("n01\nn02\nn03", encoding="utf-8")
    assert main([*words, f"classes={tmp_path / 'names.txt'}"]) == 2
    assert "a name for each of the 4 classes of inception_next_atto" in capfd.readouterr().err


def test_weights_of_another_network_name_the_first_parameters_that_differ(tmp_path: Path) -> None:
    path = published("inception_next_atto", tmp_path / "a.pth")
    with pytest.raises(StartingWeightsError, match=r"those of googlenet in torch.*got also stem"):
        read_published("googlenet", path)
    other = published("inception_next_atto", tmp_path / "b.pth", **{"stem.0.bias": torch.zeros(3)})
    with pytest.raises(StartingWeightsError, match=r"stem\.0\.bias must have the shape \(40,\), got \(3,\)"):
        read_published("inception_next_atto", other)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def test_no_code_of_a_file_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.save({"conv1.conv.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(StartingWeightsError, match="must hold tensors alone"):
        read_published("googlenet", tmp_path / "evil.pth")
    assert "run" not in capfd.readouterr().out


def test_the_start_of_all_trainings_is_the_same_file_in_every_run(root: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        read_exported(root / "model").write_start(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load_file(tmp_path / "a").keys() == load_file(root / "model" / "weights.safetensors").keys()


@pytest.mark.slow
def test_a_search_starts_from_an_exported_network_with_its_weights(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [f"data.path={root / 'high'}", "data=image_folder", "workers.slots=1", "tracking=none", "training.epochs=1"]
    start = f"start=[{root / 'model'}]"
    assert main(["search", f"study={tmp_path / 'a'}", start, *words, "budget.trials=1"]) == 0
    err = capfd.readouterr().err
    share = re.search(r"start \S+: (\d+\.\d) % of the parameters begin as those of \S+/weights\.safetensors", err)
    assert share is not None
    study = open_study(tmp_path / "a")
    assert study.fingerprint["training"]["weights_sha256"] == content_hash(
        [(root / "model" / "weights.safetensors").read_bytes()]
    )
    stored = study.attribute("start_weights")
    assert 0.9 < stored["shares"][str(root / "model")] < 1  # all but the classifier
    first = study.records()[0].candidate.architecture
    assert first == json.loads((root / "model" / "architecture.json").read_text(encoding="utf-8"))
    log = (tmp_path / "a" / "trials" / "00000" / "log.txt").read_text(encoding="utf-8")
    assert f"{share[1]}% of the parameters are those of" in log

    assert main(["report", f"study={tmp_path / 'a'}"]) == 0
    page = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert f"{share[1]} % of the parameters of start " in page

    assert main(["search", f"study={tmp_path / 'b'}", start, *words, "budget.trials=1"]) == 0
    one, other = (open_study(tmp_path / name).records()[0] for name in ("a", "b"))
    assert [row.val_loss for row in one.curve] == [row.val_loss for row in other.curve]
    capfd.readouterr()
    assert main(["search", f"study={tmp_path / 'a'}", *words, "budget.trials=2"]) == 2
    assert "training.weights_sha256 is " in capfd.readouterr().err
    assert main(["retrain", f"study={tmp_path / 'a'}", "seeds=1", "workers.slots=1"]) == 0


def test_the_weights_of_one_start_alone_count(root: Path) -> None:
    model = str(root / "model")
    assert with_weights_of_starts(Recipe(), ["googlenet", f"{model}/architecture.json"]) == Recipe()
    assert with_weights_of_starts(Recipe(), [model]).weights == f"{model}/weights.safetensors"
    assert with_weights_of_starts(Recipe(weights="a.pt"), [model]).weights == "a.pt"
    with pytest.raises(ValueError, match="one exported network alone may be a start with its weights"):
        with_weights_of_starts(Recipe(), [model, f"{model}/"])


def test_a_search_starts_from_a_published_checkpoint_of_torch(tmp_path: Path) -> None:
    located = weights_of(Recipe(weights=str(published("googlenet", tmp_path / "g.pth"))))
    assert located.classes == ()
    assert located.graph.output.size == 4


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=FOLDER"], (0, 0.3, 1.0)),
        (["reference=googlenet", "weights=g.pth"], (2, 0.1, 0.3)),
        (["reference=googlenet", "weights=g.pth", "training.epochs=1", "training.learning_rate=0.3"], (1, 0.3, 0.3)),
        (["reference=googlenet", "weights=g.pth", "training.head_epochs=0"], (0, 0.1, 0.3)),
    ],
)
def test_published_networks_are_trained_at_lower_rates_unless_they_are_given(
    monkeypatch: pytest.MonkeyPatch, words: list[str], expected: tuple[int, float, float]
) -> None:
    found = []
    monkeypatch.setattr(finetune, "run", lambda config: found.append(finetune.recipe_for(config)) or 0)
    assert main(["finetune", *words, "data.path=PHOTOS"]) == 0
    (recipe,) = found
    assert (recipe.head_epochs, recipe.learning_rate, recipe.backbone_learning_rate) == expected
