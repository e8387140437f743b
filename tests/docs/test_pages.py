"""Pages of the documentation: links and anchors, lengths, a place in the navigation, and the code of the plug-ins."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from nas.cli import main

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", *ROOT.glob("[A-Z]*.md")])
LONGEST = 250
CODE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
LOADED = re.compile(r"<(script|img|iframe|source)[^>]*src=\"https?:|<link[^>]*href=\"https?:|@import")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {re.sub(r"[ -]+", "-", word.strip()) for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_page_is_long(page: Path) -> None:
    assert page.read_text(encoding="utf-8").count("\n") <= LONGEST


def test_every_page_has_one_place_in_the_navigation() -> None:
    named = re.findall(r"\b([\w]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(page.name for page in DOCS.glob("*.md"))


def test_code_on_the_page_of_plug_ins_is_that_of_the_examples() -> None:
    blocks = re.findall(
        r"^`([\w/]+\.\w+)`.*?\n\n```\w+\n(.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) > 8
    for name, text in blocks:
        assert text == (DOCS / "examples/plugins" / name).read_text(encoding="utf-8"), name


def test_the_site_builds_and_asks_no_foreign_host(tmp_path: Path) -> None:
    if any(find_spec(name) is None for name in ("material", "mkdocstrings")):
        pytest.skip("needs the extra: pip install 'inception-nas[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md"))) - 1
    loaded = re.compile(
        r"<(?:script|img|iframe|source)[^>]*src=\"https?:|<link[^>]*rel=\"(?!canonical)[^>]*href=\"https?:|@import"
    )
    assert [page.name for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []


def test_spelling() -> None:
    if find_spec("codespell_lib") is None:
        pytest.skip("needs codespell: pip install 'inception-nas[dev]'")
    checked = subprocess.run(
        [sys.executable, "-m", "codespell_lib"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.stdout == ""


@pytest.mark.parametrize(("file", "words"), [("block.svg", ()), ("block_factorized.svg", ("rewrite=factorize",))])
def test_the_drawings_are_those_of_the_present_program(file: str, words: tuple[str, ...], tmp_path: Path) -> None:
    network = f"architecture={DOCS / 'examples/networks/block.json'}"
    assert main(["describe", network, *words, f"svg={tmp_path / file}"]) == 0
    assert (tmp_path / file).read_text() == (DOCS / "pictures" / file).read_text(), "make pictures draws them anew"
