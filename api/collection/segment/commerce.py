"""Segment's e-commerce events as typed interactions with items: event names, weights, products, money.

An event that names no item (a search, a page, `Signed Up`) is an interaction without an item, which the graph stores on
the session alone. Nothing is lost, and no item is invented for the catalogue. Of an item that an event names, only the
key is read: everybody sees what is known of an item, and what an event says of it is about whoever sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from api.collection.reasons import Rejected, RejectionReason
from graph.model.activity import Interaction
from graph.model.catalogue import ItemKey
from graph.schema import InteractionType as T

LONGEST_KEY: Final = 512
LONGEST_NAME: Final = 512
MOST_PRODUCTS: Final = 250
SCALE: Final = 5.0
"""The top of the rating scale: ratings weigh from 0 to 5. An event with another scale states its top in `scale`."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an event's name means. `money`: its value is a price times a quantity. `named`: the name is kept."""

    type: T
    weight: float
    money: bool = False
    named: bool = False


DEFAULT_WEIGHTS: Final[Mapping[T, float]] = {
    T.VIEWED: 1.0,
    T.SEARCHED: 0.5,
    T.CLICKED: 1.0,
    T.WISHLISTED: 2.0,
    T.CARTED: 3.0,
    T.UNCARTED: 0.0,
    T.CHECKED_OUT: 4.0,
    T.PURCHASED: 5.0,
    T.REFUNDED: 0.0,
    T.RATED: 3.0,
    T.REVIEWED: 3.0,
    T.SHARED: 3.0,
    T.INTERACTED: 1.0,
}
"""How strongly an event speaks for its item, unless the event itself states that, as a rating does."""

IMPRESSION: Final = 0.1
"""The weight of items that are merely shown in a list."""

EVENTS: Final[Mapping[str, Meaning]] = {
    "products searched": Meaning(T.SEARCHED, DEFAULT_WEIGHTS[T.SEARCHED]),
    "product list viewed": Meaning(T.INTERACTED, IMPRESSION, named=True),
    "product list filtered": Meaning(T.INTERACTED, IMPRESSION, named=True),
    "product clicked": Meaning(T.CLICKED, DEFAULT_WEIGHTS[T.CLICKED]),
    "product viewed": Meaning(T.VIEWED, DEFAULT_WEIGHTS[T.VIEWED]),
    "product added": Meaning(T.CARTED, DEFAULT_WEIGHTS[T.CARTED], money=True),
    "product removed": Meaning(T.UNCARTED, DEFAULT_WEIGHTS[T.UNCARTED], money=True),
    "cart viewed": Meaning(T.INTERACTED, DEFAULT_WEIGHTS[T.INTERACTED], named=True),
    "checkout started": Meaning(T.CHECKED_OUT, DEFAULT_WEIGHTS[T.CHECKED_OUT], money=True),
    "order completed": Meaning(T.PURCHASED, DEFAULT_WEIGHTS[T.PURCHASED], money=True),
    "order refunded": Meaning(T.REFUNDED, DEFAULT_WEIGHTS[T.REFUNDED], money=True),
    "product added to wishlist": Meaning(T.WISHLISTED, DEFAULT_WEIGHTS[T.WISHLISTED]),
    "wishlist product added to cart": Meaning(T.CARTED, DEFAULT_WEIGHTS[T.CARTED], money=True),
    "product reviewed": Meaning(T.REVIEWED, DEFAULT_WEIGHTS[T.REVIEWED]),
    "product rated": Meaning(T.RATED, DEFAULT_WEIGHTS[T.RATED]),
    "item rated": Meaning(T.RATED, DEFAULT_WEIGHTS[T.RATED]),
    "product shared": Meaning(T.SHARED, DEFAULT_WEIGHTS[T.SHARED]),
    "cart shared": Meaning(T.SHARED, DEFAULT_WEIGHTS[T.SHARED]),
    # names from the first version of the specification, which are still sent
    "searched products": Meaning(T.SEARCHED, DEFAULT_WEIGHTS[T.SEARCHED]),
    "viewed product": Meaning(T.VIEWED, DEFAULT_WEIGHTS[T.VIEWED]),
    "viewed product category": Meaning(T.INTERACTED, IMPRESSION, named=True),
    "added product": Meaning(T.CARTED, DEFAULT_WEIGHTS[T.CARTED], money=True),
    "removed product": Meaning(T.UNCARTED, DEFAULT_WEIGHTS[T.UNCARTED], money=True),
    "completed order": Meaning(T.PURCHASED, DEFAULT_WEIGHTS[T.PURCHASED], money=True),
}
"""Segment's e-commerce events, by name in lower case with spaces."""

