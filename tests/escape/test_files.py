"""B. Getting at files of the host: by paths, by links, by what is left in the folder of the output."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from codeact_kernel.render import bundle

from ..sandbox.test_around_the_prelude import RAW
from .attempts import Attempt, attempt, cases, tried
from .conftest import Kernel, Turn, unlisted

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_THERE = "refused: (FileNotFoundError|NotADirectoryError|PermissionError|OSError)"
TOKEN = "[0-9a-f]{32}"


def planted(folder: Path, outside: Path) -> Path:
    """A folder that a user mounts, in which somebody has laid every kind of trap.

    Args:
        outside: holds `secret.txt`, and is not mounted.
    """
    data = folder / "data"
    (data / "sub").mkdir(parents=True)
    (data / "a.txt").write_text("alpha")
    (data / "link.txt").symlink_to(outside / "secret.txt")
    (data / "linked").symlink_to(outside)
    (data / "sub" / "up").symlink_to("../..")
    os.mkfifo(data / "fifo")
    short = Path.cwd()
    os.chdir(data)  # a socket's path may have a hundred characters
    try:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind("socket")
    finally:
        os.chdir(short)
    return data


HOST = [
    Attempt(
        id="B1.passwords",
        tries="reads the system's list of users",
        program=tried('open("/etc/passwd").read()'),
        reached=NOT_THERE,
        gets_out="root:",
    ),
    Attempt(
        id="B1.process",
        tries="reads the environment of the process in /proc",
        program=tried('open("/proc/self/environ").read()'),
        reached=NOT_THERE,
        gets_out="CANARY",
    ),
    Attempt(
        id="B1.memory",
        tries="opens the memory of the process",
        program=tried('[open("/proc/self/mem", "rb"), open("/proc/self/maps").readline()]'),
        reached=NOT_THERE,
        gets_out="BufferedReader",
    ),
    Attempt(
        id="B1.root",
        tries="lists the root folder, the home and the working folder",
        program="""
import os
seen = []
for folder in ("/", ".", "/home", "/etc", "/var", "~"):
    try:
        seen.append(os.listdir(os.path.expanduser(folder)))
    except OSError as error:
        seen.append(type(error).__name__)
""",
        reached=r"^\[\['output', 'tmp'\], \['output', 'tmp'\], 'FileNotFoundError', 'FileNotFoundError', 'FileNotFoundError', 'FileNotFoundError'\]",
        gets_out="passwd",
    ),
    Attempt(
        id="B1.environment",
        tries="reads the environment in every possible way",
        program="""
import os, posix
seen = [dict(os.environ), os.getenv("CANARY"), dict(posix.environ), os.path.expandvars("$CANARY$HOME$PATH")]
""",
        reached=r"^\[\{\}, None, \{\}, '\$CANARY\$HOME\$PATH'\]",
        gets_out=TOKEN,
    ),
    Attempt(
        id="B1.descriptors",
        tries="reads from the descriptors 3 to 63",
        program="""
import os, posix
seen = []
for number in range(3, 64):
    try:
        seen.append(posix.fstat(number)[1] >= 0)
    except OSError:
        pass
    try:
        seen.append(open(number, "rb", 0).read(10))
    except OSError:
        pass
""",
        reached=r"^\[\]",
    ),
    Attempt(
        id="B1.secret",
        tries="reads a file whose absolute path it knows",
        program=tried('open("{secret}").read()'),
        reached=NOT_THERE,
        gets_out=TOKEN,
    ),
    Attempt(
        id="B1.pathlib",
        tries="looks for files from the root downwards",
        program=tried('[one.read_text() for one in pathlib.Path("{folder}").rglob("*.txt")]', "import pathlib"),
        reached=r"^\[\]|FileNotFoundError",
        gets_out=TOKEN,
    ),
    Attempt(
        id="B1.below_our_functions",
        tries="opens files with the functions that our functions use",
        program="""
