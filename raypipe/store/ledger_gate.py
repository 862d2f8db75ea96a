"""What the ledger knows of data that was judged, of protected branches and of their gate."""

from dataclasses import asdict, replace

from raypipe.store import rows
from raypipe.store.ledger_part import LedgerPart, repeated
from raypipe.store.rows import ProtectionRow, RefusalRow, VerdictRow, dump

REFUSALS = 200
"""Newest refusals of a dataset that are kept."""
TRIGGERED = 200
"""Newest commits of a dataset that are remembered to have begun a run of a target."""


class GateRecords(LedgerPart):
    """A part of the ledger; each method that writes is one transaction."""

    # --- what was said of data ------------------------------------------------------------------

    @repeated
    def add_verdict(self, verdict: VerdictRow) -> None:
        """Record what was said of data; the same again on the same evidence changes nothing."""
        known = self.verdicts(verdict.content)
        if any((one.verdict, one.evidence) == (verdict.verdict, verdict.evidence) for one in known):
            return
        with self._db.writing():
            self._db.do("add_verdict", **_values(replace(verdict, time=self._now())))

    def verdicts(self, content: str) -> list[VerdictRow]:
        """Return what was said of data, newest first."""
        return [rows.read_verdict(row) for row in self._db.all("verdicts", content=content)]

    def accepted(self) -> list[VerdictRow]:
        """Return what people let in, oldest first."""
        return [rows.read_verdict(row) for row in self._db.all("accepted")]

    # --- protected branches ---------------------------------------------------------------------

    @repeated
    def protect(self, protection: ProtectionRow) -> ProtectionRow:
        """Record that only validated data comes to a branch; a later word on it replaces this."""
        made = replace(protection, time=self._now())
        with self._db.writing():
            self._db.do("protect", **_values(made))
        return made

    @repeated
    def unprotect(self, dataset: str) -> None:
        """Record that whatever data comes to a branch again."""
        with self._db.writing():
            self._db.do("unprotect", dataset=dataset)

    def protections(self) -> list[ProtectionRow]:
        """Return all protected branches."""
        return [rows.read_protection(row) for row in self._db.all("protections")]

    # --- what a gate said -----------------------------------------------------------------------

    @repeated
    def add_refusal(self, refusal: RefusalRow) -> None:
        """Record what a gate would not have; only the newest of a dataset are kept."""
        made = asdict(replace(refusal, time=self._now()))
        values = {**made, "commit_id": made.pop("commit")}
        with self._db.writing(f"refusals {refusal.dataset}"):
            self._db.do("add_refusal", **values)
            self._db.do("forget_refusals", dataset=refusal.dataset, limit=REFUSALS)

    def refusals(self, dataset: str, limit: int = REFUSALS) -> list[RefusalRow]:
        """Return what the gate of a dataset would not have, newest first."""
        found = self._db.all("refusals", dataset=dataset, limit=limit)
        return [rows.read_refusal(row) for row in found]

    # --- what commits began ---------------------------------------------------------------------

    @repeated
    def add_triggered(self, target: str, dataset: str, commit: str) -> None:
        """Record that a commit began a run of a target."""
        of = {"target": target, "dataset": dataset}
        with self._db.writing(f"triggered {target}"):
            self._db.do("add_triggered", **of, commit_id=commit, time=self._now())
            self._db.do("forget_triggered", **of, limit=TRIGGERED)

    def has_triggered(self, target: str, dataset: str, commit: str) -> bool:
        """Say whether a commit began a run of a target."""
        of = {"target": target, "dataset": dataset, "commit_id": commit}
        return self._db.one("triggered", **of) is not None


def _values(row: VerdictRow | ProtectionRow) -> dict[str, object]:
    return {**asdict(row), "actor": dump(asdict(row.actor))}
