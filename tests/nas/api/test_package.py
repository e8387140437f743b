"""Names that `nas` offers, loaded when they are used."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from types import FunctionType

import pytest

import nas
from nas.api import search as room_search


def test_the_version_is_that_of_the_package() -> None:
    assert nas.__version__ == version("inception-nas")


def test_search_is_the_function_also_after_the_room_of_that_name_was_imported() -> None:
    import nas.search.driver  # noqa: PLC0415 - the import would set the attribute

    assert isinstance(nas.search, FunctionType)
    assert nas.search is room_search
    assert sys.modules["nas.search"].__name__ == "nas.search"


def test_an_unknown_name_is_none() -> None:
    with pytest.raises(AttributeError, match=r"module 'nas' has no attribute 'serach'"):
        nas.serach  # noqa: B018


def test_a_command_loads_none_of_it() -> None:
    code = "import sys, nas.cli; print([m for m in sys.modules if m.startswith(('nas.api', 'torch', 'pandas'))])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
