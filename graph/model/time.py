"""Instants, in the unit that every layer uses."""

from __future__ import annotations

from typing import NewType

Millis = NewType("Millis", int)
