"""Prefixes for namespaces that nobody gave one: found in a sample, named after their paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from rlm_runtime.ontology.prefixes import is_plain_local, is_scheme, namespace_of

__all__ = ["prefixes_for"]

_MOST = 8
_LEAST_USES = 3
_LEAST_NAMES = 2
_LONGEST = 12
# They tell versions of a namespace apart, not namespaces.
_SAYS_NOTHING = re.compile(r"v?[0-9]{0,4}(?:[._-][0-9]+)*|ns")
_HASH = re.compile(r"(?=.*[0-9])[0-9a-f_-]{7,}")
_WORD = re.compile(r"[a-z][a-z0-9]*")


def prefixes_for(iris: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Make prefixes for the namespaces that are used most and have none.

    Equal samples give equal prefixes. A namespace ends with the last ``/`` or ``#``.

    Args:
        iris: A sample of IRIs in full, each as often as it is used.
        known: Prefix to namespace, of those that have one.

    Returns:
        Prefix to namespace, at most eight.

    Example:
        >>> used = ["http://e.org/people/ana", "http://e.org/people/bo", "http://e.org/v#knows"]
        >>> prefixes_for(2 * used, {"v": "http://e.org/v#"})
        {'people': 'http://e.org/people/'}
    """
    have = set(known.values())
    uses: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for iri, count in Counter(iris).items():
        namespace = namespace_of(iri)
        if namespace not in have and len(namespace) < len(iri) and is_plain_local(iri, namespace):
            uses[namespace] += count
            names[namespace] += 1
    worth = [
        namespace
        for namespace in uses
        if uses[namespace] >= _LEAST_USES
        and names[namespace] >= _LEAST_NAMES
        and namespace.partition("://")[2]
    ]
    most = sorted(worth, key=lambda namespace: (-uses[namespace], namespace))[:_MOST]
    found: dict[str, str] = {}
    # In this order a name does not hang on how often it was met.
    for namespace in sorted(most):
        found[_free_name(namespace, (*known, *found))] = namespace
    return found


def _free_name(namespace: str, taken: Collection[str]) -> str:
    candidates = list(_candidates(namespace))
    for name in candidates:
        if name not in taken and not is_scheme(name):
            return name
    stem, number = (candidates[0], 2) if candidates else ("ns", 1)
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def _candidates(namespace: str) -> Iterator[str]:
    """Yield names, the best first: parts of the path from its end, and the host's own name."""
    host, *path = re.split(r"[/#]", namespace.partition("://")[2].rstrip("/#").lower())
    if path and _HASH.fullmatch(path[-1]):
        return
    for part in reversed(path):
        words = () if _SAYS_NOTHING.fullmatch(part) else _WORD.findall(part.partition(".")[0])
        if words:
            joined = "".join(words)
            yield joined if len(joined) <= _LONGEST else words[0][:_LONGEST]
    labels = host.partition(":")[0].split(".")
    own = max(labels[:-1] or labels, key=len)
    if _WORD.fullmatch(own):
        yield own[:_LONGEST]
