"""The server of docs/serving.md, run as it stands there, on real images."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.data import DataSpec, load_test
from nas.exports.predictors import open_predictor

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"


def test_the_server_of_the_page_answers_with_the_networks_class(nas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    testclient = pytest.importorskip("starlette.testclient", reason="needs httpx")
    (bundle,) = nas.json("export", "pick=0", "formats=[onnx,safetensors]")["exported"]
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(program.splitlines()) <= 25
    monkeypatch.setenv("MODEL", f"{bundle['output']}/model.onnx")
    names: dict[str, Any] = {"__name__": "server"}
    exec(compile(program, str(PAGE), "exec"), names)
    images = load_test(DataSpec(crop_padding=1)).take(np.arange(12)).images.numpy()
    predictor = open_predictor(Path(bundle["output"]))
    with testclient.TestClient(names["app"]) as client:
        for image in images:
            file = io.BytesIO()
            Image.fromarray(image[0]).save(file, "PNG")
            expected = predictor.classes[int(predictor.predict(image[None]).argmax())]
            assert client.post("/", content=file.getvalue()).json() == {"class": expected}
