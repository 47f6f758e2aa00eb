"""What a program hands to the notebook's capabilities, what a model writes, and what both ask for."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from codeact_kernel.access import AllowedDomain
from codeact_kernel.access.mounts import FileMount
from codeact_kernel.bridge import strict_json
from codeact_kernel.capabilities.data import Data, Frame, to_dataframe
from codeact_kernel.capabilities.data.exact import FrameReceiver
from codeact_kernel.capabilities.data.outputs import OutputReceiver
from codeact_kernel.capabilities.files import Files
from codeact_kernel.capabilities.network.policy import (
    Request,
    check_address,
    check_headers,
    find_rule,
    follow_redirect,
    parse_url,
)
from codeact_kernel.errors import BridgeError, ProgramError
from codeact_kernel.limits import HttpLimits, OutputLimits
from codeact_kernel.model.answer_parser import AnswerParser, Extracted
from codeact_kernel.preflight import check
from codeact_kernel.settings import Limits
from codeact_kernel.tools import Registry, ToolCallError, as_tool
from codeact_kernel.tools.to_json import to_json
from codeact_kernel.turn.direct_call import direct_call
from codeact_kernel.turn.statements import Statements
from codeact_kernel.types import JSONObject

_MOST = 1 << 16
_DOMAINS = [AllowedDomain("api.example.com", ["GET", "POST"]), AllowedDomain("http://127.0.0.1:8000")]
_OUTPUT = OutputLimits(files=5, file_bytes=4_000, all_bytes=6_000, mounted_files=5, mounted_bytes=6_000)
_HTTP = HttpLimits()


def received_target(data: bytes) -> None:
    """Lines of JSON: what a variable is to be, then its pieces; a variable of the notebook's is made of them."""
    header, *pieces = [*_objects(data), {}]
    try:
        receiving = OutputReceiver("out", header, _MOST)
    except ProgramError:
        return
    for piece in pieces:
        try:
            receiving.take(piece)
        except ProgramError:
            break
    try:
        made = receiving.assemble()
    except ProgramError:
        return
    if isinstance(made, Frame):
        assert receiving.size <= _MOST
        assert all(len(values) == made.rows for values in made.columns.values())
        assert len(to_dataframe(made)) == made.rows  # type: ignore[arg-type]  # a DataFrame
    else:
        strict_json.dumps(made, limit=6 * _MOST)
        assert to_dataframe(made) is made


def frame_target(data: bytes) -> None:
    """A line of JSON that describes a DataFrame, then its buffers: a value of numpy or pandas is made, or it is refused.

    Each buffer follows its length in two bytes.
    """
    line, _, rest = data.partition(b"\n")
    for header in _objects(line):
        buffers: list[bytes] = []
        while len(rest) >= 2:
            size = int.from_bytes(rest[:2], "little")
            buffers.append(rest[2 : 2 + size])
            rest = rest[2 + size :]
        try:
            receiver = FrameReceiver("out", {"description": header, "sizes": [*map(len, buffers)]}, _MOST)
            for number, buffer in enumerate(buffers):
                receiver.take({"buffer": number}, buffer)
            made = receiver.assemble()
        except ProgramError:
            return
        assert receiver.size == sum(map(len, buffers)) <= _MOST
        kind = type(made.exact)
        assert (kind.__module__.partition(".")[0], kind.__name__) in (
            ("pandas", "DataFrame"), ("pandas", "Series"), ("numpy", "ndarray")
        )  # fmt: skip
        if kind.__name__ == "DataFrame":
            assert all(len(made.exact.iloc[:, at]) == len(made.exact.index) for at in range(made.exact.shape[1]))


def data_target(data: bytes) -> None:
    """Lines of JSON, each a step to the capability `data`: answered or refused."""
    capability = Data([], ("out", "more"), Limits(outputs_bytes=_MOST))
    capability._store("text", "abc")
    capability._store("rows", {"a": [1, 2]})
    for step in _objects(data):
        try:
            serve = capability.handlers.get(str(step.get("do")))
            answer = None if serve is None or step["do"] == "done" else _run(serve(step))
            strict_json.dumps(answer, limit=1 << 22)
        except ProgramError as error:
            str(error).encode()


def files_target(data: bytes) -> None:
    """Lines of JSON, each a step to the capability `files`: nothing outside of what is mounted is read or changed."""
    folder = _folder()
    capability = Files([FileMount(str(folder), "/input/rw", "rw")], None, Limits(output=_OUTPUT))
    try:
        for step in _objects(data):
            serve = capability.handlers.get(str(step.get("do")))
            if serve is None:
                continue
            try:
                answer = _loop().run_until_complete(serve(step))
            except ProgramError as error:
                answer = str(error)
            said = strict_json.dumps(answer, limit=1 << 23)
            assert b"secret" not in said, "what is not mounted was read"
            assert str(folder).encode() not in said, "a path of the host was header"
        assert len(capability.outputs) <= _OUTPUT.files
        assert sum(map(len, capability.outputs.values())) <= _OUTPUT.all_bytes
    finally:
        capability.close()
    assert (folder.parent / "outside").read_text() == "secret"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mounted", "outside"]
    _emptied(folder)


