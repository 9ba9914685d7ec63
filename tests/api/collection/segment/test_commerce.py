"""Interactions of events."""

from __future__ import annotations

from typing import Any

import pytest

from api.collection.segment.commerce import DEFAULT_WEIGHTS, EVENTS, read_event, read_view
from graph.schema import InteractionType as T


@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ("Product Viewed", T.VIEWED), ("product_viewed", T.VIEWED), ("Viewed Product", T.VIEWED),
        ("PRODUCT  CLICKED", T.CLICKED), ("Product Added", T.CARTED), ("Product Removed", T.UNCARTED),
        ("Product Added to Wishlist", T.WISHLISTED), ("Checkout Started", T.CHECKED_OUT),
        ("Order Completed", T.PURCHASED),
        ("Order Refunded", T.REFUNDED), ("Product Reviewed", T.REVIEWED), ("Item Rated", T.RATED),
        ("Product Shared", T.SHARED), ("Products Searched", T.SEARCHED), ("Anything Else", T.INTERACTED),
    ],
)  # fmt: skip
def test_the_name_of_an_event_decides_its_type(event: str, type_: T) -> None:
    interactions = read_event(event, {"product_id": "p"})
    assert [(one.type, one.item, one.name) for one in interactions] == [
        (type_, "p", event if type_ is T.INTERACTED else None)
    ]


def test_every_event_of_the_table_has_a_weight() -> None:
    assert set(DEFAULT_WEIGHTS) == set(T)
    assert all(meaning.weight >= 0 for meaning in EVENTS.values())


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({"product_id": "a", "sku": "b", "itemId": "c"}, "a"), ({"sku": "b", "itemId": "c"}, "b"), ({"itemId": 7}, "7"),
        ({"product_id": "", "sku": "b"}, "b"), ({"product_id": None, "item_id": "d"}, "d"), ({"productId": "e"}, "e"),
    ],
)  # fmt: skip
def test_an_item_is_named_by_the_first_key_that_is_present(properties: dict[str, Any], key: str) -> None:
    assert read_event("Product Viewed", properties)[0].item == key


def values(event: str, properties: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one.item, one.value, one.quantity, one.order) for one in read_event(event, properties)]


def test_money_is_price_times_quantity() -> None:
    assert values("Product Added", {"sku": "a", "price": "2.50", "quantity": 2, "order_id": 9}) == [
        ("a", 5.0, 2.0, "9")
    ]
    assert values("Product Added", {"sku": "a", "price": 2.5}) == [("a", 2.5, None, None)]
    assert values("Product Viewed", {"sku": "a", "price": 2.5, "quantity": 2}) == [("a", None, None, None)]


def test_the_total_of_an_order_without_prices_is_divided_by_quantity() -> None:
    products = [{"sku": "a", "quantity": 3}, {"sku": "b"}, {"title": "no key"}]
    assert values("Order Completed", {"order_id": "o", "total": 20, "revenue": 18, "products": products}) == [
        ("a", 15.0, 3.0, "o"), ("b", 5.0, None, "o"),
    ]  # fmt: skip


def test_an_order_with_prices_keeps_them() -> None:
    products = [{"sku": "a", "price": 1, "quantity": 3}, {"sku": "b"}]
    assert values("Order Completed", {"total": 20, "products": products}) == [
        ("a", 3.0, 3.0, None),
        ("b", None, None, None),
    ]


def test_an_order_without_products_keeps_its_total() -> None:
    assert values("Order Completed", {"order_id": "o", "revenue": 18, "products": []}) == [(None, 18.0, None, "o")]
    assert values("Order Refunded", {"order_id": "o", "total": 18}) == [(None, 18.0, None, "o")]


@pytest.mark.parametrize(
    ("properties", "value", "weight"),
    [
        ({"rating": 4}, 4.0, 4.0), ({"rating": "3.5"}, 3.5, 3.5), ({"rating": 0}, 0.0, 0.0), ({}, None, 3.0),
        ({"rating": 8, "scale": 10}, 8.0, 4.0), ({"rating": 9}, 9.0, 5.0), ({"rating": -1}, -1.0, 0.0),
    ],
)  # fmt: skip
def test_a_rating_sets_value_and_weight(properties: dict[str, Any], value: float | None, weight: float) -> None:
    (one,) = read_event("Product Rated", {"sku": "a"} | properties)
    assert (one.value, one.weight) == (value, weight)


def test_an_event_without_an_item_keeps_its_query_or_name() -> None:
    (search,) = read_event("Products Searched", {"query": "lamp"})
    assert (search.type, search.item, search.name) == (T.SEARCHED, None, "lamp")
    (other,) = read_event("Signed Up", {"plan": "pro", "value": "2"})
    assert (other.type, other.item, other.name, other.value) == (T.INTERACTED, None, "Signed Up", 2.0)


@pytest.mark.parametrize(
    ("name", "category", "properties", "shown"),
    [
        ("Home", None, {}, "Home"), (None, "Docs", {}, "Docs"), (None, None, {}, "page"),
        (None, None, {"path": "/a/b"}, "/a/b"), (None, None, {"url": "https://x.example/a?t=secret#s"}, "/a"),
        (None, None, {"url": "https://x.example"}, "/"), (None, None, {"path": "/a?token=1"}, "/a"),
        (None, None, {"url": 5}, "page"),
    ],
)  # fmt: skip
def test_a_view_without_an_item_keeps_the_name_or_path(
    name: str | None, category: str | None, properties: dict[str, Any], shown: str
) -> None:
    view = read_view(name, category, properties)
    assert (view.type, view.item, view.name) == (T.VIEWED, None, shown)


def test_a_page_about_an_item_is_a_view_of_the_item() -> None:
    view = read_view("Product", None, {"product_id": "p", "title": "Lamp"})
    assert (view.type, view.item, view.name) == (T.VIEWED, "p", None)
