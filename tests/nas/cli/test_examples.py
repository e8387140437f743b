"""Every command in the README, the pages and the help texts composes, and every file that the README names exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from nas.cli.app.compose import compose, conf_dir
from nas.cli.app.overrides import fit
from nas.config.commands import ROOTS

ROOT = conf_dir().parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(conf_dir().glob("*.yaml"))]
COMMAND = re.compile(r"^\s*(?:PYTHONPATH=\S+ )?nas ([a-z]+)((?: +[^\s#:][^\s]*)*)")
NEEDS_A_FOLDER = "--config-dir"


def commands() -> Iterator[tuple[str, str]]:
    """Yield the commands that begin a line, each with its place."""
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            found = COMMAND.match(line)
            if found is None or found[1] not in ROOTS or NEEDS_A_FOLDER in line or "data.source=my_reader" in line:
                continue
            if line[found.end() :].startswith(":"):  # the heading of a help text
                continue
            words = shlex.split(found[2], comments=True)
            overrides = [word for word in words[: _end(words)] if word != "…"]
            yield shlex.join([found[1], *overrides]), f"{page.name}:{number}"


def _end(words: list[str]) -> int:
    """Return the number of overrides before a comment in plain words or a redirection."""
    return next((index for index, word in enumerate(words) if "=" not in word), len(words))


EXAMPLES = dict(commands())


def test_there_are_examples_of_every_command() -> None:
    assert {command.split()[0] for command in EXAMPLES} == set(ROOTS)


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: f"{EXAMPLES[command]} {command}")
def test_an_example_composes(command: str) -> None:
    name, *words = shlex.split(command)
    assert type(compose(name, fit(words, ROOTS[name]))) is ROOTS[name]


def test_links_and_files_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tree_of_the_readme_names_every_room() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text[text.index("conf/  ") : text.index("benchmarks/ tests/ docs/")]
    named = set(re.findall(r"^  (\w+)/ ", tree[tree.index("nas/  ") :], re.MULTILINE))
    assert named == {path.name for path in (ROOT / "nas").iterdir() if (path / "__init__.py").is_file()}
    space = tree[: tree.index("nas/  ")]
    for file in re.findall(r"\w+\.py", space):
        assert (ROOT / "search_space" / file).is_file(), file


@pytest.mark.parametrize("name", ROOTS)
def test_the_help_of_a_command_has_three_examples(name: str) -> None:
    file = next(path for path in (f"{name}.yaml", f"{name}s.yaml") if (conf_dir() / path).is_file())
    header = (conf_dir() / file).read_text(encoding="utf-8").partition("header: |-")[2]
    assert len(re.findall(rf"^ +nas {name}\b(?!:)", header, re.MULTILINE)) >= 3


def test_the_help_of_a_search_has_ten_settings_first() -> None:
    header = (conf_dir() / "search.yaml").read_text(encoding="utf-8").partition("Ten settings that matter:")[2]
    assert len(re.findall(r"^ {8}\w[\w.]*=", header, re.MULTILINE)) == 10
