"""Which graph of a store holds every statement once, and how it comes about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, Store

__all__ = ["merge_named_graphs", "whole_graph"]


def whole_graph(store: Store) -> NamedNode | BlankNode | DefaultGraph:
    """Give the graph that holds every statement of a merged store, those of all graphs, once.

    The engine's own union of graphs gives a statement once for every graph that has it, so that
    counts are wrong.
    """
    from pyoxigraph import DefaultGraph

    only = _only_graph(store)
    return DefaultGraph() if only is None else only


def merge_named_graphs(store: Store) -> None:
    """Copy the statements of all named graphs into the default graph.

    Where all statements are in one named graph nothing needs to be done.
    """
    if _only_graph(store) is None and next(iter(store.named_graphs()), None) is not None:
        store.bulk_extend(_unnamed(store))


def _unnamed(store: Store) -> Iterator[Quad]:
    from pyoxigraph import Quad

    for graph in store.named_graphs():
        for quad in store.quads_for_pattern(None, None, None, graph):
            yield Quad(quad.subject, quad.predicate, quad.object)


def _only_graph(store: Store) -> NamedNode | BlankNode | None:
    """Give the one graph that a store has, if it has a name."""
    from pyoxigraph import DefaultGraph

    named = store.named_graphs()
    only, other = next(iter(named), None), next(iter(named), None)
    unnamed = next(iter(store.quads_for_pattern(None, None, None, DefaultGraph())), None)
    return only if other is None and unnamed is None else None