def url_target(data: bytes) -> None:
    """A line with a URL, one with the place of a redirect, one with an address, then headers."""
    text, place, address, *headers = [*data.decode("utf-8", "surrogateescape").split("\n"), "", "", ""]
    try:
        url = parse_url(text, _HTTP)
    except ToolCallError:
        return
    _is_sound(url)
    request = Request("POST", url, [("authorization", "secret"), ("accept", "x")], b"body")
    try:
        assert find_rule(_DOMAINS, "POST", url).origin == url.origin
        after = follow_redirect(_DOMAINS, request, 302, place, _HTTP)
    except ToolCallError:
        after = None
    if after is not None:
        _is_sound(after.url)
        assert after.url.origin in [domain.origin for domain in _DOMAINS]
        assert after.method == "GET" and not after.body
        assert after.url.origin == url.origin or dict(after.headers) == {"accept": "x"}
    try:
        pairs = check_headers(dict(line.partition(":")[::2] for line in headers), _HTTP)
        assert not any(set("\r\n\0") & set(name + value) for name, value in pairs)
    except ToolCallError:
        pass
    try:
        check_address(address, _DOMAINS[0])
        assert not address.startswith(("127.", "10.", "192.168.", "169.254.", "::1", "fe80"))
    except (ToolCallError, ValueError):  # it always is an address, as a resolver gives it
        pass


def answer_target(data: bytes) -> None:
    """What a model answers: how it is cut into pieces changes nothing; its program is judged and never raises."""
    text = data.decode("utf-8", "surrogateescape")
    found, display = _read([text])
    assert (found, display) == _read([text[at : at + 3] for at in range(0, len(text), 3)])
    assert found.program is None or not found.problem
    for program in (found.program, text):
        if program is None:
            continue
        report = check(program, _SPECS, {"os", "json"}, program_bytes=_MOST)
        assert set(report.tools_named) <= {"order"}
        for problem in report.problems:
            assert len(problem.message) < 2_000
        direct_call(program, _SPECS)
        statements = Statements()
        for at in range(0, len(program), 5):
            statements.feed(program[at : at + 5])
        assert statements.complete <= len(statements.text)


def arguments_target(data: bytes) -> None:
    """A JSON object as the arguments of a call: refused, or what the tool gets is what was asked about."""
    for arguments in _objects(data):
        try:
            bound = _REGISTRY.validate("order", arguments, limits=Limits(arguments_bytes=4_000))
        except ToolCallError as error:
            assert len(str(error)) <= Limits().error_characters + 1
            continue
        assert strict_json.loads(bound.arguments.encode(), limit=4_000, depth=40) == arguments
        given = bound.tool.signature.bind(bound.arguments)
        assert type(given["number"]) is int
        assert given.get("kind", "a") in ("a", "b")
        to_json(given, limits=Limits())


def order(
    number: int, kind: Literal["a", "b"] = "a", price: float = 0.5, tags: dict[str, list[str]] | None = None
) -> None:
    """Order something."""


_REGISTRY = Registry()
as_tool(order)
_REGISTRY.add(order)
_SPECS = _REGISTRY.specs()


def _objects(data: bytes) -> Iterator[JSONObject]:
    """What of the lines can arrive at all."""
    for line in data.split(b"\n"):
        try:
            value = strict_json.loads(line, limit=_MOST, depth=Limits().depth + 1)
        except BridgeError:
            continue
        if isinstance(value, dict):
            yield value


def _is_sound(url: Any) -> None:
    """Another reader of URLs finds the same in it, and reading it again changes nothing."""
    text = str(url)
    assert text.isascii() and text.isprintable() and " " not in text, text
    assert parse_url(text, HttpLimits(url_characters=1 << 20)) == url
    other = urlsplit(text)
    assert (other.scheme, other.hostname) == (url.origin.scheme, url.origin.host), text
    assert other.port in (None, url.origin.port)
    assert other.username is other.password is None
    assert not other.fragment


def _read(pieces: list[str]) -> tuple[Extracted, dict[str, str]]:
    """What is found, and what the display has before the end."""
    reader, display = AnswerParser(_MOST, _SPECS), dict[str, str]()
    for text in pieces:
        for piece in reader.feed(text):
            if piece.kind == "withdrawn":
                display.clear()
            else:
                display[piece.kind] = display.get(piece.kind, "") + piece.text
    return reader.finish("stop"), display


_made: dict[str, Any] = {}


def _loop() -> asyncio.AbstractEventLoop:
    if "loop" not in _made:
        _made["loop"] = asyncio.new_event_loop()
        atexit.register(_made["loop"].close)
    return _made["loop"]


def _folder() -> Path:
    """A folder to mount, with a link in it that leads out to a file beside it."""
    if "folder" not in _made:
        root = Path(tempfile.mkdtemp(prefix="codeact-fuzz-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        (root / "outside").write_text("secret")
        _made["folder"] = root / "mounted"
        _made["folder"].mkdir()
        _emptied(_made["folder"])
    return _made["folder"]


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / "a").write_text("content")
    (folder / "link").symlink_to(folder.parent / "outside")
    (folder / "up").symlink_to("..")
    (folder / "d").mkdir()


def _run(service: Any) -> Any:
    """A service that waits for nothing, without a loop."""
    try:
        service.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the service waits for something")
