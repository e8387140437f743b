"""`nas` itself: its commands, its help, its tab completion."""

from __future__ import annotations

import importlib
import logging
import os
import re
import subprocess
import sys
import typing
from importlib.util import find_spec
from pathlib import Path

import pytest

from nas.cli import main
from nas.cli.app.compose import conf_dir
from nas.cli.app.entry import COMMANDS
from nas.cli.app.keys import documented, known_keys
from nas.config.commands import ROOTS
from nas.config.objective import Objective

HEAVY = {"torch", "optuna", "wandb", "hydra", "omegaconf", "numpy", "datasets", "rich", "sklearn"}
CHECKOUT = str(conf_dir().parent)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words, capsys):
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text and command.summary in text for name, command in COMMANDS.items())


def test_help_imports_nothing_heavy():
    code = "import sys; from nas.cli import main; main(['--help']); print(); print(*sys.modules)"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & {name.partition(".")[0] for name in text.splitlines()[-1].split()}


def test_the_package_runs_as_a_module():
    ended = subprocess.run([sys.executable, "-m", "nas", "nonsense"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("nas: no command 'nonsense'")


def test_the_version_is_that_of_the_distribution(monkeypatch, capsys):
    monkeypatch.setattr("nas.cli.app.entry.version", lambda name: f"1.2.3 of {name}")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "nas 1.2.3 of inception-nas\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module_a_class_and_a_file(name):
    assert find_spec(COMMANDS[name].module) is not None
    assert (conf_dir() / f"{name}.yaml").is_file()
    run = importlib.import_module(COMMANDS[name].module).run
    assert typing.get_type_hints(run)["config"] is ROOTS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_every_field_with_its_meaning(name, capsys):
    assert main([name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(f"nas {name}: ")
    for key in known_keys(ROOTS[name]):
        assert f" {key}=" in text or f" {key}: " in text or f" {key}." in text, key
    for meaning in documented(ROOTS[name]).values():
        assert meaning in text
    assert "Exit codes: 0 success" in text


@pytest.mark.parametrize("root", ROOTS.values())
def test_every_field_is_documented(root):
    assert set(documented(root)) == set(typing.get_type_hints(root))


def test_help_shows_options_and_what_overrides_lead_to(capsys):
    assert main(["search", "--help", "sampler=random", "objective=[macs]", "budget.trials=7"]) == 0
    text = capsys.readouterr().out
    assert "sampler      evolution gp known_cost nsga2 nsga3 *random stratified tpe tpe_multivariate" in text
    assert "objective    latency_ms *macs memory_mib params val_accuracy val_balanced_accuracy" in text
    assert "budget.trials=7 " in text
    assert "space.stem.width={low: " in text


def test_help_lists_a_group_only_where_its_options_can_be_chosen(capsys):
    assert main(["retrain", "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\n  training     .*\bdefault\b.*\blong\b", text)
    assert "  data         " not in text
    assert main(["retrain", "data=digits"]) == 2


def test_help_shows_the_options_of_a_sampler_with_the_comments_of_its_file(capsys, tmp_path):
    assert main(["search", "--help", "sampler=stratified"]) == 0
    assert re.search(r"\n  sampler\.options\.draws=32 +random networks of which ", capsys.readouterr().out)
    (tmp_path / "sampler").mkdir()
    mine = "name: mine\noptuna_class: TPESampler\noptions:\n  n_startup_trials: 3  # random trials first\n"
    (tmp_path / "sampler" / "mine.yaml").write_text(mine, encoding="utf-8")
    assert main(["search", "--help", "sampler=mine", f"--config-dir={tmp_path}"]) == 0
    assert re.search(r"\n  sampler\.options\.n_startup_trials=3 +random trials first\n", capsys.readouterr().out)


def test_help_describes_the_fields_of_an_objective_once(capsys):
    assert main(["search", "--help"]) == 0
    text = capsys.readouterr().out
    for field in typing.get_type_hints(Objective):
        assert text.count(f"\n  objective.NAME.{field} ") == 1


def test_help_shows_a_group_inside_another_with_its_present_options(capsys):
    for command in ("search", "retrain"):
        assert main([command, "--help", "augmentation=[flip]", "training.augmentation.flip.options.probability=1"]) == 0
        text = capsys.readouterr().out
        assert re.search(r"\n  augmentation .* \*flip", text)
        assert "*crop" not in text
    assert main(["search", "--help", "augmentation=[flip]"]) == 0
    assert "  training.augmentation.flip.options={probability: 0.5}" in capsys.readouterr().out


def test_help_shows_the_fields_of_the_command_before_those_of_groups(capsys):
    assert main(["retrain", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.index("  seeds=3 ") < text.index("  replace=false ") < text.index("  storage: ")


def test_the_configuration_can_be_printed_without_running(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["search", "--cfg", "job", "training.epochs=2", "-p", "training"]) == 0
    assert "epochs: 2\n" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_overrides_may_stand_between_options(capsys):
    assert main(["search", "seed=4", "--cfg", "job", "training.epochs=2", "-p", "seed"]) == 0
    assert capsys.readouterr().out == "4\n"


def test_the_process_is_left_as_it_was(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    before = list(sys.argv)
    assert main(["front", "format=xml"]) == 2
    assert sys.argv == before
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_logs_go_to_standard_error(monkeypatch, capsys):
    def run(config):
        logging.getLogger("nas.anything").info("a line")
        return 0

    monkeypatch.setattr("nas.cli.front.run", run)
    assert main(["front"]) == 0
    assert capsys.readouterr() == ("", "a line\n")


def test_the_exit_code_is_the_commands(monkeypatch):
    monkeypatch.setattr("nas.cli.front.run", lambda config: 143)
    assert main(["front"]) == 143


def test_a_reader_that_goes_away_is_no_mistake(tmp_path):
    file = tmp_path / "net.json"
    file.write_text('{"input": [1, 8, 8], "classes": 2, "stem": {"width": 4}, "stages": []}', encoding="utf-8")
    words = [sys.executable, "-m", "nas", "describe", f"architecture={file}", "format=json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Return a function that gives the completions of a line in a bash with `nas` on its path."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "nas"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {CHECKOUT!r})\n"
        "from nas.cli import main\nsys.exit(main())\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    program = """
        eval "$(nas -sc install=bash)"
        COMP_LINE="$1"; COMP_POINT=${#1}; words=($1); COMP_CWORD=$((${#words[@]} - 1))
        [ "${1: -1}" = " " ] && COMP_CWORD=$((COMP_CWORD + 1))
        $(complete -p nas | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def offers(line):
        ended = subprocess.run(
            ["bash", "--norc", "-c", program, "bash", line],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
            env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)},
        )
        assert ended.stderr == ""
        return set(ended.stdout.split())

    return offers


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nas se", {"search"}),
        ("nas search budget.tri", {"budget.trials="}),
        ("nas describe data=di", {"data=digits"}),
        ("nas front outputs=a=b st", set()),
    ],
)
def test_tab_completion_in_bash(line, expected, bash):
    assert bash(line) == expected


def test_completion_of_an_unknown_command_offers_nothing(monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", "nas nonsense x")
    assert main(["-sc", "query=bash"]) == 0
    assert capsys.readouterr() == ("", "")


def test_completion_of_nothing_offers_the_commands(monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", "nas ")
    assert main(["-sc", "query=bash"]) == 0
    assert capsys.readouterr().out.split() == list(COMMANDS)
