"""What is true of the company, worked out from its records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.support.company_data import CITIES, DEPARTMENTS, Company, Product

__all__ = ["city_of", "company_facts", "euros"]


def company_facts(company: Company) -> dict[str, Any]:
    """Give the facts as plain values: people and products by id, all else by label.

    Ties are never broken: what could be one answer is a list of all that share the first place.
    """
    sizes = Counter(p.department for p in company.employees if p.department)
    supplied = _suppliers_of(company)
    hired = {p.id: p.hired for p in company.employees if p.hired}
    return {
        "employees": len(company.employees),
        "employees_per_department": dict(sizes),
        "largest_departments": _top(sizes),
        "manager_of": {p.id: p.manager for p in company.employees if p.manager},
        "reports_of_heads": {
            p.id: len(_reports_of(company, p.id))
            for p in company.employees
            if p.job == "Head of Department"
        },
        "same_name": sorted(
            name for name, n in Counter(p.name for p in company.people).items() if n > 1
        ),
        "without_email": sorted(p.id for p in company.employees if not p.email),
        "hired_after_2022": sorted(i for i, day in hired.items() if day > date(2022, 12, 31)),
        "last_hired": sorted(i for i, day in hired.items() if day == max(hired.values())),
        "people_with_skill": dict(Counter(s for p in company.people for s in p.skills)),
        "products_per_category": dict(Counter(p.category for p in company.products)),
        "without_current_price": sorted(p.id for p in company.products if not p.current),
        "cheapest_product": {
            category: _cheapest(company, category)
            for category in sorted({p.category for p in company.products})
        },
        "average_current_price": _average_prices(company),
        "products_per_supplier": supplied,
        "top_suppliers": _top(supplied),
        "idle_suppliers": sorted(s.label for s in company.suppliers if s.label not in supplied),
        "products_with_several_suppliers": sum(len(p.suppliers) > 1 for p in company.products),
        "open_orders": sorted(o.id for o in company.orders if not o.delivered),
        "units_ordered_per_product": dict(_units(company)),
    }


def euros(cents: int | Decimal) -> Decimal:
    """To the cent, halves rounded up."""
    return (Decimal(cents) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _top(counts: Mapping[str, int]) -> list[str]:
    return sorted(name for name, n in counts.items() if n == max(counts.values()))


def _cheapest(company: Company, category: str) -> dict[str, Any]:
    """The labels of the products of a category that cost least today, and what they cost."""
    costs = {p.label: p.current.cents for p in _in(company, category) if p.current}
    least = min(costs.values())
    labels = sorted(label for label, cents in costs.items() if cents == least)
    return {"products": labels, "amount": str(euros(least))}


def _average_prices(company: Company) -> dict[str, str]:
    """Category to its mean current price in euros."""
    means = {}
    for category in sorted({p.category for p in company.products}):
        cents = [p.current.cents for p in _in(company, category) if p.current]
        means[category] = str(euros(Decimal(sum(cents)) / len(cents)))
    return means


def _suppliers_of(company: Company) -> dict[str, int]:
    """Supplier label to the number of products; those without products are left out."""
    labels = {s.id: s.label for s in company.suppliers}
    return dict(Counter(labels[s] for p in company.products for s in p.suppliers))


def _reports_of(company: Company, manager: str) -> list[str]:
    """The ids of all who report to somebody, directly or through others."""
    direct = [p.id for p in company.employees if p.manager == manager]
    return sorted(
        [*direct, *(below for person in direct for below in _reports_of(company, person))]
    )


def city_of(department: str) -> tuple[str, str]:
    """The city and the country of a department."""
    city = next(city for label, _, city, _ in DEPARTMENTS if label == department)
    return city, CITIES[city][1]


def _in(company: Company, category: str) -> Iterable[Product]:
    return [product for product in company.products if product.category == category]


def _units(company: Company) -> Counter[str]:
    units: Counter[str] = Counter()
    for order in company.orders:
        units[order.product] += order.quantity
    return units
