# pyright: basic
"""`openapi_tools` in a script: the operations of a description are tools of a session."""

from __future__ import annotations

import pytest

from codeact_kernel import AutoApprove, ScriptedModel, Session, Settings, openapi_tools

from .conftest import json_body, parameter

SETTINGS = Settings(backend="embedded", guest="standard", max_retries=0)


@pytest.mark.process
async def test_a_program_reads_and_changes_through_the_operations(api):
    api.add("/pets/{id}", operationId="get_pet", parameters=[parameter("id", "path")])
    api.add("/pets", "post", operationId="add_pet", requestBody=json_body({"properties": {"name": {"type": "string"}}}))
    program = "[get_pet('1')['path'], add_pet(name='Rex')['body']]"
    async with Session(tools=await openapi_tools(api.url), model=ScriptedModel([program])) as session:
        result = await session.ask("Add Rex.", settings=SETTINGS, approver=AutoApprove())
    assert result.value == ["/pets/1", '{"name": "Rex"}']
    assert [record.call.is_read_only for record in result.calls] == [True, False]


async def test_what_is_not_offered_is_a_warning(api):
    api.add("/pets", operationId="look")
    api.add(
        "/files", "post", operationId="upload", requestBody={"required": True, "content": {"multipart/form-data": {}}}
    )
    with pytest.warns(UserWarning, match="multipart/form-data is not supported: upload"):
        [look] = await openapi_tools(api.url)
    assert look.__name__ == "look"


async def test_the_settings_of_the_environment_allow_hosts(api, monkeypatch):
    api.add("/pets", operationId="look")
    monkeypatch.setenv("CODEACT_ALLOWED_DOMAINS", api.server.url)
    assert len(await openapi_tools(api.file)) == 1
