"""What a user may write to mount something, and what they cannot mount."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path

import pytest

from codeact_kernel.access.mounts import FileMount, file_mount, workspace_root
from codeact_kernel.errors import UserError
from codeact_kernel.paths import cache_folder, data_folder


@pytest.fixture
def host(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "rows.csv").write_text("a,b\n")
    return folder


@pytest.mark.parametrize(
    ("ending", "at", "mode"),
    [
        (":/guest", "/input/guest", "ro"),
        (":/guest:ro", "/input/guest", "ro"),
        (":/guest:rw", "/input/guest", "rw"),
        (":/input/guest", "/input/guest", "ro"),
        (":/deep/er/", "/input/deep/er", "ro"),
        (":/./a//b", "/input/a/b", "ro"),
        (":/with space", "/input/with space", "ro"),
    ],
)
def test_one_text_names_host_guest_and_mode(host: Path, ending: str, at: str, mode: str):
    mount = file_mount(f"{host}{ending}")
    assert (mount.host_path, mount.mount_path, mount.mode) == (host, at, mode)


@pytest.mark.parametrize(("ending", "mode"), [("", "ro"), (":ro", "ro"), (":rw", "rw")])
def test_without_a_place_it_appears_under_its_own_path(host: Path, ending: str, mode: str):
    mount = file_mount(f"{host}{ending}")
    assert (mount.mount_path, mount.mode) == (f"/input{host}", mode)


@pytest.mark.parametrize("guest", ["/guest", "guest", "/input/guest", "input/guest", " /guest ", "\\guest"])
def test_a_place_is_below_input_however_it_is_written(host: Path, guest: str):
    assert file_mount((host, guest)) == FileMount(host, "/input/guest")
    assert file_mount([str(host), f"{guest.strip()}:rw"]) == FileMount(host, "/input/guest", "rw")


def test_a_path_and_a_mount_are_mounts_too(host: Path):
    assert file_mount(host) == FileMount(host, str(host))
    assert file_mount(FileMount(host, "x", "rw")) == FileMount(host, "/input/x", "rw")


def test_a_single_file_can_be_mounted(host: Path):
    assert file_mount(f"{host}/rows.csv:/rows.csv").host_path == host / "rows.csv"


def test_a_folder_with_a_colon_in_its_name_is_taken_as_it_is(host: Path):
    (host / "2026:01").mkdir()
    assert file_mount(str(host / "2026:01")).host_path == host / "2026:01"
    assert file_mount(f"{host}/2026:01:/x:rw") == FileMount(host / "2026:01", "/input/x", "rw")


def test_a_relative_folder_appears_under_its_relative_path(host: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(host.parent)
    assert file_mount("./host") == FileMount(host, "/input/host")
    monkeypatch.chdir(host)
    with pytest.raises(UserError, match=r"^\.\./host has no clear path for programs: write \.\./host:/name\.$"):
        file_mount("../host")
    assert file_mount("../host:/x") == FileMount(host, "/input/x")


def test_the_home_folder_is_meant_by_a_tilde(host: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(host.parent))
    assert file_mount("~/host") == FileMount(host, "/input/host")


def test_the_letter_of_a_drive_is_no_mount_path(host: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(host)
    monkeypatch.setattr(os.path, "splitdrive", ntpath.splitdrive)
    for name in ("C:\\data", "c:"):  # on this system they are odd names, but the parser cannot know
        (host / name).mkdir()
    (host / "c:" / "data").mkdir()
    assert file_mount("C:\\data") == FileMount(host / "C:\\data", "/input/data")
    assert file_mount("C:\\data:/x:rw") == FileMount(host / "C:\\data", "/input/x", "rw")
    assert file_mount("c:/data:rw") == FileMount(host / "c:" / "data", "/input/data", "rw")
    assert file_mount("c:/data:/x") == FileMount(host / "c:" / "data", "/input/x")


def test_a_link_is_followed_once_when_it_is_named(host: Path):
    link = host.parent / "link"
    link.symlink_to(host)
    assert FileMount(link, "/x").host_path == host


@pytest.mark.parametrize(
    ("guest", "sentence"),
    [
        ("", "A mount needs a path below /input"),
        ("/", "A mount needs a path below /input"),
        ("/input", "A mount needs a path below /input"),
        ("/input/./", "A mount needs a path below /input"),
        ("/../etc", "leads out of /input"),
        ("/a/../../etc", "leads out of /input"),
        ("..\\etc", "leads out of /input"),
        ("/a\0b", "is not a path for a mount"),
        ("/a\nb", "is not a path for a mount"),
        ("/a\u202eb", "is not a path for a mount"),
        ("/" + "a" * 256, "is not a path for a mount"),
        ("/a" * 33, "is not a path for a mount"),
    ],
)
def test_a_place_that_is_none_is_refused(host: Path, guest: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        file_mount((host, guest))


@pytest.mark.parametrize("given", [7, None, ("a",), ("a", "b", "c"), {"a": "b"}, ("a", 3), b"/data"])
def test_what_is_no_mount_is_refused_with_the_forms_there_are(given: object):
    with pytest.raises(UserError, match=r"is not a mount: use /host/folder, /host/folder:/name or"):
        file_mount(given)


def test_a_mode_that_is_none_is_refused(host: Path):
    with pytest.raises(UserError, match="'wr' is not a mode of a mount: use ro or rw"):
        FileMount(host, "/x", "wr")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["", " ", "no-such-folder", "a\0b"])
def test_what_is_not_there_is_refused(given: str):
    with pytest.raises(UserError, match=r"no such folder or file|is not a path"):
        file_mount((given, "/x"))


@pytest.mark.skipif(os.name == "nt", reason="these are folders of other systems")
@pytest.mark.parametrize("path", ["/", "/etc", "/usr", "/var", "/bin", "/usr/bin/..", "/run/../etc/", "/home"])
def test_system_folders_are_too_much_for_a_program(path: str):
    with pytest.raises(UserError, match=r"is too much for a program to see: mount a folder in it|no such folder"):
        file_mount((path, "/x"))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/proc/self/environ", "/dev", "/dev/shm", "/sys/kernel"])
def test_the_machines_own_files_are_refused_with_all_that_is_in_them(path: str):
    with pytest.raises(UserError, match=r"belongs to the machine|neither a folder nor a file"):
        file_mount((path, "/x"))


def test_a_device_is_no_file():
    with pytest.raises(UserError, match="neither a folder nor a file"):
        file_mount((os.devnull, "/x"))


def test_the_home_folder_and_what_holds_it_are_refused_and_a_folder_in_it_is_not(
    host: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(host))
    (host / "project").mkdir()
    for path in ("~", host, host.parent):
        with pytest.raises(UserError, match="too much for a program to see"):
            file_mount((path, "/x"))
        with pytest.raises(UserError, match="too much for a program to see"):
            workspace_root(path)
    assert workspace_root("~/project") == host / "project"


@pytest.mark.parametrize("ours", [data_folder, cache_folder])
def test_what_decides_about_programs_cannot_be_given_to_them_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CODEACT_CACHE", raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    ours().mkdir(parents=True)
    for folder in (ours(), ours().parent):
        with pytest.raises(UserError, match=r"cannot be mounted with rw, .* is kept there"):
            FileMount(folder, "/x", "rw")
        assert FileMount(folder, "/x").mode == "ro"


def test_a_workspace_is_a_folder(host: Path):
    assert workspace_root(str(host)) == host
    with pytest.raises(UserError, match="is not a folder: workspace_root needs a folder"):
        workspace_root(host / "rows.csv")
    with pytest.raises(UserError, match="there is no such folder or file"):
        workspace_root(host / "none")
