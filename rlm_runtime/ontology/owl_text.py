"""Write blank nodes for readers: class expressions in Manchester's words, lists, other nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rlm_runtime.ontology.protocol import Term
from rlm_runtime.ontology.terms import in_sparql
from rlm_runtime.ontology.vocabulary import META, OWL, RDF, SHACL, XSD, language_place

__all__ = ["INNER", "INNER_OF_ONE", "NodeTexts", "Statements", "most_said", "several"]

Statements = Mapping[Term, Mapping[str, Sequence[Term]]]
"""Subject to predicate IRI to values."""

_MAX_DEPTH = 6
_MAX_TEXT = 400
_MAX_LIST = 330
_MAX_DATATYPES = 40
_MAX_MESSAGE = 120
_MAX_ITEMS = 1_000
_MAX_NODES = 300
_MAX_LITERAL = 60
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
INNER = (
    *(OWL + n for n in ("complementOf", "datatypeComplementOf", "someValuesFrom", "allValuesFrom")),
    *(OWL + n for n in ("onClass", "onDataRange", "onProperty", "inverseOf", "withRestrictions")),
    *(OWL + n for n in ("unionOf", "intersectionOf", "oneOf")),
    *(RDF + "first", RDF + "rest"),
    *(SHACL + n for n in ("path", "inversePath", "alternativePath", "zeroOrMorePath")),
    *(SHACL + n for n in ("oneOrMorePath", "zeroOrOnePath", "or", "and", "xone", "not", "in")),
    *(SHACL + n for n in ("languageIn", "qualifiedValueShape", "property")),
)
"""What leads from a blank node of a class expression, a list or a shape to the next."""

INNER_OF_ONE = tuple(iri for iri in INNER if iri != SHACL + "property")
"""The same within one restriction or property shape: not by way of a class to all its shapes."""

_JOINS = {"intersectionOf": " and ", "unionOf": " or "}
_SHAPE_WORDS = {
    "minCount": "min",
    "maxCount": "max",
    **{
        name: name
        for name in (
            *("class", "datatype", "nodeKind", "node", "hasValue", "in", "pattern", "languageIn"),
            *("minInclusive", "maxInclusive", "minExclusive", "maxExclusive", "minLength"),
            *("maxLength", "uniqueLang", "equals", "disjoint", "lessThan", "not"),
            *("qualifiedMinCount", "qualifiedMaxCount", "qualifiedValueShape"),
        )
    },
}
_ALTERNATIVES = ("or", "and", "xone")
_COMMON = ("class", "datatype", "node")
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

    Cycles, what lies deeper than six nodes, and what comes after 300 of them, read ``[…]``; a long
    list says how many more items it has, and a text of over 400 characters ends with ``…``. Not
    for several threads at once.

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
        """Give the items of a list, at most 1,000; of a broken or circular one, those it has."""
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
        items = self.items(head)
        return several(separator, map(self.text, items), len(items))

    def shape(self, shape: Term) -> str:
        """Write a shape of SHACL: path, what it asks, its message; "" when it asks nothing here.

        Rules and constraints in SPARQL are not told.
        """
        node = self._statements.get(shape, {})
        return "" if self.deactivated(shape) else self._bounded(lambda: self._shape(node, (shape,)))

    def deactivated(self, shape: Term) -> bool:
        """Say whether a shape is said not to be in force."""
        said = self._statements.get(shape, {}).get(SHACL + "deactivated", ())
        return any(value.value == "true" for value in said)

    def excluded(self, shape: Term) -> Term:
        """Give the class, when a shape asks for nothing but to be of that one; else the shape."""
        node = {p: v for p, v in self._statements.get(shape, {}).items() if p not in _ASKS_NOTHING}
        classes = node.get(SHACL + "class", ())
        alone = len(node) == len(classes) == 1 and classes[0].kind == "iri"
        return classes[0] if alone else shape

    def _bounded(self, write: Callable[[], str]) -> str:
        self._left = _MAX_NODES
        text = write()
        if len(text) <= _MAX_TEXT:
            return text
        first = text[: _MAX_TEXT - 1]
        return f"{first.rpartition(' ')[0] or first} …"

    def _write(self, term: Term, above: tuple[Term, ...]) -> str:
        node = self._statements.get(term)
        if term.kind != "bnode" and _FIRST not in (node or {}):
            return self._named(term)
        self._left -= 1
        if node is None or term in above or len(above) >= _MAX_DEPTH or self._left < 0:
            return "[…]"
        above = (*above, term)
        if _FIRST in node:
            return f"({self._list([term], ' ', above)})"
        owl = self._restriction(node, above) or self._combination(node, above)
        if owl is not None:
            return owl
        return self._rule(node, above) or self._shape(node, above) or self._other(node, above)

    def _named(self, term: Term) -> str:
        if term.value == _NIL:
            return "()"
        if term.kind == "literal" and len(term.value) > _MAX_LITERAL:
            # Of a query, the indents would take the room.
            term = term._replace(value=" ".join(term.value.split()))
        return in_sparql(term, self._compact, longest=_MAX_LITERAL)

    def _nested(self, term: Term, above: tuple[Term, ...]) -> str:
        """Write a term within an expression, in parentheses when it has several words."""
        text = self._write(term, above)
        plain = term.kind != "bnode" or text[0] in "[({" or " " not in text
        return text if plain else f"({text})"

    def _list(self, heads: Iterable[Term], separator: str, above: tuple[Term, ...]) -> str:
        items = [item for head in heads for item in self.items(head)]
        return several(separator, (self._nested(item, above) for item in items), len(items))

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
            parts += [f"{word} {self._nested(v, above)}" for v in node.get(SHACL + name, ())]
        alternatives = [
            self._alternatives(name, head, above)
            for name in _ALTERNATIVES
            for head in node.get(SHACL + name, ())
        ]
        if alternatives:
            parts.append(" and ".join(sorted(alternatives)))
        messages = [term for term in node.get(SHACL + "message", ()) if term.kind == "literal"]
        if parts and messages:
            best = min(messages, key=lambda term: (language_place(term.language), term.value))
            text = " ".join(best.value.split())
            parts.append(f'"{text[:_MAX_MESSAGE]}{"…" if len(text) > _MAX_MESSAGE else ""}"')
        return " ".join(parts)

    def _alternatives(self, name: str, head: Term, above: tuple[Term, ...]) -> str:
        """Write what a shape asks one, or all, of; a word that all have in common once."""
        items = self.items(head)
        if not items:
            return f"{name} {self._nested(head, above)}"
        texts = [self._write(item, above) for item in items]
        (word, *more) = {text.partition(" ")[0] for text in texts}
        common = f"{word} " if word in _COMMON and not more else ""
        if not all(text.count(" ") == 1 for text in texts):
            common = ""
        room = _MAX_DATATYPES if common == "datatype " else _MAX_LIST
        each = [text.removeprefix(common) for text in texts]
        return f"({common}{several(f' {name} ', each, len(each), room)})"

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


def most_said(texts: Iterable[str]) -> list[str]:
    """Sort texts of shapes, each once, less those that another says along with a message.

    Example:
        >>> most_said(["ex:p max 1", 'ex:p max 1 "One is enough."'])
        ['ex:p max 1 "One is enough."']
    """
    each = sorted(set(texts))
    return [a for i, a in enumerate(each) if not "".join(each[i + 1 : i + 2]).startswith(f'{a} "')]


def several(separator: str, texts: Iterable[str], count: int, room: int = _MAX_LIST) -> str:
    """Join texts while there is room, at least one; then say how many more there are.

    Example:
        >>> several(", ", ["ex:Apple", "ex:Pear", "ex:Plum"], 3, room=20)
        'ex:Apple, ex:Pear, … 1 more'
    """
    taken: list[str] = []
    for text in texts:
        room -= len(text) + len(separator)
        if taken and room < 0:
            return separator.join([*taken, f"… {count - len(taken)} more"])
        taken.append(text)
    return separator.join(taken)
