"""What raypipe says in the metadata of lakeFS's objects and commits, and how it is read back."""

import uuid
from collections.abc import Mapping
from typing import Any

from raypipe.engine.records import Actor
from raypipe.store.versions import Commit, StoredObject

DIGEST = "raypipe-blake2b"
"""Name under which an object's metadata holds the digest of its bytes."""
CHECKSUM = "raypipe-md5"
"""Name under which it holds the checksum that lakeFS has of these bytes, and finds by itself."""
_ACTOR, ACT = "raypipe.actor.", "raypipe.mark"
_OWN = (_ACTOR, ACT, ".lakefs.")
"""What the names in a commit's metadata start with that are not its author's."""


def as_stored(one: Any, at: str) -> StoredObject:
    """Return an object of a list; raypipe's own are known by the digest of their bytes.

    Whoever writes other bytes under that digest cannot give them the checksum too.
    """
    return StoredObject(
        path=one.path,
        object_id=object_id(one.metadata or {}, one.checksum),
        size=one.size_bytes or 0,
        at=at,
    )


def object_id(metadata: Mapping[str, str], checksum: str) -> str:
    """Return what an object is known by, of its metadata and of what lakeFS found its bytes are."""
    own = metadata.get(CHECKSUM) == checksum and DIGEST in metadata
    return f"blake2b:{metadata[DIGEST]}" if own else f"etag:{checksum}"


def said_by(actor: Actor, meta: Mapping[str, str] | None) -> dict[str, str]:
    """Return what a commit is marked with: its author's words, who made it, and a mark."""
    who = {"user": actor.user, "host": actor.host, "name": actor.name}
    return {
        **(meta or {}),
        **{_ACTOR + part: text for part, text in who.items() if text is not None},
        ACT: uuid.uuid4().hex,
    }


def as_commit(one: Any) -> Commit:
    """Return a commit; one of another client's is its committer's."""
    told = dict(one.metadata or {})
    user = told.get(f"{_ACTOR}user", one.committer)
    return Commit(
        id=one.id,
        parents=tuple(one.parents),
        message=one.message,
        actor=Actor(user=user, host=told.get(f"{_ACTOR}host", ""), name=told.get(f"{_ACTOR}name")),
        time=float(one.creation_date),
        meta={name: text for name, text in told.items() if not name.startswith(_OWN)},
    )
