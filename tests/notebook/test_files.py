"""Files in a notebook: what is mounted is read, what is written for the user lies under the cell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.fixture
def data(kernel, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "orders.csv").write_text("user,total\nAnn,3\nBob,4\n")
    kernel.do(f"import os\nbefore = os.getcwd()\nos.chdir({str(tmp_path)!r})")
    yield kernel, folder
    kernel.do("os.chdir(before)")


READ = "import csv\nrows = list(csv.DictReader(open('/input/data/orders.csv')))\nsum(int(row['total']) for row in rows)"


def test_a_mounted_folder_is_read_and_the_model_is_told_of_it(data):
    nb, folder = data
    nb.ask(READ, options=f"--mount {folder}:/data")
    assert nb.get("codeact.results[-1].value, codeact.results[-1].error") == (7, None)
    assert "/input/data" in nb.asked[0][1]
    assert "orders.csv" in nb.asked[0][1]


def test_without_the_option_nothing_of_it_is_there(data):
    nb, _ = data
    cell = nb.ask(READ, options="--max-retries 0")
    assert cell.status == "error"
    assert "FileNotFoundError" in cell.text
    nb.ask("try:\n    open('/etc/passwd')\nexcept OSError as error:\n    seen = type(error).__name__\nseen")
    assert nb.get("codeact.results[-1].value") == "FileNotFoundError"


def test_it_is_read_only_unless_that_was_said(data):
    nb, folder = data
    cell = nb.ask("open('/input/data/new.txt', 'w').write('x')", options=f"--mount {folder}:/data --max-retries 0")
    assert "rw" in cell.text
    assert not (folder / "new.txt").exists()
    nb.ask("open('/input/data/new.txt', 'w').write('x')", options=f"--mount {folder}:/data:rw")
    assert (folder / "new.txt").read_text() == "x"


def test_the_workspace_is_input_itself_and_config_holds_for_every_cell(data):
    nb, folder = data
    nb.do(f"%config CodeAct.workspace_root = {str(folder)!r}")
    nb.ask("open('/input/orders.csv').readline().strip()")
    assert nb.get("codeact.results[-1].value") == "user,total"
    assert str(folder) in nb.run("%codeact config").of("stream")[0]["text"]
    nb.do("%config CodeAct.workspace_root = None")
    nb.ask("try:\n    open('/input/orders.csv')\nexcept FileNotFoundError:\n    seen = 'gone'\nseen")
    assert nb.get("codeact.results[-1].value") == "gone"


WRITE = """
import csv
with open("/output/totals.csv", "w", newline="") as file:
    csv.writer(file).writerows([["user", "total"], ["Ann <b>", 3]])
with open("/output/sub dir/x.bin", "wb") as file:
    file.write(bytes(range(256)))
"done"
""".strip()


def test_what_is_written_lies_under_the_cell_with_size_type_and_the_beginning_of_a_text(data):
    nb, folder = data
    cell = nb.ask("import os\nos.mkdir('/output/sub dir')\n" + WRITE)
    assert cell.status == "ok", cell.errors
    files = nb.get("[(f.name, f.size, f.media_type) for f in codeact.results[-1].files]")
    assert files == [("sub dir/x.bin", 256, "application/octet-stream"), ("totals.csv", 23, "text/csv")]
    paths = [folder.parent / path for path in nb.get("[f.path for f in codeact.results[-1].files]")]
    assert [path.read_bytes() for path in paths] == [bytes(range(256)), b"user,total\r\nAnn <b>,3\r\n"]
    html = cell.shown["text/html"]
    links = re.findall(r'<a href="([^"]+)"', html)
    assert [Path(link).name for link in links] == ["x.bin", "totals.csv"]
    assert all(link.startswith("codeact_output/") and " " not in link for link in links)
    assert "23 bytes, text/csv" in html
    assert "Ann &lt;b&gt;,3" in html
    assert "totals.csv" in cell.text


def test_where_nothing_is_written_no_folder_is_made(data):
    nb, folder = data
    nb.ask("1")
    assert nb.get("codeact.results[-1].files") == ()
    assert not (folder.parent / "codeact_output").exists()


def test_too_much_is_an_error_that_names_the_limit(data):
    nb, _ = data
    cell = nb.ask("open('/output/big', 'wb').write(bytes(40 << 20))", options="--max-retries 0")
    assert cell.status == "error"
    assert re.search(r"OSError.*MiB", cell.text)


def test_a_mount_that_there_cannot_be_is_told_before_the_model_is_asked(data):
    nb, _ = data
    cell = nb.ask("1", options="--mount /no/such/folder")
    assert cell.status == "error"
    assert "--mount: /no/such/folder cannot be mounted: there is no such folder or file." in cell.errors[0]
    assert nb.asked == []
