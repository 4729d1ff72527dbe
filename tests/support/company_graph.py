"""The company as RDF: a small schema with labels and few axioms, and one node a record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from pyoxigraph import Literal, NamedNode, Triple

from tests.support.company_data import CITIES, DEPARTMENTS, SKILLS, Company, Person, Product

__all__ = ["PREFIXES", "company_triples"]

EX = "http://example.org/company#"
ID = "http://example.org/company/id/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
PREFIXES = {"ex": EX, "id": ID, "owl": OWL, "rdfs": RDFS, "xsd": XSD}

TYPE, LABEL = NamedNode(RDF + "type"), NamedNode(RDFS + "label")
SUBCLASS = NamedNode(RDFS + "subClassOf")

CLASSES = {  # local name: (label, label in German, superclass)
    "Person": ("Person", "Person", None),
    "Employee": ("Employee", "Mitarbeiter", "Person"),
    "Consultant": ("Consultant", "Berater", "Person"),
    "Department": ("Department", "Abteilung", None),
    "Location": ("Location", "Standort", None),
    "Skill": ("Skill", None, None),
    "Product": ("Product", "Produkt", None),
    "ProductCategory": ("Product category", "Produktkategorie", None),
    "Price": ("Price", "Preis", None),
    "Supplier": ("Supplier", "Lieferant", None),
    "Order": ("Order", "Bestellung", None),
}
OBJECT_PROPERTIES = {  # local name: (label, label in German)
    "worksIn": ("works in", "arbeitet in"),
    "manager": ("manager", "Vorgesetzter"),
    "hasSkill": ("has skill", None),
    "locatedIn": ("located in", None),
    "inCategory": ("in category", None),
    "widerCategory": ("wider category", None),
    "suppliedBy": ("supplied by", "geliefert von"),
    "hasPrice": ("has price", None),
    "ofProduct": ("of product", None),
    "fromSupplier": ("from supplier", None),
    "placedBy": ("placed by", None),
}
VALUE_PROPERTIES = {
    "employeeId": ("employee id", "Personalnummer"),
    "givenName": ("given name", None),
    "familyName": ("family name", None),
    "email": ("e-mail", None),
    "jobTitle": ("job title", None),
    "hiredOn": ("hired on", "Eintrittsdatum"),
    "weeklyHours": ("weekly hours", None),
    "worksRemotely": ("works remotely", None),
    "country": ("country", "Land"),
    "productId": ("product id", "Artikelnummer"),
    "weightKg": ("weight in kg", None),
    "amount": ("amount", "Betrag"),
    "currency": ("currency", None),
    "validFrom": ("valid from", None),
    "validUntil": ("valid until", None),
    "supplierId": ("supplier id", None),
    "rating": ("rating, 1 to 5", None),
    "orderNumber": ("order number", None),
    "quantity": ("quantity", "Menge"),
    "placedOn": ("placed on", None),
    "deliveredOn": ("delivered on", None),
}

_Value = NamedNode | Literal | str | int | date | None


def company_triples(company: Company) -> Iterator[Triple]:
    """Give the statements in a fixed order, those of one subject together."""
    yield from _schema()
    for city, (german, country) in CITIES.items():
        yield from _record(city, "Location", _labels(city, german), country=country)
    for label, german, city, _ in DEPARTMENTS:
        yield from _record(label, "Department", _labels(label, german), locatedIn=_node(city))
    for label, german in SKILLS:
        yield from _record(label, "Skill", _labels(label, german))
    for category in company.categories:
        wider = _node(category.wider) if category.wider else None
        labels = _labels(category.label, category.german)
        yield from _record(category.label, "ProductCategory", labels, widerCategory=wider)
    for person in company.people:
        yield from _person(person)
    for supplier in company.suppliers:
        yield from _record(
            supplier.id,
            "Supplier",
            [Literal(supplier.label)],
            supplierId=supplier.id,
            country=supplier.country,
            rating=supplier.rating,
        )
    for product in company.products:
        yield from _product(product)
    for order in company.orders:
        yield from _record(
            order.id,
            "Order",
            [],
            orderNumber=order.id,
            ofProduct=_node(order.product),
            fromSupplier=_node(order.supplier),
            placedBy=_node(order.placed_by),
            quantity=order.quantity,
            placedOn=order.placed,
            deliveredOn=order.delivered,
        )


def _schema() -> Iterator[Triple]:
    for name, (label, german, parent) in CLASSES.items():
        yield Triple(NamedNode(EX + name), TYPE, NamedNode(OWL + "Class"))
        for text in _labels(label, german):
            yield Triple(NamedNode(EX + name), LABEL, text)
        if parent:
            yield Triple(NamedNode(EX + name), SUBCLASS, NamedNode(EX + parent))
    kinds = {"ObjectProperty": OBJECT_PROPERTIES, "DatatypeProperty": VALUE_PROPERTIES}
    for kind, properties in kinds.items():
        for name, (label, german) in properties.items():
            yield Triple(NamedNode(EX + name), TYPE, NamedNode(OWL + kind))
            for text in _labels(label, german):
                yield Triple(NamedNode(EX + name), LABEL, text)


def _person(person: Person) -> Iterator[Triple]:
    yield from _record(
        person.id,
        "Employee" if person.employed else "Consultant",
        [Literal(person.name)],
        employeeId=person.id if person.employed else None,
        givenName=person.given,
        familyName=person.family,
        email=person.email,
        jobTitle=person.job,
        worksIn=_node(person.department) if person.department else None,
        manager=_node(person.manager) if person.manager else None,
        hiredOn=person.hired,
        weeklyHours=person.weekly_hours,
        worksRemotely=person.remote if person.employed else None,
    )
    for skill in person.skills:
        yield Triple(_node(person.id), NamedNode(EX + "hasSkill"), _node(skill))


def _product(product: Product) -> Iterator[Triple]:
    yield from _record(
        product.id,
        "Product",
        [Literal(product.label, language="en")],
        productId=product.id,
        inCategory=_node(product.category),
        weightKg=_decimal(product.grams, 3) if product.grams is not None else None,
    )
    prices = [f"{product.id}-price-{n}" for n in range(1, len(product.prices) + 1)]
    for predicate, names in (("suppliedBy", product.suppliers), ("hasPrice", prices)):
        for name in names:
            yield Triple(_node(product.id), NamedNode(EX + predicate), _node(name))
    for name, price in zip(prices, product.prices, strict=True):
        yield from _record(
            name,
            "Price",
            [],
            amount=_decimal(price.cents, 2),
            currency="EUR",
            validFrom=price.since,
            validUntil=price.until,
        )


def _record(name: str, kind: str, labels: list[Literal], **values: _Value) -> Iterator[Triple]:
    subject = _node(name)
    yield Triple(subject, TYPE, NamedNode(EX + kind))
    for label in labels:
        yield Triple(subject, LABEL, label)
    for predicate, value in values.items():
        if value is not None:
            yield Triple(subject, NamedNode(EX + predicate), _term(value))


def _term(value: NamedNode | Literal | str | int | date) -> NamedNode | Literal:
    if isinstance(value, date):
        return Literal(value.isoformat(), datatype=NamedNode(XSD + "date"))
    return value if isinstance(value, NamedNode | Literal) else Literal(value)


def _labels(label: str, german: str | None) -> list[Literal]:
    labels = [Literal(label, language="en")]
    return [*labels, Literal(german, language="de")] if german else labels


def _node(name: str) -> NamedNode:
    return NamedNode(ID + name.replace(" ", "-"))


def _decimal(units: int, places: int) -> Literal:
    whole, rest = divmod(units, 10**places)
    return Literal(f"{whole}.{rest:0{places}}", datatype=NamedNode(XSD + "decimal"))
