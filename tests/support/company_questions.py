"""Questions about the company, each with what its records say to it."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypedDict

from tests.support.company_data import CHIEF, CITIES, Company, Product
from tests.support.company_facts import city_of, company_facts, euros

__all__ = ["Question", "company_questions"]


class Question(TypedDict):
    """A question, what a right answer holds, and what makes it hard.

    ``expected`` is a number, a text, a list of which all and nothing else must be named, a dict
    of name to value, or None: the graph does not say, and the answer must say so.
    """

    question: str
    expected: object
    kind: str


def company_questions(company: Company) -> list[Question]:
    """At least one question of every kind that people ask of such a graph."""
    facts = company_facts(company)
    return [
        *_about_people(company, facts),
        *_about_products(company, facts),
        *_about_trade(company, facts),
    ]


def _about_people(company: Company, facts: dict[str, Any]) -> list[Question]:
    names = {person.id: person.name for person in company.people}
    manager: dict[str, str] = facts["manager_of"]
    (hard,) = (p for p in company.people if p.family == "Lindqvist")
    head = next(
        person
        for person in company.people
        if person.department == "Engineering" and person.job == "Head of Department"
    )
    return [
        _ask(
            "How many employees does the Finance department have?",
            facts["employees_per_department"]["Finance"],
            "count",
        ),
        _ask(
            "Which department has the most employees?",
            facts["largest_departments"],
            "superlative with a tie",
        ),
        _ask(
            "How many people are there in all, employees and consultants?",
            len(company.people),
            "count over subclasses",
        ),
        _ask(
            "Who is the manager of the employee with id E-0042?",
            names[manager["E-0042"]],
            "lookup by id",
        ),
        _ask("Who manages Katarina Lindquist?", names[manager[hard.id]], "misspelt name"),
        _ask(
            "In which city and country does Katharina Lindqvist work?",
            list(city_of(hard.department or "")),
            "multi-hop",
        ),
        _ask(
            "In which department does Anna Weber work?",
            sorted(p.department or "" for p in company.people if p.name == "Anna Weber"),
            "ambiguous name",
        ),
        _ask(
            f"How many people report to {head.name}, directly or through others?",
            facts["reports_of_heads"][head.id],
            "transitive",
        ),
        _ask(
            "How many employees have no e-mail address?",
            len(facts["without_email"]),
            "negation with a count",
        ),
        _ask(
            "How many employees were hired after 31 December 2022?",
            len(facts["hired_after_2022"]),
            "date",
        ),
        _ask(
            "Who was hired most recently?",
            sorted(names[i] for i in facts["last_hired"]),
            "date superlative",
        ),
        _ask(
            "Which employees of the Research department know SPARQL?",
            sorted(
                p.name
                for p in company.people
                if p.department == "Research" and "SPARQL" in p.skills
            ),
            "filter over two relations",
        ),
        _ask(f"What is the salary of {' '.join(CHIEF)}?", None, "absent property"),
    ]


def _about_products(company: Company, facts: dict[str, Any]) -> list[Question]:
    labels = {product.id: product.label for product in company.products}
    sizes: dict[str, int] = facts["products_per_category"]
    furniture = [c.label for c in company.categories if c.wider == "Furniture"]

    def rise(product: Product) -> int:
        return product.prices[-1].cents - product.prices[0].cents

    steepest = max(rise(product) for product in company.products)
    first = company.products[0]
    return [
        _ask("How many lamps do we have?", sizes["Lamp"], "category against label words"),
        _ask("Wie viele Produkte gibt es in der Kategorie Stuhl?", sizes["Chair"], "German label"),
        _ask(
            "How many products are there in Furniture, its narrower categories included?",
            sum(sizes[label] for label in furniture),
            "hierarchy",
        ),
        _ask(
            "Which lamp is cheapest today?",
            facts["cheapest_product"]["Lamp"]["products"],
            "superlative over current values",
        ),
        _ask(
            "What is the average current price in each product category, in euros to the cent?",
            facts["average_current_price"],
            "aggregate per group",
        ),
        _ask(
            f"What did the product {first.label} cost on {first.prices[0].since}, in EUR?",
            str(euros(first.prices[0].cents)),
            "history",
        ),
        _ask(
            "Which product's price rose most in euros, from its first price to its last?",
            sorted(p.label for p in company.products if rise(p) == steepest),
            "comparison in time",
        ),
        _ask(
            "Which products have no current price?",
            sorted(labels[i] for i in facts["without_current_price"]),
            "negation with a condition",
        ),
    ]


def _about_trade(company: Company, facts: dict[str, Any]) -> list[Question]:
    category = {product.id: product.category for product in company.products}
    names = {person.id: person.name for person in company.people}
    lamps = [order for order in company.orders if category[order.product] == "Lamp"]
    largest = max(order.quantity for order in lamps)
    german = {supplier.id for supplier in company.suppliers if supplier.country == "Germany"}
    housed = {city_of(department)[0] for department in facts["employees_per_department"]}
    return [
        _ask("Which supplier supplies the most products?", facts["top_suppliers"], "superlative"),
        _ask("Which suppliers supply no product at all?", facts["idle_suppliers"], "negation"),
        _ask(
            "How many products have at least one supplier in Germany?",
            sum(not german.isdisjoint(product.suppliers) for product in company.products),
            "distinct count over two hops",
        ),
        _ask(
            "Who placed the largest order of a lamp, by quantity?",
            sorted({names[order.placed_by] for order in lamps if order.quantity == largest}),
            "multi-hop superlative",
        ),
        _ask(
            "How many orders placed in 2024 are there per quarter?",
            _quarters(company),
            "date and group",
        ),
        _ask("What is Atlas?", ["Atlas Logistics", "Monitor Atlas"], "ambiguous word"),
        _ask("Which products does Zephyr Robotics supply?", None, "absent entity"),
        _ask(
            "Which of our locations has no department in it?",
            sorted(set(CITIES) - housed),
            "empty result",
        ),
    ]


def _quarters(company: Company) -> dict[str, int]:
    months = [order.placed.month for order in company.orders if order.placed.year == 2024]
    counts = Counter((month - 1) // 3 + 1 for month in months)
    return {f"Q{quarter}": counts[quarter] for quarter in range(1, 5)}


def _ask(question: str, expected: object, kind: str) -> Question:
    return Question(question=question, expected=expected, kind=kind)
