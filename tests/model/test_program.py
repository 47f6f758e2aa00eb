"""Which text of an answer is the program: one table of answers as models write them, each also streamed in pieces."""

from __future__ import annotations

import random
import time

import pytest

from codeact_kernel.model.answer_parser import ANSWER_CHARACTERS, AnswerParser, Extracted

TOOLS = ("get_orders", "send_mail")
CALL = "get_orders(1)"
TWO = "orders = get_orders(1)\nlen(orders)"
SEND = "send_mail('bob')"
WORDS, RETRY = object(), object()
F = "```"


def read(text: str, reason: str | None = "stop", size: int = 0) -> tuple[Extracted, dict[str, str]]:
    """What is found in `text`, and what the display has at the end."""
    reader, display = AnswerParser(64 << 10, TOOLS), dict[str, str]()
    chance = random.Random(text)
    at = 0
    while at < len(text):
        step = chance.randint(1, 9) if size < 0 else size or len(text)
        for piece in reader.feed(text[at : at + step]):
            if piece.kind == "withdrawn":
                display.clear()
            else:
                display[piece.kind] = display.get(piece.kind, "") + piece.text
        at += step
    return reader.finish(reason), display


def block(code: str, label: str = "python") -> str:
    return f"{F}{label}\n{code}\n{F}"


DRAFT = block("send_mail('everybody')")
GOOD = block(SEND)
CODE_CALL = '{"name": "execute_code", "arguments": {"code": "orders = get_orders(1)\\nlen(orders)"}}'

MAIL = '{"name": "send_mail", "arguments": {"to": "%s"}}'
ARGUMENTS, MAILED = '{"to": "bob"}', "send_mail(to='bob')"
KIMI = "<|tool_call_begin|>functions.%s:0<|tool_call_argument_begin|>%s<|tool_call_end|>"
DEEPSEEK = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>%s<｜tool▁call▁end｜><｜tool▁calls▁end｜>"

REASONING = [
    (f"First idea:\n{DRAFT}\nNo, only bob.\n</think>\n{GOOD}", SEND),
    (f"{DRAFT}</think>{GOOD}", SEND),
    (f"{DRAFT}\n</think>\n\nI sent nothing.", WORDS),
    (f"{DRAFT}\nHm.\n{DRAFT}\n</think>\n{GOOD}", SEND),
    (f"{F}python\nsend_mail('everybody')\n</think>\n{GOOD}", SEND),
    (f"{F}python\nsend_mail('everybody')</think>\n{GOOD}", SEND),
    (f"{block(SEND, '')}\n</think>\n{block(CALL, '')}", CALL),
    (f"send_mail('everybody')\n</think>\n{SEND}", SEND),
    (f"<code>{SEND}</code>\n</thinking>\n<code>{CALL}</code>", CALL),
    (f"a\n</think>\nb {DRAFT}\n</think>\n{GOOD}", SEND),
    *[
        (f"{before}<{tag}>Perhaps\n{DRAFT}\nNo.</{tag}>\n{GOOD}", SEND)
        for before in ("", "\n", "Well. ", f"{block('x = 1', 'text')}\n")
        for tag in ("think", "thinking", "reasoning", "thought", "reflection", "analysis", "Think", "THINKING")
    ],
    (f"<think>a</think>\n<think>\n{DRAFT}\n</think>\n{GOOD}", SEND),
    (f"<think>a <think>b</think>\n{DRAFT}\n</think>\n{GOOD}", SEND),
    (f'<thinking type="long">\n{DRAFT}\n</thinking>\n{GOOD}', SEND),
    (f"<think>\n{DRAFT}\n</thinking>\n{GOOD}", SEND),
    (f"[THINK]{DRAFT}[/THINK]{GOOD}", SEND),
    (f"◁think▷{DRAFT}◁/think▷{GOOD}", SEND),
    (f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}", SEND),
    *[
        (f"{opening}\n{DRAFT}\nNo.{closing}\n{GOOD}", SEND)
        for opening, closing in (
            ("<thought_process>", "</thought_process>"),
            ("<inner-thinking>", "</inner-thinking>"),
            ("<seed:think>", "</ seed:think >"),
            ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
            ("<|thinking_start|>", "<|thinking_end|>"),
            ("<|begin_of_thought|>", "<|end_of_thought|>"),
            ("<unused94>thought", "<unused95>"),
            ("<|channel>thought", "<channel|>"),
            ("analysisThe user wants a mail.", "assistantfinal"),
        )
    ],
    (
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>commentary to=python code<|message|>{SEND}<|call|>",
        SEND,
    ),
    (f"{DRAFT}</unknown>{GOOD}", RETRY),
    (f"{GOOD}\n<reflection>This is right.</reflection>", SEND),
    (f"<answer>\n{GOOD}\n</answer>", SEND),
    (f"<think>x</think><answer>{SEND}</answer>", SEND),
    (f"<think>Perhaps\n{DRAFT}", RETRY),
    (f"Well, <think>perhaps {DRAFT}", RETRY),
    (f"Well, <think>perhaps\n{SEND}\n", RETRY),
    ("<think>hm</think>", RETRY),
    ("<think>hm", RETRY),
    (f"{DRAFT}\n</think>", RETRY),
    ("I <think> it is </think> fine.", WORDS),
    ("Put it in `<think>` tags, and then `</think>`.", WORDS),
    ("An <analysis> element is what you need.", WORDS),
    (block("s = '</think>'\nget_orders(s)"), "s = '</think>'\nget_orders(s)"),
    (block('s = """\n<think>\n"""\nget_orders(s)'), 's = """\n<think>\n"""\nget_orders(s)'),
    (f"<think>s = '</think>'</think>\n{block('s = chr(60)')}", "s = chr(60)"),
]

