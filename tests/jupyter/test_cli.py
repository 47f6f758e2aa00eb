"""The command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from codeact_kernel import __version__
from codeact_kernel.jupyter.cli import main

from ..notebook.conftest import bare_environment

ABOUT = {
    "Python",
    "ipykernel",
    "backend hyperlight",
    "backend embedded",
    "guest science",
    "lockdown",
    "model",
    "compile cache",
    "disk",
}


def command(folder, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel", *arguments], cwd=folder, env=bare_environment(folder) | environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_version_and_help_name_what_there_is(capsys):
    for words, shown in ((["--version"], f"codeact-kernel {__version__}"), (["--help"], "doctor")):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 0
        assert shown in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["dance"], ["run"], ["install", "--user", "--sys-prefix"]])
def test_what_is_no_command_is_reported_with_exit_code_two(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "codeact-kernel" in capsys.readouterr().err


def test_the_doctor_tries_every_part_and_its_exit_code_says_whether_prompts_work(tmp_path):
    done = command(tmp_path, "doctor", "--json")
    found = json.loads(done.stdout)
    about = {one["about"]: one for one in found["findings"]}
    assert set(about) == ABOUT
    assert found["version"] == __version__
    assert about["backend embedded"]["state"] == "ok"
    assert "first program after" in about["backend embedded"]["found"]
    assert about["lockdown"]["found"]
    # There is no model here: nothing can be asked.
    assert about["model"]["state"] == "problem"
    assert about["model"]["found"].startswith("No model is configured")
    assert all(one["advice"] for one in found["findings"] if one["state"] != "ok")
    assert (found["ok"], done.returncode) == (False, 1)


def test_the_doctor_says_a_mistake_in_the_configuration_and_looks_at_the_rest(tmp_path):
    done = command(tmp_path, "doctor", CODEACT_TIMOUT="5")
    assert "CODEACT_TIMOUT is not known: did you mean CODEACT_TIMEOUT?" in " ".join(done.stdout.split())
    assert "backend embedded" in done.stdout
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(" fixed.")
