"""Read the operations of an OpenAPI description: their names, arguments, bodies and results.

All of it is hostile data. What is read here becomes the name, the description and the schema of a tool, and the place
of each argument in a request. Whether a request is allowed is decided by the network policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..capabilities.network.policy import is_reserved_header
from ..text import collapse_whitespace, truncate
from .openapi_schemas import Document, LeftOut, Part, as_list, as_part, text_of

__all__ = ["Argument", "Candidate", "Operation", "is_json", "list_candidates", "read_operation"]

METHODS = ("get", "head", "post", "put", "patch", "delete")
"""TRACE and OPTIONS are about the server, and the network policy has no place for them."""
FORM = "application/x-www-form-urlencoded"
ANY = "*/*"
MAX_NAME_CHARACTERS = 200
MAX_TEXT_CHARACTERS = 400
MAX_ARGUMENTS = 300

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_KNOWN_STYLES = ("simple", "form", "spaceDelimited", "pipeDelimited", "deepObject")
# These say who sends a request, and what its body and its answer are. There are more that no program can set at all.
_USERS_HEADERS = re.compile(
    r"authorization|cookie2?|set-cookie|content-.*|accept|accept-encoding|accept-charset|forwarded|x-forwarded-.*"
    r"|x-real-ip|via|origin|referer|sec-.*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument of an operation.

    Attributes:
        own_name: Its name among the arguments.
        name: Its name in the request.
        place: `path`, `query`, `header`, `cookie` or `body`.
        is_json: It is sent as JSON text.
    """

    own_name: str
    name: str
    place: str
    style: str = "form"
    explode: bool = True
    is_json: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One operation, ready to become a tool.

    Attributes:
        name: The operationId, or the method and the path.
        method: In upper case.
        path: The template, which begins with a slash.
        schema: The JSON schema of the arguments.
        output_schema: The JSON schema of the result; `None` if nothing is known.
        body_type: The media type of the body; empty if there is none.
        is_whole_body: One argument is the whole body.
        accepts: The media type of the result; empty if any is fine.
    """

    name: str
    method: str
    path: str
    description: str
    arguments: Sequence[Argument]
    schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    body_type: str = ""
    is_whole_body: bool = False
    is_body_required: bool = False
    accepts: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An operation that was found, and not read yet.

    Attributes:
        shared: The path item that it is in.
        item: Its own object.
    """

    name: str
    method: str
    path: str
    tags: Sequence[str]
    shared: Part
    item: Part


def list_candidates(document: Document) -> Iterator[Candidate]:
    """Yield the operations of a description in their order."""
    for path, value in as_part(document.root.get("paths")).items():
        try:
            shared = document.resolve(value)
        except LeftOut:
            continue
        for method in METHODS:
            if method in shared:
                item = as_part(shared[method])
                yield Candidate(
                    name=(text_of(item.get("operationId")).strip() or f"{method} {path}")[:MAX_NAME_CHARACTERS],
                    method=method.upper(),
                    path=path,
                    tags=[text_of(tag) for tag in as_list(item.get("tags"))],
                    shared=shared,
                    item=item,
                )


def read_operation(document: Document, candidate: Candidate, users_headers: Sequence[str] = ()) -> Operation:
    """Read one operation.

    Args:
        users_headers: The headers that the user sets, which are therefore no arguments.

    Raises:
        LeftOut: It cannot be offered.
    """
    if not candidate.path.startswith("/"):
        raise LeftOut("their paths do not begin with a slash")
    arguments = _Arguments(document, {name.lower() for name in users_headers})
    parameters = [*as_list(candidate.shared.get("parameters")), *as_list(candidate.item.get("parameters"))]
    resolved = [document.resolve(parameter) for parameter in parameters]
    for parameter in {(text_of(one.get("in")), text_of(one.get("name"))): one for one in resolved}.values():
        arguments.add_parameter(parameter)
    in_path = {argument.name for argument in arguments.found if argument.place == "path"}
    if {*_PLACEHOLDER.findall(candidate.path)} != in_path:
        raise LeftOut("their paths and the parameters of their paths differ")
    body = document.resolve(candidate.item.get("requestBody"))
    body_type = arguments.add_body(body) if body else ""
    output_schema, accepts = _read_result(document, candidate.item)
    return Operation(
        name=candidate.name,
        method=candidate.method,
        path=candidate.path,
        description=_describe(candidate),
        arguments=tuple(arguments.found),
        schema=document.schema({"type": "object", "properties": arguments.properties, "required": arguments.required}),
        output_schema=output_schema,
        body_type=body_type,
        is_whole_body=arguments.is_whole_body,
        is_body_required=bool(body_type) and _is_required(body, arguments.is_body_needed),
        accepts=accepts,
    )