LABELS = [
    *[
        (block(CALL, label), CALL)
        for label in (
            *(
                "python",
                "py",
                "py3",
                "python3",
                "python3.11",
                "python3.12",
                "python3.14",
                "python2",
                "Python",
                "PYTHON",
            ),
            *("{python}", "{.python}", "{.python .numberLines}", "python{1,2}", "python:main.py", "python title=x.py"),
            *("ipython", "ipython3", "tool_code", "code", "", "main.py", "language-python", "python-exec", " python"),
            *("{code-cell} ipython3", "python # the program", "python\t", "{python echo=FALSE}", "python (3.14)"),
        )
    ],
    *[(block(CALL, label), RETRY) for label in ("text", "markdown", "md", "bash", "json", "output", "pythonic", "js")],
    *[(block("print(1)", label), WORDS) for label in ("text", "bash", "json", "output", "pythonic")],
    (f"Each row looks like\n{block('[{0: 99}]', '')}\nSo:\n{block(CALL)}", CALL),
    (f"Each row looks like\n{block('[{0: 99}]')}\nSo:\n{block(CALL)}", CALL),
    (f"Each row looks like\n{block('rows = [1]', '')}\nSo:\n{block(CALL)}", CALL),
    (f"{block(CALL)}\nIt gives\n{block('[1, 2]', '')}", CALL),
    (f"{block(CALL)}\nIt gives\n{block('3', 'output')}", CALL),
    (f"{block('[1, 2]')}\nThat is:\n{block(CALL, '')}", CALL),
    (f"{block('ls', 'bash')}\nthen\n{block(CALL, 'py')}", CALL),
    (block("[{'id': 99}]", ""), WORDS),
    (block("Alice (120)", ""), WORDS),
    (block("get_orders(1", ""), "get_orders(1"),
    (block(f"python\n{CALL}", ""), CALL),
]

