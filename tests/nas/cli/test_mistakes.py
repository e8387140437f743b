"""A user error ends in one readable line and exit code 2; an internal error keeps its traceback."""

from __future__ import annotations

import json
import re

import pytest

from nas.cli import main
from nas.cli.app.entry import COMMANDS

MISTAKES = [
    (["dta=digits"], "there is no 'dta' to set; did you mean data?"),
    (["samplr=tpe"], "there is no 'samplr' to set; did you mean sampler?"),
    (["training.epoch=3"], "there is no 'training.epoch' to set; did you mean training.epochs?"),
    (["space.stem.widht=3"], "there is no 'space.stem.widht' to set; did you mean space.stem.width? or, to add a key"),
    (["sampler.options.zzz=3"], "'sampler.options.zzz' to set; to add a key to sampler.options, write +sampler"),
    (["trials=3"], "there is no 'trials' to set; did you mean budget.trials?"),
    (["zzz=3"], "there is no 'zzz' to set; --help lists all keys"),
    (
        ["limits.max_mac=3"],
        "max_params, max_macs, max_memory_mib, got 'max_mac'; did you mean max_macs?",
    ),
    (["limits.macs=3"], "a limit must be named max_<cost>, got limits.macs"),
    (["budget.days=3"], "there is no 'budget.days' to set; in budget there are trials, minutes, trainings,"),
    (["a/b=c"], "there is no 'a/b' to set; --help lists all keys"),
    (["+nope=1"], "a key must be one of study, "),
    (["space.stem.widht=3"], "to add a key to space.stem, write +space.stem.widht="),
    (["space.stem.widht=[3]"], "to add a key to space.stem, write +space.stem.widht="),
    (["sampler.options.n=3"], "to add a key to sampler.options, write +sampler.options.n="),
    (["data=digit"], "image_folder, signals, tensors, got 'digit'; did you mean digits?"),
    (["training=null"], "training must be one of cifar, default"),
    (["objective=[val_accuracy,mac]"], "got 'mac'; did you mean macs?"),
    (["objective=[]"], "objective must name at least one objective"),
    (["experiment=zzz"], "experiment must be one of cifar10_cpu"),
    (["training.epochs=many"], "training.epochs: Value 'many' of type 'str' could not be converted to Integer"),
    (["limits.max_macs=few"], "limits.max_macs must be a number, got 'few'"),
    (["~training.epochs"], "training.epochs: "),
    (["budget.minutes=-3"], "budget.minutes must be positive, got -3.0"),
    (["data.val_fraction=1.4"], "data.val_fraction must lie in (0, 1), got 1.4"),
    (["seed=1,2"], "Ambiguous value for argument 'seed=1,2'"),
    (["digits"], "an override must be written key=value, got 'digits'"),
    (["bad key]=x"], "bad key]=x"),
    (["--cgf", "job"], "unrecognized arguments: --cgf"),
    (["--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs'"),
    (["--config-dir", "/nonexistent"], "Additional config directory '/nonexistent' not found"),
    (["--config-name", "front"], "--config-dir adds options of groups"),
    (["--experimental-rerun", "x.pickle"], "reads a pickle"),
    (["architecture=nope.json"], "architecture must be a JSON file or a trial as STUDY:NUMBER, got 'nope.json'"),
]


def the_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.mark.parametrize(("words", "law"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_one_line_and_exit_code_2(words, law, capsys):
    assert main(["describe", *words]) == 2
    line = the_line(capsys)
    assert line.startswith("nas describe: ")
    assert law in line


@pytest.mark.parametrize("command", ["search", "front", "status", "describe"])
def test_every_command_refuses_a_misspelt_key(command, capsys):
    assert main([command, "outptus=x"]) == 2
    assert "there is no 'outptus' to set; did you mean outputs?" in the_line(capsys)


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["serach"]) == 2
    assert the_line(capsys) == "nas: no command 'serach': did you mean search?\n"
    assert main(["qqq"]) == 2
    assert f"there are {', '.join(COMMANDS)}" in the_line(capsys)


def test_a_misspelt_key_in_a_file_is_found(tmp_path, capsys):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "mine.yaml").write_text("epoch: 3\n", encoding="utf-8")
    assert main(["describe", "--config-dir", str(tmp_path), "training=mine"]) == 2
    assert "in training/mine.yaml, there is no 'training.epoch' to set; did you mean training.epochs?" in the_line(
        capsys
    )


def test_an_option_of_ones_own_is_found(tmp_path, capsys):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "mine.yaml").write_text("epochs: 3\n", encoding="utf-8")
    words = ["describe", "--config-dir", str(tmp_path), "training=mine", "--cfg", "job", "-p", "training.epochs"]
    assert main(words) == 0
    assert capsys.readouterr().out == "3\n"


@pytest.fixture
def command_that_raises(monkeypatch):
    def install(error):
        def run(config):
            raise error

        monkeypatch.setattr("nas.cli.front.run", run)

    return install


def test_a_fault_of_ours_is_no_mistake(command_that_raises, capsys):
    command_that_raises(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["front"])


def test_an_interrupt_ends_with_130(command_that_raises, capsys):
    command_that_raises(KeyboardInterrupt())
    assert main(["front"]) == 130


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/x/outputs"), "nas front: Permission denied: /x/outputs\n"),
        (OSError(28, "No space left on device"), "nas front: No space left on device\n"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(error, line, command_that_raises, capsys):
    command_that_raises(error)
    assert main(["front"]) == 2
    assert the_line(capsys) == line


def test_a_message_of_several_lines_becomes_one(monkeypatch, capsys):
    monkeypatch.setattr("nas.study.folders._existing", lambda outputs: "first\n  second\n")
    assert main(["front"]) == 2
    assert the_line(capsys).endswith("first second\n")


def test_what_a_library_refused_says_where(monkeypatch, capsys):
    monkeypatch.setattr("nas.cli.front.run", lambda config: json.loads("{"))
    assert main(["front"]) == 2
    assert re.search(r"\(JSONDecodeError in json\.decoder; HYDRA_FULL_ERROR=1 shows", the_line(capsys))


def test_the_way_to_a_mistake_is_shown_on_request(monkeypatch, capsys):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match=r"budget\.minutes must be positive"):
        main(["describe", "budget.minutes=-3"])
