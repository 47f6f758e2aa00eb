"""A project's folder can narrow what is allowed, and widens nothing without the user's word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import codeact_kernel
from codeact_kernel.configuration import OPTIONS, find, find_project_file, parse_layer, resolve
from codeact_kernel.errors import UserError
from codeact_kernel.paths import data_folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    home = tmp_path / "home"
    (home / "project" / "notebooks").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return home


@pytest.fixture
def project(home) -> Path:
    return home / "project"


def test_the_nearest_file_counts_from_the_notebooks_folder_upwards(project):
    (project / "codeact.toml").write_text('model = "far"')
    assert find(project / "notebooks").path == project / "codeact.toml"
    (project / "notebooks" / "pyproject.toml").write_text('[tool.codeact]\nmodel = "near"')
    found = find(project / "notebooks")
    assert found.layer().values == {"model": "near"}
    assert found.layer().place == str(project / "notebooks" / "pyproject.toml")


def test_a_pyproject_without_our_table_is_passed_over(project):
    (project / "codeact.toml").write_text('model = "m"')
    (project / "notebooks" / "pyproject.toml").write_text('[tool.other]\nmodel = "x"')
    assert find(project / "notebooks").path.name == "codeact.toml"


def test_nothing_is_taken_from_the_home_from_above_it_or_from_above_the_repository(project, home):
    (home / "codeact.toml").write_text('model = "m"')
    (home.parent / "codeact.toml").write_text('model = "m"')
    assert find(project / "notebooks") is None
    assert find(home) is None
    (project / "codeact.toml").write_text('model = "m"')
    (project / "notebooks" / ".git").mkdir()
    assert find(project / "notebooks") is None


@pytest.mark.skipif(os.name != "posix", reason="FIFOs")
def test_what_is_no_file_is_not_read(project):
    os.mkfifo(project / "codeact.toml")
    assert find(project) is None
    (project / "codeact.toml").unlink()
    (project / "codeact.toml").mkdir()
    assert find(project) is None


def test_a_file_that_cannot_be_read_whole_is_reported_since_what_it_narrows_would_be_lost(project, monkeypatch):
    (project / "codeact.toml").write_bytes(b"#" * (1 << 20))
    with pytest.raises(UserError, match="has more than 65,536 bytes, so it is not read: shorten it"):
        find(project).layer()
    (project / "codeact.toml").write_text("review = true")

    def refuse(path, flags):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)  # as root one can read everything
    with pytest.raises(UserError, match=r"codeact\.toml cannot be read \(Permission denied\): make it readable"):
        find(project)


def test_a_pyproject_counts_if_it_has_our_table_however_that_is_written(project):
    (project / "codeact.toml").write_text('model = "outer"')
    inner = project / "notebooks" / "pyproject.toml"
    for text in (
        '[tool."codeact"]\nmodel = "inner"',
        '[tool . codeact]\nmodel = "inner"',
        '[tool]\ncodeact = {model = "inner"}',
    ):
        inner.write_text(text)
        assert find(project / "notebooks").layer().values == {"model": "inner"}
    for text in ("# tool.codeact is not here", "[tool.codeact-lint]\nx = 1", "tool = 3 # codeact", "[broken codeact"):
        inner.write_text(text)
        assert find(project / "notebooks").layer().values == {"model": "outer"}


def test_a_folder_that_was_removed_and_a_user_without_a_home_have_no_file(project, monkeypatch):
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_project_file() is None
    monkeypatch.chdir(project)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    monkeypatch.delenv("XDG_DATA_HOME")
    (project / "codeact.toml").write_text("timeout = 5")
    assert find_project_file().layer().values == {"timeout": 5.0}
    with pytest.raises(UserError, match="cannot be written"):
        if os.access("/", os.W_OK):  # root could make it
            raise UserError("/nonexistent cannot be written")
        find_project_file().trust()


def test_a_home_behind_a_link_is_the_home(project, home, monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    (home / "codeact.toml").write_text('model = "m"')
    assert find(project) is None


def test_a_relative_data_folder_is_none_for_it_would_lie_in_the_project(monkeypatch, home):
    monkeypatch.setenv("XDG_DATA_HOME", "here")
    assert data_folder() == home / ".local" / "share" / "codeact-kernel"


@pytest.mark.parametrize("text", ["model = ", "\x00", "[a", '{"model": 1}', "timeout = " + "9" * 5000])
def test_a_file_that_is_no_toml_is_one_sentence_with_its_name(project, text):
    (project / "codeact.toml").write_text(text)
    with pytest.raises(UserError, match=r"codeact\.toml is not TOML"):
        find(project).layer()


BOMBS = {
    "a dotted key": "a." * 30_000 + "a = 1\n",
    "a dotted key below other lines": "# ours\nmodel = 'm'\n" + "a." * 30_000 + "a = 1\n",
    "a table": "[" + "a." * 30_000 + "a]\n",
    "a table of an array": "[[" + "a." * 30_000 + "a]]\n",
    "an inline table": "x = {b = 1, " + "a." * 30_000 + "a = 1}\n",
    "quoted parts": '"a".' * 15_000 + "a = 1\n",
    "quoted parts with quotes": '"\\"".' * 10_000 + "a = 1\n",
    "quoted parts with backslashes": '"\\\\".' * 10_000 + "a = 1\n",
    "parts in single quotes": "'a\"'." * 10_000 + "a = 1\n",
    "empty parts": "''." * 20_000 + "a = 1\n",
    "spaces around the dots": "a \t. " * 10_000 + "a = 1\n",
    "Windows's line ends": "model = 'm'\r\n" + "a." * 30_000 + "a = 1\r\n",
}  # fmt: skip
"""Keys with so many parts that tomllib needs seconds and gigabytes."""


@pytest.mark.parametrize("shape", BOMBS)
def test_a_key_of_very_many_parts_is_refused_before_it_is_parsed(project, shape):
    (project / "codeact.toml").write_text(BOMBS[shape])
    start = time.process_time()
    with pytest.raises(
        UserError, match=r"codeact\.toml has a key of more than 32 parts in line [123], so it is not read"
    ):
        find(project).layer()
    assert time.process_time() - start < 0.5
    (project / "codeact.toml").unlink()
    (project / "pyproject.toml").write_text("[tool.other]\ncodeact = 1\n" + BOMBS[shape])
    assert find(project) is None  # the project's other tools tell what they make of it


def test_a_key_of_as_many_parts_as_anybody_writes_is_read(project):
    key = ".".join("a" for _ in range(32))
    text = f'# {"a." * 30}a\n[tool.other]\n{key} = "{key} {"a. " * 40}"\n[tool.codeact]\nmodel = "m"\n'
    (project / "pyproject.toml").write_text(text)
    assert find(project).layer().values == {"model": "m"}


IN_LITTLE_MEMORY = """
import json, resource, sys, time
from pathlib import Path