SEVERAL = [
    (f"First:\n{block('rate = 0.2')}\nthen\n{block('round(100*rate)')}", "rate = 0.2\n\nround(100*rate)"),
    (f"{block('rate = 0.2')}\n{block('round(100*rate)')}", "rate = 0.2\n\nround(100*rate)"),
    (f"{block('rate = 0.2')}\nthen\n{block('round(100*rate)', '')}", "rate = 0.2\n\nround(100*rate)"),
    (f"{block('rate = 0.2', '')}\nthen\n{block('round(100*rate)')}", "rate = 0.2\n\nround(100*rate)"),
    (f"{block('def f(x): return x')}\nSo\n{block('print(f(1))')}", "def f(x): return x\n\nprint(f(1))"),
    (f"{block('import json')}\n{block('json.dumps(1)')}", "import json\n\njson.dumps(1)"),
    (f"{block(CALL)}\nAgain:\n{block(CALL)}", CALL),
    (f"{block(CALL)}\nAgain:\n{block(CALL + '  # all')}", CALL),
    (f"Begin:\n{block('orders = get_orders(1)')}\nWhole:\n{block(TWO)}", TWO),
    (f"{block(TWO)}\nThe first line\n{block('orders = get_orders(1)')}\nreads.", TWO),
    (f"{block(CALL)}\n{block('')}", CALL),
    (f"{F}python\n{block(CALL)}\n{F}", CALL),
    (f"{DRAFT}\nor better\n{GOOD}", RETRY),
    (f"{block('x = 1')}\nno:\n{block('x = 2')}", RETRY),
    (f"{block('x = get_orders(1)')}\nno:\n{block('x = get_orders(2)')}", RETRY),
    (f"{block('x = get_orders(1)')}\nand\n{block('get_orders(x)')}", RETRY),
    (f"{block('x = 1')}\nand\n{block('y = = x')}", RETRY),
    (f"{block('x = 1')}\nand\n{block('y = 2')}", RETRY),
    (f"{block('x = 1')}\nlen(str(x))", RETRY),
    (f"{block(SEND, '')}\nor\n{block(CALL, '')}", RETRY),
    (f'<tool_call>{{"name": "get_orders", "arguments": {{}}}}</tool_call>\n<tool_call>{CODE_CALL}</tool_call>', RETRY),
    (f"{block('rate = 0.2')} then {block('round(100*rate)')}", "rate = 0.2\n\nround(100*rate)"),
    (f"<execute>{CALL}</execute><execute>{SEND}</execute>", RETRY),
    (f"{MAIL % 'ann'} {MAIL % 'bob'}", RETRY),
    (f"[{MAIL % 'ann'}, {MAIL % 'bob'}]", RETRY),
    ('<function=send_mail>{"to": "ann"}</function><function=send_mail>{"to": "bob"}</function>', RETRY),
    (f"{KIMI % ('send_mail', ARGUMENTS)}{KIMI % ('send_mail', ARGUMENTS.replace('bob', 'ann'))}", RETRY),
]

