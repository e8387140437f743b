"""Catalogue of the peers: the program of each, its arguments, and the environment that it needs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from nas.jobs.hashes import content_hash

FOLDER = Path(__file__).resolve().parent.parent
ROOT = FOLDER.parent.parent


@dataclass(frozen=True)
class Peer:
    """Optimizer in a process of its own.

    Attributes:
        name: its name in listings.
        program: file that serves it.
        arguments: arguments of the program.
        environment: name of its environment and of its file of requirements, None for the environment of this process.
    """

    name: str
    program: Path
    arguments: tuple[str, ...] = ()
    environment: str | None = None

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        if self.environment is None:
            return Path(sys.executable)
        return ROOT / ".venv-peers" / self.environment / "bin" / "python"

    @property
    def installed(self) -> bool:
        """True if the environment exists."""
        return self.environment is None or (self.python.parent.parent / "ready").is_file()

    @property
    def command(self) -> list[str]:
        """Command that starts the process."""
        return [str(self.python), str(self.program), *self.arguments]

    @property
    def version(self) -> str:
        """Digest of the program, of the protocol, and of the versions that it runs with."""
        files = [self.program, self.program.with_name("protocol.py")]
        if self.environment is not None:
            files.append(FOLDER / "requirements" / f"{self.environment}.txt")
        return content_hash([version("optuna"), *self.arguments, *(path.read_bytes() for path in files)])


def _peer(name: str, program: str, *arguments: str, environment: str | None = None) -> Peer:
    return Peer(name, FOLDER / "optimizers" / f"{program}.py", arguments, environment)


PEERS = {
    peer.name: peer
    for peer in (
        _peer("random", "random_search"),
        _peer("pymoo_nsga2", "pymoo_nsga2", environment="pymoo"),
        _peer("optuna_tpe", "optuna_samplers", "tpe"),
        _peer("syne_tune_moasha", "syne_tune_moasha", environment="syne_tune"),
        _peer("neps_mo_hyperband", "neps_brackets", "mo_hyperband", environment="neps"),
        _peer("neps_primo", "neps_brackets", "primo", environment="neps"),
        _peer("deephyper_trees", "deephyper_cbo", environment="deephyper"),
        _peer("openbox_ehvi", "openbox_ehvi", environment="openbox"),
        _peer("smac_parego", "smac_parego", environment="smac"),
        _peer("botorch_qlognehvi", "botorch_qlognehvi", environment="botorch"),
        _peer("optuna_gp", "optuna_samplers", "gp"),
    )
}
"""Peers by name, the quick ones first."""
