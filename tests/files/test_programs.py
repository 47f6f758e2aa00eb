"""Files as programs know them: the functions of Python, in every kind of guest, over the services of the host."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import psutil
import pytest

from codeact_kernel.access.mounts import FileMount
from codeact_kernel.limits import OutputLimits

from ..sandbox.conftest import EMULATED
from .conftest import Filed

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha\nbeta\r\ngämma\n", encoding="utf-8", newline="")
    (folder / "rows.csv").write_text("name,size\nann,3\nbob,4\n")
    (folder / "facts.json").write_text(json.dumps({"colour": "red", "sizes": [1, 2]}))
    (folder / "sub" / "bytes.bin").write_bytes(bytes(range(256)))
    (folder / "latin.txt").write_bytes("é".encode("latin-1"))
    os.utime(folder / "a.txt", (1_700_000_000, 1_700_000_000.5))
    return folder


# -- reading -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("open('/input/data/a.txt').read()", "alpha\nbeta\ngämma\n"),
        ("open('/input/data/a.txt', newline='').read()", "alpha\nbeta\r\ngämma\n"),
        ("open(b'/input/data/a.txt', 'rb').readlines()[1].hex()", b"beta\r\n".hex()),
        ("[line.strip() for line in open('/input/data/a.txt')]", ["alpha", "beta", "gämma"]),
        ("open('/input/data/latin.txt', encoding='latin-1').read()", "é"),
        ("open('/input/data/latin.txt', errors='replace').read()", "\ufffd"),
        ("open('/input/data/sub/bytes.bin', 'rb').read() == bytes(range(256))", True),
        ("open('/input/data/sub/bytes.bin', 'rb', buffering=0).read(3).hex()", "000102"),
        ("f = open('/input/data/sub/bytes.bin', 'rb')\nf.seek(-2, 2), f.read().hex(), f.tell()", [254, "feff", 256]),
        ("f = open('/input/data/a.txt')\nf.readline(), f.seek(0), f.read(2)", ["alpha\n", 0, "al"]),
        ("f = open('/input/data/a.txt')\nf.name, f.mode, f.closed", ["/input/data/a.txt", "r", False]),
        ("import json\njson.load(open('/input/data/facts.json'))", {"colour": "red", "sizes": [1, 2]}),
        ("import csv\n[row['size'] for row in csv.DictReader(open('/input/data/rows.csv', newline=''))]", ["3", "4"]),
        ("import io\nio.open('/input/data/rows.csv').readline()", "name,size\n"),
        ("with open('/input/data/a.txt') as f:\n    pass\nf.closed", True),
        ("import os\nos.chdir('/input/data')\nopen('a.txt').readline(), os.getcwd()", ["alpha\n", "/input/data"]),
        ("open('/input/data/sub/../a.txt').readline()", "alpha\n"),
    ],
)
async def test_files_are_read(filed: Filed, data: Path, text: str, value: object):
    run = await filed.run(text, FileMount(data, "/data"))
    assert run.value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sorted(os.listdir('/input/data'))", ["a.txt", "facts.json", "latin.txt", "rows.csv", "sub"]),
        ("os.listdir('/'), os.listdir('/input')", [["input", "output", "tmp"], ["data"]]),
        ("[test('/input/data') for test in (os.path.exists, os.path.isdir, os.path.isfile)]", [True, True, False]),
        ("os.path.exists('/input/data/no'), os.path.isfile('/input/data/a.txt')", [False, True]),
        ("os.path.getsize('/input/data/sub/bytes.bin')", 256),
        ("os.stat('/input/data/a.txt').st_mtime, os.path.getmtime('/input/data/a.txt')", [1_700_000_000.5] * 2),
        ("os.stat('/input/data/a.txt').st_mtime_ns", 1_700_000_000_500_000_000),
        ("[[e.name, e.path] for e in os.scandir('/input/data') if e.is_dir()]", [["sub", "/input/data/sub"]]),
        ("with os.scandir('/input/data/sub') as it:\n    n = [e.stat().st_size for e in it if e.is_file()]\nn", [256]),
        ("[os.access('/input/data/a.txt', m) for m in (os.R_OK, os.W_OK, os.X_OK)]", [True, False, False]),
        ("os.access('/output', os.W_OK), os.access('/input/no', os.F_OK)", [True, False]),
        ("[[r, d, sorted(f)] for r, d, f in os.walk('/input')][-1]", ["/input/data/sub", [], ["bytes.bin"]]),
        (
            "sorted(glob('/input/data/**/*.[cb]*', recursive=True))",
            ["/input/data/rows.csv", "/input/data/sub/bytes.bin"],
        ),
        ("sorted(p.name for p in Path('/input/data').iterdir())[0]", "a.txt"),
        ("[str(p) for p in Path('/input').rglob('*.bin')]", ["/input/data/sub/bytes.bin"]),
        ("Path('/input/data/rows.csv').read_text().splitlines()[0]", "name,size"),
        ("len(Path('/input/data/sub/bytes.bin').read_bytes())", 256),
        ("Path('/input/data').exists(), Path('/input/no').exists()", [True, False]),
        ("str(Path('/input/data/sub/..').resolve())", "/input/data"),
        ("os.path.samefile('/input/data/a.txt', '/input/data/sub/../a.txt')", True),
        ("os.path.samefile('/input/data/a.txt', '/input/data/rows.csv')", False),
    ],
)
async def test_folders_are_looked_at(filed: Filed, data: Path, text: str, value: object):
    run = await filed.run(
        f"import os\nfrom glob import glob\nfrom pathlib import Path\n{text}", FileMount(data, "/data")
    )
    assert run.value == value


# -- writing -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("with open('/output/a.txt', 'w') as f:\n    f.write('näive\\n')", {"a.txt": "näive\n".encode()}),
        ("print('one', 2, file=open('/output/a.txt', 'w'))", {"a.txt": b"one 2\n"}),
        ("f = open('/output/a.txt', 'w')\nf.write('never closed')", {"a.txt": b"never closed"}),
        ("f = open('/output/a', 'wb', buffering=0)\nf.write(b'raw')\nf.seek(1)\nf.write(b'o')", {"a": b"row"}),
        ("for _ in 'ab':\n    with open('/output/a', 'a') as f: f.write('x')", {"a": b"xx"}),
        ("with open('/output/a', 'w+') as f:\n    f.write('abc')\n    f.seek(1)\n    assert f.read() == 'bc'", {"a": b"abc"}),
        ("open('/output/a', 'w').write('abc')\nwith open('/output/a', 'r+') as f:\n    f.truncate(1)", {"a": b"a"}),
        ("open('/output/a', 'w').write('abc')\nf = open('/output/a', 'r+b', buffering=0)\nf.read(1)\nf.write(b'X')\nf.seek(0)\nassert f.read() == b'aXc'\nf.truncate(2)\nf.seek(0)\nassert f.read() == b'aX'", {"a": b"aX"}),
        ("with open('/output/a', 'xb') as f:\n    f.write(bytes(range(256)))", {"a": bytes(range(256))}),
        ("import os\nos.makedirs('/output/x/y', exist_ok=True)\nos.makedirs('/output/x/y', exist_ok=True)", {}),
        ("from pathlib import Path\np = Path('/output/x/y')\np.mkdir(parents=True)\n(p / 'a').write_text('hi')", {"x/y/a": b"hi"}),
        ("import os\nopen('/output/a', 'w').close()\nos.rename('/output/a', '/output/b')\nos.replace('/output/b', '/output/c')", {"c": b""}),
        ("import os\nopen('/output/a', 'w').close()\nos.remove('/output/a')\nos.mkdir('/output/d')\nos.rmdir('/output/d')", {}),
        ("import os\nos.chdir('/output')\nopen('a', 'w').write('here')", {"a": b"here"}),
        ("import json\nwith open('/output/a.json', 'w') as f:\n    json.dump({'a': [1]}, f)", {"a.json": b'{"a": [1]}'}),
        ("import csv\nwith open('/output/a.csv', 'w', newline='') as f:\n    csv.writer(f).writerows([[1, 'a,b']])", {"a.csv": b'1,"a,b"\r\n'}),
        ("import shutil\nshutil.copyfile('/input/data/a.txt', '/output/a')", {"a": "alpha\nbeta\r\ngämma\n".encode()}),
        ("import shutil\nshutil.copy('/input/data/rows.csv', '/output')\nshutil.move('/output/rows.csv', '/output/b')", {"b": b"name,size\nann,3\nbob,4\n"}),
        ("import shutil\nshutil.copytree('/input/data/sub', '/output/s')", {"s/bytes.bin": bytes(range(256))}),
        ("import os, shutil\nos.makedirs('/output/x/y')\nopen('/output/x/y/a', 'w').close()\nshutil.rmtree('/output/x')", {}),
        ("from pathlib import Path\nPath('/output/a').write_bytes(b'a')\nPath('/output/a').unlink()\nPath('/output/a').unlink(missing_ok=True)", {}),
        ("with open('/output/a', 'w', encoding='utf-16-le', newline='\\r\\n') as f:\n    f.write('a\\n')", {"a": "a\r\n".encode("utf-16-le")}),
        ("with open('/output/big', 'wb') as f:\n    for n in range(9):\n        f.write(bytes([n]) * 100_001)", {"big": b"".join(bytes([n]) * 100_001 for n in range(9))}),
    ],
)  # fmt: skip
async def test_files_are_written(filed: Filed, data: Path, text: str, files: dict[str, bytes]):
    async with filed.turn(FileMount(data, "/data")) as turn:
        run = await turn.run(text)
        assert run.outcome.failure is None, run.outcome.failure
        assert turn.files.outputs == files


@pytest.mark.smoke
async def test_an_archive_is_read_and_written(filed: Filed, data: Path):
    async with filed.turn(FileMount(data, "/data")) as turn:
        run = await turn.run("""
        import gzip, io, zipfile
        with zipfile.ZipFile("/output/a.zip", "w", zipfile.ZIP_DEFLATED) as made:
            made.write("/input/data/rows.csv", "rows.csv")
            made.writestr("b/c.txt", "text")
        with gzip.open("/output/a.gz", "wt") as file:
            file.write("packed")
        with zipfile.ZipFile("/output/a.zip") as read:
            [read.namelist(), read.read("rows.csv").decode(), gzip.open("/output/a.gz", "rt").read()]
        """)
        assert run.outcome.failure is None, run.outcome.failure
        run = await turn.run("import zipfile\nzipfile.ZipFile('/output/a.zip').read('b/c.txt').decode()")
        assert run.value == "text"
        assert set(turn.files.outputs) == {"a.zip", "a.gz"}


@pytest.mark.smoke
async def test_a_mount_with_rw_is_written_on_the_disk_and_no_other(filed: Filed, data: Path):
    async with filed.turn(FileMount(data / "sub", "/sub", "rw"), FileMount(data, "/data")) as turn:
        run = await turn.run("""
        import os
        with open("/input/sub/new.txt", "w") as file:
            file.write("kept")
        os.rename("/input/sub/bytes.bin", "/input/sub/moved.bin")
        refused = []
        for act in (lambda: open("/input/data/new.txt", "w"), lambda: os.remove("/input/data/a.txt")):
            try:
                act()
            except PermissionError as error:
                refused.append(str(error))
        refused + sorted(os.listdir("/input/sub"))
        """)
    sentence = "[Errno 2] read-only: write to /output, or ask the user to mount it with :rw: '/input/data/"
    assert run.value == [f"{sentence}new.txt'", f"{sentence}a.txt'", "moved.bin", "new.txt"]
    assert (data / "sub" / "new.txt").read_text() == "kept"
    assert (data / "a.txt").exists()


@pytest.mark.smoke
async def test_what_a_run_wrote_is_there_for_the_next_one_and_open_files_are_not(filed: Filed):
    async with filed.turn() as turn:
        failed = await turn.run("f = open('/output/a.txt', 'w')\nf.write('one')\nf.flush()\n1 / 0", keep=True)
        assert failed.error.startswith("ZeroDivisionError")
        run = await turn.run("open('/output/a.txt').read()", keep=True)
        assert run.value == "one"
    async with filed.turn() as turn:
        await turn.run("f = open('/output/a.txt', 'w')\nf.write('one')\nf.flush()\n1 / 0", keep=True)
        late = await turn.run("f.write('two')\nf.flush()", keep=True)
        assert late.error.startswith("OSError: [Errno 8] the file was closed when its run ended: open it again")
        assert turn.files.outputs == {"a.txt": b"one"}


# -- what goes wrong ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("open('/input/data/none.txt')", "FileNotFoundError: [Errno 44] there is no such file; /input/data has 'a.txt', "),
        ("open('/etc/passwd')", "FileNotFoundError: [Errno 44] there is no such file in the sandbox: programs read below /input and write to /output: '/etc/passwd'"),
        ("open('result.csv', 'w')", "FileNotFoundError: [Errno 44] there is no such file in the sandbox: programs read below /input and write to /output"),
        ("open('/input/data', 'r')", "IsADirectoryError: [Errno 31] it is a folder: '/input/data'"),
        ("open('/output', 'w')", "IsADirectoryError"),
        ("open('/output/no/x', 'w')", "FileNotFoundError: [Errno 44] there is no such file; /output is empty: '/output/no/x'"),
        ("open('/input/data/a.txt/x')", "NotADirectoryError"),
        ("open('/input/data/a.txt', 'x')", "PermissionError"),
        ("open('/output/a', 'x')\nopen('/output/a', 'x')", "FileExistsError: [Errno 20] it already exists: '/output/a'"),
        ("import os\nos.mkdir('/output')", "FileExistsError"),
        ("import os\nos.listdir('/input/data/a.txt')", "NotADirectoryError"),
        ("import os\nos.mkdir('/input/data/new')", "PermissionError"),
        ("import os\nos.chdir('/input/data/a.txt')", "NotADirectoryError"),
        ("import os\nos.open('/input/data/a.txt', 0)", "OSError: [Errno 52] the sandbox has no file descriptors: use open(...)"),
        ("open('/output/a', 'rw')", "ValueError: invalid mode: 'rw'"),
        ("open('/output/a', 'wb', encoding='utf-8')", "ValueError: binary mode takes no encoding"),
        ("open('/output/a', 'w', buffering=0)", "ValueError: can't have unbuffered text I/O"),
        ("open('/output/a\\0b', 'w')", "ValueError: embedded null"),
        ("open('')", "FileNotFoundError"),
        ("open('/output/\\ud800', 'w')", "OSError: [Errno 29]"),
        ("open(None)", "TypeError"),
        ("open('/output/a', 'w').read()", "UnsupportedOperation: not readable"),
        ("open('/input/data/a.txt').write('x')", "UnsupportedOperation: not writable"),
        ("open('/output/a', 'wb').write('x')", "TypeError"),
        ("open('/input/data/a.txt').fileno()", "UnsupportedOperation"),
        ("open('/input/data/latin.txt').read()", "UnicodeDecodeError"),
        ("f = open('/output/a', 'w')\nf.close()\nf.write('x')", "ValueError: I/O operation on closed file"),
        ("import shutil\nshutil.copyfile('/input/data/a.txt', '/input/data/a.txt')", "SameFileError"),
        ("open('/input/link')", "PermissionError: [Errno 2] it is a link, and links are not followed: '/input/link'"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_pythons_own_exception_with_a_sentence(
    filed: Filed, data: Path, tmp_path: Path, text: str, error: str
):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "link").symlink_to(data / "a.txt")
    run = await filed.run(text, FileMount(data, "/data"), workspace=tmp_path / "workspace")
    assert run.error.startswith(error)
    assert "codeact" not in run.traceback.replace(str(tmp_path), "")


async def test_a_link_is_known_as_one(filed: Filed, data: Path):
    (data / "link").symlink_to(data / "a.txt")
    run = await filed.run(
        """
        import os
        from pathlib import Path
        p = Path("/input/data/link")
        [p.is_symlink(), p.exists(), p.is_file(), [e.name for e in os.scandir("/input/data") if e.is_symlink()]]
        """,
        FileMount(data, "/data"),
    )
    assert run.value == [True, False, False, ["link"]]


async def test_a_program_without_mounts_is_told_that_there_is_nothing_to_read(filed: Filed):
    run = await filed.run("import os\nprint(os.listdir('/'), os.path.exists('/input'))\nopen('/input/a.csv')")
    assert run.stdout == "['output', 'tmp'] False\n"
    assert run.error.startswith("FileNotFoundError: [Errno 44] there is no such file: nothing is mounted below /input")


async def test_the_cap_of_output_is_an_error_of_the_program(filed: Filed):
    async with filed.turn(output=OutputLimits(file_bytes=1 << 20, files=2)) as turn:
        run = await turn.run("with open('/output/big', 'wb') as f:\n    f.write(bytes(2 << 20))")
        assert run.error.startswith("OSError: [Errno 22] a file in /output has at most 1 MiB: '/output/big'")
        run = await turn.run("for n in range(9):\n    open(f'/output/{n}', 'w').write('x')")
        assert run.error.startswith("OSError: [Errno 51] /output holds at most 2 files and folders: '/output/1'")
        run = await turn.run("f = open('/output/0', 'wb')\nf.write(bytes(2 << 20))\n'never closed'")
        assert run.error.startswith("OSError: [Errno 22] a file in /output has at most 1 MiB")


async def test_a_program_that_uses_no_files_asks_nothing(filed: Filed, data: Path):
    run = await filed.run("import os, io, pathlib, shutil, zipfile\n1 + 1", FileMount(data, "/data"))
    assert (run.value, run.calls) == (2, [])


async def test_past_the_guest_half_the_same_rules_hold(filed: Filed, data: Path):
    run = await filed.run(
        """
        from codeact_kernel.guest.inside.tool_calls import call_host
        answers = [call_host("files", "open", path=path, mode="r") for path in
                   ("/etc/passwd", "/input/data/../../etc/passwd", "/input/data/a.txt")]
        raw = []
        import posix, _io
        for act in (lambda: posix.listdir("/"), lambda: _io.open("/input/data/a.txt"), lambda: posix.mkdir("/output/x")):
            try:
                raw.append(act())
            except OSError as error:
                raw.append(type(error).__name__)
        [[answer.get("error") for answer in answers], raw]
        """,
        FileMount(data, "/data"),
    )
    assert run.value == [["ENOENT", "EINVAL", None], ["FileNotFoundError"] * 3]


# -- large files ---------------------------------------------------------------------------------------------------------------


async def test_a_large_file_arrives_as_it_is_and_the_kernel_holds_none_of_it(filed: Filed, tmp_path: Path):
    size = (2 if EMULATED else 50) << 20
    (tmp_path / "data").mkdir()
    content = os.urandom(size // 2) + b"text of a line\n" * (size // 30)
    (tmp_path / "data" / "big").write_bytes(content)
    digest, size = hashlib.sha256(content).hexdigest(), len(content)
    del content
    kernel, most = psutil.Process(), 0
    async with filed.turn(FileMount(tmp_path / "data", "/data")) as turn:
        await turn.run("1")
        before = kernel.memory_info().rss

        read = turn.files.handlers["read"]

        async def watched(arguments):
            nonlocal most
            most = max(most, kernel.memory_info().rss)
            return await read(arguments)

        turn.files.handlers["read"] = watched  # type: ignore[index]
        run = await turn.run("""
        import hashlib
        digest, size = hashlib.sha256(), 0
        with open("/input/data/big", "rb") as file:
            while piece := file.read(1 << 16):
                digest.update(piece)
                size += len(piece)
        [digest.hexdigest(), size]
        """)
    assert run.value == [digest, size]
    assert most - before < 24 << 20
    assert len(run.calls) < size / (1 << 19) + 10  # who reads on and on gets pieces of a megabyte


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("with tempfile.TemporaryDirectory() as at:\n    p = os.path.join(at, 'a', 'b.txt')\n    os.mkdir(os.path.dirname(p))\n"
         "    open(p, 'w').write('text')\n    found = open(p).read(), at.startswith('/tmp/')\n[*found, os.path.exists(at)]", ["text", True, False]),
        ("with tempfile.NamedTemporaryFile('w+', suffix='.csv') as f:\n    f.write('a,b')\n    f.flush()\n    f.seek(0)\n"
         "    found = f.read(), open(f.name).read()\n[*found, os.path.exists(f.name)]", ["a,b", "a,b", False]),
        ("with tempfile.TemporaryFile() as f:\n    f.write(b'ab')\n    f.seek(0)\n    list(f.read())", [97, 98]),
        ("with tempfile.SpooledTemporaryFile(max_size=2) as f:\n    f.write(b'abc')\n    f.seek(0)\n    f.read().decode()", "abc"),
        ("fd, path = tempfile.mkstemp(suffix='.txt')\nwith os.fdopen(fd, 'w') as f:\n    f.write('x')\n[open(path).read(), path[-4:]]", ["x", ".txt"]),
        ("fd, path = tempfile.mkstemp()\nos.close(fd)\nopen(path, 'w').write('x')\nos.remove(path)\nos.listdir('/tmp')", []),
        ("fd, path = tempfile.mkstemp()\nos.write(fd, b'a')\nos.write(fd, b'b')\nos.close(fd)\nopen(path).read()", "ab"),
        ("os.path.isdir(tempfile.mkdtemp())", True),
        ("tempfile.gettempdir()", "/tmp"),
    ],
)  # fmt: skip
async def test_temporary_files_work_and_are_not_kept(filed: Filed, text: str, value: object):
    async with filed.turn() as turn:
        run = await turn.run(f"import os, tempfile\n{text}")
        assert run.value == value
        assert not turn.files.outputs
