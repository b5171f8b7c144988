"""How Sphinx makes the documentation: `make docs`."""

import sys
from types import FunctionType

from sphinx.application import Sphinx

import trioquic
from trioquic._construction import NoPublicConstructor

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
exclude_patterns = ["build", "inventories"]
html_theme = "furo"
html_title = f"trioquic {release}"

# The pages read well as plain Markdown, too: anchors and fences are GitHub's.
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_docstring_signature = False
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": True}

# The pages are built without the network: what other projects' pages have is kept here, and
# `make inventories` fetches it anew. A name that leads nowhere is an error.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3.14", "inventories/python.inv"),
    "trio": ("https://trio.readthedocs.io/en/stable", "inventories/trio.inv"),
    "anyio": ("https://anyio.readthedocs.io/en/stable", "inventories/anyio.inv"),
}
nitpicky = True
nitpick_ignore_regex = [
    # what no application makes or names: it stands in signatures of what trioquic hands out
    ("py:class", r"trioquic\.([\w.]+\.)?_[\w.]+"),
    # the keywords of `Client.request`, under which the reference has them
    ("py:class", r"trioquic\.http3\.client\.client\.Options"),
    # without a module in an annotation that only a type checker reads
    ("py:class", r"Args|Buffer"),
    # httpx has no inventory, and Python's pages do not list these two
    ("py:class", r"httpx\.\w+|socket\.(AddressFamily|SocketKind)"),
]


def without_private_bases(
    app: Sphinx, name: str, cls: type, options: object, bases: list[type]
) -> None:
    """For a base that the reference does not have stands the first one above it that it has."""
    for at, base in enumerate(bases):
        # NamedTuple and the like are functions
        for above in getattr(base, "__mro__", (base,)):
            if "._" not in above.__module__ and not above.__name__.startswith("_"):
                bases[at] = above
                break
    if len(bases) > 1:
        bases[:] = [base for base in bases if base is not object]


def is_private_constructor(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Whether to leave out an `__init__` that only the library calls; None: as it was."""
    if name != "__init__" or not isinstance(member, FunctionType):
        return None
    owner = getattr(sys.modules[member.__module__], member.__qualname__.split(".")[0], None)
    return True if isinstance(owner, NoPublicConstructor) else None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-skip-member", is_private_constructor)
    app.connect("autodoc-process-bases", without_private_bases)
