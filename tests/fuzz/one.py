"""One target under atheris: `python -m tests.fuzz.one COMMAND TARGET [OPTION of libFuzzer...]`. Linux on x86-64.

`COMMAND` is what libFuzzer starts for a part of its work: a file that runs this with the options it is given.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["codeact_kernel", "markdown_it"]):
    import markdown_it as markdown_it  # `render` imports it late, when what is imported is not instrumented any more

    from .targets import TARGETS

if __name__ == "__main__":
    command, target, *options = sys.argv[1:]
    atheris.Setup([command, *options], TARGETS[target])
    atheris.Fuzz()
