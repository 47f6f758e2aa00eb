"""Write a Swagger 2.0 description as one of OpenAPI 3.0, as far as operations need it."""

from __future__ import annotations

from typing import Any

from .openapi_schemas import Document, LeftOut, Part, as_list, as_part, text_of

__all__ = ["upgrade"]

_DELIMITERS = {"ssv": "spaceDelimited", "pipes": "pipeDelimited"}
_FORM = "application/x-www-form-urlencoded"
_NOT_SCHEMA = ("name", "in", "description", "required", "collectionFormat", "allowEmptyValue")


def upgrade(root: Part) -> Part:
    """Return the description in the form of OpenAPI 3.0; one that has that form already is returned as it is."""
    if "swagger" not in root:
        return root
    document = Document(root)
    paths = {path: _path(document, as_part(item)) for path, item in as_part(root["paths"]).items()}
    return {**root, "paths": paths, "servers": [{"url": url} for url in _server_urls(root)]}


def _server_urls(root: Part) -> list[str]:
    host, base = text_of(root.get("host")), text_of(root.get("basePath")) or "/"
    if not host:
        return [base]
    schemes = [scheme for scheme in ("https", "http") if scheme in as_list(root.get("schemes"))]
    return [f"{scheme}://{host}{base}" for scheme in schemes or ["https"]]


def _path(document: Document, item: Part) -> Part:
    shared = as_list(item.get("parameters"))
    return {
        name: _operation(document, as_part(value), shared) if "responses" in as_part(value) else value
        for name, value in item.items()
        if name != "parameters"
    }


def _operation(document: Document, operation: Part, shared: list[Any]) -> dict[str, Any]:
    produces = as_list(operation.get("produces", document.root.get("produces"))) or ["application/json"]
    consumes = as_list(operation.get("consumes", document.root.get("consumes"))) or ["application/json"]
    upgraded = {**operation, "responses": _responses(document, as_part(operation.get("responses")), produces)}
    try:
        resolved = [document.resolve(parameter) for parameter in [*shared, *as_list(operation.get("parameters"))]]
    except LeftOut:
        return upgraded  # its parameters are resolved again when it is read, with the same error
    parameters = {(text_of(item.get("in")), text_of(item.get("name"))): item for item in resolved}
    form = [item for (place, _), item in parameters.items() if place == "formData"]
    upgraded["parameters"] = [
        _parameter(item) for (place, _), item in parameters.items() if place not in ("body", "formData")
    ]
    for (place, _), item in parameters.items():
        if place == "body":
            content = {str(media_type): {"schema": item.get("schema", {})} for media_type in consumes}
            upgraded["requestBody"] = {"content": content, "required": item.get("required") is True}
    if form:
        upgraded["requestBody"] = {"content": _form_content(form, consumes), "required": True}
    return upgraded


def _form_content(fields: list[Part], consumes: list[Any]) -> Part:
    schema = {
        "type": "object",
        "properties": {text_of(item.get("name")): _schema(item) for item in fields},
        "required": [text_of(item.get("name")) for item in fields if item.get("required") is True],
    }
    is_file = any(item.get("type") == "file" for item in fields)
    media_type = "multipart/form-data" if is_file or (consumes and _FORM not in consumes) else _FORM
    return {media_type: {"schema": schema}}


def _parameter(item: Part) -> Part:
    style = _DELIMITERS.get(text_of(item.get("collectionFormat")), "form" if item.get("in") == "query" else "simple")
    is_repeated = item.get("collectionFormat") == "multi"
    return {**{key: item[key] for key in ("name", "in", "description", "required") if key in item},
            "schema": _schema(item), "style": style, "explode": is_repeated}  # fmt: skip


def _schema(item: Part) -> Part:
    schema = {key: value for key, value in item.items() if key not in _NOT_SCHEMA}
    return {**schema, "description": text_of(item.get("description"))}


def _responses(document: Document, responses: Part, produces: list[Any]) -> Part:
    upgraded: dict[str, Any] = {}
    for status, value in responses.items():
        try:
            response = document.resolve(value)
        except LeftOut:
            continue
        if "schema" in response:
            response = {"content": {str(media_type): {"schema": response["schema"]} for media_type in produces}}
        upgraded[status] = response
    return upgraded
