"""How the demonstration looks, on a terminal or in a file. Values are shown as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from api.demo.cast import OTHER_PARTNER, PARTNER
from graph.model.identity import RecordRef

PLAIN_WIDTH: Final = 120
FIELDS: Final = ("givenName", "familyName", "email", "birthDate", "age", "gender", "country", "rfm", "segments")
VIEWERS: Final = {
    "frontend": "front-end\n(personalisation)",
    "partner_with_consent": "partner\nwith consent",
    "partner_without_consent": "partner\nwithout consent",
}
ASKING: Final = {
    "frontend": "front-end",
    PARTNER: "partner with consent",
    OTHER_PARTNER: "partner without consent",
    "permitted": "the person: me.consents",
}


class Show:
    """Prints the steps and results of the demonstration."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(highlight=False)
        self._console = (
            console if console.is_terminal else Console(file=console.file, width=PLAIN_WIDTH, highlight=False)
        )

    def act(self, text: str) -> None:
        """Prints what happens next."""
        self._console.print(Text(f"· {text} …", style="dim"))

    def heading(self, text: str) -> None:
        """Prints a heading."""
        self._console.print()
        self._console.print(Rule(Text(text, style="bold"), align="left"))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Prints a table of text."""
        table = Table(show_edge=False, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(as_text(cell)) for cell in row))
        self._console.print(table)

    def counts(self, summary: Mapping[str, Any]) -> None:
        """Prints what was loaded."""
        self.heading("What was loaded")
        self.table(("what", "how many"), ((name, f"{count:,}") for name, count in summary["counts"].items()))
        self.table(("rejected, kept as dead letters", "lines"), sorted(summary["load"]["rejected"].items()))

    def linkage(self, linkage: Mapping[str, Any]) -> None:
        """Prints how well records were linked, and what is not linked."""
        self.heading("Deterministic linkage against FEBRL's ground truth (pairs of account records)")
        names = ("precision", "recall", "f1", "true_pairs", "found_pairs", "people", "changed_by_batch")
        self.table(names, [[linkage[name] for name in names]])
        rows = [(f"links refused: {reason}", number) for reason, number in sorted(linkage["refused"].items())]
        rows += [(f"candidates by {kind}", number) for kind, number in linkage["candidates"].items()]
        rows += [(f"devices that count for an account: {grade}", count) for grade, count in linkage["devices"].items()]
        self.table(("what is not linked", "how many"), rows)
        for advice in linkage["advice"]:
            self._console.print(Text(advice), soft_wrap=True)

    def derived(self, summary: Mapping[str, Any]) -> None:
        """Prints segments."""
        rfm = summary["rfm"]
        self.heading(
            f"RFM of {rfm['people']} people who permit analytics: {rfm['high_value_buyers']} high-value buyers"
        )
        self.table(
            ("recency \\ frequency", "1", "2", "3", "4", "5"),
            [(place + 1, *row) for place, row in reversed(list(enumerate(rfm["grid"])))],
        )
        found = summary["communities"]
        self.heading(f"Communities: {found['count']}, modularity {found['modularity']}")
        self.table(
            ("segment", "what sets it apart", "people"), [(g["key"], g["title"], g["size"]) for g in found["groups"]]
        )

    def recommendation(self, quality: Mapping[str, Any]) -> None:
        """Prints how good recommendations are."""
        people = quality["people"]
        self.heading(f"Recommendations for {people} people who permit them, on the held-back fifth of ratings")
        self.table(
            ("", "nDCG@10", "coverage"),
            (
                ("graph walk", quality["ndcg10"], quality["coverage"]),
                ("popular", quality["popular_ndcg10"], quality["popular_coverage"]),
            ),
        )

    def viewers(self, profiles: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Prints one query as three viewers side by side, then the front-end's recommendations with their reasons."""
        self.heading("The same query about the same person, as three viewers")
        people = [profiles[name] for name in VIEWERS]
        rows = [(name, *((person or {}).get(name) for person in people)) for name in FIELDS]
        rows.append(("recommendations", *(titles((person or {}).get("recommendations")) for person in people)))
        self.table(("field", *VIEWERS.values()), rows)
        if profiles["partner_without_consent"] is None:
            self._console.print("To the partner without consent, this person does not exist: profile is null.")
        self.heading("Why the front-end gets these recommendations")
        for entry in (profiles["frontend"] or {}).get("recommendations") or ():
            self._console.print(Text(f"{entry['item']['title']} (score {entry['score']:.3f})", style="bold"))
            for reason in entry["reasons"]:
                share = "" if reason["share"] is None else f" ({reason['share']:.0%} of the score)"
                self._console.print(Text(f"   {reason['text']}{share}"))

    def stranger(self, scene: Mapping[str, Any]) -> None:
        """Prints what a stranger's claims change: nothing. Each row is what one viewer sees before and after."""
        self.heading("A stranger claims the person's address and user ID on the web site, and grants everything")
        rows = [(title, *(brief(scene[when][name]) for when in ("before", "after"))) for name, title in ASKING.items()]
        self.table(("who asks", "before", "after"), rows)
        same = "Nothing has changed" if scene["unchanged"] else "SOMETHING HAS CHANGED"
        self._console.print(f"{same} in all that they see.")
        self._console.print(
            f"The stranger's {scene['accepted']} messages were accepted, but only for the stranger's device;"
            f" a query for that device shows {brief(scene['stranger'])}."
        )

    def withdrawal(self, withdrawn: Mapping[str, Any]) -> None:
        """Prints the effect of a withdrawal."""
        self.heading("Another person withdraws personalisation; the front-end queries before and after")
        self.table(("before", "after"), [("\n".join(withdrawn["before"] or ()), withdrawn["after"])])
        self._console.print(f"From the request to withdraw to the next response: {withdrawn['milliseconds']} ms")

    def seconds(self, seconds: Mapping[str, float]) -> None:
        """Prints how long each step took."""
        self.heading("Duration in seconds")
        self.table(tuple(seconds), [tuple(seconds.values())])

    def invite(self, url: str, keys: Mapping[str, str], example: tuple[str, RecordRef], folder: Path) -> None:
        """Prints what the user can try while the API is served from a data folder: an example is a query and a record
        to ask about."""
        query, record = example
        self.heading("The server is running. Try:")
        self.table(
            ("what", "where"),
            (
                ("GraphiQL, works offline", f"{url}/graphql"),
                ("GraphQL", f"POST {url}/graphql"),
                ("collection, Segment's format", f"POST {url}/v1/batch"),
                ("health, metrics", f"{url}/readyz  {url}/metrics"),
            ),
        )
        self.table(("key", "write keys cwk_… and cpk_… are for /v1, API keys cak_… for /graphql"), keys.items())
        frontend = next((key for name, key in keys.items() if name.startswith("frontend")), "KEY")
        self._console.print("\nPaste into GraphiQL:")
        self._console.print(Syntax(query, "graphql", background_color="default", word_wrap=True))
        self._console.print(Text(f'variables: {{"source": "{record.source}", "key": "{record.key}"}}'))
        self._console.print(Text(f'headers: {{"Authorization": "Bearer {frontend}"}}'), soft_wrap=True)
        self._console.print("\nOr in a shell:")
        body = '{"query":"{ profile(by: {record: {source: \\"%s\\", key: \\"%s\\"}}) { givenName age } }"}'
        command = f"curl -s {url}/graphql -H 'Authorization: Bearer {frontend}' -H 'Content-Type: application/json'"
        self._console.print(Text(f"{command} -d '{body % (record.source, record.key)}'"), soft_wrap=True)
        self._console.print("\nFor `consentric` on this graph, in another terminal:")
        self._console.print(Text(f". .venv/bin/activate; export CONSENTRIC_DATA_DIR={folder}"), soft_wrap=True)
        self._console.print("\nPress Ctrl-C to stop. The graph stays in the data folder until the next demonstration.")


def titles(recommendations: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Returns the titles of recommendations, one per line; None if they are withheld."""
    return None if recommendations is None else "\n".join(entry["item"]["title"] for entry in recommendations)


def brief(seen: Mapping[str, Any] | Sequence[str] | None) -> str:
    """Returns what somebody sees of a person, in a line: a few fields of a profile, or permits."""
    if isinstance(seen, Mapping):
        seen = [as_text(seen[name]) for name in ("givenName", "age", "rfm") if seen[name] is not None]
    return "null" if seen is None else ", ".join(seen)


def as_text(value: object) -> str:
    """Returns a cell as text. None becomes "null", as in the API."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return "\n".join(as_text(one) for one in value) or "[]"
    if isinstance(value, Mapping):
        inner = value.get("segment", value)
        return str(inner["title"]) if "title" in inner else " ".join(str(part) for part in inner.values())
    return str(value)