FORMS = [
    (f"<code>\n{TWO}\n</code>", TWO),
    (f"Thought: count.\n<code>\n{TWO}\n</code>", TWO),
    (f"<code>{CALL}</code>", CALL),
    (f"<code>\n{TWO}", TWO),
    (f"<code>\n{block(TWO)}\n</code>", TWO),
    (f"<execute>\n{TWO}\n</execute>", TWO),
    (f"<execute> {CALL} </execute>", CALL),
    (f"<execute_ipython>\n{CALL}\n</execute_ipython>", CALL),
    (f"<tool_code>\n{TWO}\n</tool_code>", TWO),
    (f"<|python_tag|>{TWO}", TWO),
    (f"Sure. <|python_tag|>{CALL}<|eom_id|>", CALL),
    (CODE_CALL, TWO),
    (f"I run this:\n{CODE_CALL}\n", TWO),
    (f"<tool_call>\n{CODE_CALL}\n</tool_call>", TWO),
    (f"<tool_call>{CODE_CALL}", TWO),
    (f"<function_call>{CODE_CALL}</function_call>", TWO),
    (f"[TOOL_CALLS][{CODE_CALL}]", TWO),
    (f"[TOOL_CALLS]send_mail[ARGS]{ARGUMENTS}", MAILED),
    ('[TOOL_CALLS]execute_code[ARGS]{"code": "get_orders(1)"}', CALL),
    (f"<function=send_mail>{ARGUMENTS}</function>", MAILED),
    (f"<|tool_calls_section_begin|>{KIMI % ('send_mail', ARGUMENTS)}<|tool_calls_section_end|>", MAILED),
    (DEEPSEEK % 'function<｜tool▁sep｜>execute_code\n```json\n{"code": "get_orders(1)"}\n```', CALL),
    (DEEPSEEK % f"send_mail<｜tool▁sep｜>{ARGUMENTS}", MAILED),
    ("<tool_call>send_mail\n<arg_key>to</arg_key>\n<arg_value>bob</arg_value>\n</tool_call>", MAILED),
    ("<tool_call>\n<function=send_mail>\n<parameter=to>\nbob\n</parameter>\n</function>\n</tool_call>", MAILED),
    ('<invoke name="get_orders">\n<parameter name="user">1</parameter>\n</invoke>', "get_orders(user=1)"),
    (
        '<x:function_calls>\n<x:invoke name="python">\n<x:parameter name="code">get_orders(1)</x:parameter>\n'
        "</x:invoke>\n</x:function_calls>",
        CALL,
    ),
    (f"<|tool_call|>[{MAIL % 'bob'}]<|/tool_call|>", MAILED),
    ("<function=execute_code>\n<parameter=code>\n123\n</parameter>\n</function>", "123"),
    ("<function=unknown>{}</function>", WORDS),
    (f'<pre><code class="language-python">{CALL}</code></pre>', CALL),
    (block(CODE_CALL, "json"), TWO),
    (block(CODE_CALL, ""), TWO),
    (block(CODE_CALL), TWO),
    ('{"name": "execute_code", "arguments": "{\\"code\\": \\"get_orders(1)\\"}"}', CALL),
    ('{"name": "execute_code", "arguments": "get_orders(1)"}', CALL),
    ('{"name": "python", "parameters": {"code": "get_orders(1)"}}', CALL),
    ('{"type": "function", "function": {"name": "run_python", "arguments": {"code": "get_orders(1)"}}}', CALL),
    ('{"name": "execute_code", "arguments": {"code": "```python\\nget_orders(1)\\n```"}}', CALL),
    ('{\n  "name": "execute_code",\n  "arguments": {\n    "code": "get_orders(1)"\n  }\n}', CALL),
    (block('execute_code("get_orders(1)")'), CALL),
    (block("execute_code(code='get_orders(1)')"), CALL),
    ("<function=execute_code>\n<parameter=code>\nget_orders(1)\n</parameter>\n</function>", CALL),
    ('<invoke name="execute_code">\n<parameter name="code">get_orders(1)</parameter>\n</invoke>', CALL),
    ('<tool_call>{"name": "send_mail", "arguments": {"to": "bob"}}</tool_call>', "send_mail(to='bob')"),
    (block('{"name": "send_mail", "arguments": {"to": "bob"}}', "json"), RETRY),
    ('{"thought": "count", "code": "get_orders(1)"}', RETRY),
    ('{"name": "bob", "arguments": [1]}', WORDS),
    ('{"name": "execute_code", "arguments": {}}', WORDS),
    (f"> {F}python\n> orders = get_orders(1)\n> len(orders)\n> {F}", TWO),
    (f">{F}python\n>{CALL}\n>{F}\nDone.", CALL),
    (f"> {F}python\n> for x in [1]:\n>     print(x)\n> {F}", "for x in [1]:\n    print(x)"),
    (f"> Do this:\n> {F}python\n> {CALL}\n\nDone.", CALL),
    (f"1. Do\n\n    {F}python\n    for x in [1]:\n        print(x)\n    {F}", "for x in [1]:\n    print(x)"),
    (f"- {F}python\n  {CALL}\n  {F}", CALL),
    (f"\t{F}python\n\t{CALL}\n\t{F}", CALL),
    (f"{F}python\n    orders = get_orders(1)\n    len(orders)\n{F}", TWO),
    (f"~~~python\n{TWO}\n~~~", TWO),
    (f"~~~python {CALL}~~~", CALL),
    (f"{F}python {CALL}{F}", CALL),
    (f"{F}py {CALL} {F}", CALL),
    (f"Here:\n{F}python {CALL}{F}\nDone.", CALL),
    (f"{F}{CALL}{F}", CALL),
    (f"Write {F}python {CALL}{F} there.", RETRY),
    (f"{F}python orders = get_orders(1)\nlen(orders)\n{F}", TWO),
    (f"{F}python\n{TWO}{F}", TWO),
    (f"{F}python\n{TWO}{F}\nThis counts.", TWO),
    (f"{F}python\n{TWO}\n{F}<end_code>", TWO),
    (f"{F}python\n{TWO}\n{F}<|im_end|>", TWO),
    (f"{F}python\n{TWO}\n{F} # end", TWO),
    (f"{F}python\n{TWO}\n{F} This counts.", TWO),
    (f"{F}python\n{TWO}\n<end_code>", TWO),
    (f"{F}python\n{TWO}<end_code>\n{F}", TWO),
    (
        f"{F}python\n>>> orders = get_orders(1)\n>>> for x in orders:\n...     x\n...\n[1]\n>>> len(orders)\n1\n{F}",
        "orders = get_orders(1)\nfor x in orders:\n    x\n\nlen(orders)",
    ),
    (f"Code:\n{F}py\n{TWO}\n{F}<end_code>", TWO),
    (f"{F}python\n{TWO}", TWO),
    (f"Here it is: {F}python\n{TWO}\n{F}", TWO),
    (f"{F}python\n{TWO}\n{F}".replace("\n", "\r\n"), TWO),
    (f"{F}python\n# see {F}x{F}\n{TWO}\n{F}", f"# see {F}x{F}\n{TWO}"),
    (f"````markdown\n{block(CALL)}\n````", RETRY),
]

