"""Classification of PostgreSQL's errors: the law that is broken, and whether another try may succeed."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from nas.jobs.failures import exception_chain

UNREACHABLE = "the study's database must be reachable"
_LAWS = (  # SQLSTATE or the beginning of it, law, whether another try may succeed
    ("53100", "the study's database must have room on its disk", False),
    ("53300", "the study's database must take one more connection", True),
    ("25006", "the study's database must take writes", True),  # a standby that is about to be promoted
    ("42501", "the study's database must let this user make its tables and write to them", False),
    ("3D000", "the study's database must be there", False),
    ("28", "the study's database must let this user in", False),
    ("08", UNREACHABLE, True),
    ("57P", UNREACHABLE, True),  # shut down, crashed, starting, or idle for too long
    ("40", "the study's database must not stop the search's transactions", True),
    ("55P03", "the study must be free for its search to write", True),
)


@dataclass(frozen=True)
class DatabaseFailure:
    """Failure of the database or of the connection to it.

    Attributes:
        law: the condition that is broken.
        message: of the server or its client, on one line.
        transient: whether another try may succeed.
    """

    law: str
    message: str
    transient: bool


def classify_error(error: BaseException) -> DatabaseFailure | None:
    """Return the database's failure behind an error, None if the database works and the error is of the code."""
    cause = next((link for link in exception_chain(error) if isinstance(link, psycopg.Error)), None)
    if cause is None:
        return None
    message = " ".join(str(cause).split()) or type(cause).__name__
    state = cause.sqlstate
    if state is None:  # raised by the client: the server can't be reached, or it is gone
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return DatabaseFailure(UNREACHABLE, message, transient=True)
        return DatabaseFailure("the parameters of the database's URL must be libpq's", message, transient=False)
    laws = ((law, transient) for prefix, law, transient in _LAWS if state.startswith(prefix))
    return next((DatabaseFailure(law, message, transient) for law, transient in laws), None)
