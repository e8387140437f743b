"""Mode of W&B, online or offline: read from the configuration of this machine, without a network call."""

from __future__ import annotations

import configparser
import netrc
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "https://api.wandb.ai"
KEY_VARIABLES = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
OFFLINE_MODES = ("offline", "dryrun", "disabled")


def resolve_mode(mode: str, environ: Mapping[str, str], home: Path) -> str:
    """Return `offline` or `online`; `auto` is online exactly if a key is configured.

    Args:
        mode: `auto`, `offline` or `online`.
        environ: the environment variables.
        home: the user's home folder.
    """
    if mode != "auto":
        return mode
    settings = _settings(_settings_file(environ, home))
    if (environ.get("WANDB_MODE") or settings.get("mode")) in OFFLINE_MODES:
        return "offline"
    return "online" if has_key(environ, home) else "offline"


def has_key(environ: Mapping[str, str], home: Path) -> bool:
    """Return whether a key for the server is configured, whatever the mode.

    Args:
        environ: the environment variables.
        home: the user's home folder.
    """
    settings = _settings(_settings_file(environ, home))
    if any(environ.get(name) for name in KEY_VARIABLES) or "api_key" in settings:
        return True
    url = environ.get("WANDB_BASE_URL") or settings.get("base_url") or DEFAULT_URL
    return _in_netrc(Path(environ.get("NETRC") or home / ".netrc"), url)


def _settings_file(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("WANDB_CONFIG_DIR", home / ".config" / "wandb")) / "settings"


def _settings(path: Path) -> Mapping[str, str]:
    """Return the settings that `wandb login` and `wandb offline` wrote; none if the file can't be read."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return parser["default"] if parser.has_section("default") else {}


def _in_netrc(path: Path, url: str) -> bool:
    """Return whether a netrc file has a password for the server at `url`; False if the file can't be read."""
    try:
        found = netrc.netrc(path.expanduser()).authenticators(urlsplit(url).netloc)
    except (OSError, netrc.NetrcParseError):
        return False
    return bool(found and found[2])
