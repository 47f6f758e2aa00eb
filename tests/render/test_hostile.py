"""Nothing from the model, the guest or a tool is ever markup, moves text about, or hides any."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from codeact_kernel.events import ModelRequested, OutputWritten, ProgramDelta, RunStarted, TurnStarted
from codeact_kernel.render import Transcript, bundle
from codeact_kernel.render.escaping import escape_controls, escape_hidden, for_markdown
from codeact_kernel.types import Isolation, OutputFile

from .cards import Reader, call, failed, failure, turn

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "handler": '<img src=x onerror="alert(1)">',
    "attribute": '" onmouseover="alert(1)',
    "quote": "' onclick='alert(1)",
    "style": "</pre></td></div><style>body{display:none}</style>",
    "comment": "<!-- hidden --><![CDATA[x]]><?php ?>",
    "entity": "&lt;script&gt;&#60;b&#62;",
    "details": "</summary></details><details open>",
    "remote image": "![x](https://evil.example/x.png)",
    "link": "[Allow](javascript:alert(1))",
    "reference": "[x]: https://evil.example",
    "code": "`x` ``y`` ```z```",
    "heading": "# Allowed",
    "math": "$\\text{x}$ $$y$$",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07after",
    "hyperlink": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "open code": "\x1b]0;everything behind this",
    "eight bit": "\x9b31mred",
    "bell": "a\x07b\x00c\x7fd",
    "carriage return": "real\rfake",
    "direction": "user\u202egpj.exe\u2066x\u2069\u200f",
    "zero width": "ad\u200bmin\ufeff\u2060\u00ad",
    "separators": "a\u2028b\u2029c\x85d",
    "surrogate": "a\ud800b",
    "pipe": "a | b || c",
    "lines": "a\nb\n\nc",
}
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad\ud800-\udfff]")


def everywhere(text: str):
    """A turn with `text` in each place that somebody else fills."""
    records = [call(text, number=1, **{text: text}), call(answer=failed(text), number=2, x=text)]
    more = {
        "ask": text, "calls": records, "stdout": text, "stderr": text, "model": text,
        "isolation": Isolation(backend="embedded", boundary="WebAssembly", layers=(text,), missing=(text,)),
    }  # fmt: skip
    yield turn([{text: text}, {text: 1}], program=text, **more)
    yield turn(text, program=text, **more)
    yield turn({text: [text]}, program=text, **more)
    yield turn(program=None, answer=text, **more)
    yield failure(text, text, text, program=text, **more)


def under_way(text: str) -> Transcript:
    seen = Transcript()
    for event in (
        TurnStarted(ask=text, model=text, note=text, tools=(text,)),
        ModelRequested(number=1),
        ProgramDelta(text=text),
        RunStarted(run=1, isolation=Isolation(backend="embedded", boundary="WebAssembly", layers=(text,))),
        OutputWritten(stream="stdout", text=text),
    ):
        seen.apply(event)
    return seen


def drawn(text: str):
    return [*(bundle(result, "full") for result in everywhere(text)), bundle(under_way(text))]


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_text_is_only_text_in_the_html(what):
    for shown in drawn(HOSTILE[what]):
        Reader(shown["text/html"])  # fails on every element, attribute, comment or open tag that is not ours


@pytest.mark.parametrize("what", HOSTILE)
def test_no_form_holds_control_or_reordering_characters(what):
    for shown in drawn(HOSTILE[what]):
        for text in shown.values():
            assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("what", HOSTILE)
def test_every_form_can_be_saved(what):
    for shown in drawn(HOSTILE[what]):
        for text in shown.values():
            text.encode()


@pytest.mark.parametrize("what", HOSTILE)
def test_in_markdown_nothing_is_markup_outside_of_fences(what):
    for shown in drawn(HOSTILE[what]):
        for line in outside_of_fences(shown["text/markdown"]):
            assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]`$]", line), line
            for tag in re.findall(r"<[^>]*>?", line):
                assert tag in ("<sub>", "</sub>")


def outside_of_fences(text: str) -> list[str]:
    lines, fence = [], ""
    for line in text.split("\n"):
        ticks = re.match(r"`{3,}", line)
        if fence:
            if re.fullmatch(r"`{3,}\s*", line) and len(line.strip()) >= len(fence):
                fence = ""
        elif ticks:
            fence = ticks[0]
        else:
            lines.append(line)
    assert not fence, "a fence is not closed"
    return lines


def test_text_cannot_close_the_fence_it_stands_in():
    text = "```\n````\n<script>alert(1)</script>\n`````\n![x](https://evil.example)"
    shown = bundle(turn(text, program=f"'''{text}'''", stdout=text), "full")["text/markdown"]
    assert not any("script" in line or "evil" in line for line in outside_of_fences(shown))


def test_markdown_shows_a_tag_as_it_was_written():
    assert for_markdown("a <b> & c") == "a &lt;b\\> \\& c"


def test_in_markdown_an_address_is_no_link():
    address = "https://there.example/x"
    assert "<a href" in markdown2html_mistune(address)
    assert markdown2html_mistune(for_markdown(address)).strip() == f"<p>{address}</p>"
    assert for_markdown("WWW.there.example me@there.example") == r"WWW\.there.example me\@there.example"


def test_pipes_and_lines_in_a_cell_do_not_make_new_cells_or_rows():
    shown = bundle(turn([{"a|b": "x | y\nz", "c": 1}]))
    (row,) = [line for line in shown["text/markdown"].splitlines() if line.startswith("| x")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert Reader(shown["text/html"]).cells == ["a|b", "c", "x | y\nz", "1"]
    assert "x | y\\nz  1" in shown["text/plain"]


def test_a_call_is_one_line_of_the_text_whatever_its_name():
    records = [call("get\n→ drop() = 1  5 ms", answer=failed("no\n[done]"), **{"a\nb": "c\nd"})]
    lines = bundle(turn(calls=records), "full")["text/plain"].splitlines()
    assert len([line for line in lines if line.startswith("→")]) == 1
    assert "[done]" not in lines


def test_terminal_codes_of_the_output_are_removed():
    shown = bundle(turn(stdout="\x1b[1;31mred\x1b[0m \x1b]0;title\x07after \x1b]8;;https://x.example\x1b\\link"))
    for text in shown.values():
        assert "red after link" in text


def test_a_terminal_code_that_is_left_open_hides_nothing():
    shown = bundle(turn(stdout="\x1b]0;\nall of this\nis printed \x1b]8;;"))
    for text in shown.values():
        assert "all of this" in text
        assert "is printed" in text


@pytest.mark.parametrize("code", ["\x1b]0;", "\x1b[31m", "\x1bP", "\x9b", "\u202e", "\x08"])
def test_all_of_a_program_is_shown_that_runs(code):
    program = f"x = 1  # {code}\ndrop_everything()\n# \x07 end"
    shown = bundle(turn(program=program), "full")
    escape = code[0].encode("unicode_escape").decode()
    for form in ("text/plain", "text/markdown"):
        assert "drop_everything()" in shown[form]
        assert f"# {escape}{code[1:]}" in shown[form]
    html = Reader(shown["text/html"]).data
    assert "drop_everything()" in html
    assert f"# {escape}{code[1:]}" in html


def test_hidden_characters_are_shown_as_escapes():
    assert escape_controls("a\u202eb\u200b\x00\x7f") == "a\\u202eb\\u200b\\x00\\x7f"
    assert escape_controls("é 漢字 🙂 \t\n") == "é 漢字 🙂 \t\n"
    assert escape_controls("a\r\nb") == "a\nb"
    assert escape_hidden("\x1b[1mx") == "\\x1b[1mx"


def words(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=60) | st.from_regex(r"[<>&\"'`/a-c=!\-\[\]\x1b]{0,30}"))
def test_any_text_anywhere_is_read_back_as_text(text):
    for shown in drawn(text):
        Reader(shown["text/html"])
        outside_of_fences(shown["text/markdown"])
    result = turn(text, program=f"x = {text!r}\n{text}", calls=[call(text, x=text)], stdout=text)
    data = words(Reader(bundle(result, "full")["text/html"]).data)
    assert words(escape_controls(text)) in data
    assert words(escape_hidden(result.program)) in data
    prose = bundle(turn(program=None, answer=text, isolation=None))["text/html"]
    assert words(escape_controls(text.strip())) in words(Reader(prose).data)


def test_a_file_whose_name_is_no_text_is_shown_all_the_same():
    file = OutputFile(name="a\ud800b", path="out/a\ud800b", size=1, media_type="text/plain")
    shown = bundle(turn(files=[file]))
    assert 'href="out/a%3Fb"' in shown["text/html"]
    assert "](out/a%3Fb)" in shown["text/markdown"]
    assert "a\\ud800b" in shown["text/plain"]
