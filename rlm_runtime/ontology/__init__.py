"""Ontologies to ask: ``open_ontology`` and the values it trades in."""

from __future__ import annotations

from rlm_runtime.ontology.opening import open_ontology
from rlm_runtime.ontology.protocol import Description, Match, Ontology, Rows, Term

__all__ = ["Description", "Match", "Ontology", "Rows", "Term", "open_ontology"]
