"""Mode of W&B by the configuration of the machine, and the laws of its specification."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.cli.app.compose import compose
from nas.config.tracking import TrackingSpec
from nas.tracking.wandb.mode import resolve_mode

KEY = "k" * 40


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": KEY}, "online"),
        ({"WANDB_API_KEY": ""}, "offline"),
        ({"WANDB_IDENTITY_TOKEN_FILE": "token"}, "online"),
        ({"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "offline"),
        ({"WANDB_API_KEY": KEY, "WANDB_MODE": "disabled"}, "offline"),
    ],
)
def test_auto_is_online_exactly_with_a_key(environ: dict[str, str], mode: str, tmp_path: Path) -> None:
    assert resolve_mode("auto", environ, tmp_path) == mode


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_mode_that_is_asked_for_is_taken(mode: str, tmp_path: Path) -> None:
    assert resolve_mode(mode, {}, tmp_path) == mode


@pytest.mark.parametrize(
    ("text", "environ", "mode"),
    [
        (f"machine api.wandb.ai login user password {KEY}\n", {}, "online"),
        (f"machine example.org login user password {KEY}\n", {}, "offline"),
        (f"machine wandb.lab login user password {KEY}\n", {"WANDB_BASE_URL": "https://wandb.lab/"}, "online"),
        (f"machine wandb.lab:8080 login user password {KEY}\n", {"WANDB_BASE_URL": "http://wandb.lab:8080"}, "online"),
        ("machine api.wandb.ai login user password\n", {}, "offline"),
        ("neither here nor there", {}, "offline"),
    ],
)
def test_a_login_in_netrc_counts_for_its_own_server(
    text: str, environ: dict[str, str], mode: str, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text(text)
    assert resolve_mode("auto", environ, tmp_path) == mode
    moved = tmp_path / "moved"
    (tmp_path / ".netrc").rename(moved)
    assert resolve_mode("auto", {**environ, "NETRC": str(moved)}, tmp_path) == mode


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (f"[default]\napi_key = {KEY}\n", "online"),
        (f"[default]\napi_key = {KEY}\nmode = offline\n", "offline"),
        ("[default]\nbase_url = https://wandb.lab\n", "online"),
        ("[default]\nentity = lab\n", "offline"),
        ("not a settings file", "offline"),
    ],
)
def test_settings_of_wandb_are_read(text: str, mode: str, tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "wandb"
    folder.mkdir(parents=True)
    (folder / "settings").write_text(text)
    (tmp_path / ".netrc").write_text(f"machine wandb.lab login user password {KEY}\n")
    assert resolve_mode("auto", {}, tmp_path) == mode


@pytest.mark.parametrize(
    ("overrides", "spec"),
    [
        ([], TrackingSpec()),
        (["tracking=none"], TrackingSpec(name="none")),
        (["tracking.trials=true", "tracking.project=mine"], TrackingSpec(project="mine", trials=True)),
    ],
)
def test_the_group_is_composed(overrides: list[str], spec: TrackingSpec) -> None:
    assert compose("search", overrides).tracking == spec


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"mode": "shared"}, "tracking.mode must be one of auto, offline, online"),
        ({"project": "a/b"}, "tracking.project must have 1 to 128 characters"),
        ({"project": ""}, "tracking.project must have 1 to 128 characters"),
        ({"plot_seconds": -1.0}, "tracking.plot_seconds must be at least 0"),
        ({"finish_seconds": float("nan")}, "tracking.finish_seconds must be a number, got nan"),
    ],
)
def test_a_spec_states_its_laws(wrong: dict[str, object], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        TrackingSpec(**wrong)
