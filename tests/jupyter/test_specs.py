"""The kernel's entry in Jupyter's list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from codeact_kernel.errors import UserError
from codeact_kernel.jupyter.cli import main
from codeact_kernel.jupyter.kernelspecs import installed


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch) -> Path:
    """A Jupyter that knows no place but these."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_PATH", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr("jupyter_client.kernelspec.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [str(tmp_path / "env" / "share" / "jupyter")])
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    return tmp_path


def test_an_entry_for_the_user_starts_this_very_python_safely_and_has_its_logos(nowhere, capsys):
    assert main(["install", "--user"]) == 0
    folder = nowhere / "JUPYTER_DATA_DIR" / "kernels" / "codeact"
    assert f"Installed codeact in {folder}" in capsys.readouterr().out
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"] == [sys.executable, "-P", "-m", "codeact_kernel", "-f", "{connection_file}"]
    assert spec["display_name"] == "CodeAct (Python 3)"
    assert {file.name for file in folder.iterdir()} == {
        "kernel.json",
        "logo-32x32.png",
        "logo-64x64.png",
        "logo-svg.svg",
    }
    assert set(installed()) == {"codeact"}


def test_an_entry_can_have_another_name_place_and_title(nowhere, capsys):
    prefix = nowhere / "JUPYTER_PATH"
    assert main(["install", "--prefix", str(prefix), "--name", "mine", "--display-name", "Mine"]) == 0
    spec = json.loads((prefix / "share" / "jupyter" / "kernels" / "mine" / "kernel.json").read_text())
    assert spec["display_name"] == "Mine"


def test_what_is_listed_is_ours_alone_and_what_is_removed_too(nowhere, capsys):
    main(["list"])
    assert "No CodeAct kernel is installed: run codeact-kernel install." in capsys.readouterr().out
    kernels = nowhere / "JUPYTER_DATA_DIR" / "kernels"
    for name, text in {"other": '{"argv": ["r"]}', "broken": "{", "odd": '{"argv": 5}'}.items():
        (kernels / name).mkdir(parents=True)
        (kernels / name / "kernel.json").write_text(text)
    main(["install", "--user"])
    main(["install", "--user", "--name", "second"])
    capsys.readouterr()
    main(["list"])
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if "kernels" in line] == ["codeact", "second"]
    assert f"starts {sys.executable}" in shown
    assert main(["uninstall", "--name", "second"]) == 0
    assert set(installed()) == {"codeact"}
    assert main(["uninstall", "--name", "other"]) == 1
    assert "No CodeAct kernel named 'other' is installed. Installed are: codeact." in capsys.readouterr().err
    assert (kernels / "other").is_dir()


def test_an_entry_that_another_one_hides_is_said_to_be_hidden(nowhere, capsys):
    (first := nowhere / "JUPYTER_PATH" / "kernels" / "codeact").mkdir(parents=True)
    (first / "kernel.json").write_text('{"argv": ["python"], "display_name": "x", "language": "python"}')
    assert main(["install", "--user"]) == 0
    assert f"uses the kernel codeact in {first}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a b", "../up", "a/b", "", ".", "..", ".hidden", "-x"])
def test_a_name_that_cannot_be_one_is_a_sentence_and_touches_nothing(name, nowhere, capsys):
    kept = nowhere / "JUPYTER_DATA_DIR" / "kernels" / "other" / "kernel.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert main(["install", "--user", f"--name={name}"]) == 1
    assert "is not a valid kernel name" in capsys.readouterr().err
    assert kept.exists()


def test_jupyter_keeps_names_in_small_letters_and_we_find_them_so(capsys):
    assert main(["install", "--user", "--name", "Mine"]) == 0
    assert set(installed()) == {"mine"}
    assert main(["uninstall", "--name", "Mine"]) == 0


def test_an_entry_that_is_a_link_is_removed_and_what_it_leads_to_is_not(nowhere):
    main(["install", "--prefix", str(nowhere / "elsewhere")])
    kernels = nowhere / "JUPYTER_DATA_DIR" / "kernels"
    kernels.mkdir(parents=True)
    (kernels / "codeact").symlink_to(nowhere / "elsewhere" / "share" / "jupyter" / "kernels" / "codeact")
    assert main(["uninstall"]) == 0
    assert not (kernels / "codeact").exists()
    assert (nowhere / "elsewhere" / "share" / "jupyter" / "kernels" / "codeact" / "kernel.json").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(nowhere, capsys):
    (nowhere / "file").write_text("")
    assert main(["install", "--prefix", str(nowhere / "file")]) == 1
    assert "cannot be written: try --user" in capsys.readouterr().err


def test_uninstalling_what_is_not_there_is_a_sentence():
    from codeact_kernel.jupyter.kernelspecs import uninstall

    with pytest.raises(UserError, match="No CodeAct kernel named 'codeact' is installed. There are no others"):
        uninstall()
