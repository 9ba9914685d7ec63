"""The plain HTML pages behind links that are sent to people: a text, at most one button, no script, no style, no
personal data."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse, Response


def show_question(title: str, text: str, button: str, fields: dict[str, str] | None = None) -> Response:
    """Returns a page whose button posts back to the page's own address. Opening it changes nothing, so a mail scanner
    that follows links doesn't either."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in (fields or {}).items()
    )
    form = f'<form method="post">{hidden}<button type="submit">{escape(button)}</button></form>'
    return _page(200, title, f"<p>{escape(text)}</p>{form}")


def show_result(status: int, title: str, text: str) -> Response:
    """Returns a page without a button."""
    return _page(status, title, f"<p>{escape(text)}</p>")


def _page(status: int, title: str, body: str) -> Response:
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" '
        f'content="noindex"><title>{escape(title)}</title>'
    )
    page = f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n'
    return HTMLResponse(page, status, headers={"Referrer-Policy": "no-referrer"})