import _io, posix
seen = []
for way in (
    lambda: _io.open("{secret}").read(),
    lambda: _io.open_code("{secret}").read(),
    lambda: posix.read(posix.open("{secret}", 0), 100),
    lambda: posix.stat("{secret}").st_size,
    lambda: posix.scandir("{folder}"),
    lambda: posix.mkdir("{folder}/left"),
):
    try:
        seen.append(way())
    except OSError as error:
        seen.append(type(error).__name__)
""",
        reached=r"^\[('FileNotFoundError'(, )?){6}\]",
        gets_out=TOKEN,
    ),
    Attempt(
        id="B1.sqlite",
        tries="creates a database on the disk, and attaches another one",
        program=tried(
            'sqlite3.connect(":memory:").execute("attach \'{folder}/left\' as it").execute("create table it.a (b)")',
            "import sqlite3",
        ),
        reached="refused: OperationalError: unable to open database",
        gets_out="Cursor",
    ),
    Attempt(
        id="B1.raw",
        tries="forges an open folder of the component, and opens a file in it",
        program=tried(
            'made.open_at(types.PathFlags(0), "{secret}", types.OpenFlags(0), types.DescriptorFlags(1))',
            """
            from wit_world.imports import wasi_filesystem_types as types
            made = types.Descriptor()
            made.handle = 3
            """,
        ),
        reached="refused: |Crashed",
    ),
]

PATHS = [
    Attempt(
        id="B2.dots",
        tries="goes up from a mounted folder with ..",
        program=tried('open("{data}/../host/secret.txt").read()'),
        reached=NOT_THERE,
        gets_out=TOKEN,
    ),
    Attempt(
        id="B2.dots_raw",
        tries="sends the host paths with .., without our functions",
        program=RAW
        + """
seen = [
    raw({"op": "call_host", "capability": "files", "method": "open", "arguments": {"path": path, "mode": "r"}})
    for path in ("/input/data/../host/secret.txt", "/input/data/sub/../../host/secret.txt", "/input/../input/data/a.txt",
                 "/input/data/./a.txt", "/input//data/a.txt", "/input/data/a.txt/", "//input/data/a.txt", "input/data/a.txt", "")
]
""",
        reached=r'^\[(.[^\n]*?"error":"E[A-Z]+"[^\n]*?){9}\]',
    ),
    Attempt(
        id="B2.slashes",
        tries="goes up with backslashes, doubled and encoded slashes",
        program="""
