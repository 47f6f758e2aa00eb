"""A secret in a DataFrame, which a guest with pandas gets as bytes: it has a mask of the same width in its place."""

from __future__ import annotations

import secrets

import pandas
import pytest

from codeact_kernel import Secret
from codeact_kernel.tools import Registry
from codeact_kernel.tools.conversion import as_tool

from .conftest import Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]

LOOK = """
token = {backwards!r}[::-1]
def texts(frame):
    return " ".join([*map(str, frame.columns), *map(str, frame.index), *(str(v) for name in frame for v in frame[name])])
made = leak()
[token in texts(made), token in texts(given), len(made), made["text"].str.len().tolist()]
"""


def frame_with(token: str) -> pandas.DataFrame:
    frame = pandas.DataFrame(
        {
            "text": [f"a {token}", "b"],
            "category": pandas.Categorical([token, "other"]),
            "objects": [[token], {token: 1}],
            token: [1, 2],
        },
        index=["x", f"y {token}"],
    )
    return frame


@pytest.mark.parametrize("form", ["plain-{}", "pässwörd…🙂-{}"])
async def test_a_secret_in_a_frame_has_a_mask_of_its_width(science: Science, form: str) -> None:
    token = form.format(secrets.token_hex(12))
    secret = Secret(token, name="PLANTED")

    def leak() -> pandas.DataFrame:
        """A table."""
        return frame_with(secret.reveal())

    science.session.tools = Registry()
    science.session.tools.add_tool(as_tool(leak))
    value = await science.value(LOOK.format(backwards=token[::-1]), inputs={"given": frame_with(token)})
    assert value == [False, False, 2, [2 + len(token), 1]]
    assert token not in repr(science.events) + repr(science.model.asked)
