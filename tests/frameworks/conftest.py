"""Each test begins and ends without a tool on offer, as in `tests/tools`."""

from ..tools.conftest import empty_registry

__all__ = ["empty_registry"]
