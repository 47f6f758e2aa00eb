"""The standard-library pack: what it holds, how it is read, and when its builder refuses.

These tests read the pack that an installation of this clone has built.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from codeact_kernel.errors import UserError
from codeact_kernel.guest import PACK, Pack, modules
from codeact_kernel.guest.pack import PackError, find_library, is_current, recipe

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

USED_BY_MANY_PROGRAMS = (
    "asyncio collections.abc concurrent.futures csv datetime decimal email.message fractions hashlib html.parser "
    "importlib.resources itertools json.decoder logging math os.path pathlib re sqlite3 statistics string textwrap "
    "traceback unittest.mock urllib.parse uuid xml.etree.ElementTree zlib zoneinfo"
).split()
LICENCE = b"PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2"


@pytest.fixture(scope="module")
def pack() -> Pack:
    return Pack.open()


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def native_file(version: tuple[int, int, int], licence: bytes = LICENCE) -> bytes:
    """What componentize-py's native file looks like to the builder: two compressed tars among other bytes."""
    major, minor, micro = version
    details = {
        "language": {"version_info": {"major": major, "minor": minor, "micro": micro}},
        "platform": "wasi-wasm32",
    }
    other = tar_of({"poll_loop.py": b"pass"})
    library = tar_of({"build-details.json": json.dumps(details).encode(), "LICENSE.txt": licence, "re.py": b"x = 1"})
    return b"\x7fELF\x28\xb5\x2f\xfd no frame " + zstd.compress(other) + b"between" + zstd.compress(library) + b"end"


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            tar.addfile(item, io.BytesIO(data))
    return buffer.getvalue()


# -- what it holds ---------------------------------------------------------------------------------------------------


def test_at_least_150_public_top_level_modules_can_be_imported() -> None:
    assert len([name for name in modules() if "." not in name]) >= 150


def test_modules_that_many_programs_use_can_be_imported() -> None:
    assert [name for name in USED_BY_MANY_PROGRAMS if name not in modules()] == []


def test_the_list_of_modules_is_sorted_and_has_no_private_names() -> None:
    assert list(modules()) == sorted(set(modules()))
    assert [name for name in modules() if any(part.startswith("_") for part in name.split("."))] == ["__future__"]


def test_the_guests_own_machinery_is_not_offered_to_programs() -> None:
    assert not {"wit_world", "sandbox_executor", "componentize_py_runtime"} & set(modules())


def test_modules_that_need_what_the_guest_lacks_are_neither_listed_nor_in_the_pack(pack: Pack) -> None:
    lacking = {"bz2", "ctypes", "curses", "lzma", "multiprocessing", "ssl", "tkinter", "turtle"}
    assert not lacking & {*modules(), *pack.names()}


def test_the_pack_says_why_a_module_is_missing() -> None:
    with zipfile.ZipFile(PACK) as archive:
        failed = json.loads(archive.read("modules.json"))["failed"]
    assert failed["ssl"] == "ModuleNotFoundError: No module named '_ssl'"
    assert failed["multiprocessing"] == "the sandbox has no processes"


def test_every_module_has_both_source_and_bytecode(pack: Pack) -> None:
    for name in sorted(pack.names()):
        assert pack.module(name) is not None and pack.source(name) is not None, name


def test_the_pack_carries_the_licence_of_its_sources() -> None:
    with zipfile.ZipFile(PACK) as archive:
        assert LICENCE in archive.read("LICENSE.txt")
        assert b"CPython 3.14.0" in archive.read("THIRD_PARTY_NOTICES.txt")
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in archive.infolist())


# -- how it is read --------------------------------------------------------------------------------------------------


def test_bytecode_comes_without_a_header_and_names_the_guests_file(pack: Pack) -> None:
    module = pack.module("json.decoder")
    assert module is not None and not module.package
    assert module.filename == "/python/lib/python3.14/json/decoder.py"
    assert module.code[0] & 0x7F == ord("c")  # marshal's mark of a code object
    assert module.filename.encode() in module.code


def test_a_package_is_known_as_one(pack: Pack) -> None:
    module = pack.module("json")
    assert module is not None and module.package
    assert module.filename == "/python/lib/python3.14/json/__init__.py"


def test_sources_are_those_of_python_3_14(pack: Pack) -> None:
    source = pack.source("heapq")
    assert source is not None and "def heappush_max(" in source


@pytest.mark.parametrize(
    "name",
    ["", ".", "../modules", "/etc/passwd", "json/decoder", "json.decoder.py", "json.__init__", "lib.json", "\ud800"]
    + ["LICENSE", "LICENSE.txt", "modules.json", "lib/json/decoder.py", "json\0", "JSON"],
)
def test_a_name_that_is_no_module_gives_nothing(pack: Pack, name: str) -> None:
    assert pack.module(name) is None
    assert pack.source(name) is None


@pytest.mark.process
def test_an_open_pack_opens_no_file_and_imports_nothing_any_more() -> None:
    program = """
import sys
from codeact_kernel.guest import Pack
pack = Pack.open()
def refuse(event, _):
    if event in ("open", "import"):
        raise PermissionError(event)
sys.addaudithook(refuse)
print(sum(len(pack.module(name).code) + len(pack.source(name)) for name in pack.names()))
"""
    assert int(run(program)) > 10_000_000


@pytest.mark.process
def test_reading_the_pack_loads_no_heavy_module() -> None:
    heavy = {"asyncio", "pydantic", "wasmtime", "httpx", "openai", "IPython", "codeact_kernel.guest.build_guest"}
    loaded = run("import codeact_kernel.guest as g; g.modules(); import sys; print(*sys.modules)").split()
    assert not heavy & set(loaded)


def test_a_missing_pack_is_reported_in_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"was not built: run `pip install -e \.` in a clone"):
        Pack.open(tmp_path / "stdlib.zip")


def test_a_damaged_pack_is_reported_in_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    damaged = tmp_path / "stdlib.zip"
    damaged.write_bytes(PACK.read_bytes()[:100_000])
    with pytest.raises(UserError, match=r"is damaged: run `pip install -e \.` in a clone"):
        Pack.open(damaged)


# -- when it is built ------------------------------------------------------------------------------------------------


def test_a_pack_is_current_only_for_its_own_recipe(tmp_path: Path) -> None:
    target = tmp_path / "stdlib.zip"
    for change, expected in ({}, True), ({"wasmtime": "0"}, False):
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("recipe.json", json.dumps(recipe() | change))
        assert is_current(target) is expected


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\5\6" + bytes(18)])
def test_a_missing_or_damaged_pack_is_not_current(tmp_path: Path, content: bytes | None) -> None:
    target = tmp_path / "stdlib.zip"
    if content is not None:
        target.write_bytes(content)
    assert not is_current(target)


def test_the_library_is_found_among_other_compressed_data() -> None:
    assert find_library(native_file((3, 14, 0)))["re.py"] == b"x = 1"


def test_a_library_of_another_python_is_refused_by_its_version() -> None:
    with pytest.raises(PackError, match=r"CPython 3\.14\.1 instead of 3\.14\.0: install the pinned version"):
        find_library(native_file((3, 14, 1)))


def test_a_library_without_its_licence_is_refused() -> None:
    with pytest.raises(PackError, match="without its licence"):
        find_library(native_file((3, 14, 0), licence=b"all rights reserved"))


def test_a_file_without_the_library_is_refused() -> None:
    with pytest.raises(PackError, match="no CPython library where it used to"):
        find_library(b"\x7fELF\x28\xb5\x2f\xfd" + zstd.compress(tar_of({"poll_loop.py": b"pass"})))
