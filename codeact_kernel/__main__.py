"""`python -P -m codeact_kernel -f FILE` is the kernel, as Jupyter starts it; with a verb it is the command line."""

from __future__ import annotations

import sys

from .jupyter.cli import main

if __name__ == "__main__":
    sys.exit(main())
