"""Where a ledger in Postgres is, with the password apart, so that it is shown nowhere."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode

from raypipe.errors import UsageError

_SECRET = ("password", "sslpassword")


@dataclass(frozen=True, kw_only=True)
class PostgresUrl:
    """A URL in two parts."""

    shown: str
    """Everything but secrets, as libpq understands it."""
    secrets: dict[str, str] = field(repr=False, default_factory=dict)

    def without_secrets(self, text: str) -> str:
        """Return a text in which no secret is, whatever put it there."""
        for secret in self.secrets.values():
            text = text.replace(secret, "…") if secret else text
        return text


def is_postgres(where: object) -> bool:
    """Say whether a ledger's place is a URL of Postgres."""
    return isinstance(where, str) and bool(re.match(r"postgres(ql)?://", where))


def parse(url: str, password: str | None = None) -> PostgresUrl:
    """Take a URL apart; `password` where it is not in the URL itself."""
    if not is_postgres(url):
        raise UsageError(
            "the ledger's place is no URL of Postgres",
            hint="write postgresql://USER@HOST:PORT/DATABASE",
        )
    place, _, query = url.partition("://")[2].partition("?")
    who, at, rest = place.rpartition("@")
    if not at and "@" in query and "/" not in place:
        raise UsageError(
            "the ledger's URL has a ? before its @",
            hint="write the password's special characters as %XX: ? is %3F",
        )
    user, _, written = who.partition(":")
    options = dict(parse_qsl(query, keep_blank_values=True))
    secrets = {name: options.pop(name) for name in _SECRET if name in options}
    if given := password or unquote(written):
        secrets["password"] = given
    shown = f"postgresql://{user}{at}{rest}"
    return PostgresUrl(
        shown=f"{shown}?{urlencode(options, quote_via=quote)}" if options else shown,
        secrets=secrets,
    )
