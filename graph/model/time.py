"""Instants, as every layer counts them."""

from __future__ import annotations

from typing import NewType

Millis = NewType("Millis", int)
