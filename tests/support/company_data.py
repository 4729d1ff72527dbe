"""An invented company, drawn from a seed: the records behind the graph and its questions."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

__all__ = ["Category", "Company", "Order", "Person", "Price", "Product", "Supplier", "draw_company"]

# Label in English, label in German or None, city, number of employees. Two are the largest.
DEPARTMENTS = (
    ("Sales", "Vertrieb", "Leipzig", 21),
    ("Engineering", "Entwicklung", "Berlin", 21),
    ("Support", "Kundendienst", "Rotterdam", 15),
    ("Purchasing", "Einkauf", "Leipzig", 9),
    ("Marketing", None, "Vienna", 11),
    ("Finance", "Finanzen", "Zurich", 8),
    ("Human Resources", "Personalabteilung", "Zurich", 6),
    ("Research", "Forschung", "Berlin", 13),
)
CITIES = {  # city: (name in German or None, country)
    "Berlin": (None, "Germany"),
    "Leipzig": (None, "Germany"),
    "Vienna": ("Wien", "Austria"),
    "Zurich": ("Zürich", "Switzerland"),
    "Rotterdam": (None, "Netherlands"),
}
SKILLS = (
    ("Negotiation", "Verhandlung"),
    ("Accounting", "Buchhaltung"),
    ("Project management", "Projektleitung"),
    ("SPARQL", None),
    ("Python", None),
    ("Statistics", "Statistik"),
    ("Welding", "Schweißen"),
    ("Copywriting", None),
    ("Dutch", "Niederländisch"),
    ("First aid", "Erste Hilfe"),
)
# Label, label in German, the wider category, number of products.
CATEGORIES = (
    ("Furniture", "Möbel", None, 0),
    ("Electronics", "Elektronik", None, 0),
    ("Lamp", "Leuchte", "Furniture", 16),
    ("Desk", "Schreibtisch", "Furniture", 14),
    ("Chair", "Stuhl", "Furniture", 15),
    ("Shelf", "Regal", "Furniture", 9),
    ("Monitor", None, "Electronics", 12),
    ("Keyboard", "Tastatur", "Electronics", 10),
    ("Accessory", "Zubehör", None, 6),
)
# Name, country; the last two are on the books and supply nothing.
SUPPLIERS = (
    ("Atlas Logistics", "Netherlands"),
    ("Baltic Timber", "Latvia"),
    ("Castellani Luce", "Italy"),
    ("Delta Components", "Germany"),
    ("Eisenhof Metallbau", "Austria"),
    ("Fjordlys", "Norway"),
    ("Granit & Söhne", "Germany"),
    ("Hanako Displays", "Japan"),
    ("Iberia Textil", "Spain"),
    ("Jura Plastics", "Switzerland"),
    ("Kestrel Keys", "Ireland"),
    ("Lumen Brothers", "Germany"),
    ("Mistral Import", "France"),
    ("Nordwind Spedition", "Germany"),
)
IDLE_SUPPLIERS = 2
GIVEN = (
    "Anna Bruno Clara David Elena Farid Greta Hugo Irina Jonas Katja Leon Marta Nils Olga Pavel "
    "Rosa Stefan Tuba Ulrich Vera Wim Yara Zoltan"
)
FAMILY = (
    "Albrecht Becker Costa Dietrich Eriksen Fontana Gruber Haddad Ivanov Janssen Kowalski Lehmann "
    "Moreau Novak Okafor Petrov Richter Schuster Tanaka Ulbrich Vogel Weber Yilmaz Zeller"
)
NICKNAMES = (
    "Alba Birke Corvo Dahlia Esker Fermi Gala Halm Iris Juno Kepler Linde Malmo Nadir Opal Pico "
    "Quarz Rondo Sirius Talla Umbra Vega Wolke Xenia Yukon Zenit"
)
CHIEF = ("Ingrid", "Solberg")
CONSULTANTS = (("Amara", "Diallo"), ("Théo", "Lambert"), ("Mei", "Sato"))
TODAY = date(2025, 6, 30)


@dataclass
class Person:
    id: str
    given: str
    family: str
    job: str
    department: str | None = None
    manager: str | None = None
    email: str | None = None
    hired: date | None = None
    weekly_hours: int | None = None
    remote: bool = False
    skills: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"

    @property
    def employed(self) -> bool:
        """Employees have a day of hiring; consultants have none."""
        return self.hired is not None


@dataclass
class Category:
    label: str
    german: str | None
    wider: str | None


@dataclass
class Price:
    cents: int
    since: date
    until: date | None


@dataclass
class Product:
    id: str
    label: str
    category: str
    grams: int | None
    suppliers: list[str]
    prices: list[Price]

    @property
    def current(self) -> Price | None:
        return next((price for price in self.prices if price.until is None), None)


@dataclass
class Supplier:
    id: str
    label: str
    country: str
    rating: int | None


@dataclass
class Order:
    id: str
    product: str
    supplier: str
    placed_by: str
    quantity: int
    placed: date
    delivered: date | None


@dataclass
class Company:
    """Everything there is; people, products and the like refer to each other by id or label."""

    people: list[Person]
    categories: list[Category]
    products: list[Product]
    suppliers: list[Supplier]
    orders: list[Order]

    @property
    def employees(self) -> list[Person]:
        return [person for person in self.people if person.employed]


def draw_company(seed: int) -> Company:
    """Draw a company; the same seed gives the same one."""
    rng = random.Random(seed)
    people = _draw_people(rng)
    suppliers = [
        Supplier(f"S-{n:02}", label, country, rng.choice([None, 2, 3, 4, 4, 5]))
        for n, (label, country) in enumerate(SUPPLIERS, 1)
    ]
    categories = [Category(label, german, wider) for label, german, wider, _ in CATEGORIES]
    products = _draw_products(rng, [supplier.id for supplier in suppliers[:-IDLE_SUPPLIERS]])
    buyers = [person.id for person in people if person.department == "Purchasing"]
    return Company(people, categories, products, suppliers, _draw_orders(rng, products, buyers))


def _day(rng: random.Random, first: date, last: date) -> date:
    return first + timedelta(days=rng.randrange((last - first).days + 1))


def _draw_people(rng: random.Random) -> list[Person]:
    names = [(given, family) for given in GIVEN.split() for family in FAMILY.split()]
    names.remove(("Anna", "Weber"))
    rng.shuffle(names)
    people = [Person("E-0001", *CHIEF, "Chief Executive", hired=date(2009, 3, 2), weekly_hours=40)]
    people[0].email = "ingrid.solberg@example.org"
    heads: dict[str, Person] = {}
    for department, _, _, size in DEPARTMENTS:
        lead: Person | None = None
        for place in range(size):
            person = Person(f"E-{len(people) + 1:04}", *names.pop(), "Specialist", department)
            person.hired = _day(rng, date(2012, 1, 9), date(2025, 5, 26))
            if place == 0:
                person.job, person.manager = "Head of Department", people[0].id
                heads[department] = lead = person
            elif place % 6 == 1 and size > 10:
                person.job, person.manager = "Team Lead", heads[department].id
                lead = person
            else:
                assert lead is not None
                person.manager = lead.id
            person.weekly_hours = rng.choice([20, 32, 40, 40, 40])
            person.remote = rng.random() < 0.3
            known = rng.sample(SKILLS, rng.randrange(4))
            person.skills = sorted(skill for skill, _ in known)
            people.append(person)
    _make_irregular(rng, people)
    for number, (given, family) in enumerate(CONSULTANTS, 1):
        people.append(Person(f"C-{number:02}", given, family, "Consultant", skills=["SPARQL"]))
    return people


def _make_irregular(rng: random.Random, people: list[Person]) -> None:
    """Give two people one name and one a name that is easily misspelt; withhold e-mails."""

    def specialist(department: str) -> Person:
        return [p for p in people if p.department == department and p.job == "Specialist"][-1]

    for department in ("Marketing", "Support"):
        twin = specialist(department)
        twin.given, twin.family = "Anna", "Weber"
    hard = specialist("Finance")
    hard.given, hard.family = "Katharina", "Lindqvist"
    taken: set[str] = set()
    for person in people[1:]:
        address = f"{person.given}.{person.family}@example.org".lower()
        if address not in taken and rng.random() > 0.12:
            person.email = address
            taken.add(address)


def _draw_products(rng: random.Random, suppliers: list[str]) -> list[Product]:
    products: list[Product] = []
    for category, _, _, size in CATEGORIES:
        nicknames = rng.sample(NICKNAMES.split(), size)
        if category == "Monitor":
            # A supplier goes by this name, too.
            nicknames[0] = "Atlas"
        for nickname in nicknames:
            label = f"{category} {nickname}"
            if category == "Accessory":
                # The word in the label is not the category.
                label = f"{rng.choice(['Lamp Hook', 'Desk Mat', 'Monitor Arm'])} {nickname}"
            elif category == "Lamp" and rng.random() < 0.3:
                label = f"Desk Lamp {nickname}"
            products.append(
                Product(
                    id=f"P-{1001 + len(products)}",
                    label=label,
                    category=category,
                    grams=rng.choice([None, *[rng.randrange(200, 30_000) for _ in range(5)]]),
                    suppliers=sorted(rng.sample(suppliers, rng.choice([1, 1, 2, 3]))),
                    prices=_draw_prices(rng),
                )
            )
    return products


def _draw_prices(rng: random.Random) -> list[Price]:
    """Prices that follow each other; some products have none any more."""
    days = sorted(
        {_day(rng, date(2021, 1, 1), date(2025, 3, 31)) for _ in range(rng.choice([2, 3, 4]))}
    )
    ends: list[date | None] = [*days[1:], None]
    if rng.random() < 0.1:
        ends[-1] = _day(rng, date(2025, 4, 1), TODAY)
    cents = rng.randrange(1_900, 60_000)
    prices = []
    for since, until in zip(days, ends, strict=True):
        prices.append(Price(cents, since, until))
        cents = cents * rng.randrange(92, 118) // 100
    return prices


def _draw_orders(rng: random.Random, products: list[Product], buyers: list[str]) -> list[Order]:
    orders = []
    for number in range(1, 121):
        product = rng.choice(products)
        placed = _day(rng, date(2023, 1, 2), TODAY)
        arrives = placed + timedelta(days=rng.randrange(3, 40))
        orders.append(
            Order(
                id=f"O-{number:04}",
                product=product.id,
                supplier=rng.choice(product.suppliers),
                placed_by=rng.choice(buyers),
                quantity=rng.randrange(1, 60),
                placed=placed,
                delivered=arrives if arrives <= TODAY else None,
            )
        )
    return orders
