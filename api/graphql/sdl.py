"""Writes the SDL of the schema to `schema.graphql`: `python -m api.graphql.sdl`, or `make sdl`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from api.graphql.schema import print_sdl

SDL: Final = Path(__file__).parents[2] / "schema.graphql"


def main() -> None:
    """Writes the file."""
    SDL.write_text(print_sdl(), encoding="utf-8")


if __name__ == "__main__":
    main()
