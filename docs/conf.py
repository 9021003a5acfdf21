"""Sphinx configuration. Build: pip install -e '.[docs]' && sphinx-build -W --keep-going docs build/docs"""

from importlib.metadata import version as installed_version

project = "hullx"
author = "The hullx developers"
copyright = f"2026, {author}"
version = release = installed_version("hullx")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["build"]
# `n` is a field of several results; links to files that are no pages are checked by the tests.
suppress_warnings = ["ref.python", "myst.xref_missing"]
html_theme = "furo"
html_title = "hullx"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0062a3", "color-brand-content": "#0062a3"},
    "dark_css_variables": {"color-brand-primary": "#6cbcf5", "color-brand-content": "#6cbcf5"},
}

# Docstrings: Google style; names in single backticks are code.
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Reference"]
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80

# Notebooks run at each build; an error in one stops it.
myst_enable_extensions = ["colon_fence", "html_image"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
