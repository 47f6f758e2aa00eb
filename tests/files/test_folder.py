"""A mounted folder, asked past the guest half: what a hostile program can send, and what it cannot get."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from codeact_kernel.access.mounts import FileMount
from codeact_kernel.capabilities.files.host_folder import BY_HANDLE, ENTRIES, HostFolder
from codeact_kernel.capabilities.files.quota import Quota
from codeact_kernel.errors import ProgramError, UserError
from codeact_kernel.limits import OutputLimits

from .conftest import Services

SECRET = "the canary"
READ_WRITE = ("r", "r+", "w", "a", "w+", "a+")
Serving = Callable[..., Services]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and pipes are made as on Unix")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    return outside / "secret.txt"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 1_000)
    return folder


@pytest.fixture(params=[True, False], ids=["by handle", "by path"])
def folder(request: pytest.FixtureRequest, data: Path):
    """The folder itself, also as on a system without handles of folders."""
    if request.param and not BY_HANDLE:
        pytest.skip("this system has no handles of folders")
    made = HostFolder(data, Quota(OutputLimits()), writable=True, by_handle=request.param)
    yield made
    made.close()


def why(error: pytest.ExceptionInfo[OSError]) -> str:
    return f"{errno.errorcode[error.value.errno]}: {error.value.strerror}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- what works ----------------------------------------------------------------------------------------------------------


def test_files_are_read_written_listed_moved_and_removed(folder: HostFolder, data: Path):
    folder.mkdir(("new",))
    file = folder.open(("new", "x.txt"), "w+")
    assert file.write(0, b"one two") == 7
    assert file.write(4, b"TWO") == 7
    assert file.read(0, 100) == b"one TWO"
    file.truncate(3)
    file.close()
    folder.rename(("new", "x.txt"), ("new", "y.txt"))
    assert {name: entry.kind for name, entry in folder.list(("new",)).items()} == {"y.txt": "file"}
    assert (data / "new" / "y.txt").read_text() == "one"
    file = folder.open(("new", "y.txt"), "a")
    file.write(None, b" more")
    file.close()
    assert folder.stat(("new", "y.txt")).size == 8
    folder.open(("new", "y.txt"), "w").close()
    assert folder.stat(("new", "y.txt")).size == 0
    folder.remove(("new", "y.txt"))
    folder.rmdir(("new",))
    assert sorted(folder.list(())) == ["a.txt", "sub"]


def test_a_file_is_read_in_pieces_of_a_megabyte_at_most(data: Path, serving: Serving):
    (data / "big").write_bytes(os.urandom(3 << 20))
    ask = serving(FileMount(data, "/data"))

    async def read() -> bytes:
        opened = await ask("open", path="/input/data/big", mode="r")
        assert opened["size"] == 3 << 20
        got, largest = b"", 0
        while piece := await ask.read(opened["handle"], len(got), 1 << 40):
            got, largest = got + piece, max(largest, len(piece))
        assert largest == 1 << 20
        return got

    assert asyncio.run(read()) == (data / "big").read_bytes()


async def test_a_small_file_takes_one_step_and_no_handle(data: Path, serving: Serving):
    ask = serving(FileMount(data, "/data"))
    assert await ask("open", path="/input/data/a.txt", mode="r") == {
        "handle": None,
        "size": 5,
        "data": {"text": "alpha"},
    }


async def test_bytes_that_are_no_text_come_whole(data: Path, serving: Serving):
    ask = serving(FileMount(data, "/data"))
    for content in (bytes(range(256)), b"\xff\xfe", "näive".encode() * 9, b"\r\n\0", b"a" * 65_535):
        (data / "x").write_bytes(content)
        assert ask.unpacked((await ask("open", path="/input/data/x", mode="r"))["data"]) == content


# -- read-only -----------------------------------------------------------------------------------------------------------


async def test_the_host_enforces_that_a_mount_is_read_only(data: Path, serving: Serving):
    ask = serving(FileMount(data, "/data"), workspace=data)
    refusal = "EACCES: read-only: write to /output, or ask the user to mount"
    for at in ("/input/data", "/input"):
        for mode in ("r+", "w", "a", "x", "w+", "a+", "x+"):
            for name in ("a.txt", "new.txt"):
                assert (await ask.error("open", path=f"{at}/{name}", mode=mode)).startswith(refusal)
        for operation in ("mkdir", "remove", "rmdir"):
            assert (await ask.error(operation, path=f"{at}/sub/new")).startswith(refusal)
        assert (await ask.error("rename", path=f"{at}/a.txt", to=f"{at}/b.txt")).startswith(refusal)
    assert names(data) == ["a.txt", "sub"]
    assert (data / "a.txt").read_text() == "alpha"


async def test_a_handle_for_reading_writes_nothing(data: Path, serving: Serving):
    (data / "long").write_bytes(b"x" * 100_000)
    ask = serving(FileMount(data, "/data", "rw"))
    handle = (await ask("open", path="/input/data/long", mode="r"))["handle"]
    assert (await ask.error("write", handle=handle, offset=0, data={"text": "y"})).startswith("EBADF")
    assert (await ask.error("truncate", handle=handle, size=0)).startswith(("EINVAL", "EBADF"))
    assert (data / "long").read_bytes() == b"x" * 100_000


# -- names (B1, B2, B8) ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/input/data/../../outside/secret.txt",
            "/input/data/sub/../a.txt",
            "/input/../etc/passwd",
            "/..",
            "/input/.",
        ),
        *("//etc/passwd", "/input//data/a.txt", "/input/data/a.txt/", "input/data/a.txt", "", "a.txt"),
        *("/input/data\\..\\a.txt", "/input/data/..\\..\\outside", "/input/data/a.txt\0.png", "/input/data/a\nb"),
        *("/input/data/\x1b[31m", "/input/data/a\u2028b", "/input/data/" + "a" * 256, "/input/data/" + "é" * 128),
        *("/input/data/" + "x" * 4_096, "/a" * 65, 7, None, True, ["/input/data/a.txt"], {"path": "/input"}),
    ],
)
async def test_a_path_that_is_none_is_refused_by_every_verb(data: Path, serving: Serving, path, secret: Path):
    ask = serving(FileMount(data, "/data", "rw"))
    assert await ask("stat", path="/input/data/a.txt")  # the way there is open
    for operation in ("stat", "list", "mkdir", "remove", "rmdir"):
        assert (await ask.error(operation, path=path)).startswith(("EINVAL: ", "ENAMETOOLONG: "))
    for mode in READ_WRITE:
        assert (await ask.error("open", path=path, mode=mode)).startswith(("EINVAL: ", "ENAMETOOLONG: "))
    assert (await ask.error("rename", path="/input/data/a.txt", to=path)).startswith(("EINVAL: ", "ENAMETOOLONG: "))
    assert names(data) == ["a.txt", "sub"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/etc/passwd",
            "/proc/self/environ",
            "/proc/1/cmdline",
            "/dev/null",
            "/sys",
            "/home/ann/.ssh/id_rsa",
            "/inputs/data",
        ),
        *("/input/data/．．/outside", "/input/data/‥", "/input/data∕a.txt", "/INPUT/data/a.txt", "/input/Data"),
    ],
)
async def test_there_is_nothing_but_input_and_output(data: Path, serving: Serving, path: str):
    ask = serving(FileMount(data, "/data", "rw"))
    for operation in ("stat", "list"):
        assert (await ask.error(operation, path=path)).startswith("ENOENT: there is no such file")
    assert (await ask.error("open", path=path, mode="r")).startswith("ENOENT: there is no such file")
    if not path.startswith("/input/data/"):
        assert (await ask.error("open", path=path, mode="w")).startswith(("EACCES: ", "ENOENT: "))
    assert [entry[0] for entry in await ask("list", path="/")] == ["input", "output", "tmp"]


async def test_a_new_name_has_only_what_can_be_seen(data: Path, serving: Serving):
    ask = serving(FileMount(data, "/data", "rw"))
    for name in ("a\u202etxt.exe", "zero\u200bwidth", "soft\xadhyphen", "\ue000"):
        for at in ("/input/data", "/output"):
            sentence = "EINVAL: the name of a new file may have visible characters only"
            assert await ask.error("open", path=f"{at}/{name}", mode="w") == sentence
            assert await ask.error("mkdir", path=f"{at}/{name}") == sentence
        assert await ask.error("rename", path="/input/data/a.txt", to=f"/input/data/{name}") == sentence
    (data / "می\u200cخواهم.txt").write_text("there already")
    assert (await ask("open", path="/input/data/می\u200cخواهم.txt", mode="r"))["size"] == 13


async def test_a_file_whose_name_cannot_be_asked_for_is_left_out_of_the_list(data: Path, serving: Serving):
    for name in (b"new\nline", b"\x1b[31mred", b"back\\slash", b"\xff\xfe"):
        (data / os.fsdecode(name)).write_text("x")
    ask = serving(FileMount(data, "/data"))
    assert [entry[0] for entry in await ask("list", path="/input/data")] == ["a.txt", "sub"]


# -- links, pipes, devices (B4, B5) ----------------------------------------------------------------------------------------


def test_links_are_seen_and_never_followed(folder: HostFolder, data: Path, secret: Path):
    (data / "file-link").symlink_to(secret)
    (data / "folder-link").symlink_to(secret.parent)
    (data / "inner-link").symlink_to("a.txt")
    (data / "dangling").symlink_to(data / "born-of-a-link")
    assert {name for name, entry in folder.list(()).items() if entry.kind == "link"} == {
        *("file-link", "folder-link", "inner-link", "dangling")
    }
    for name in ("file-link", "inner-link", "dangling", "folder-link"):
        for mode in READ_WRITE:
            with pytest.raises(OSError) as error:
                folder.open((name,), mode)
            assert why(error) == "EACCES: it is a link, and links are not followed"
        with pytest.raises(OSError):
            folder.remove((name,))
        with pytest.raises(OSError):
            folder.rename((name,), ("moved",))
        with pytest.raises(OSError):
            folder.rename(("a.txt",), (name,))
    for act in (
        lambda: folder.open(("folder-link", "secret.txt"), "r"),
        lambda: folder.open(("folder-link", "new.txt"), "w"),
        lambda: folder.stat(("folder-link", "secret.txt")),
        lambda: folder.list(("folder-link",)),
        lambda: folder.mkdir(("folder-link", "new")),
        lambda: folder.remove(("folder-link", "secret.txt")),
        lambda: folder.rename(("a.txt",), ("folder-link", "a.txt")),
    ):
        with pytest.raises(OSError) as error:
            act()
        assert why(error) == "EACCES: it is a link, and links are not followed"
    assert secret.read_text() == SECRET
    assert names(secret.parent) == ["secret.txt"]
    assert not (data / "born-of-a-link").exists()


def test_a_file_with_a_second_name_is_read_and_not_written(folder: HostFolder, data: Path, secret: Path):
    (data / "second").hardlink_to(secret)
    for mode in ("r+", "w", "a", "w+", "a+"):
        with pytest.raises(OSError) as error:
            folder.open(("second",), mode)
        assert why(error).startswith("EACCES: the file has a second name (a hard link) and is not written")
    assert secret.read_text() == SECRET  # "w" has not even emptied it
    file = folder.open(("second",), "r")
    assert file.read(0, 100) == SECRET.encode()
    file.close()


def test_pipes_sockets_and_devices_are_refused_without_waiting(folder: HostFolder, data: Path):
    os.mkfifo(data / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.relpath(data / "socket"))
    odd = ["pipe", "socket"]
    try:
        os.mknod(data / "null", 0o20666, os.makedev(1, 3))
        odd.append("null")
    except PermissionError:
        pass  # only root makes devices
    try:
        for name in odd:
            assert folder.stat((name,)).kind == "other"
            for mode in READ_WRITE:
                with pytest.raises(OSError) as error:
                    folder.open((name,), mode)
                assert why(error) == "EACCES: it is neither a file nor a folder, and cannot be read"
            for act in (folder.list, folder.remove):
                with pytest.raises(OSError):
                    act((name,))
            with pytest.raises(OSError):
                folder.rename((name,), ("moved",))
    finally:
        listening.close()


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no disk begins at /dev/shm")
def test_another_disk_below_a_mount_is_not_entered():
    folder = HostFolder(Path("/dev"), Quota(OutputLimits()), writable=False)
    try:
        assert folder.stat(("shm",)).kind == "folder"
        with pytest.raises(OSError) as error:
            folder.list(("shm",))
        assert why(error) == "EACCES: another disk is mounted there: ask the user to mount it separately"
    finally:
        folder.close()


# -- races (B6) --------------------------------------------------------------------------------------------------------------


async def test_what_is_read_comes_from_the_file_that_was_opened(data: Path, secret: Path, serving: Serving):
    content = os.urandom(200_000)
    (data / "big").write_bytes(content)
    ask = serving(FileMount(data, "/data", "rw"))
    handle = (await ask("open", path="/input/data/big", mode="r"))["handle"]
    (data / "big").unlink()
    (data / "big").symlink_to(secret)
    assert await ask.read(handle, 0, 200_000) == content
    assert "is a link" in await ask.error("open", path="/input/data/big", mode="r")


async def test_what_was_replaced_by_a_link_after_it_was_listed_is_not_read(data: Path, secret: Path, serving: Serving):
    ask = serving(FileMount(data, "/data", "rw"))
    assert {entry[0]: entry[1] for entry in await ask("list", path="/input/data")} == {"a.txt": "file", "sub": "folder"}
    (data / "a.txt").unlink()
    (data / "a.txt").symlink_to(secret)
    (data / "sub").rename(data / "was")
    (data / "sub").symlink_to(secret.parent)
    assert "is a link" in await ask.error("open", path="/input/data/a.txt", mode="r+")
    assert "is a link" in await ask.error("open", path="/input/data/sub/secret.txt", mode="r")


@contextmanager
def swapping(there: Path, other: Path):
    """Two names change places all the time."""
    over = threading.Event()

    def swap() -> None:
        aside = there.with_name("aside")
        while not over.is_set():
            for source, target in ((there, aside), (other, there), (there, other), (aside, there)):
                source.rename(target)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.skipif(not BY_HANDLE, reason="this system has no handles of folders")
@pytest.mark.parametrize("kind", ["file", "folder", "pipe"])
def test_no_moment_of_a_swap_leads_out(data: Path, secret: Path, kind: str):
    folder = HostFolder(data, Quota(OutputLimits()), writable=True)
    (data / "safe").mkdir()
    (data / "safe" / "secret.txt").write_text("harmless")
    (data / "secret.txt").write_text("harmless")
    parts = ("safe", "secret.txt") if kind == "folder" else ("secret.txt",)
    if kind == "pipe":
        os.mkfifo(data / "other")
    else:
        (data / "other").symlink_to(secret.parent if kind == "folder" else secret)
    read, refused = 0, 0
    try:
        with swapping(data / parts[0], data / "other"):
            for number in range(10_000):
                try:
                    file = folder.open(parts, "r+" if number % 2 else "r")
                except OSError:
                    refused += 1
                    continue
                assert file.read(0, 100) == b"harmless"
                file.close()
                read += 1
    finally:
        folder.close()
    assert read > 20
    assert refused > 20  # both sides of the swap were met
    assert secret.read_text() == SECRET


def test_a_mounted_folder_that_was_replaced_by_a_link_is_not_mounted(data: Path, secret: Path, serving: Serving):
    mount = FileMount(data, "/data")
    deeper = FileMount(data / "sub", "/sub")
    data.rename(data.with_name("was"))
    with pytest.raises(UserError, match=r"cannot be mounted \(No such file or directory\): name a folder"):
        serving(mount)
    data.symlink_to(secret.parent.parent / "was")
    for replaced in (mount, deeper):
        with pytest.raises(UserError, match=r"cannot be mounted \(it is a link, and links are not followed\)"):
            serving(replaced)


@pytest.mark.skipif(not BY_HANDLE, reason="this system has no handles of folders")
async def test_a_mounted_folder_is_the_one_that_was_opened(data: Path, secret: Path, serving: Serving):
    ask = serving(FileMount(data, "/data"))
    data.rename(data.with_name("was"))
    data.symlink_to(secret.parent)
    assert (await ask("open", path="/input/data/a.txt", mode="r"))["data"] == {"text": "alpha"}
    assert (await ask.error("open", path="/input/data/secret.txt", mode="r")).startswith("ENOENT")


# -- how much (B7) -----------------------------------------------------------------------------------------------------------


async def test_a_folder_with_too_many_entries_is_not_listed(tmp_path: Path, serving: Serving):
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    for number in range(ENTRIES):
        (crowd / f"{number:05}").touch()
    ask = serving(FileMount(crowd, "/crowd"))
    assert len(await ask("list", path="/input/crowd")) == ENTRIES
    (crowd / "one-more").touch()
    assert (
        await ask.error("list", path="/input/crowd") == "EOVERFLOW: over 10,000 entries: open the files by their names"
    )
    assert (await ask("stat", path="/input/crowd/one-more"))[0] == "file"


async def test_what_is_written_to_mounts_is_counted(data: Path, serving: Serving):
    ask = serving(FileMount(data, "/data", "rw"), output=OutputLimits(mounted_files=3, mounted_bytes=1 << 20))
    full = "ENOSPC: a turn may write 1 MiB to mounted folders: write less"
    handle = (await ask("open", path="/input/data/x", mode="w"))["handle"]
    assert await ask.error("write", handle=handle, offset=1 << 40, data={"text": "sparse"}) == full
    assert await ask.error("truncate", handle=handle, size=1 << 40) == full
    assert await ask("write", handle=handle, offset=0, data={"text": "x" * (1 << 19)}) == 1 << 19
    assert await ask("write", handle=handle, offset=0, data={"text": "x" * (1 << 19)}) == 1 << 19
    assert await ask.error("write", handle=handle, offset=0, data={"text": "x"}) == full
    assert (data / "x").stat().st_size == 1 << 19
    await ask("mkdir", path="/input/data/1")
    await ask("mkdir", path="/input/data/1/2")
    for operation, more in (("mkdir", {}), ("open", {"mode": "x"})):
        sentence = "ENOSPC: a turn may make 3 files in mounted folders, and has made them"
        assert await ask.error(operation, path="/input/data/1/3", **more) == sentence
    assert names(data / "1") == ["2"]


async def test_at_most_so_many_files_are_open_and_a_run_closes_those_of_the_one_before(data: Path, serving: Serving):
    (data / "long").write_bytes(b"x" * 100_000)
    ask = serving(FileMount(data, "/data"))
    before = psutil.Process().num_fds()
    handles = [(await ask("open", path="/input/data/long", mode="r"))["handle"] for _ in range(64)]
    assert await ask.error("open", path="/input/data/a.txt", mode="r") == (
        "EMFILE: 64 files are open, which is the maximum: close some"
    )
    await ask("close", handle=handles[0])
    assert await ask("open", path="/input/data/a.txt", mode="r")
    ask.files.start_run()
    assert await ask.error("read", handle=handles[1], offset=0, size=1) == (
        "EBADF: the file was closed when its run ended: open it again"
    )
    assert psutil.Process().num_fds() == before


# -- what else a guest may send --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("open", {"path": "/output/x"}),
        ("open", {"path": "/output/x", "mode": "rb"}),
        ("open", {"path": "/output/x", "mode": ["r"]}),
        ("read", {"handle": "1", "offset": 0, "size": 1}),
        ("read", {"handle": True, "offset": 0, "size": 1}),
        ("read", {"handle": 1, "offset": -1, "size": 1}),
        ("read", {"handle": 1, "offset": 0.5, "size": 1}),
        ("read", {"handle": 1, "offset": 1 << 60, "size": 1}),
        ("read", {"handle": 1, "offset": 0, "size": None}),
        ("write", {"handle": 1, "offset": 0, "data": "text"}),
        ("write", {"handle": 1, "offset": 0, "data": {"text": "snowman \u2603"}}),
        ("write", {"handle": 1, "offset": 0, "data": {"base64": "=====no"}}),
        ("write", {"handle": 1, "offset": 0, "data": {"base64": 7}}),
        ("write", {"handle": 1, "offset": "0", "data": {"text": ""}}),
        ("truncate", {"handle": 1}),
        ("close", {}),
    ],
)
async def test_what_no_guest_half_would_send_is_refused(serving: Serving, operation: str, arguments):
    ask = serving()
    assert (await ask("open", path="/output/first", mode="w"))["handle"] == 1
    with pytest.raises(ProgramError):
        await ask(operation, **arguments)


async def test_no_path_of_the_host_is_reported(data: Path, serving: Serving, tmp_path: Path):
    (data / "locked").write_text("x")
    ask = serving(FileMount(data, "/data", "rw"))
    errors = [
        await ask.error("open", path="/input/data/none", mode="r"),
        await ask.error("open", path="/input/data/sub", mode="r"),
        await ask.error("list", path="/input/data/a.txt"),
        await ask.error("rmdir", path="/input/data/sub"),
        await ask.error("rename", path="/input/data/sub", to="/input/data/sub/deeper"),
        await ask.error("mkdir", path="/input/data/none/deeper"),
        await ask.error("rmdir", path="/input/data/a.txt"),
    ]
    assert [sentence for sentence in errors if str(tmp_path) in sentence or "Traceback" in sentence] == []
    assert errors[0] == "ENOENT: there is no such file; /input/data has 'a.txt', 'locked', 'sub'"


async def test_mounts_lie_inside_each_other_and_inside_the_workspace(data: Path, tmp_path: Path, serving: Serving):
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.txt").write_text("gamma")
    ask = serving(FileMount(other, "/deep/er/other"), FileMount(other / "c.txt", "/sub/c.txt", "rw"), workspace=data)
    assert [entry[:2] for entry in await ask("list", path="/input")] == [
        ["a.txt", "file"],
        ["deep", "folder"],
        ["sub", "folder"],
    ]
    assert [entry[0] for entry in await ask("list", path="/input/deep")] == ["er"]
    assert [entry[0] for entry in await ask("list", path="/input/sub")] == ["b.bin", "c.txt"]
    for path in ("/input/deep/er/other/c.txt", "/input/sub/c.txt"):
        assert (await ask("open", path=path, mode="r"))["data"] == {"text": "gamma"}
    assert (await ask.error("open", path="/input/deep/x", mode="w")).startswith("EACCES: read-only")
    handle = (await ask("open", path="/input/sub/c.txt", mode="a"))["handle"]
    await ask("write", handle=handle, offset=None, data={"text": "!"})
    assert (other / "c.txt").read_text() == "gamma!"
    for operation in ("remove", "rmdir"):
        assert await ask.error(operation, path="/input/sub/c.txt") == "EBUSY: it is a mount and cannot be changed"
    assert (await ask.error("list", path="/input/sub/c.txt")).startswith("ENOTDIR")
    assert (await ask.error("stat", path="/input/sub/c.txt/..")).startswith("EINVAL")
    assert (await ask.error("open", path="/input/sub/c.txt/x", mode="r")).startswith("ENOTDIR")


def test_two_mounts_at_one_path_are_a_mistake(data: Path, serving: Serving):
    with pytest.raises(UserError, match=r"^Two mounts have the path /input/x: give one of them another path\.$"):
        serving(FileMount(data, "/x"), FileMount(data / "sub", "x"))


async def test_after_its_turn_nothing_is_mounted(data: Path, serving: Serving):
    ask = serving(FileMount(data, "/data"))
    assert await ask("list", path="/input/data")
    ask.files.close()
    assert (await ask.error("list", path="/input/data")).startswith("ENOENT")
