"""Start the kernel for `python -P -m codeact_kernel -f FILE`, as Jupyter does; with a command, run the command line."""

from __future__ import annotations

import sys

from . import import_guard

_CONNECTION = ("-f=", "--f=", "--IPKernelApp.connection_file")


def main() -> int:
    """Run the kernel or a command, and return the exit code."""
    import_guard.install()  # before anything else is imported: `python -m` puts the working folder first on the path
    words = sys.argv[1:]
    if any(word == "-f" or word.startswith(_CONNECTION) for word in words):
        from .jupyter.kernel import launch

        launch(words)
        return 0
    from .jupyter import cli

    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main())
