"""Writes a university graph of any size as N-Triples: what LUBM models, with names and titles.

After the Lehigh University Benchmark (Guo, Pan, Heflin: LUBM: A Benchmark for OWL Knowledge Base
Systems, Journal of Web Semantics 3, 2005): universities with departments, professors, students,
courses and publications, in about the proportions given there. The same number of triples gives
the same bytes.

    python -m benchmarks.lubm 1000000 lubm-1m.nt
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["NAMESPACE", "triples_of", "write_lubm"]

NAMESPACE = "http://example.org/univ#"

_DATA = "http://example.org/data/"
_RDF_TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_OWL = "http://www.w3.org/2002/07/owl#"
_XSD = "http://www.w3.org/2001/XMLSchema#"

_CLASSES = {
    "Organization": "",
    "University": "Organization",
    "Department": "Organization",
    "Person": "",
    "Professor": "Person",
    "FullProfessor": "Professor",
    "AssociateProfessor": "Professor",
    "AssistantProfessor": "Professor",
    "Student": "Person",
    "GraduateStudent": "Student",
    "UndergraduateStudent": "Student",
    "Course": "",
    "GraduateCourse": "Course",
    "Publication": "",
}
_PROPERTIES = {
    "subOrganizationOf": ("Organization", "Organization"),
    "worksFor": ("Professor", "Department"),
    "headOf": ("Professor", "Department"),
    "memberOf": ("Student", "Department"),
    "teacherOf": ("Professor", "Course"),
    "takesCourse": ("Student", "Course"),
    "advisor": ("Student", "Professor"),
    "publicationAuthor": ("Publication", "Person"),
    "doctoralDegreeFrom": ("Professor", "University"),
    "emailAddress": ("Person", ""),
    "publishedIn": ("Publication", ""),
}
_RANKS = ("FullProfessor", "AssociateProfessor", "AssistantProfessor")
_FIRST = (
    *("Ada", "Alan", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ivan"),
    *("Jean", "Katherine", "Leslie", "Margaret", "Niklaus", "Ole", "Peter", "Radia", "Shafi"),
    *("Tony", "Ursula", "Vera", "Whitfield", "Xenia", "Yukihiro", "Zohar"),
)
_SYLLABLES = (
    *("an", "bel", "cor", "dan", "el", "fer", "gol", "har", "in", "jor", "kel", "lin", "mar"),
    *("nor", "os", "per", "quin", "ros", "sen", "tal", "ur", "vin", "wes", "yar", "zel"),
)
_TOPICS = (
    *("graph", "query", "lattice", "protein", "market", "climate", "neural", "quantum", "ocean"),
    *("syntax", "plasma", "genome", "robot", "cipher", "poetry", "empire", "turbine", "virus"),
)
_WAYS = (
    *("analysis", "theory", "modelling", "history", "design", "synthesis", "dynamics", "ethics"),
    *("simulation", "optimisation", "geometry", "statistics"),
)


def triples_of(count: int, seed: int = 0) -> Iterator[str]:
    """Give lines of N-Triples, those of one department at a time, until there are ``count``.

    Args:
        count: Triples in all; the last department is cut there.
        seed: Another one gives other names and links.

    Example:
        >>> lines = "".join(triples_of(5_000)).splitlines()
        >>> len(lines), lines[0].split()[2]
        (5000, '<http://www.w3.org/2002/07/owl#Class>')
    """
    left = count
    for block in itertools.chain([_schema()], _departments(random.Random(seed))):
        if len(block) >= left:
            yield "".join(block[:left])
            return
        left -= len(block)
        yield "".join(block)


def write_lubm(path: Path, count: int, seed: int = 0) -> None:
    """Write a file of ``count`` triples, about 1.5 million a second."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(triples_of(count, seed))


