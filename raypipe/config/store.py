"""Where what lasts is kept, and for how long."""

import re
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, model_validator

from raypipe.config.base import BaseConfig, Secret

_PLACE = re.compile(r"(s3|gs|file)://[^?#\s]+")


def _as_place(text: str) -> str:
    _without_secrets(text)
    if not _PLACE.fullmatch(text):
        raise ValueError(f"{text!r} names no place; write s3://BUCKET/PREFIX")
    return text.rstrip("/")


def _without_secrets(text: str) -> str:
    if "@" in text:
        raise ValueError("it holds credentials, and settings are kept; use store.access_key")
    return text


def _as_ledger(text: str) -> str:
    """Refuse what is no URL of Postgres, or holds a secret; what is refused is not shown."""
    parts = urlsplit(text)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("it is no URL of Postgres; write postgresql://USER@HOST:PORT/DATABASE")
    if ":" in parts.netloc.rpartition("@")[0] or "@" in parts.path or "@" in parts.query:
        raise ValueError("it holds a password, and settings are kept; use store.ledger_password")
    if {"password", "sslpassword"} & parse_qs(parts.query, keep_blank_values=True).keys():
        raise ValueError("it holds a password, and settings are kept; use store.ledger_password")
    return text


class KeepConfig(BaseConfig):
    """What `raypipe clean` leaves of what is in the ledger.

    What a model version, a review, a run under way or a result in use needs is never removed; and
    what people decided is kept for ever: reviews, versions, aliases, routes, accepted captures.
    A review is withdrawn when newer evidence opens another of its name and parameters, or its run
    is cancelled.
    """

    runs: float | None = Field(365, gt=0)
    """Days for which runs are kept, with their steps, attempts, curves and logs; None: for ever."""

    newest: int = Field(20, ge=0)
    """Newest runs of each pipeline that are kept, however old."""

    results: float | None = Field(365, gt=0)
    """Days for which a result that no run uses any more can still be used; None: for ever."""

    superseded: float | None = Field(90, gt=0)
    """Days for which a result that is out of use is kept, for what came of it; None: for ever."""

    metrics: float | None = Field(None, gt=0)
    """Days for which the points of curves are kept; None: as long as their run."""

    given_up: float | None = Field(365, gt=0)
    """Days for which an outside effect that was given up can still be tried again; None: for ever.

    One that publishes a capture that somebody accepted is kept whatever its age.
    """

    reviews: float | None = Field(None, gt=0)
    """Days for which a review that nobody decides stays open; then it is withdrawn, and holds its
    run and evidence no more. None: for ever.
    """

    requests: float | None = Field(None, gt=0)
    """Days for which requests and labels of the request log are kept; None: for ever, all of them.

    Sealed segments go whole, once all that is in them is older. What may still become data stays
    whatever its age: rows that wait in a review, that an accepted capture did not publish yet, that
    the newest join captured, and those with a label that no join read. Live quality and drift are
    told of what is in the log: with this set, of so many days. A label that comes later than that
    finds no request.
    """


class LakeFSConfig(BaseConfig):
    """How lakeFS is reached, where LAKECTL_… in the environment and ~/.lakectl.yaml do not say.

    Processes on other nodes need the variables too.
    """

    endpoint: Annotated[str, AfterValidator(_without_secrets)] | None = None
    """Address of the server, such as http://127.0.0.1:8000."""

    access_key: Secret | None = None
    """Access key id, named by its variable."""

    secret_key: Secret | None = None
    """Secret access key, named by its variable."""

    storage: Annotated[str, AfterValidator(_without_secrets)] | None = None
    """Where new repositories keep their objects, such as s3://BUCKET/PREFIX.

    None: what the server says.
    """

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together; give both or neither")
        return self


class StoreConfig(BaseConfig):
    """Settings of the home. A home that was bound to a ledger or a bucket keeps it."""

    ledger: Annotated[str, AfterValidator(_as_ledger)] | None = None
    """URL of a Postgres (15 or later) that several machines share: postgresql://USER@HOST/DATABASE.

    None: what RAYPIPE_LEDGER in the environment says, or a file in the home.
    """

    ledger_password: Secret | None = None
    """The ledger's password, named by its variable; None: what libpq finds (PGPASSWORD, pgpass)."""

    keep: KeepConfig = KeepConfig()
    """How long what grows is kept."""

    artifacts: Annotated[str, AfterValidator(_as_place)] | None = None
    """Where artifacts are kept, such as s3://BUCKET/PREFIX; no other home may use that prefix.

    None: what RAYPIPE_ARTIFACTS in the environment says, or a folder in the home.
    """

    endpoint_override: Annotated[str, AfterValidator(_without_secrets)] | None = None
    """Address of an S3 service that is not Amazon's, such as http://127.0.0.1:9000."""

    region: str | None = None
    """Region of the bucket; None: what AWS_REGION says, or the bucket itself."""

    access_key: Secret | None = None
    """Access key, named by its variable; None: what S3's own clients find (variables, profile)."""

    secret_key: Secret | None = None
    """Secret key, named by its variable."""

    session_token: Secret | None = None
    """Session token, named by its variable."""

    cache: int = Field(20 * 2**30, ge=2**20)
    """Bytes of copies of artifacts in a bucket; the oldest go first, and none that is in use."""

    lakefs: LakeFSConfig | None = None
    """How the lakeFS server of lakefs://… is reached; None: as lakeFS's own command finds it."""

    lapse: float | None = Field(None, gt=0, le=86_400)
    """Seconds after which others go on without a process that holds a claim and does not move.

    None: RAYPIPE_LAPSE in the environment, or 30. A process that is gone is not waited for.
    """
