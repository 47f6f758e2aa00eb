"""What `%codeact help` prints, and so the verbs that there are. Light: completion needs it at every Tab."""

from __future__ import annotations

import re

__all__ = ["HELP", "VERB_NAMES"]

HELP = """\
%%codeact [options]     ask the model; the cell's text is the prompt (%%codeact? lists the options)
> [options] prompt      the same, in the CodeAct kernel or after %codeact kernel marker
%codeact status         the boundary, the model, the tools
%codeact doctor         whether everything works here, and what to do where it does not (--json)
%codeact tools          what programs can call
%codeact approvals      what was allowed for longer; with "revoke NAME" or "revoke all", no longer
%codeact forget NAME    offer this tool no longer
%codeact prompt TEXT    exactly what would be sent for TEXT (IPython takes a ? at its end for itself)
%codeact model [NAME]   the model in use; with NAME, another one
%codeact recorded FILE  where no model is configured, answer from a record
%codeact traceback      where the tool that failed last raised its error
%codeact backend [NAME] what isolates programs; with NAME, another one
%codeact config         every setting, its value, and where that came from; "config trust" trusts the folder's file
%codeact kernel [NAME]  which cells are prompts without a magic: marker (those that begin with >), auto, python
%codeact reset          fresh sandbox, forget what was allowed for the session
%codeact help           this text"""

VERB_NAMES = tuple(re.findall(r"^%codeact (\w+)", HELP, re.MULTILINE))
