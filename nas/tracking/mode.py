"""Whether W&B is online: decided from what is configured on this machine, without a network call."""

from __future__ import annotations

import configparser
import netrc
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "https://api.wandb.ai"
KEY_VARIABLES = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
OFFLINE_WORDS = ("offline", "dryrun", "disabled")


def resolved(mode: str, environ: Mapping[str, str], home: Path) -> str:
    """`offline` or `online`.

    Args:
        mode: `auto`, `offline` or `online`; only `auto` leaves anything to decide.
        environ: the environment variables.
        home: the user's home folder.
    """
    if mode != "auto":
        return mode
    settings = _settings(Path(environ.get("WANDB_CONFIG_DIR", home / ".config" / "wandb")) / "settings")
    if (environ.get("WANDB_MODE") or settings.get("mode")) in OFFLINE_WORDS:
        return "offline"
    has_key = any(environ.get(name) for name in KEY_VARIABLES) or "api_key" in settings
    url = environ.get("WANDB_BASE_URL") or settings.get("base_url") or DEFAULT_URL
    return "online" if has_key or _in_netrc(Path(environ.get("NETRC") or home / ".netrc"), url) else "offline"


def _settings(path: Path) -> Mapping[str, str]:
    """What `wandb login` and `wandb offline` wrote; nothing where there is no readable file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return parser["default"] if parser.has_section("default") else {}


def _in_netrc(path: Path, url: str) -> bool:
    """Whether a netrc file has a password for the server at `url`; an unreadable file has none."""
    try:
        found = netrc.netrc(path.expanduser()).authenticators(urlsplit(url).netloc)
    except (OSError, netrc.NetrcParseError):
        return False
    return bool(found and found[2])
