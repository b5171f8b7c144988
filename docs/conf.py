"""How Sphinx makes the documentation: `make docs`."""

import trioquic

project = "trioquic"
author = "The trioquic contributors"
copyright = "The trioquic contributors"  # noqa: A001
release = version = trioquic.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinxcontrib.mermaid",
]
root_doc = "index"
exclude_patterns = ["build"]
html_theme = "furo"
html_title = f"trioquic {release}"
nitpicky = False

# The pages read well as plain Markdown, too: anchors and fences are GitHub's.
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": True}
# The pages are built without the network: no inventories of other projects are fetched.
intersphinx_mapping: dict[str, tuple[str, None]] = {}