OTHER: Final = Meaning(T.INTERACTED, DEFAULT_WEIGHTS[T.INTERACTED], named=True)
SEEN: Final = Meaning(T.VIEWED, DEFAULT_WEIGHTS[T.VIEWED], named=True)


@lru_cache(maxsize=4096)
def find_meaning(event: str) -> Meaning:
    """Returns what an event's name means. A name that is not in the table means INTERACTED and is kept."""
    return EVENTS.get(" ".join(event.replace("_", " ").casefold().split()), OTHER)


def read_event(event: str, properties: Mapping[str, Any]) -> list[Interaction]:
    """Returns the interactions of a track message, one per item, or one without an item. Raises Rejected."""
    meaning = find_meaning(event)
    products = properties.get("products")
    if products:
        return _read_products(meaning, event, _product_list(products), properties)
    key = read_key(properties)
    name = event if meaning.named else None
    if key is None:
        return [_without_item(meaning, event, properties)]
    value, weight = _appraise(meaning, properties)
    return [Interaction(meaning.type, key, name, weight, value, _quantity(properties, meaning), _order(properties))]


def read_view(name: str | None, category: str | None, properties: Mapping[str, Any]) -> Interaction:
    """Returns a page or screen as a view of the item that it names or, without one, under the page's name or path.

    Only the path of a URL is kept, because query and fragment may contain tokens and searches.
    """
    key = read_key(properties)
    if key is not None:
        return Interaction(T.VIEWED, key, None, SEEN.weight)
    path = properties.get("path") or properties.get("url") or ""
    shown = name or (_path(path) if isinstance(path, str) else "") or category or "page"
    return Interaction(T.VIEWED, None, shown[:LONGEST_NAME], SEEN.weight)


def read_key(properties: Mapping[str, Any]) -> ItemKey | None:
    """Returns the key of the item that properties name by `product_id`, otherwise `sku`, otherwise `itemId`; None if
    there is none. Raises Rejected for an unusable one."""
    for field in ("product_id", "productId", "sku", "itemId", "item_id"):
        value = properties.get(field)
        if value is not None and value != "":
            return bound_key(value, f"properties.{field}")
    return None


def bound_key(value: object, field: str) -> ItemKey:
    """Returns an item's key. Raises Rejected if it is unusable."""
    return ItemKey(check_short_id(value, field))


