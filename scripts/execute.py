"""Execute a notebook, print what its `%%codeact` cells came to, and write it as a notebook and as HTML.

python scripts/execute.py NOTEBOOK FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter


def main(notebook: Path, folder: Path) -> int:
    """Exit code 0 when every cell ran."""
    node = nbformat.read(notebook, as_version=4)
    failed = ""
    try:
        NotebookClient(node, timeout=900, resources={"metadata": {"path": str(notebook.parent)}}).execute()
    except CellExecutionError as error:
        failed = str(error).strip().splitlines()[-1]
    for cell in node.cells:
        if cell.cell_type == "code" and cell.source.startswith("%%codeact"):
            print(f"\n{cell.source}\n")
            for output in cell.outputs:
                print(output.get("data", {}).get("text/plain", output.get("text", "")))
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(node, folder / notebook.name)
    page = (folder / notebook.stem).with_suffix(".html")
    page.write_text(HTMLExporter().from_notebook_node(node)[0], encoding="utf-8")
    print(f"\nThe notebook as a page: {page}")
    if failed:
        print(f"A cell failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