BARE = [
    (TWO, TWO),
    (f"{TWO}\n\nThis counts the orders.", TWO),
    (f"Here is the program:\n{TWO}", TWO),
    (f"Here is the program:\n\n{TWO}\n\nIt counts them.", TWO),
    ("Here:\n\n    orders = get_orders(1)\n    len(orders)\n\nDone, as you see.", TWO),
    (f"python\n{TWO}", TWO),
    (f"`{CALL}`", CALL),
    (f"{TWO}<|im_end|>", TWO),
    ("The program:\nimport json\njson.dumps([1])", "import json\njson.dumps([1])"),
    ("orders = get_orders(1)\nThen I count.\nlen(get_orders(2))", RETRY),
    (f"{TWO}\nsend_mail(\n", RETRY),
    (f">>> {CALL}\n[1, 2]", RETRY),
    ("Call get_orders(1) to see them.", WORDS),
    ("Use `get_orders(1)` for that.", WORDS),
    (f"Use {F}get_orders(1){F} for that.", WORDS),
    (f"<code>{CALL}</code> reads them.", WORDS),
    ("Total: 120\nAlice (80), Bob (40)", WORDS),
    ("The total is\nx = 5\nas you see.", WORDS),
]


@pytest.mark.parametrize(("answer", "wanted"), [*REASONING, *LABELS, *SEVERAL, *FORMS, *BARE])
def test_the_program_is_found_however_the_answer_is_written_and_cut(answer: str, wanted: object) -> None:
    found, display = read(answer)
    if wanted is RETRY:
        assert found.program is None
        assert found.problem
    elif wanted is WORDS:
        assert (found.program, found.problem) == (None, "")
        assert found.prose
    else:
        assert (found.program, found.problem) == (wanted, "")
    assert read(answer, size=1) == (found, display)
    assert read(answer, size=-1) == (found, display)


def test_a_program_of_two_blocks_is_reported() -> None:
    found, _ = read(f"{block('rate = 0.2')}\nthen\n{block('round(100*rate)')}")
    assert found.notice == "The model wrote its program in 2 blocks: they are run as one."


def test_a_block_without_a_label_that_calls_a_tool_and_is_not_run_is_reported() -> None:
    found, _ = read(f"{block(SEND, '')}\nand\n{block(CALL)}")
    assert found.program == CALL
    assert found.notice == "The model wrote other code in a block without a label: it is not run."


@pytest.mark.parametrize("reason", ["length", None])
def test_a_second_block_that_breaks_off_is_no_program(reason: str | None) -> None:
    found, _ = read(f"{block('rate = 0.2')}\nthen\n{F}python\nround(100 * rate", reason)
    assert found.program is None
    assert found.problem


def test_what_was_shown_of_a_draft_is_withdrawn_and_the_program_is_shown() -> None:
    _, display = read(f"Hm.\n{DRAFT}\n</think>\nSo:\n{GOOD}\n", size=3)
    assert display == {"prose": "\nSo:\n", "program": "send_mail('bob')\n"}


UNITS = [
    *("```python\n", "```python\n= =\n", "```bash\n", "x ```python\n= =\n</think>\n", "<think></think>", "<think>\n"),
    *("<code>\n", "```\n", "</think>\n", "{\n", '{"name": ', "> ```python\n", "```x\n", "f (1)\n", "f()\n", "f(\n"),
    *("x = '''\n```\n", "<tool_call>", "a ```b``` ", "`<think>`", "```python\nx = 1\n```\n", "```python f()```\n"),
    *("<function=get_orders>", "<function=get_orders>{", "<arg_key>a</arg_key>", "<parameter=a>", "<|tool_call_end|>"),
    *("assistantfina", "<a-", "<a_b_think", "<code>x</code> ", "```python\n>>> ", "<eos>", " <eos"),
    *("<", "`", "<|channel|>", "    x\n", "- ```py\n", "x\n", "x ```python\n", "</code>\n<code>", "'''\n```python\n"),
]


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_for_an_answer_is_bounded(unit: str) -> None:
    start, reader = time.process_time(), AnswerParser(64 << 10, TOOLS)
    reader.feed(unit * (ANSWER_CHARACTERS // 4 // len(unit)))
    reader.finish("stop")
    assert time.process_time() - start < 5  # one that grows with the square takes minutes
