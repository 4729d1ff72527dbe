"""Write blank nodes for readers: class expressions in Manchester's words, lists, other nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rlm_runtime.ontology.protocol import Term
from rlm_runtime.ontology.terms import in_sparql
from rlm_runtime.ontology.vocabulary import META, OWL, RDF, SHACL, XSD

__all__ = ["NodeTexts", "Statements"]

Statements = Mapping[Term, Mapping[str, Sequence[Term]]]
"""Subject to predicate IRI to values."""

_MAX_DEPTH = 6
_MAX_TEXT = 400
_MAX_ITEMS = 50
_MAX_NODES = 300
_TYPE, _FIRST, _REST, _NIL = (RDF + name for name in ("type", "first", "rest", "nil"))
_QUANTIFIERS = {"someValuesFrom": "some", "allValuesFrom": "only", "hasValue": "value"}
_CARDINALITIES = {
    **dict.fromkeys(("cardinality", "qualifiedCardinality"), "exactly"),
    **dict.fromkeys(("minCardinality", "minQualifiedCardinality"), "min"),
    **dict.fromkeys(("maxCardinality", "maxQualifiedCardinality"), "max"),
}
_FACETS = {
    XSD + "minInclusive": ">=",
    XSD + "minExclusive": ">",
    XSD + "maxInclusive": "<=",
    XSD + "maxExclusive": "<",
    **{XSD + name: name for name in ("length", "minLength", "maxLength", "pattern")},
    RDF + "langRange": "langRange",
}
_JOINS = {"intersectionOf": " and ", "unionOf": " or "}
_SHAPE_WORDS = {
    "minCount": "min",
    "maxCount": "max",
    **{
        name: name
        for name in (
            *("class", "datatype", "nodeKind", "node", "hasValue", "in", "pattern", "languageIn"),
            *("minInclusive", "maxInclusive", "minExclusive", "maxExclusive", "minLength"),
            *("maxLength", "uniqueLang", "equals", "disjoint", "lessThan", "or", "and", "xone"),
            *("not", "qualifiedMinCount", "qualifiedMaxCount", "qualifiedValueShape"),
        )
    },
}
_ALTERNATIVES = ("or", "and", "xone")
_ASKS_NOTHING = frozenset(
    {_TYPE, *(SHACL + name for name in ("message", "severity", "name", "description"))}
)
_PATHS = {
    "inversePath": "^{}",
    "zeroOrMorePath": "{}*",
    "oneOrMorePath": "{}+",
    "zeroOrOnePath": "{}?",
}


class NodeTexts:
    """Writes terms, blank nodes unfolded as far as the statements go, within bounds.

    Cycles, what lies deeper than six nodes, and what comes after 300 of them, read ``[…]``; a text
    ends with ``…`` after 400 characters. Not for several threads at once.

    Args:
        statements: What is known of the blank nodes.
        compact: Gives the prefixed name of an IRI.

    Example:
        >>> some = Term("b", "bnode")
        >>> texts = NodeTexts({some: {OWL + "onProperty": [Term("ex:part", "iri")],
        ...     OWL + "someValuesFrom": [Term("ex:Wheel", "iri")]}}, str)
        >>> texts.text(some)
        'ex:part some ex:Wheel'
    """

    def __init__(self, statements: Statements, compact: Callable[[str], str]) -> None:
        self._statements = statements
        self._compact = compact
        self._left = _MAX_NODES

    def text(self, term: Term) -> str:
        """Write a term."""
        return self._bounded(lambda: self._write(term, ()))

    def items(self, head: Term) -> list[Term]:
        """Give the items of a list, at most fifty; of a broken or circular one, those there are."""
        found: list[Term] = []
        seen = set[Term]()
        while head not in seen and len(found) < _MAX_ITEMS:
            seen.add(head)
            node = self._statements.get(head, {})
            found += node.get(_FIRST, ())[:1]
            (head,) = node.get(_REST, ())[:1] or (head,)
        return found

    def joined(self, head: Term, separator: str) -> str:
        """Write the items of a list with something in between."""
        return separator.join(self.text(item) for item in self.items(head))

    def shape(self, shape: Term) -> str:
        """Write a shape of SHACL: its path, then what it asks; "" when it asks nothing here.

        Rules and constraints in SPARQL are not told.
        """
        node = self._statements.get(shape, {})
        return self._bounded(lambda: self._shape(node, (shape,)))

    def excluded(self, shape: Term) -> Term:
        """Give the class, when a shape asks for nothing but to be of that one; else the shape."""
        node = {p: v for p, v in self._statements.get(shape, {}).items() if p not in _ASKS_NOTHING}
        classes = node.get(SHACL + "class", ())
        alone = len(node) == len(classes) == 1 and classes[0].kind == "iri"
        return classes[0] if alone else shape

    def _bounded(self, write: Callable[[], str]) -> str:
        self._left = _MAX_NODES
        text = write()
        return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"

    def _write(self, term: Term, above: tuple[Term, ...]) -> str:
        if term.kind != "bnode":
            return "()" if term.value == _NIL else in_sparql(term, self._compact)
        node = self._statements.get(term)
        self._left -= 1
        if node is None or term in above or len(above) >= _MAX_DEPTH or self._left < 0:
            return "[…]"
        above = (*above, term)
        if _FIRST in node:
            return f"({' '.join(self._nested(item, above) for item in self.items(term))})"
        owl = self._restriction(node, above) or self._combination(node, above)
        if owl is not None:
            return owl
        return self._rule(node, above) or self._shape(node, above) or self._other(node, above)

    def _nested(self, term: Term, above: tuple[Term, ...]) -> str:
        """Write a term within an expression, in parentheses when it has several words."""
        text = self._write(term, above)
        plain = term.kind != "bnode" or text[0] in "[({" or " " not in text
        return text if plain else f"({text})"

    def _list(self, heads: Iterable[Term], separator: str, above: tuple[Term, ...]) -> str:
        items = [item for head in heads for item in self.items(head)]
        return separator.join(self._nested(item, above) for item in items)

    def _restriction(
        self, node: Mapping[str, Sequence[Term]], above: tuple[Term, ...]
    ) -> str | None:
        if OWL + "onProperty" not in node:
            return None
        on = self._nested(node[OWL + "onProperty"][0], above)
        parts = []
        for predicate, values in node.items():
            name = predicate.removeprefix(OWL)
            for value in values:
                if name in _QUANTIFIERS:
                    parts.append(f"{on} {_QUANTIFIERS[name]} {self._nested(value, above)}")
                elif name in _CARDINALITIES:
                    what = node.get(OWL + "onClass") or node.get(OWL + "onDataRange") or ()
                    filler = "".join(f" {self._nested(term, above)}" for term in what[:1])
                    parts.append(f"{on} {_CARDINALITIES[name]} {value.value}{filler}")
                elif name == "hasSelf":
                    parts.append(f"{on} Self")
        return " and ".join(sorted(parts)) or None

    def _combination(
        self, node: Mapping[str, Sequence[Term]], above: tuple[Term, ...]
    ) -> str | None:
        for name, separator in _JOINS.items():
            if OWL + name in node:
                joined = self._list(node[OWL + name], separator, above)
                return joined or f"({name} nothing)"
        for name in ("complementOf", "datatypeComplementOf"):
            if OWL + name in node:
                return f"not {self._nested(node[OWL + name][0], above)}"
        if OWL + "oneOf" in node:
            return f"{{{self._list(node[OWL + 'oneOf'], ', ', above)}}}"
        if OWL + "onDatatype" in node:
            base = self._write(node[OWL + "onDatatype"][0], above)
            facets = [
                f"{_FACETS.get(facet) or self._compact(facet)} {self._write(value, above)}"
                for head in node.get(OWL + "withRestrictions", ())
                for item in self.items(head)
                for facet, values in self._statements.get(item, {}).items()
                for value in values
            ]
            return f"{base}[{', '.join(facets)}]"
        if OWL + "inverseOf" in node and len(node) <= 2:
            return f"inverse {self._nested(node[OWL + 'inverseOf'][0], above)}"
        return None

    def _rule(self, node: Mapping[str, Sequence[Term]], above: tuple[Term, ...]) -> str:
        """Write a rule that adds a statement to what it is about; "" when the node is none."""
        subject, predicate, value = (
            node.get(SHACL + name, ()) for name in ("subject", "predicate", "object")
        )
        about_this = [term.value for term in subject] == [SHACL + "this"]
        named = [term.kind for term in predicate] == ["iri"]
        if not (about_this and named and value) or SHACL + "condition" in node:
            return ""
        return f"adds {self._write(predicate[0], above)} {self._nested(value[0], above)}"

    def _shape(self, node: Mapping[str, Sequence[Term]], above: tuple[Term, ...]) -> str:
        """Write a shape; "" when the node has nothing of one."""
        parts = [self._path(path, above) for path in node.get(SHACL + "path", ())[:1]]
        for name, word in _SHAPE_WORDS.items():
            for value in node.get(SHACL + name, ()):
                if name in _ALTERNATIVES and value.kind == "bnode":
                    items = [self._write(item, above) for item in self.items(value)]
                    parts.append(f"({f' {name} '.join(items)})")
                else:
                    parts.append(f"{word} {self._nested(value, above)}")
        return " ".join(parts)

    def _path(self, path: Term, above: tuple[Term, ...]) -> str:
        node = self._statements.get(path, {}) if path.kind == "bnode" else {}
        if not node or path in above:
            return self._write(path, above)
        above = (*above, path)
        if _FIRST in node:
            return "/".join(self._path(item, above) for item in self.items(path))
        for name, form in _PATHS.items():
            for inner in node.get(SHACL + name, ()):
                return form.format(self._path(inner, above))
        for head in node.get(SHACL + "alternativePath", ()):
            return f"({'|'.join(self._path(item, above) for item in self.items(head))})"
        return self._other(node, above)

    def _other(self, node: Mapping[str, Sequence[Term]], above: tuple[Term, ...]) -> str:
        """Write a node of no known construct: its predicates and values in brackets."""
        parts = []
        for predicate in sorted(node, key=lambda p: (p != _TYPE, p)):
            values = [
                self._nested(value, above)
                for value in node[predicate]
                if not (predicate == _TYPE and value.value.startswith(META))
            ]
            if values:
                name = "a" if predicate == _TYPE else self._compact(predicate)
                parts.append(f"{name} {', '.join(values)}")
        return f"[{'; '.join(parts)}]"
