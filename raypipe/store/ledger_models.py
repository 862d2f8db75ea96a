"""What the ledger knows of models: versions, where aliases point, routes, and captured rows."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from raypipe.engine.records import Actor
from raypipe.errors import StoreError, UsageError
from raypipe.store import rows
from raypipe.store.ledger_part import LedgerPart, repeated, unknown
from raypipe.store.rows import AliasChange, CaptureRow, ModelVersionRow, RouteRow, dump
from raypipe.store.version_numbers import next_free


class ModelRecords(LedgerPart):
    """A part of the ledger; each method that writes is one transaction."""

    @repeated
    def add_version(self, row: ModelVersionRow, *, alias: str | None = None) -> ModelVersionRow:
        """Enter a version, a bundle only once; a taken number becomes the next free patch.

        `alias` is pointed to it in the same act, if it is new.
        """
        with self._db.writing(f"model {row.model}"):
            found = self._db.one("version_of_bundle", model=row.model, bundle=row.bundle)
            if found is not None:
                return rows.read_version(found)
            taken = {known.version for known in self.versions(row.model)}
            try:
                row = replace(row, version=next_free(row.version, taken))
            except ValueError:
                said = f"{row.version!r} is no version; it should read like 1.0.0"
                raise StoreError(said) from None
            self._db.do(
                "add_version",
                model=row.model,
                version=row.version,
                bundle=row.bundle,
                created=row.created,
                record=dump(asdict(row)),
            )
            if alias is not None:
                self.set_alias(row.model, alias, row.version, row.actor)
        return row

    def versions(self, model: str) -> list[ModelVersionRow]:
        """Return a model's versions, newest first."""
        found = [rows.read_version(row) for row in self._db.all("versions", model=model)]
        return sorted(found, key=lambda row: (row.created, _parts(row.version)), reverse=True)

    def version(self, model: str, name: str) -> ModelVersionRow:
        """Return a version by its number or an alias."""
        versions = {row.version: row for row in self.versions(model)}
        if not versions:
            raise unknown("model", model, self.models(), "raypipe models list")
        aliases = self.aliases(model)
        wanted = aliases.get(name, name)
        if wanted not in versions:
            known = [*versions, *aliases]
            raise unknown(f"version of {model}", name, known, f"raypipe models show {model}")
        return versions[wanted]

    def models(self) -> list[str]:
        """Return the names of all models."""
        return [row["model"] for row in self._db.all("models")]

    @repeated
    def set_alias(
        self,
        model: str,
        alias: str,
        version: str,
        actor: Actor,
        *,
        back: bool = False,
        since: str | None = None,
    ) -> None:
        """Point an alias to a version, and remember who did; to where it points does nothing.

        `back` says that it goes back to where it pointed before. `since` is where it was seen to
        point; UsageError if somebody moved it meanwhile.
        """
        with self._db.writing(f"model {model}"):
            version = self.version(model, version).version
            now = self.aliases(model).get(alias)
            if now == version:
                return
            if since is not None and now != since:
                raise UsageError(
                    f"somebody else moved {alias} of {model} from {since} to {now} meanwhile",
                    hint=f"look again: raypipe models show {model}",
                )
            self._db.do("set_alias", model=model, alias=alias, version=version)
            self._db.do(
                "add_alias_change",
                model=model,
                alias=alias,
                version=version,
                actor=dump(asdict(actor)),
                time=self._now(),
                back=int(back),
            )

    def aliases(self, model: str) -> dict[str, str]:
        """Return where a model's aliases point."""
        return {row["alias"]: row["version"] for row in self._db.all("aliases", model=model)}

    def alias_history(self, model: str) -> list[AliasChange]:
        """Return where a model's aliases were pointed to, by whom, newest first."""
        return [rows.read_alias_change(row) for row in self._db.all("alias_history", model=model)]

    # --- routes and captured rows ---------------------------------------------------------------

    @repeated
    def set_route(self, model: str, shares: Mapping[str, float], actor: Actor) -> RouteRow:
        """Divide a model's requests so from now on; as they are divided already does nothing.

        NotFound for a version that does not exist.
        """
        with self._db.writing(f"model {model}"):
            given = {self.version(model, name).version: share for name, share in shares.items()}
            known = self.route_history(model)
            if known and list(known[0].shares.items()) == list(given.items()):
                return known[0]
            row = RouteRow(model=model, shares=given, actor=actor, time=self._now())
            self._db.do(
                "add_route",
                model=model,
                shares=dump(given),
                actor=dump(asdict(actor)),
                time=row.time,
            )
        return row

    def route_history(self, model: str) -> list[RouteRow]:
        """Return how a model's requests were divided, newest first; none: all to the champion."""
        return [rows.read_route(model, row) for row in self._db.all("routes", model=model)]

    @repeated
    def add_capture(self, project: str, pipeline: str, capture: CaptureRow) -> None:
        """Record that captured rows became a part of a dataset, once for a piece of evidence."""
        with self._db.writing():
            self._db.do(
                "add_capture",
                project=project,
                pipeline=pipeline,
                evidence=capture.evidence,
                commit_id=capture.commit,
                row_count=capture.rows,
                actor=dump(asdict(capture.actor)),
                time=capture.time,
            )

    def captures(self, project: str, pipeline: str) -> list[CaptureRow]:
        """Return the captured rows that became a part of a pipeline's dataset, newest first."""
        found = self._db.all("captures", project=project, pipeline=pipeline)
        return [rows.read_capture(row) for row in found]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
