"""/output: what it holds, where that ends, and what becomes of it on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codeact_kernel.capabilities.files.output_writer import media_type, save
from codeact_kernel.errors import UserError
from codeact_kernel.limits import OutputLimits
from codeact_kernel.types import OutputFile

from .conftest import Services

Serving = Callable[..., Services]

PNG = b"\x89PNG\r\n\x1a\n and so on"
SMALL = OutputLimits(files=4, file_bytes=1_000, all_bytes=2_000, depth=3)


async def put(ask: Services, name: str, content: str = "x") -> None:
    handle = (await ask("open", path=f"/output/{name}", mode="w"))["handle"]
    await ask("write", handle=handle, offset=0, data={"text": content})
    await ask("close", handle=handle)


# -- what it holds ---------------------------------------------------------------------------------------------------------


async def test_what_was_written_stays_for_the_turn_and_longer(serving: Serving):
    ask = serving()
    await ask("mkdir", path="/output/sub")
    await put(ask, "sub/a.txt", "alpha")
    ask.files.start_run()  # another run of the same turn
    await put(ask, "b.txt", "beta")
    assert (await ask("open", path="/output/sub/a.txt", mode="r"))["data"] == {"text": "alpha"}
    ask.files.close()
    assert ask.files.outputs == {"sub/a.txt": b"alpha", "b.txt": b"beta"}


async def test_files_are_written_anywhere_and_cut_anywhere(serving: Serving):
    ask = serving()
    handle = (await ask("open", path="/output/x", mode="w+"))["handle"]
    assert await ask("write", handle=handle, offset=3, data={"base64": "/wA="}) == 5
    assert await ask("write", handle=handle, offset=0, data={"text": "abcd"}) == 4
    assert await ask("write", handle=handle, offset=None, data={"text": "end"}) == 8
    assert await ask.read(handle, 2, 100) == b"cd\0end"
    assert await ask.read(handle, 8, 100) == b""
    await ask("truncate", handle=handle, size=3)
    await ask("truncate", handle=handle, size=4)
    assert ask.files.outputs == {"x": b"abc\0"}
    assert (await ask("open", path="/output/x", mode="w"))["size"] == 0
    assert ask.files.outputs == {"x": b""}


async def test_folders_move_with_what_is_in_them(serving: Serving):
    ask = serving()
    await ask("mkdir", path="/output/a")
    await ask("mkdir", path="/output/a/b")
    await put(ask, "a/b/c.txt", "c")
    await put(ask, "top.txt", "top")
    await ask("rename", path="/output/a", to="/output/A")  # of itself it may differ in case only
    await ask("rename", path="/output/top.txt", to="/output/A/b/c.txt")
    assert ask.files.outputs == {"A/b/c.txt": b"top"}
    assert (await ask.error("rename", path="/output/A", to="/output/A/b/d")).startswith("EINVAL")
    assert (await ask.error("rename", path="/output/A/b/c.txt", to="/output/A")).startswith("EEXIST")
    assert (await ask.error("rename", path="/output/none", to="/output/x")).startswith("ENOENT")
    assert (await ask.error("rename", path="/output", to="/output/x")).startswith("EINVAL")
    assert (await ask.error("rmdir", path="/output/A")) == "ENOTEMPTY: the folder is not empty"
    assert (await ask.error("rmdir", path="/output")) == "EBUSY: /output cannot be removed"
    assert (await ask.error("remove", path="/output/A")).startswith("EISDIR")
    assert (await ask.error("open", path="/output/A", mode="w")).startswith("EISDIR")
    assert (await ask.error("open", path="/output/A/b/c.txt/d", mode="w")).startswith("ENOTDIR")
    assert (await ask.error("mkdir", path="/output/A")).startswith("EEXIST")
    assert (await ask.error("open", path="/output/A/b/c.txt", mode="x")).startswith("EEXIST")
    assert (await ask.error("open", path="/output/none/x", mode="w")) == (
        "ENOENT: there is no such file; /output has 'A'"
    )
    await ask("remove", path="/output/A/b/c.txt")
    await ask("rmdir", path="/output/A/b")
    assert await ask("list", path="/output/A") == []


@pytest.mark.parametrize(("one", "other"), [("a.txt", "A.TXT"), ("straße", "STRASSE"), ("é", "e\u0301"), ("i", "I")])
async def test_names_that_some_disks_take_for_one_are_refused(serving: Serving, one: str, other: str):
    ask = serving()
    await put(ask, one, "first")
    sentence = "EEXIST: a name that differs only in case exists, and some disks treat the two as one"
    assert await ask.error("open", path=f"/output/{other}", mode="w") == sentence
    assert await ask.error("mkdir", path=f"/output/{other}") == sentence
    await put(ask, "x")
    assert await ask.error("rename", path="/output/x", to=f"/output/{other}") == sentence
    assert ask.files.outputs == {one: b"first", "x": b"x"}


# -- where it ends ---------------------------------------------------------------------------------------------------------


async def test_each_cap_is_named_and_what_was_there_is_kept(serving: Serving):
    ask = serving(output=SMALL)
    await put(ask, "a", "a" * 1_000)
    handle = (await ask("open", path="/output/a", mode="r+"))["handle"]
    for operation, more in (("write", {"offset": 1_000, "data": {"text": "a"}}), ("truncate", {"size": 1_001})):
        assert (await ask.error(operation, handle=handle, **more)).startswith(
            "EFBIG: a file in /output has at most 1,000 bytes"
        )
    await put(ask, "b", "b" * 900)
    handle = (await ask("open", path="/output/c", mode="w"))["handle"]
    sentence = "ENOSPC: /output holds at most 2 KiB in all"
    assert await ask.error("write", handle=handle, offset=0, data={"text": "c" * 101}) == sentence
    assert await ask("write", handle=handle, offset=0, data={"text": "c" * 100}) == 100
    await ask("mkdir", path="/output/d")
    full = "ENOSPC: /output holds at most 4 files and folders"
    assert await ask.error("open", path="/output/e", mode="w") == full
    assert await ask.error("mkdir", path="/output/d/e") == full
    await ask("remove", path="/output/b")
    await ask("mkdir", path="/output/d/e")
    assert {name: len(data) for name, data in ask.files.outputs.items()} == {"a": 1_000, "c": 100}


async def test_a_sparse_giant_takes_no_memory(serving: Serving):
    ask = serving()
    handle = (await ask("open", path="/output/giant", mode="w"))["handle"]
    sentence = "EFBIG: a file in /output has at most 32 MiB"
    assert await ask.error("write", handle=handle, offset=1 << 50, data={"text": "x"}) == sentence
    assert await ask.error("truncate", handle=handle, size=1 << 50) == sentence
    assert ask.files.outputs == {"giant": b""}


async def test_a_path_below_output_is_only_so_deep(serving: Serving):
    ask = serving(output=SMALL)
    sentence = "ENAMETOOLONG: a path below /output has at most 3 parts"
    await ask("mkdir", path="/output/a")
    await ask("mkdir", path="/output/a/b")
    await ask("mkdir", path="/output/a/b/c")
    assert await ask.error("open", path="/output/a/b/c/d", mode="w") == sentence
    await ask("mkdir", path="/output/x")
    assert await ask.error("rename", path="/output/a", to="/output/x/a") == sentence
    assert [entry[0] for entry in await ask("list", path="/output/a/b")] == ["c"]  # nothing was lost on the way


async def test_a_file_that_was_removed_while_it_was_open_cannot_be_filled_unseen(serving: Serving):
    ask = serving(output=SMALL)
    handles = []
    for _ in range(10):
        handles.append((await ask("open", path="/output/a", mode="w"))["handle"])
        await ask("write", handle=handles[-1], offset=0, data={"text": "a" * 1_000})
        await ask("remove", path="/output/a")
    for handle in handles:
        assert await ask.read(handle, 0, 1_000) == b""
        sentence = "ESTALE: the file was removed after it was opened"
        assert await ask.error("write", handle=handle, offset=0, data={"text": "a"}) == sentence
        assert await ask.error("truncate", handle=handle, size=900) == sentence


# -- on the disk -----------------------------------------------------------------------------------------------------------


async def test_files_are_saved_in_a_fresh_folder_each_time(serving: Serving, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "now")  # within one second
    ask = serving()
    await ask("mkdir", path="/output/charts")
    await ask("open", path="/output/charts/a.png", mode="w")
    await put(ask, "rows.csv", "a,b\n")
    assert ask.files.save(Path("results")) == (
        OutputFile(
            name="charts/a.png",
            path=os.path.join("results", "now", "charts", "a.png"),
            size=0,
            media_type="application/octet-stream",
        ),
        OutputFile(
            name="rows.csv",
            path=os.path.join("results", "now", "rows.csv"),
            size=4,
            media_type="text/csv",
            preview="a,b\n",
        ),
    )
    assert [file.path for file in ask.files.save(tmp_path / "results")] == [
        os.path.join("results", "now_2", "charts", "a.png"),
        os.path.join("results", "now_2", "rows.csv"),
    ]
    assert (tmp_path / "results" / "now" / "rows.csv").read_text() == "a,b\n"


def test_where_nothing_was_written_nothing_is_made(serving: Serving, tmp_path: Path):
    assert serving().files.save(tmp_path / "results") == ()
    assert list(tmp_path.iterdir()) == []


def test_a_path_outside_of_the_working_folder_is_told_whole(tmp_path: Path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (saved,) = save({"a.txt": b"x"}, tmp_path / "there")
    assert Path(saved.path).is_absolute()
    assert Path(saved.path).read_text() == "x"


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "/etc/cron.d/x", "", ".", "a\0b", "a\\..\\b", "a//b", "a\u202eb"]
)
def test_names_are_checked_again_where_they_become_real(tmp_path: Path, name: str):
    with pytest.raises(UserError, match="cannot be saved in"):
        save({name: b"x"}, tmp_path / "results")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(os.name == "nt", reason="links are made as on Unix")
def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"cannot be saved in .*results \(it is a link\)"):
        save({"a.txt": b"x"}, tmp_path / "results")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match=r"^The files that the program wrote cannot be saved in .*\(File exists\)\.$"):
        save({"a.txt": b"x"}, tmp_path / "results")


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", PNG, "image/png"),
        ("a.png", b"<html>", "application/octet-stream"),
        ("a.JPG", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a.gif", b"GIF89a", "image/gif"),
        ("rows.csv", b"a,b", "text/csv"),
        ("rows.csv.gz", b"\x1f\x8b", "application/gzip"),
        ("page.html", b"<p>", "text/html"),
        ("data.json", b"{}", "application/json"),
        ("README", "naïve".encode(), "text/plain"),
        ("README", b"a" * 4_095 + "é".encode(), "text/plain"),
        ("blob", b"\xff\xfe\0", "application/octet-stream"),
        ("blob", b"a\0b", "application/octet-stream"),
    ],
)
def test_a_media_type_is_told_by_the_name_and_a_pictures_by_its_first_bytes(name: str, data: bytes, kind: str):
    assert media_type(name, data) == kind
