"""The tools an LM explores an ontology with, and how their results print."""

from __future__ import annotations

from rlm_runtime.tools.ontology_tools import make_ontology_tools
from rlm_runtime.tools.table import show

__all__ = ["make_ontology_tools", "show"]
