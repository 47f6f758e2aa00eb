"""ipykernel's own tests of messages, debugger, subshells and interrupts, pointed at our kernel and at the stock one.

They come from its source archive of the version that is installed here, and start the kernel named `python3`: for them
that is ours.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from codeact_kernel.jupyter.kernelspecs import install

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not os.environ.get("TEST_CODEACT_RELEASE"), reason="scripts/test --release --full runs it"),
]

# Those that start a kernel; the others test ipykernel's modules.
FILES = ("test_message_spec", "test_kernel", "test_async", "test_comm", "test_connect", "test_debugger", "test_heartbeat",
         "test_subshells", "test_eventloop")  # fmt: skip
# It asks that the version of the kernel be at least IPython's 2.1; ours has a version of its own.
OF_IPYTHON = {"test_message_spec.py::test_kernel_info_request"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ipykernel")
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    subprocess.run([*fetch, f"ipykernel=={version('ipykernel')}"], cwd=folder, check=True, timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / f"ipykernel-{version('ipykernel')}"


def failed(tree: Path, jupyter_path: str) -> tuple[set[str], int]:
    """Which tests fail, and how many pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=default",
         "-o", "asyncio_default_fixture_loop_scope=function", "-rfE", "--color=no", *(f"tests/{name}.py" for name in FILES)],
        cwd=tree, env=os.environ | {"JUPYTER_PATH": jupyter_path}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    found = set(re.findall(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE))
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout[-3000:]
    return found, int(passed[1])


def test_our_kernel_fails_nothing_of_ipykernels_own_tests_that_the_stock_kernel_does_not_fail(tree, tmp_path):
    install(user=False, prefix=str(tmp_path), name="python3")
    stock, passed = failed(tree, "")
    ours, _ = failed(tree, str(tmp_path / "share" / "jupyter"))
    print(f"\nstock: {passed} passed, failed: {sorted(stock)}\nours, beyond that: {sorted(ours - stock)}")
    assert passed > 90
    assert ours - stock <= OF_IPYTHON
