"""How Sphinx builds these pages: sphinx-build -W -b html docs docs/_build/html, without network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import spikeloss

project = "spikeloss"
author = "The spikeloss authors"
copyright = "The spikeloss authors, MIT licence"
release = version = spikeloss.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "atlas_pictures",
    "docstrings",
    "formulas",
    "preset_gallery",
    "speed_age",
]
exclude_patterns = ["_build", "_ext"]
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"spikeloss {release}"
html_static_path = ["_static"]
html_css_files = ["spikeloss.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