def _schema() -> list[str]:
    lines: list[str] = []
    for name, parent in _CLASSES.items():
        lines.append(f"<{NAMESPACE}{name}> {_RDF_TYPE} <{_OWL}Class> .\n")
        lines.append(f'<{NAMESPACE}{name}> <{_RDFS}label> "{_spaced(name)}"@en .\n')
        if parent:
            lines.append(f"<{NAMESPACE}{name}> <{_RDFS}subClassOf> <{NAMESPACE}{parent}> .\n")
    for name, ends in _PROPERTIES.items():
        kind = "ObjectProperty" if ends[1] else "DatatypeProperty"
        lines.append(f"<{NAMESPACE}{name}> {_RDF_TYPE} <{_OWL}{kind}> .\n")
        lines.append(f'<{NAMESPACE}{name}> <{_RDFS}label> "{_spaced(name)}"@en .\n')
        for end, word in zip(ends, ("domain", "range"), strict=True):
            if end:
                lines.append(f"<{NAMESPACE}{name}> <{_RDFS}{word}> <{NAMESPACE}{end}> .\n")
    return lines


def _spaced(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _departments(chance: random.Random) -> Iterator[list[str]]:
    for university in itertools.count():
        home = f"<{_DATA}U{university}>"
        lines = _thing(home, "University", f"University of {_surname(chance)}")
        for department in range(chance.randint(15, 25)):
            lines += _department(chance, f"{_DATA}U{university}/D{department}", home, university)
            yield lines
            lines = []


def _department(chance: random.Random, iri: str, home: str, university: int) -> list[str]:
    here = f"<{iri}>"
    lines = _thing(here, "Department", f"Department of {_topic(chance)}")
    lines.append(_triple(here, "subOrganizationOf", home))
    professors, courses, seminars = [], [], []
    for number in range(chance.randint(24, 36)):
        professor = f"<{iri}/P{number}>"
        professors.append(professor)
        lines += _person(chance, professor, _RANKS[number % 3], f"p{number}")
        lines.append(_triple(professor, "worksFor", here))
        degree = f"<{_DATA}U{chance.randint(0, university)}>"
        lines.append(_triple(professor, "doctoralDegreeFrom", degree))
        for kind, taught, letter in (
            ("Course", courses, "C"),
            ("GraduateCourse", seminars, "G"),
        ):
            course = f"<{iri}/{letter}{number}>"
            taught.append(course)
            lines += _thing(course, kind, _topic(chance))
            lines.append(_triple(professor, "teacherOf", course))
    lines.append(_triple(professors[0], "headOf", here))
    students = []
    for number in range(len(professors) * 12):
        graduate = number % 5 == 0
        student = f"<{iri}/S{number}>"
        kind = "GraduateStudent" if graduate else "UndergraduateStudent"
        lines += _person(chance, student, kind, f"s{number}")
        lines.append(_triple(student, "memberOf", here))
        for course in chance.sample(seminars if graduate else courses, 3):
            lines.append(_triple(student, "takesCourse", course))
        if graduate:
            students.append(student)
            lines.append(_triple(student, "advisor", chance.choice(professors)))
    for number in range(len(professors) * 8):
        paper = f"<{iri}/A{number}>"
        lines += _thing(paper, "Publication", f"{_topic(chance)} and {_topic(chance)}")
        year = f'"{chance.randint(1990, 2025)}"^^<{_XSD}gYear>'
        lines.append(_triple(paper, "publishedIn", year))
        lines.append(_triple(paper, "publicationAuthor", professors[number % len(professors)]))
        lines.append(_triple(paper, "publicationAuthor", chance.choice(students)))
    return lines


def _thing(iri: str, kind: str, name: str) -> list[str]:
    return [f"{iri} {_RDF_TYPE} <{NAMESPACE}{kind}> .\n", f'{iri} <{_RDFS}label> "{name}" .\n']


def _person(chance: random.Random, iri: str, kind: str, mailbox: str) -> list[str]:
    name = f"{chance.choice(_FIRST)} {_surname(chance)}"
    mail = _triple(iri, "emailAddress", f'"{mailbox}@example.org"')
    return [*_thing(iri, kind, name), mail]


def _triple(subject: str, name: str, value: str) -> str:
    return f"{subject} <{NAMESPACE}{name}> {value} .\n"


def _surname(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=3)).capitalize()


def _topic(chance: random.Random) -> str:
    return f"{chance.choice(_TOPICS).capitalize()} {chance.choice(_WAYS)}"


if __name__ == "__main__":
    write_lubm(Path(sys.argv[2]), int(sys.argv[1].replace("_", "")))