@dataclass
class _Arguments:
    """The arguments of one operation, collected.

    Attributes:
        users_headers: In lower case.
        is_body_needed: The schema of the body has required properties.
    """

    document: Document
    users_headers: set[str]
    found: list[Argument] = field(default_factory=list[Argument])
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    required: list[str] = field(default_factory=list[str])
    is_whole_body: bool = False
    is_body_needed: bool = False

    def add_parameter(self, parameter: Part) -> None:
        name, place = text_of(parameter.get("name")), text_of(parameter.get("in"))
        if place not in _STYLES or not name:
            raise LeftOut("a parameter has no name or an unknown place")
        if place == "header" and (_is_users(name) or name.lower() in self.users_headers):
            return
        if place == "cookie" and "cookie" in self.users_headers:
            return
        style = text_of(parameter.get("style")) or _STYLES[place]
        if style not in _KNOWN_STYLES:
            raise LeftOut(f"a parameter has the style {style[:20]!r}")
        content = [as_part(item) for item in as_part(parameter.get("content")).values()]
        schema = content[0].get("schema") if content else parameter.get("schema")
        explode = parameter.get("explode")
        self._add(
            schema=_add_description(schema, text_of(parameter.get("description"))),
            is_required=place == "path" or parameter.get("required") is True,
            name=name,
            place=place,
            style=style,
            explode=explode if isinstance(explode, bool) else style in ("form", "deepObject"),
            is_json=bool(content),
        )

    def add_body(self, body: Part) -> str:
        """Add the arguments of a body, and return its media type; an empty text if the body can be left out.

        Raises:
            LeftOut: It has no media type that can be sent.
        """
        content = as_part(body.get("content"))
        media_type = _choose_media_type(content)
        if not media_type:
            if body.get("required") is True:
                raise LeftOut(f"a body of the type {', '.join(map(str, content))[:80] or 'unknown'} is not supported")
            return ""
        media = as_part(content[media_type])
        schema = media.get("schema", {})
        found = self.document.properties(schema) if is_json(media_type) or media_type == FORM else None
        properties = {name: item for name, item in (found or ({}, []))[0].items() if not self._is_read_only(item)}
        if properties and not properties.keys() & self.properties.keys():
            required = {*found[1]} if found else set[str]()
            self.is_body_needed = bool(required & properties.keys())
            for name, item in properties.items():
                encoding = as_part(as_part(media.get("encoding")).get(name))
                self._add(
                    schema=item,
                    is_required=name in required and _is_required(body, self.is_body_needed),
                    name=name,
                    place="body",
                    style=text_of(encoding.get("style")) or "form",
                    explode=encoding.get("explode") is not False,
                )
        elif media_type == FORM:
            raise LeftOut("their form has no simple fields")
        else:
            self.is_whole_body = self.is_body_needed = True
            schema = schema if is_json(media_type) else {"type": "string"}
            description = text_of(body.get("description"))
            is_required = body.get("required") is True
            self._add(schema=_add_description(schema, description), is_required=is_required, name="body", place="body")
        return media_type

    def _is_read_only(self, schema: object) -> bool:
        """Whether a property is only in results."""
        try:
            return self.document.resolve(schema).get("readOnly") is True
        except LeftOut:
            return False

    def _add(self, *, schema: object, is_required: bool, name: str, place: str, **how: Any) -> None:
        if len(self.found) >= MAX_ARGUMENTS:
            raise LeftOut(f"they have more than {MAX_ARGUMENTS} arguments")
        own_name = name[:MAX_NAME_CHARACTERS]
        if own_name in self.properties:
            own_name = f"{own_name}_{place}"
        if own_name in self.properties:
            raise LeftOut("two of their arguments have the same name")
        self.found.append(Argument(own_name=own_name, name=name, place=place, **how))
        self.properties[own_name] = schema
        if is_required:
            self.required.append(own_name)


def _is_users(header: str) -> bool:
    """Whether a header is never an argument."""
    return is_reserved_header(header) or _USERS_HEADERS.fullmatch(header) is not None


def _is_required(body: Part, is_needed: bool) -> bool:
    # Many descriptions do not say it, although the default is that the body can be left out.
    return body.get("required", is_needed) is True


def _add_description(schema: object, text: str) -> object:
    part = as_part(schema)
    return {**part, "description": text} if text else part


def is_json(media_type: str) -> bool:
    """Return whether the media type is JSON or a format in JSON."""
    name = media_type.partition(";")[0].strip().lower()
    return name.endswith(("/json", "+json"))


def _choose_media_type(content: Part) -> str:
    """Return the media type of a body: JSON before a form before text; an empty text if there is none of them."""
    types = [name for name in content if _MEDIA_TYPE.fullmatch(name)]
    json_types = [name for name in types if is_json(name)]
    text_types = [name for name in types if name.startswith("text/")]
    return next(iter([*json_types, *(name for name in types if name == FORM), *text_types]), "")


def _read_result(document: Document, item: Part) -> tuple[Mapping[str, Any] | None, str]:
    """Return the schema of the result, if it is JSON, and the media type to ask for."""
    responses = as_part(item.get("responses"))
    is_listed = any(str(status).startswith("2") for status in responses)  # otherwise `default` is the good answer
    for status in ("200", "201", "2XX", *(() if is_listed else ("default",))):
        try:
            content = as_part(document.resolve(responses.get(status)).get("content"))
        except LeftOut:
            continue
        for name, media in content.items():
            if name == ANY or (_MEDIA_TYPE.fullmatch(name) and is_json(name)):
                schema = as_part(as_part(media).get("schema"))
                return document.shape(schema) or None, "" if name == ANY else name
    return None, ""


def _describe(candidate: Candidate) -> str:
    """Return the summary, and the first paragraph of the description."""
    summary = collapse_whitespace(text_of(candidate.item.get("summary"))[: 4 * MAX_TEXT_CHARACTERS])
    first = text_of(candidate.item.get("description")).strip()[: 4 * MAX_TEXT_CHARACTERS].partition("\n\n")[0]
    first = collapse_whitespace(first)
    texts = [text for text in (summary, first if first != summary else "") if text]
    texts = texts or [f"{candidate.method} {candidate.path}"]
    text = "\n".join(truncate(text, MAX_TEXT_CHARACTERS) for text in texts)
    return f"Deprecated. {text}" if candidate.item.get("deprecated") is True else text
