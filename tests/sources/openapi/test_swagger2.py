# pyright: basic
"""Descriptions of version 2.0."""

from __future__ import annotations

import json

import pytest

from codeact_kernel.errors import UserError

from .conftest import names, stubs


@pytest.fixture
def load(api):
    """Loads a description of version 2.0 with these operations."""

    async def load(paths, **more):
        head = {"swagger": "2.0", "host": f"127.0.0.1:{api.server.port}", "basePath": "/v1", "schemes": ["http"]}
        head |= {"paths": paths, "definitions": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}}}}}
        api.server.replies["/openapi.json"] = lambda handler: handler.send(200, json.dumps(head | more).encode(), {})
        return await api.load(f"{api.server.url}/openapi.json")

    return load


async def test_parameters_bodies_and_results_are_read(load, api):
    body = {"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}
    shared = {"name": "shop", "in": "path", "type": "integer", "required": True}
    done = {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Pet"}}}}
    post = {"operationId": "add", "summary": "x", "parameters": [body], "responses": done}
    description = await load({"/{shop}/pets": {"parameters": [shared], "post": post}})
    assert stubs(description) == ["add(shop: int, name: str = None) -> list of {name: str (optional)}  # x"]
    answer = await api.call("add", shop=3, name="Rex")
    assert (answer["path"], json.loads(answer["body"])) == ("/v1/3/pets", {"name": "Rex"})


@pytest.mark.parametrize(
    ("format", "query"), [("multi", "q=a&q=b"), ("csv", "q=a,b"), ("pipes", "q=a%7Cb"), ("ssv", "q=a%20b")]
)
async def test_lists_are_written_in_their_collection_format(load, api, format, query):
    one = {"name": "q", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": format}
    await load({"/pets": {"get": {"operationId": "find", "parameters": [one], "responses": {}}}})
    assert await api.path_of("find", q=["a", "b"]) == f"/v1/pets?{query}"


async def test_a_form_is_read_and_a_file_is_not_supported(load, api):
    field = {"name": "name", "in": "formData", "type": "string", "required": True}
    upload = {"operationId": "upload", "parameters": [{**field, "type": "file"}], "responses": {}}
    add = {
        "operationId": "add",
        "parameters": [field],
        "responses": {},
        "consumes": ["application/x-www-form-urlencoded"],
    }
    description = await load({"/pets": {"post": add}, "/files": {"post": upload}})
    assert names(description) == ["add"]
    assert "multipart/form-data" in description.notices[0]
    assert (await api.call("add", name="a b"))["body"] == "name=a%20b"


async def test_another_host_is_not_reached(load, canary):
    with pytest.raises(UserError, match="which you have not allowed"):
        await load({"/pets": {"get": {"responses": {}}}}, host=f"127.0.0.1:{canary.port}")


async def test_a_parameter_of_another_document_leaves_its_operation_out(load):
    far = {"operationId": "far", "parameters": [{"$ref": "http://example.com/p.json"}], "responses": {}}
    description = await load({"/far": {"get": far}, "/near": {"get": {"operationId": "near", "responses": {}}}})
    assert names(description) == ["near"]
    assert "another document" in description.notices[0]
