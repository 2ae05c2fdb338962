import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import COMMANDS, main, pneumo


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(pneumo, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.output
    assert "not a medical device" in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_help_shows_an_example_whose_options_exist(name: str) -> None:
    result = CliRunner().invoke(pneumo, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: pneumo {name}" in " ".join(result.output.split())
    command = pneumo.get_command(click.Context(pneumo), name)
    assert command is not None
    assert command.epilog is not None
    words = command.epilog.split()
    known = {option for p in command.params for option in p.opts if isinstance(p, click.Option)}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'tfx', 'tensorflow', 'keras', 'apache_beam', 'numpy', 'pydantic', 'matplotlib',"
        " 'rich', 'yaml'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("HEAVY []")


@pytest.mark.parametrize(
    ("arguments", "says", "status"),
    [
        (["run", "--config", "nothing", "--data", "."], "unknown configuration 'nothing'", 2),
        # Not the weights, which cannot be had either.
        (["run", "--config", "xception", "--data", "/nowhere"], "/nowhere does not exist", 2),
        (["run", "--config", "demo", "--data", ".", "--set", "x=1"], "unknown key x", 2),
        (["run", "--config", "demo"], "--data", 2),
        (["predict", "--model", "/nowhere", "README.md"], "no SavedModel", 2),
        (["predict"], "Missing", 2),
        (["rnu"], "unknown command 'rnu'; did you mean run?", 2),
    ],
)
def test_wrong_use_is_one_clear_line(
    arguments: list[str], says: str, status: int, tmp_path: Path
) -> None:
    if arguments[0] == "run" and "--data" in arguments:
        arguments = [*arguments, "--workdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["config", "list"], ["predict", "--model", "m", "x.png"]])
def test_no_home_folder_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_entry(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pneumo: there is no home folder")
