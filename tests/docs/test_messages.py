"""Messages on the pages: each is one of the program's, so that whoever looks for one finds what to do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST_CELL = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)
LEAST = 4
"""Letters of a piece of a message, between what varies, that must be in the program."""


def templates() -> list[str]:
    """Return the texts of the program, with a sign for what is filled in."""
    found = []
    for path in (*(ROOT / "nas").rglob("*.py"), *(ROOT / "search_space").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[-.\d]*[sdfr]", "\0", node.value))
    return found


TEXTS = "\n".join(templates())


def pieces(message: str) -> list[str]:
    """Return the constant parts of a message that are long enough to be told from others."""
    return [piece for piece in re.split(r"…|\d[\d,.]*", message) if len(re.findall(r"[a-z]", piece)) >= LEAST]


PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = [quoted for cell in FIRST_CELL.findall(PAGE) for quoted in re.findall(r"`([^`]+)`", cell)]
OF_THE_SYSTEM = "No space left on device"


def test_there_are_messages_and_none_stands_twice() -> None:
    assert len(MESSAGES) > 25
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", [message for message in MESSAGES if not message.startswith(OF_THE_SYSTEM)])
def test_a_message_of_the_page_is_one_of_the_program(message: str) -> None:
    for piece in pieces(message):
        assert piece.strip(" '?:,;") in TEXTS, piece