seen = []
for path in ("..\\\\host\\\\secret.txt", "..%2fhost%2fsecret.txt", "....//host//secret.txt", "..\\u2215host\\u2215secret.txt",
             "\\u2025/host/secret.txt", "..\\u2044host\\u2044secret.txt"):
    try:
        seen.append(open("{data}/" + path).read())
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){6}\]",
    ),
    Attempt(
        id="B2.nul",
        tries="hides the end of a path behind a NUL",
        program="""
seen = []
for path in ("{data}/a.txt\\0/../../secret.txt", "{secret}\\0.txt"):
    for way in (open, __import__("os").stat, __import__("os").listdir):
        try:
            seen.append(repr(way(path)))
        except ValueError as error:
            seen.append("refused: ValueError")
""",
        reached=r"^\[('refused: ValueError'(, )?){6}\]",
    ),
    Attempt(
        id="B2.nul_raw",
        tries="sends the host paths with NUL, newlines and lone surrogates, without our functions",
        program=RAW
        + """
seen = [
    raw({"op": "call_host", "capability": "files", "method": operation, "arguments": {"path": path, "mode": "w"}})
    for path in ("/output/a\\0b", "/output/a\\nb", "/output/a\\x1b[2J", "/output/a\\\\..\\\\b", "/output/a\\u2028b")
    for operation in ("open", "mkdir")
]
""",
        reached=r'^\[(.[^\n]*?"error":"EINVAL"[^\n]*?){10}\]',
    ),
    Attempt(
        id="B2.long",
        tries="uses names of 4 KiB and paths of a megabyte",
        program="""
seen = []
for path in ("/output/" + "n" * 4_096, "/output/" + "é" * 200, "/output/" + "d/" * 40_000 + "f", "{data}/" + "x" * 1_000_000):
    try:
        seen.append(open(path, "w").name)
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){4}\]",
    ),
    Attempt(
        id="B2.output",
        tries="writes next to the output folder",
        program="""
import os
seen = []
for path in ("/output/../left", "/output/../../{folder}/left", "{folder}/left", "/left", "/outputs/left", "/output./left", "left"):
    try:
        open(path, "w").close()
        seen.append(path)
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){7}\]",
        gets_out="/left",
    ),
    Attempt(
        id="B2.rename",
        tries="moves a file out of its mount, and moves a mount",
        program="""
import os
seen = []
for old, new in (("{data}/a.txt", "{folder}/left"), ("{data}/a.txt", "/output/a.txt"), ("{data}", "/input/other"), ("/output", "/input/data/x")):
    try:
        os.rename(old, new)
        seen.append(new)
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){4}\]",
        gets_out="/left",
    ),
    Attempt(
        id="B4.link",
        tries="reads through a link that leads out of the mounted folder",
        program=tried('open("{data}/link.txt").read()'),
        reached="refused: (PermissionError|OSError): .*link",
        gets_out=TOKEN,
    ),
    Attempt(
        id="B4.parent",
        tries="reads through a folder that is a link",
        program=tried('[__import__("os").listdir("{data}/linked"), open("{data}/linked/secret.txt").read()]'),
        reached="refused: (PermissionError|OSError): .*link",
        gets_out=TOKEN,
    ),
    Attempt(
        id="B4.up",
        tries="goes up through a relative link",
        program=tried('open("{data}/sub/up/host/secret.txt").read()'),
        reached="refused: (PermissionError|OSError): .*link",
        gets_out=TOKEN,
    ),
    Attempt(
        id="B4.write",
        tries="writes, truncates and removes through links",
        program="""
import os
seen = []
for way in (
    lambda: open("{data}/link.txt", "a").write("left"),
    lambda: os.truncate("{data}/link.txt", 0),
    lambda: open("{data}/linked/left", "w"),
    lambda: os.remove("{data}/linked/secret.txt"),
    lambda: os.rename("{data}/a.txt", "{data}/linked/left"),
    lambda: os.chmod("{data}/link.txt", 0o777),
):
    try:
        seen.append(repr(way()))
    except (OSError, AttributeError) as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){6}\]",
        gets_out="left",
    ),
    Attempt(
        id="B4.make",
        tries="creates links in a writable mount",
        program="""
import os, pathlib
seen = []
for way in (
    lambda: os.symlink("{secret}", "{data}/new"),
    lambda: os.link("{secret}", "{data}/new"),
    lambda: os.symlink("{secret}", "/output/new"),
    lambda: pathlib.Path("/output/other").symlink_to("{folder}"),
):
    try:
        way()
        seen.append("made")
    except (OSError, AttributeError, NotImplementedError) as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){4}\]",
        gets_out=r"^\['made', ",
    ),
    Attempt(
        id="B5.fifo",
        tries="opens a pipe that nobody writes to, which would wait forever",
        program=tried('[open("{data}/fifo", way) for way in ("r", "a", "r+")]'),
        reached="refused: (PermissionError|OSError): .*neither a file nor a folder",
    ),
    Attempt(
        id="B5.make",
        tries="creates a pipe, a device and a socket in a writable mount",
        program="""
import os, socket
seen = []
for way in (
    lambda: os.mkfifo("{data}/new"),
    lambda: os.mknod("{data}/new", 0o20666, 0x103),
    lambda: socket.socket(socket.AF_UNIX).bind("/output/new"),
):
    try:
        way()
        seen.append("made")
    except (OSError, AttributeError) as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){3}\]",
        gets_out=r"^\['made', ",
    ),
    Attempt(
        id="B5.socket",
        tries="opens a socket in the mounted folder",
        program=tried('open("{data}/socket", "r+b").read()'),
        reached="refused: (PermissionError|OSError): .*neither a file nor a folder",
    ),
    Attempt(
        id="B5.device",
        tries="reads devices",
        program="""
seen = []
for path in ("/dev/zero", "/dev/mem", "/dev/tty", "/dev/kvm", "/dev/fd/0", "/dev/shm/left", "CON", "/output/NUL/../../dev/zero"):
    try:
        seen.append(open(path, "rb").read(4))
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){8}\]",
        gets_out=r"b'\\x00\\x00\\x00\\x00'",
    ),
    Attempt(
        id="B7.sparse",
        tries="creates a file of two terabytes in a mounted folder, by seeking to its end",
        program=tried('[file.seek(2 << 40), file.write(b"x")]', 'file = open("{data}/sparse", "wb", buffering=0)'),
        reached="refused: OSError: .*1 GiB",
    ),
    Attempt(
        id="B7.sparse_output",
        tries="creates a file of two terabytes in the output, by seeking and by truncating",
        program="""
seen = []
for way in (lambda file: (file.seek(2 << 40), file.write(b"x"), file.flush()), lambda file: file.truncate(2 << 40)):
    try:
        with open("/output/sparse", "wb", buffering=0) as file:
            seen.append(way(file))
    except OSError as error:
        seen.append(f"refused: {error}")
""",
        reached=r"(refused: [^,]*32 MiB.*){2}",
    ),
    Attempt(
        id="B7.numbers",
        tries="sends the host positions and sizes that no file has, without our functions",
        program=RAW
        + """
def ask(operation, **given):
    return raw({"op": "call_host", "capability": "files", "method": operation, "arguments": given})
handle = json.loads(ask("open", path="/input/data/b.txt", mode="w+"))[0][2]["handle"]
seen = [
    "EFBIG" in one or "ToolFailed" in one or "error" in one
    for one in (ask("write", handle=handle, offset=2**53, data={"text": "x"}), ask("truncate", handle=handle, size=2**53),
                ask("write", handle=handle, offset=-1, data={"text": "x"}), ask("read", handle=handle, offset=2**63, size=1),
                ask("write", handle=handle, offset=0, data={"base64": "!"}), ask("write", handle=10**9, offset=0, data={"text": "x"}))
]
""",
        reached=r"^\[True, True, True, True, True, True\]",
    ),
    Attempt(
        id="B7.handles",
        tries="opens files until the kernel has no descriptors left",
        program=tried('[open("{data}/n%s" % n, "w") for n in range(2_000)]'),
        reached="refused: OSError: .*64 files are open",
    ),
]

CAPS = [
    Attempt(
        id="B7.many",
        tries="writes a million files",
        program=tried('[open(f"/output/{n}", "w").close() for n in range(1_000_000)]'),
        reached="refused: OSError: .*at most 100 files",
    ),
    Attempt(
        id="B7.deep",
        tries="creates ten thousand nested folders",
        program="""
import os
path, seen = "/output", ""
try:
    for _ in range(10_000):
        path += "/d"
        os.mkdir(path)
except OSError as error:
    seen = f"refused: {error}"
""",
        reached="refused: .*at most 8 parts",
    ),
    Attempt(
        id="B7.quota",
        tries="enlarges its files until the disk is full",
        program="""
seen = []
for name, size in (("a", 33), ("a", 32), ("b", 32), ("c", 1)):
    try:
        with open("/output/" + name, "wb", buffering=0) as file:
            seen.append(file.truncate(size << 20) >> 20)
    except OSError as error:
        seen.append(f"refused: {error}")
""",
        reached="refused: .*32 MiB.*, 32, 32, .*refused: .*64 MiB",
    ),
    Attempt(
        id="B8.names",
        tries="gives files names with newlines, terminal codes and characters that reverse text",
        program="""
seen = []
for name in ("a\\nb", "a\\x1b[2J", "a\\x1b]0;x\\x07", "a\\u202egpj.exe", "a\\u200bb", "..", ".", "", "a\\x7fb", "a\\u2066b"):
    try:
        open("/output/" + name, "w").close()
        seen.append(name)
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){10}\]",
    ),
    Attempt(
        id="B8.case",
        tries="overwrites a file by a name that differs in case or in Unicode composition",
        program="""
open("/output/Report.txt", "w").write("first")
open("/output/\\u00e9.txt", "w").write("first")
seen = []
for name in ("report.txt", "REPORT.TXT", "e\\u0301.txt"):
    try:
        open("/output/" + name, "w").write("second")
        seen.append(name)
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: FileExistsError'(, )?){3}\]",
    ),
]

MOUNTED = PATHS
ATTEMPTS = HOST + MOUNTED + CAPS


def within(kernel: Kernel, tmp_path: Path, turn: Turn) -> list[str]:
    """What the turn left in the working folder: it must all be in one folder of the output. Their paths below it."""
    left = [path for path in tmp_path.rglob("*") if path.relative_to(tmp_path).parts[0] not in ("data", "host")]
    folders = {path.relative_to(tmp_path).parts[:2] for path in left if len(path.relative_to(tmp_path).parts) > 1}
    assert {path.relative_to(tmp_path).parts[0] for path in left} <= {"codeact_output"}, left
    assert len(folders) <= 1, folders
    assert not any(path.is_symlink() for path in left)
    return sorted(str(path.relative_to(tmp_path.joinpath(*next(iter(folders))))) for path in left if path.is_file())


@pytest.mark.parametrize("one", cases(HOST))
@pytest.mark.smoke
async def test_no_file_of_the_host_is_there(kernel, one, tmp_path):
    turn = await kernel.holds(one)
    assert within(kernel, tmp_path, turn) == []


@pytest.mark.parametrize("one", cases(MOUNTED))
async def test_no_path_leads_out_of_what_was_mounted(kernel, one, tmp_path):
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "secret.txt").write_text(kernel.token)
    data = planted(tmp_path, tmp_path / "host")
    before = {path.name: path.lstat().st_mode for path in data.iterdir()}
    here = replace(one, program=one.program.replace("{data}", "/input/data"))
    turn = await kernel.holds(here, file_mounts=[f"{data}:/data:rw"])
    within(kernel, tmp_path, turn)
    assert [path.name for path in (tmp_path / "host").iterdir()] == ["secret.txt"]
    assert (tmp_path / "host" / "secret.txt").read_text() == kernel.token
    assert (data / "a.txt").read_text() == "alpha"
    after = {path.name: path.lstat().st_mode for path in data.iterdir()}
    assert {name: after.get(name) for name in before} == before
    assert all(path.is_file() and not path.is_symlink() for path in data.iterdir() if path.name not in before)


@pytest.mark.parametrize("one", cases(CAPS))
async def test_what_is_written_is_bounded_and_lands_in_one_folder(kernel, one, tmp_path):
    turn = await kernel.holds(one)
    left = within(kernel, tmp_path, turn)
    assert len(left) <= 100
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 64 << 20


READ_ONLY = [
    Attempt(
        id="B3.write",
        tries="writes to a file in a read-only mount, in every mode",
        program="""
seen = []
for mode in ("w", "a", "r+", "x", "w+", "a+"):
    try:
        open("{data}/a.txt", mode).write("left")
        seen.append(mode)
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: (PermissionError|FileExistsError)'(, )?){6}\]",
        gets_out="'w', 'a', 'r\\+'",
    ),
    Attempt(
        id="B3.change",
        tries="removes, moves, truncates, links and creates files and folders in a read-only mount",
        program="""
import os, shutil
seen = []
for way in (
    lambda: os.remove("{data}/a.txt"),
    lambda: os.rename("{data}/a.txt", "{data}/b.txt"),
    lambda: os.replace("{data}/a.txt", "{data}/sub/a.txt"),
    lambda: os.truncate("{data}/a.txt", 0),
    lambda: os.mkdir("{data}/new"),
    lambda: os.rmdir("{data}/sub"),
    lambda: os.makedirs("{data}/sub/new/new"),
    lambda: shutil.rmtree("{data}"),
    lambda: shutil.copy("{data}/a.txt", "{data}/b.txt"),
    lambda: open("{data}/new.txt", "w"),
):
    try:
        seen.append(repr(way()))
    except (OSError, AttributeError) as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: [A-Za-z]+'(, )?){10}\]",
        gets_out="^\\['None'",
    ),
    Attempt(
        id="B3.handle",
        tries="writes through handles that are open for reading or belong to other files, without our functions",
        program=RAW
        + """
def ask(operation, **given):
    return raw({"op": "call_host", "capability": "files", "method": operation, "arguments": given})
ask("open", path="{data}/large.txt", mode="r")
seen = [
    one
    for handle in range(0, 9)
    for one in (ask("write", handle=handle, offset=0, data={"text": "left"}), ask("truncate", handle=handle, size=0))
    if '"error":' not in one and "ToolFailed" not in one
]
""",
        reached=r"^\[\]",
    ),
]
ATTEMPTS += READ_ONLY


@pytest.mark.parametrize("one", cases(READ_ONLY))
async def test_what_was_mounted_to_be_read_is_not_changed(kernel, one, tmp_path):
    (tmp_path / "host").mkdir()
    data = planted(tmp_path, tmp_path / "host")
    (data / "large.txt").write_text("x" * 100_000)
    before = {path: path.lstat().st_mtime_ns for path in [data, *data.rglob("*")]}
    here = replace(one, program=one.program.replace("{data}", "/input/data"))
    turn = await kernel.holds(here, file_mounts=[f"{data}:/data"])
    assert {path: path.lstat().st_mtime_ns for path in [data, *data.rglob("*")]} == before
    assert (data / "a.txt").read_text() == "alpha"
    assert within(kernel, tmp_path, turn) == []


@attempt("B3.workspace", "writes to the workspace, and replaces a part of it by a mount with an existing name")
async def test_a_workspace_is_read_only(kernel, tmp_path):
    data = planted(tmp_path, tmp_path)
    turn = await kernel.turn(
        tried(
            '[open("/input/a.txt").read(), open("/input/new.txt", "w")]',
        ),
        workspace_root=data,
    )
    assert "refused: PermissionError" in turn.seen
    assert not (data / "new.txt").exists()
    await kernel.stands(turn)


@attempt("B4.hard_link", "writes to a file that has a second name outside")
async def test_a_file_with_a_second_name_is_not_written(kernel, tmp_path):
    data = planted(tmp_path, tmp_path)
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    os.link(outside, data / "hard.txt")
    turn = await kernel.turn(tried('open("/input/data/hard.txt", "w").write("left")'), file_mounts=[f"{data}:/data:rw"])
    assert "refused: PermissionError" in turn.seen
    assert "hard link" in turn.seen
    assert outside.read_text() == "mine"
    await kernel.stands(turn)


@attempt("B4.output_folder", "has its output saved where somebody placed a link")
async def test_output_is_not_saved_through_a_link(kernel, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "codeact_output").symlink_to("elsewhere")
    turn = await kernel.turn('open("/output/a.txt", "w").write("left")\nseen = 1')
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert turn.result.files == ()
    (tmp_path / "codeact_output").unlink()
    await kernel.stands(turn)


@attempt("B6.file", "has a file replaced by a link to the secret after it was opened, and continues to read")
async def test_what_is_read_comes_from_the_file_that_was_opened(kernel, tmp_path):
    data = planted(tmp_path, kernel.folder)
    (data / "large.txt").write_text("x" * 300_000)

    def swap() -> str:
        """Replaces it."""
        (data / "large.txt").unlink()
        (data / "large.txt").symlink_to(kernel.secret)
        return "swapped"

    kernel.session.tools.add(unlisted(swap))
    try:
        turn = await kernel.turn(
            """
file = open("/input/data/large.txt")
first = file.read(10)
swap()
rest = file.read()
try:
    again = open("/input/data/large.txt").read()
except OSError as error:
    again = "refused: " + type(error).__name__
seen = [set(first + rest) == {"x"}, len(rest), again]
""",
            file_mounts=[f"{data}:/data"],
        )
    finally:
        kernel.session.tools.remove("swap")
    assert turn.result.value == [True, 299_990, "refused: PermissionError"], turn.seen
    await kernel.stands(turn)


@attempt("B6.folder", "has a folder replaced by a link between being listed and being opened")
async def test_a_folder_that_became_a_link_is_not_entered(kernel, tmp_path):
    data = planted(tmp_path, kernel.folder)
    (data / "sub" / "secret.txt").write_text("harmless")

    def swap() -> str:
        """Replaces it."""
        (data / "sub").rename(data / "before")
        (data / "sub").symlink_to(kernel.folder)
        return "swapped"

    kernel.session.tools.add(unlisted(swap))
    try:
        turn = await kernel.turn(
            """
import os
seen = [open("/input/data/sub/secret.txt").read(), "secret.txt" in os.listdir("/input/data/sub")]
swap()
for way in (lambda: open("/input/data/sub/secret.txt").read(), lambda: os.listdir("/input/data/sub"), lambda: open("/input/data/sub/left", "w")):
    try:
        seen.append(way())
    except OSError as error:
        seen.append("refused: " + type(error).__name__)
""",
            file_mounts=[f"{data}:/data:rw"],
        )
    finally:
        kernel.session.tools.remove("swap")
    assert turn.result.value == ["harmless", True, *["refused: PermissionError"] * 3], turn.seen
    await kernel.stands(turn)


@attempt("B6.mount", "has the mounted folder itself replaced while it runs")
async def test_a_mount_stays_the_folder_that_was_mounted(kernel, tmp_path):
    data = planted(tmp_path, kernel.folder)

    def swap() -> str:
        """Replaces it."""
        data.rename(tmp_path / "before")
        data.symlink_to(kernel.folder)
        return "swapped"

    kernel.session.tools.add(unlisted(swap))
    try:
        turn = await kernel.turn(
            'import os\nswap()\nseen = [sorted(os.listdir("/input/data")), open("/input/data/a.txt").read()]',
            file_mounts=[f"{data}:/data"],
        )
    finally:
        kernel.session.tools.remove("swap")
    assert "a.txt" in turn.result.value[0] and "secret.txt" not in turn.result.value[0], turn.seen
    await kernel.stands(turn)


@attempt("B8.html", "gives a file a name that is HTML, and another file a name that leads out of the folder")
async def test_names_of_files_are_text_wherever_they_are_shown(kernel, tmp_path):
    name = "<img src=x onerror=alert(1)>.txt"
    turn = await kernel.turn(f"""
seen = []
for name in ({name!r}, "[click](javascript:alert(1)).md", "..%2f..%2fleft", "$(touch left)", "-rf", "a;b&c|d"):
    open("/output/" + name, "w").write("left")
""")
    left = within(kernel, tmp_path, turn)
    assert len(left) == 6
    shown = bundle(turn.result)
    assert "<img src=x" not in shown["text/html"]
    assert 'href="javascript:' not in shown["text/html"]
    await kernel.stands(turn)