def check_short_id(value: object, field: str) -> str:
    """Returns an ID, which is text or a whole number of 1 to 512 characters. Raises Rejected otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Rejected(RejectionReason.WRONG_TYPE, f"{field} must be text or a whole number.", field)
    if not 0 < len(value) <= LONGEST_KEY:
        raise Rejected(RejectionReason.BAD_VALUE, f"{field} must have 1 to {LONGEST_KEY} characters.", field)
    return value


def _product_list(products: object) -> list[dict[str, Any]]:
    if not isinstance(products, list) or not all(isinstance(product, dict) for product in products):
        raise Rejected(
            RejectionReason.WRONG_TYPE, "properties.products must be a list of objects.", "properties.products"
        )
    if len(products) > MOST_PRODUCTS:
        raise Rejected(
            RejectionReason.BAD_VALUE,
            f"properties.products has more than {MOST_PRODUCTS} entries.",
            "properties.products",
        )
    return products


def _read_products(
    meaning: Meaning, event: str, products: list[dict[str, Any]], properties: Mapping[str, Any]
) -> list[Interaction]:
    """Returns one interaction per product that names an item. If no product has a price, the order's total is divided
    by quantity, so that the values add up to it."""
    named = [(key, product) for product in products if (key := read_key(product)) is not None]
    if not named:
        return [_without_item(meaning, event, properties)]
    name = event if meaning.named else None
    order = _order(properties)
    values: list[float | None]
    values = [_money(product) for _, product in named] if meaning.money else [None] * len(named)
    quantities = [_quantity(product, meaning) for _, product in named]
    total = _total(properties) if meaning.money else None
    if total is not None and all(value is None for value in values):
        shares = [quantity or 1.0 for quantity in quantities]
        whole = sum(shares)
        values = [total * share / whole for share in shares] if whole > 0 else values
    return [
        Interaction(meaning.type, key, name, meaning.weight, value, quantity, order)
        for (key, _), value, quantity in zip(named, values, quantities, strict=True)
    ]


def _without_item(meaning: Meaning, event: str, properties: Mapping[str, Any]) -> Interaction:
    """Returns an interaction without an item. A search keeps its query, an order its total, other events their name."""
    name: str | None = event
    if meaning.type is T.SEARCHED:
        query = properties.get("query")
        name = query[:LONGEST_NAME] if isinstance(query, str) and query else event
    value = _total(properties) if meaning.money else _loose_number(properties.get("value"))
    return Interaction(meaning.type, None, name, meaning.weight, value, None, _order(properties))


def _appraise(meaning: Meaning, properties: Mapping[str, Any]) -> tuple[float | None, float]:
    """Returns an interaction's value and weight. The value is money, a rating, or the `value` of any other event."""
    if meaning.money:
        money = _money(properties)
        return (money if money is not None else _total(properties)), meaning.weight
    if meaning.type in (T.RATED, T.REVIEWED):
        rating = read_number(properties, "rating")
        if rating is None:
            return None, meaning.weight
        scale = read_number(properties, "scale") or SCALE
        return rating, min(max(rating * SCALE / scale, 0.0), SCALE) if scale > 0 else meaning.weight
    return (_loose_number(properties.get("value")) if meaning is OTHER else None), meaning.weight


def _money(product: Mapping[str, Any]) -> float | None:
    price = read_number(product, "price")
    if price is None:
        return None
    quantity = read_number(product, "quantity")
    return price * (1.0 if quantity is None else quantity)


def _total(properties: Mapping[str, Any]) -> float | None:
    for field in ("total", "revenue", "value"):
        found = read_number(properties, field)
        if found is not None:
            return found
    return None


def _quantity(properties: Mapping[str, Any], meaning: Meaning) -> float | None:
    return read_number(properties, "quantity") if meaning.money else None


def _order(properties: Mapping[str, Any]) -> str | None:
    order = properties.get("order_id") or properties.get("orderId")
    if isinstance(order, int) and not isinstance(order, bool):
        return str(order)
    return order[:LONGEST_NAME] if isinstance(order, str) and order else None


def read_number(properties: Mapping[str, Any], field: str) -> float | None:
    """Returns a finite number, possibly written as text; None if it is absent. Raises Rejected for anything else."""
    value = properties.get(field)
    if value is None or value == "":
        return None
    number = _loose_number(value)
    if number is None:
        raise Rejected(RejectionReason.BAD_VALUE, f"properties.{field} must be a number.", f"properties.{field}")
    return number


def _loose_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if -1e15 < number < 1e15 else None


def _path(address: str) -> str:
    address = address.split("#", 1)[0].split("?", 1)[0]
    scheme, found, rest = address.partition("://")
    if found and scheme.isalnum():
        slash = rest.find("/")
        return rest[slash:] if slash >= 0 else "/"
    return address
