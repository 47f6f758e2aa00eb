"""Tab: options after `%%codeact --`, verbs after `%codeact`, tool names in `call_tool("`."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import re

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from codeact_kernel.sandbox import backends
from codeact_kernel.tools import default_registry

from .verbs import VERBS

__all__ = ["OPTIONS", "matcher"]

OPTIONS = (
    "--model", "--max-retries", "--timeout", "--memory", "--backend", "--allow", "--review",
    "--approval-timeout", "--out", "--dry-run", "--quiet",
    "--record",
)  # fmt: skip


@context_matcher(identifier="codeact")
def matcher(context: CompletionContext) -> SimpleMatcherResult:
    """What can stand at the cursor; empty where it is not our business."""
    line = context.line_with_cursor[: context.cursor_position]
    tools = tuple(default_registry.specs())
    for pattern, names in (
        (r"%%codeact\b.*--allow[= ](\w*)$", tools),
        (r"%%codeact\b.*--backend[= ](\w*)$", backends.offered()),
        (r"(?<!%)%codeact\s+backend\s+(\w*)$", backends.offered()),
        (r"%%codeact\b.*?(--[\w-]*)$", OPTIONS),
        (r"(?<!%)%codeact\s+(\w*)$", tuple(VERBS)),
        (r"call_tool(?:_async)?\(\s*['\"](\w*)$", tools),
    ):
        if found := re.search(pattern, line):
            typed = found[1]
            completions = [SimpleCompletion(name, type="param") for name in names if name.startswith(typed)]
            return {"completions": completions, "matched_fragment": typed, "suppress": bool(completions)}
    return {"completions": []}
