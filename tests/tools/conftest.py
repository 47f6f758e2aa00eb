"""Each test begins and ends without a tool on offer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeact_kernel.tools import default_registry


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    default_registry.clear()
    yield
    default_registry.clear()
