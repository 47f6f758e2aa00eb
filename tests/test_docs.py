"""The documentation says what is true."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_the_pages_have_from_the_code_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("generated_pages", ROOT / "scripts" / "generated_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    again = "run: python scripts/generated_pages.py"
    assert (ROOT / "docs" / "modules.md").read_text(encoding="utf-8") == module.modules_page(), again
    configuration = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert configuration == module.configuration_page(configuration), again
    sandbox = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert sandbox == module.sandbox_page(sandbox), again
    caps = sandbox.partition("<!-- limits:")[2].partition("<!-- end of limits")[0].splitlines()[4:]
    assert [row for row in caps if row and not row.split("|")[3].strip()] == [], "a limit without a description"


def test_the_page_of_attempts_is_that_of_the_last_run_and_nothing_got_out():
    spec = importlib.util.spec_from_file_location("escapes_page", ROOT / "scripts" / "escapes_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    attempts = json.loads(module.RESULTS.read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "escapes.md").read_text(encoding="utf-8")
    assert text == module.page(text, attempts), "run: python scripts/escapes_page.py"
    assert {one["id"][0] for one in attempts} == set(module.AREAS)
    for where in ("embedded", "hyperlight"):
        assert sum(where in one["contained"] for one in attempts) >= 150
    assert [one["id"] for one in attempts if not all(one["contained"].values())] == []


def test_the_page_of_commands_lists_every_option_of_the_magic_every_command_and_every_option_of_a_tool():
    from codeact.commands import COMMANDS
    from codeact.magics import CodeAct

    from codeact_kernel import tool

    options = {flag for action in CodeAct.codeact.parser._actions for flag in action.option_strings}
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [option for option in options - {"-h", "--help"} if f"`{option}" not in text] == []
    assert [command for command in COMMANDS if f"`%codeact {command}" not in text] == []
    assert [name for name in inspect.signature(tool).parameters if name != "function" and f"`{name}=" not in text] == []


def test_links_between_the_pages_lead_somewhere():
    broken = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append((page.name, target))
    assert broken == []
