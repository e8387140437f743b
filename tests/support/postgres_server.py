"""PostgreSQL server of the tests: in a temporary folder, on 127.0.0.1, with a password."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PLACES = "/usr/lib/postgresql/*/bin"  # of Debian and Ubuntu, which put the tools on no PATH
OWNER, PASSWORD = "nas", "s3cr@t/ä:w%rd?"
MEMORY = "/dev/shm"  # thousands of small files: on a slow disk their removal alone takes half a minute
PORTS = range(20_000, 32_000)  # Ray's workers have those below, outgoing connections those above
UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Server:
    """Server that can be stopped and started, with a user `nas` who may create databases."""

    tools: Path
    folder: Path
    port: int

    def url(self, database: str = "postgres", *, user: str = OWNER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        log = self.folder / "log"
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{self.folder}' -c fsync=off"
        )
        self.call("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self, how: str = "fast") -> None:
        """Stop the server: `fast` ends every connection, `immediate` is a crash."""
        self.call("pg_ctl", "-D", self.data, "-m", how, "-w", "-t", "60", "stop")

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL with psql and return the output."""
        words = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", text)
        return self.call("psql", *words).strip()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def call(self, tool: str, *words: object) -> str:
        done = subprocess.run(
            [self.tools / tool, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **unprivileged_user(),
        )
        assert done.returncode == 0, f"{tool} failed: {done.stderr}{done.stdout}"
        return done.stdout


@dataclass(frozen=True)
class Database:
    """Database of one test.

    Attributes:
        server: of the database.
        name: of the database.
        url: of the database, with the password.
    """

    server: Server
    name: str
    url: str

    def sql(self, text: str) -> str:
        return self.server.sql(text, self.name)


def tools() -> Path | None:
    """Return the folder of the newest PostgreSQL server's programs, None if there is none."""
    found = [path for path in Path("/").glob(f"{PLACES[1:]}/initdb") if (path.parent / "pg_ctl").exists()]
    on_path = shutil.which("initdb")
    found = sorted(found, key=lambda path: [int(n) for n in path.parts if n.isdigit()]) or [Path(on_path or "")]
    return found[-1].parent if found[-1].name else None


def unprivileged_user() -> dict[str, int]:
    """Return user and group that run the server, which refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid}
    return {}


@contextmanager
def server_of(tools: Path) -> Iterator[Server]:
    """Yield a new server, and remove it with its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="nas-postgres-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    owner = unprivileged_user()
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    server = Server(tools, folder, free_port())
    try:
        _initialise(server)
        server.start()
        try:
            yield server
        finally:
            with suppress(AssertionError):  # a test may have stopped it
                server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def _initialise(server: Server) -> None:
    secret = server.folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)  # within a folder that is the server's user alone
    asked = ["-U", OWNER, "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
    server.call("initdb", "-D", server.data, *asked)


def free_port() -> int:
    """Return a port below the ephemeral ones, which another test could be given while the server is down."""
    ports = list(PORTS)
    random.SystemRandom().shuffle(ports)
    for port in ports:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port of {PORTS} is free")
