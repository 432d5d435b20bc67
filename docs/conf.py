"""Sphinx settings. The pages build without a network, and read without one."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from html import escape

import ctvae

project = "ctvae"
author = "The ctvae developers"
copyright = "the ctvae developers"
version = release = ctvae.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_records"]
templates_path = []
html_theme = "furo"
html_title = "ctvae"
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
suppress_warnings = ["config.cache"]

myst_enable_extensions = ["deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88


def skip_member(app, what, name, obj, skip, options):
    """Leaves out what only the machinery of pydantic and of named tuples brings."""
    generated = type(obj).__name__ == "_tuplegetter"
    return True if generated or name.startswith("model_") else None


def quote_types(app, what, name, obj, options, lines):
    """Sets attribute types as code: the star of a shape such as "*batch" is no emphasis."""
    for number, line in enumerate(lines):
        field, colon, kind = line.partition(": ")
        if field.startswith(":vartype ") and colon and "`" not in kind:
            short = re.sub(r"(?:[a-z_]\w*\.)+(?=[A-Z])", "", kind)
            lines[number] = f"{field}: ``{short}``"


def quote_factory(app, what, name, obj, options, signature, returns):
    """Writes a default made by a factory as dots, which is Python where ``<factory>`` is not."""
    return (signature and signature.replace("<factory>", "..."), returns)


def draw_formula(tex: str) -> str:
    """Draws a formula as an SVG image, so that no page asks a server for a maths font."""
    from matplotlib import mathtext
    from matplotlib.font_manager import FontProperties

    plain = tex.replace(r"\big[", "[").replace(r"\big]", "]")
    plain = re.sub(r"\\([gl])e(?![a-z])", r"\\\1eq", plain)
    plain = re.sub(r"(\\(?:prod|sum)_(?:\{[^}]*\}|\w))", r"\1\\;", plain)  # room after the index
    plain = re.sub(r"\s+", " ", plain).strip()
    picture = io.BytesIO()
    depth = mathtext.math_to_image(
        f"${plain}$", picture, prop=FontProperties(size=11), format="svg", color="#4a5568"
    )
    data = b64encode(picture.getvalue()).decode()
    return (
        f'<img class="formula" alt="{escape(tex)}" style="vertical-align:-{depth:.1f}pt" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


def inline_formula(translator, node):
    from docutils import nodes

    translator.body.append(_formula(node.astext()))
    raise nodes.SkipNode


def block_formula(translator, node):
    from docutils import nodes

    translator.body.append(f'<p class="formula-block">{_formula(node.astext())}</p>')
    raise nodes.SkipNode


def _formula(tex: str) -> str:
    try:
        return draw_formula(tex)
    except (ValueError, RuntimeError):  # beyond mathtext: the formula as it was written
        return f"<code>{escape(tex)}</code>"


def setup(app):
    from sphinx.domains.python import PyObject

    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", quote_types, priority=600)  # after napoleon
    app.connect("autodoc-process-signature", quote_factory)
    app.add_html_math_renderer(
        "mathtext", (inline_formula, None), (block_formula, None)
    )
    app.config.html_math_renderer = "mathtext"
