"""Sphinx configuration of the site that `scripts/docs` builds."""

import os
import re
import shutil
from pathlib import Path

from pygments.lexers import TextLexer, get_lexer_by_name
from sphinx.application import Sphinx

import codeact_kernel

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"

project = "codeact-kernel"
author = "The codeact-kernel developers"
copyright = "The codeact-kernel developers"
default_role = "code"  # a single backtick in a docstring is code, as in Markdown
version = release = codeact_kernel.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**/.ipynb_checkpoints"]

# The build runs the examples, so that a site proves that they work. It runs copies, so that the outputs do not get
# into the repository.
shutil.rmtree(HERE / "examples", ignore_errors=True)
shutil.copytree(EXAMPLES, HERE / "examples", ignore=shutil.ignore_patterns(".*"))
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

# The site must be the same everywhere, and a build must cost nothing. The examples answer from their records,
# whatever the environment contains, and no local model is used.
for name in [name for name in os.environ if name.startswith(("OPENAI_", "AZURE_OPENAI_", "CODEACT_"))]:
    if name != "CODEACT_CACHE":
        del os.environ[name]
os.environ["CODEACT_REUSE"] = "never"  # the examples answer from their own records
os.environ["OLLAMA_HOST"] = "http://127.0.0.1:9"  # nothing answers on this port
os.environ["CODEACT_HISTORY"] = "off"  # these prompts are not the user's

myst_heading_anchors = 3

napoleon_numpy_docstring = False
napoleon_use_ivar = True  # otherwise `Attributes:` and the fields of a dataclass describe the same thing twice
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_title = f"codeact-kernel {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"**": ["nav"]}
templates_path = ["_templates"]
html_theme_options = {
    "logo": {"text": "codeact-kernel"},
    "navbar_center": [],
    "article_header_start": [],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

suppress_warnings = ["mystnb.unknown_mime_type"]  # charts are for notebooks; the site uses their pictures
nb_ipywidgets_js = {}  # load nothing from elsewhere; the examples are static HTML


def link_example_copies(app: Sphinx, page: str, source: list[str]) -> None:
    """Change links to the files of examples into links to their pages on the site."""
    source[0] = re.sub(r"\]\(\.\./examples/", "](examples/", source[0])


def setup(app: Sphinx) -> None:
    app.add_lexer("prompt", TextLexer)  # prompts of the CodeAct kernel
    app.add_lexer("python", type(get_lexer_by_name("ipython3")))  # Python blocks are cells: some begin with a magic
    app.connect("source-read", link_example_copies)
