"""How Sphinx makes the site. `scripts/docs` builds it."""

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

# The build runs the examples, so a site is the proof that they work. It runs them in a copy: what it adds to a
# notebook belongs to nobody.
shutil.rmtree(HERE / "examples", ignore_errors=True)
shutil.copytree(EXAMPLES, HERE / "examples", ignore=shutil.ignore_patterns(".*"))
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

# A site has to come out the same everywhere, and a build must cost nothing: the examples answer from their records,
# whatever this machine's environment says, and no model of its own is looked for.
for name in [name for name in os.environ if name.startswith(("OPENAI_", "AZURE_OPENAI_", "CODEACT_"))]:
    if name != "CODEACT_CACHE":
        del os.environ[name]
os.environ["OLLAMA_HOST"] = "http://127.0.0.1:9"  # the port on which nothing answers

myst_heading_anchors = 3

napoleon_numpy_docstring = False
napoleon_use_ivar = True  # else `Attributes:` and the fields of a dataclass would be two descriptions of one thing
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

suppress_warnings = ["mystnb.unknown_mime_type"]  # a chart is there for notebooks; this site has its picture
nb_ipywidgets_js = {}  # nothing is loaded from elsewhere, and the examples are kept as static HTML


def to_the_copies(app: Sphinx, page: str, source: list[str]) -> None:
    """A link to an example leads to its file in the repository, and to its page on the site."""
    source[0] = re.sub(r"\]\(\.\./examples/", "](examples/", source[0])


def setup(app: Sphinx) -> None:
    app.add_lexer("prompt", TextLexer)  # cells of the CodeAct kernel that are no Python
    app.add_lexer("python", type(get_lexer_by_name("ipython3")))  # Python blocks are cells: some begin with a magic
    app.connect("source-read", to_the_copies)
