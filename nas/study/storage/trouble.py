"""What PostgreSQL means by an error, in one line, and whether waiting may help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

AWAY = "the study's database must be reachable"
_LAWS = (
    ("53100", "the study's database must have room on its disk", False),
    ("53300", "the study's database must take one more connection", True),
    ("25006", "the study's database must take writes", True),  # a standby that is about to be promoted
    ("42501", "the study's database must let this user make its tables and write to them", False),
    ("3D000", "the study's database must be there", False),
    ("28", "the study's database must let this user in", False),
    ("08", AWAY, True),
    ("57P", AWAY, True),  # shut down, crashed, starting, or idle for too long
    ("40", "the study's database must not stop the search's transactions", True),
    ("55P03", "the study must be free for its search to write", True),
)


@dataclass(frozen=True)
class Trouble:
    """Something that went wrong at the database.

    Attributes:
        law: what must hold and does not.
        said: what the server or its client said, on one line.
        momentary: whether another try may go well.
    """

    law: str
    said: str
    momentary: bool


def trouble_of(error: BaseException) -> Trouble | None:
    """What is the matter; None where the database is well and the error somebody's mistake."""
    behind = next((link for link in _behind(error) if isinstance(link, psycopg.Error)), None)
    if behind is None:
        return None
    said = " ".join(str(behind).split()) or type(behind).__name__
    state = behind.sqlstate
    if state is None:  # said by the client: there is no server, or it has gone
        if isinstance(behind, psycopg.OperationalError | psycopg.InterfaceError):
            return Trouble(AWAY, said, momentary=True)
        return Trouble("the parameters of the database's URL must be libpq's", said, momentary=False)
    return next((Trouble(law, said, momentary) for start, law, momentary in _LAWS if state.startswith(start)), None)


def _behind(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