import tomllib
from codeact_kernel.configuration import find
from codeact_kernel.errors import UserError

def peak():  # of this process alone: what it was forked from may have been larger
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

text = Path(sys.argv[2]).read_text()
start, before = time.process_time(), peak()
space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (space + (200 << 20), resource.RLIM_INFINITY))
try:
    if sys.argv[1] == "tomllib":
        tomllib.loads(text)
        said = ""
    else:
        found = find(Path(sys.argv[2]).parent)
        said = "" if found is None else str(found.layer().values)
except UserError as error:
    said = str(error)
except MemoryError:
    said = "MemoryError"
used = peak() - before
print(json.dumps([said, time.process_time() - start, used >> 10]))
"""
"""Parses a file with 200 MB to spare; prints what is said, the seconds and the megabytes."""


def in_little_memory(parser: str, file: Path) -> tuple[str, float, int]:
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, parser, str(file)],
        env={**os.environ, "PYTHONPATH": str(Path(codeact_kernel.__file__).parents[1])},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    said, seconds, megabytes = json.loads(done.stdout)
    return said, seconds, megabytes


def of_many(line: str, size: int) -> str:
    """So many bytes of lines, with a name of its own in each."""
    lines = (line.replace("NAME", f"n{number:x}") for number in range(size))
    text: list[str] = []
    while size > 100:
        text.append(next(lines))
        size -= len(text[-1])
    return "".join(text)


WORST = {
    "dotted keys below a long table": lambda size: "[" + "a." * 31 + "a]\n" + of_many("NAME" + ".a" * 31 + " = []\n", size),
    "tables": lambda size: of_many("[NAME" + ".a" * 31 + "]\n", size),
    "short dotted keys": lambda size: of_many("NAME.a.a = []\n", size),
    "inline tables": lambda size: "x = [" + "{a.a.a.a.a.a = []}," * (size // 19 - 2) + "]\n",
    "arrays": lambda size: "x = [" + "[]," * (size // 3 - 5) + "]\n",
    "digits": lambda size: "x = 0x" + "f" * (size - 10) + "\n",
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc")
@pytest.mark.parametrize("shape", WORST)
@pytest.mark.process
def test_the_largest_file_that_is_parsed_needs_little_time_and_memory(project, shape):
    for name, size in (("codeact.toml", 64 << 10), ("pyproject.toml", 128 << 10)):
        file = project / name
        file.write_text(WORST[shape](size - 200) + "\n[codeact]\n")
        assert size - 500 < file.stat().st_size <= size
        said, seconds, megabytes = in_little_memory("ours", file)
        assert "MemoryError" not in said
        assert seconds < 5
        assert megabytes < 150
        file.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc")
@pytest.mark.process
def test_the_same_memory_is_not_enough_for_tomllib_alone(project):
    """The control."""
    file = project / "codeact.toml"
    for shape in ("a dotted key", "quoted parts"):
        file.write_text(BOMBS[shape])
        assert in_little_memory("tomllib", file)[0] == "MemoryError"
        said, seconds, megabytes = in_little_memory("ours", file)
        assert "more than 32 parts" in said
        assert seconds < 0.5
        assert megabytes < 50


def test_a_pyproject_that_is_too_long_is_reported_if_it_has_our_table_and_else_passed_over(project):
    file = project / "notebooks" / "pyproject.toml"
    (project / "codeact.toml").write_text('model = "outer"')
    long = "# codeact\n" * 20_000
    for header in ("[tool.codeact]", ' [ tool . "codeact" ]', "[tool.codeact.limits]"):
        file.write_text(f"{long}{header}\nmodel = 'm'\n")
        with pytest.raises(
            UserError, match=r"pyproject\.toml has more than 131,072 bytes, so it is not read: shorten it"
        ):
            find(project / "notebooks").layer()
    for header in ("[tool.other]", "[tool.codeact-lint]", "# [tool.codeact]"):
        file.write_text(f"{long}{header}\nmodel = 'm'\n")
        assert find(project / "notebooks").layer().values == {"model": "outer"}


def test_a_search_does_not_parse_a_file_in_each_of_very_many_folders(project):
    (project / "codeact.toml").write_text('model = "m"')
    folder = project
    for other in ("[project.entry-points.codeact]", "codeact = 1", "x = {codeact = 1}"):
        folder = folder / "deeper"
        folder.mkdir()
        (folder / "pyproject.toml").write_text(f"[tool.other]\n{other}\n")
    for _ in range(3):  # these need not be parsed
        folder = folder / "deeper"
        folder.mkdir()
        (folder / "pyproject.toml").write_text('[project]\ndependencies = ["codeact-kernel", "codeact"] # codeact\n')
    assert find(folder).layer().values == {"model": "m"}
    folder = folder / "deeper"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[x.codeact]\n")
    with pytest.raises(
        UserError, match=r"more than 3 pyproject\.toml files .* put a codeact\.toml beside the notebook"
    ):
        find(folder)
    (folder / "codeact.toml").write_text('model = "near"')
    assert find(folder).layer().values == {"model": "near"}


@pytest.mark.parametrize("text", ["[tool]\ncodeact = 3", "[[tool.codeact]]\ntimeout = 5"])
def test_a_table_of_ours_that_is_none_is_one_sentence_with_what_to_write(project, text):
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(UserError, match=r"is not a table of options: write them below .* as name = value\.$"):
        find(project).layer()


def test_an_unknown_key_in_the_file_is_an_error_with_the_nearest(project):
    (project / "codeact.toml").write_text("timout = 5")
    with pytest.raises(UserError, match=r"codeact\.toml: timout is not known: did you mean timeout\?"):
        find(project).layer()


WIDER = {
    "model": 'model = "large"',
    "max_retries": "max_retries = 20",
    "timeout": "timeout = 3600",
    "memory": 'memory = "2Gi"',
    "budget": 'budget = "50 calls"',
    "session_budget": 'session_budget = "none"',
    "backend": 'backend = "embedded"',
    "guest": 'guest = "science"',
    "allow": 'allow = ["drop_table"]',
    "approval_timeout": "approval_timeout = 'never'",
    "review": "review = false",
    "wait": "wait = false",
    "reuse": 'reuse = "never"',
    "card": 'card = "program"',
    "file_mounts": 'file_mounts = ["/usr/share:rw"]',
    "limits": "[limits]\ncalls_per_run = 1_000_000",
    "workspace_root": 'workspace_root = "/usr/share"',
    "allowed_domains": 'allowed_domains = ["b.example"]',
    "mcp": '[mcp.servers.mine]\ncommand = "theirs"',
    "kernel": 'kernel = "auto"',
    "approval_ui": 'approval_ui = "stdin"',
    "history": "history = true",
    "history_days": "history_days = 3650",
}
# What looks narrower, and could cut a tool in the middle.
TEARING = ("limits.tool_seconds = 0.05", "limits.model_seconds = 1", "limits.start_seconds = 1", "limits.cpu_seconds = 1",
           "limits.frame_bytes = 65536", "limits.http.seconds = 1", "limits.http.connect_seconds = 0.01")  # fmt: skip
NARROWER = {
    "model": 'model = "m"',
    "max_retries": "max_retries = 0",
    "timeout": "timeout = 5",
    "memory": 'memory = "64Mi"',
    "budget": 'budget = "5000 tokens, 50 calls"',
    "session_budget": 'session_budget = "$0.50"',
    "backend": 'backend = "hyperlight"',
    "guest": 'guest = "standard"',
    "allow": "allow = []",
    "approval_timeout": "approval_timeout = 10",
    "review": "review = true",
    "wait": "wait = true",
    "reuse": 'reuse = "always"',
    "card": 'card = "full"',
    "file_mounts": 'file_mounts = ["/usr/share"]',
    "limits": "[limits]\ncalls_per_run = 5\n[limits.show]\nitems = 2",
    "workspace_root": 'workspace_root = ""',
    "allowed_domains": 'allowed_domains = ["a.example"]',
    "mcp": '[mcp.servers.mine]\ncommand = "mine"',
    "approval_ui": 'approval_ui = "auto"',
    "kernel": 'kernel = "marker"',
    "history": "history = false",
    "history_days": "history_days = 365",
}
# What the user has chosen, below the folder: something that can be widened.
OWN = parse_layer(
    "your configuration",
    {"model": "m", "budget": "5000 tokens", "session_budget": "$1", "review": True, "wait": True, "approval_timeout": 60, "kernel": "marker", "file_mounts": "/usr/share",
     "workspace_root": "/usr/share/doc", "allowed_domains": "a.example", "history": False,
     "mcp": {"servers": {"mine": {"command": "mine"}}}},
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(WIDER))
def test_a_folder_cannot_widen_what_is_allowed(project, name):
    (project / "codeact.toml").write_text(WIDER[name])
    resolved = resolve([OWN, find(project).layer()])
    assert resolved.values == resolve([OWN]).values
    assert len(resolved.refused) == 1
    assert resolved.refused[0].startswith(f"{name} = ")


@pytest.mark.parametrize("name", sorted(NARROWER))
def test_a_folder_can_narrow_it(project, name):
    (project / "codeact.toml").write_text(NARROWER[name])
    resolved = resolve([OWN, find(project).layer()])
    assert list(resolved.refused) == []
    assert resolved.values[name] == find(project).layer().values[name]


def test_every_option_is_tried_in_a_folder():
    assert set(NARROWER) == set(OPTIONS)
    assert set(WIDER) == set(OPTIONS)


@pytest.mark.parametrize("line", TEARING)
def test_a_folder_cannot_have_a_tool_stopped_in_the_middle(project, line):
    (project / "codeact.toml").write_text(line)
    resolved = resolve([OWN, find(project).layer()])
    assert resolved.values["limits"] == ()
    assert len(resolved.refused) == 1
    find(project).trust()
    assert not resolve([OWN, find(project).layer()]).refused


def test_a_folder_can_keep_its_turns_out_of_the_history_but_delete_no_turns_of_other_folders(project):
    (project / "codeact.toml").write_text("history = false\nhistory_days = 1")
    resolved = resolve([find(project).layer()])
    assert (resolved.values["history"], resolved.values["history_days"]) == (False, 365)
    assert list(resolved.refused) == ["history_days = 1"]


def test_a_folder_does_not_name_the_model_not_even_where_the_user_has_named_none(project):
    (project / "codeact.toml").write_text('model = "attacker/free-model"')
    resolved = resolve([find(project).layer()])
    assert resolved.values["model"] is None
    assert list(resolved.refused) == ["model = attacker/free-model"]


@pytest.mark.parametrize("name", sorted(WIDER))
def test_with_the_users_word_a_folder_can_widen_it_too(project, name):
    (project / "codeact.toml").write_text(WIDER[name])
    found = find(project)
    found.trust()
    resolved = resolve([OWN, find(project).layer()])
    assert not resolved.refused
    assert resolved.values != resolve([OWN]).values


def test_the_word_is_for_exactly_this_text_in_this_place_and_can_be_taken_back(project, home):
    file = project / "codeact.toml"
    file.write_text(WIDER["allow"])
    find(project).trust()
    assert find(project).trusted
    file.write_text(WIDER["allow"] + "\n")
    assert not find(project).trusted
    file.write_text(WIDER["allow"])
    other = home / "other"
    other.mkdir()
    (other / "codeact.toml").write_text(WIDER["allow"])
    assert not find(other).trusted
    assert find(project).trusted
    find(project).distrust()
    assert not find(project).trusted


def test_the_word_lies_in_the_users_own_folder_and_not_in_the_project(project, tmp_path):
    (project / "codeact.toml").write_text(WIDER["allow"])
    find(project).trust()
    assert [path.name for path in project.iterdir() if path.is_file()] == ["codeact.toml"]
    assert len(list((tmp_path / "data" / "codeact-kernel" / "trusted").iterdir())) == 1
