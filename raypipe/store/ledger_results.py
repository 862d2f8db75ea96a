"""What the ledger knows of results: one in use a key, and the code that it is explained by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from json import loads

from raypipe.engine.records import Fingerprint, Result
from raypipe.store import rows
from raypipe.store.database import Row
from raypipe.store.ledger_part import LedgerPart, repeated
from raypipe.store.rows import dump


class ResultRecords(LedgerPart):
    """A part of the ledger; each method that writes is one transaction."""

    def live_results(self, keys: Sequence[str], now: float) -> Mapping[str, Result]:
        """Return the live, unexpired results among these keys."""
        if len(keys) == 1:
            one = self._db.one("live_result", key=keys[0])
            found = [] if one is None else [one]
        else:
            found = self._db.all("live_results", keys=list(keys))
        alive = [row for row in found if row["expires"] is None or row["expires"] > now]
        return {result.key: result for result in self._results(alive)}

    def latest_result(self, project: str, pipeline: str, step: str) -> Result | None:
        """Return the result of a step that the newest run of the pipeline used or made."""
        found = self.used_results(project, pipeline, step, limit=1)
        return found[0][0] if found else None

    def used_results(
        self, project: str, pipeline: str, step: str, limit: int = 100
    ) -> list[tuple[Result, str]]:
        """Return the results of a step that runs of a pipeline used or made, last used first.

        Each with the id of the run that used it last.
        """
        values = {"project": project, "pipeline": pipeline, "step": step}
        found = self._db.all("used_results", **values, limit=limit)
        return [
            (result, str(row["used_by"]))
            for result, row in zip(self._results(found), found, strict=True)
        ]

    def step_seconds(
        self, project: str, pipeline: str, step: str, limit: int = 5
    ) -> tuple[float, ...]:
        """Return how long a step took when its last results were made, the newest first."""
        values = {"project": project, "pipeline": pipeline, "step": step}
        found = self._db.all("step_seconds", **values, limit=limit)
        return tuple(row["seconds"] for row in found)

    def result_of(self, key: str) -> Result | None:
        """Return the result of a key, whether or not it is still in use."""
        row = self._db.one("result_of", key=key)
        return None if row is None else self._result(row)

    @repeated
    def record(
        self,
        result: Result,
        fingerprint: Fingerprint,
        *,
        forced: bool = False,
    ) -> Result:
        """Record a result; the first of a key wins unless forced."""
        with self._db.writing(f"result {result.key}"):
            row = self._db.one("live_result", key=result.key)
            if row is not None:
                expired = row["expires"] is not None and row["expires"] <= self._now()
                was_done = self._db.repeating and row["run"] == result.run
                if (not forced and not expired) or was_done:
                    return self._result(row)
                why = "expired" if expired else "forced"
                self._db.do("supersede", key=result.key, why=why)
            self._keep_fingerprint(fingerprint)
            return self._insert(result)

    @repeated
    def supersede(self, key: str, why: str) -> None:
        """Take the live result of a key out of use; it stays for lineage."""
        with self._db.writing():
            self._db.do("supersede", key=key, why=why)

    def live_artifacts(self) -> set[str]:
        """Return the digests of all artifacts that live results are made of."""
        return {row["digest"] for row in self._db.all("live_artifacts")}

    def kept_artifacts(self, runs: int) -> set[str]:
        """Return what live results are made of, and what the newest runs of each pipeline used."""
        return {row["digest"] for row in self._db.all("kept_artifacts", runs=runs)}

    def live_keys(self, digest: str) -> list[str]:
        """Return the keys whose live results are made of an artifact."""
        return [row["key"] for row in self._db.all("live_keys", digest=digest)]

    def _insert(self, result: Result) -> Result:
        number = self._db.insert(
            "add_result",
            key=result.key,
            step=result.step,
            root=result.root,
            explanation=dump(asdict(result.explanation)),
            run=result.run,
            seconds=result.seconds,
            created=result.created,
            expires=result.expires,
        )
        artifacts = [
            {"result": number, "position": position, **asdict(artifact)}
            for position, artifact in enumerate(result.artifacts)
        ]
        self._db.many("add_result_artifact", artifacts)
        self._db.do("add_use", run=result.run, step=result.step, key=result.key)
        return replace(result, id=number)

    def _result(self, row: Row) -> Result:
        return rows.read_result(row, self._db.all("result_artifacts", result=row["id"]))

    def _results(self, found: Sequence[Row]) -> list[Result]:
        if len(found) < 2:
            return [self._result(row) for row in found]
        parts: dict[int, list[Row]] = {row["id"]: [] for row in found}
        for part in self._db.all("results_artifacts", results=list(parts)):
            parts[part["result"]].append(part)
        return [rows.read_result(row, parts[row["id"]]) for row in found]

    # --- code -----------------------------------------------------------------------------------

    def fingerprint(self, digest: str) -> Fingerprint | None:
        """Return the parts of a fingerprint that was recorded."""
        row = self._db.one("fingerprint", digest=digest)
        if row is None:
            return None
        parts = loads(row["parts"])
        return Fingerprint(digest=digest, **{**parts, "widened": tuple(parts["widened"])})

    def symbol_source(self, digest: str) -> str | None:
        """Return the text of a symbol, as it was when its digest was first recorded."""
        row = self._db.one("source", digest=digest)
        return None if row is None else str(row["source"])

    def _keep_fingerprint(self, fingerprint: Fingerprint) -> None:
        parts = {
            "symbols": dict(fingerprint.symbols),
            "packages": dict(fingerprint.packages),
            "widened": list(fingerprint.widened),
        }
        added = self._db.do("add_fingerprint", digest=fingerprint.digest, parts=dump(parts))
        if added:
            sources = sorted(fingerprint.sources.items())
            self._db.many("add_source", [{"digest": d, "source": text} for d, text in sources])
