"""Every path of a home, in one small class: read here, changed here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HomePaths:
    """Where things lie in a home."""

    home: Path

    @property
    def ledger(self) -> Path:
        """The ledger's SQLite file."""
        return self.home / "ledger.db"

    @property
    def bound_ledger(self) -> Path:
        """Which Postgres the ledger is in, if it is not that file."""
        return self.home / "ledger.json"

    @property
    def artifacts(self) -> Path:
        """Artifacts, each under its digest."""
        return self.home / "artifacts"

    @property
    def bound_artifacts(self) -> Path:
        """Which bucket the artifacts are in, if it is not this folder."""
        return self.home / "artifacts.json"

    @property
    def bound_lakefs(self) -> Path:
        """How settings said that lakeFS is reached; names of variables, and no credentials."""
        return self.home / "lakefs.json"

    @property
    def identity(self) -> Path:
        """What tells this home from others, for a bucket's prefix belongs to one."""
        return self.home / "identity"

    @property
    def cache(self) -> Path:
        """Copies of artifacts that are in a bucket."""
        return self.home / "cache"

    @property
    def uses(self) -> Path:
        """What runs that are under way need, noted by themselves."""
        return self.home / "uses"

    @property
    def versions(self) -> Path:
        """Local repositories of versioned data."""
        return self.home / "versions"

    @property
    def imports(self) -> Path:
        """Notes of imports under way, each named by its branch."""
        return self.home / "imports"

    @property
    def schemas(self) -> Path:
        """Schemas as YAML, where the settings name no file of their own."""
        return self.home / "schemas"

    @property
    def edge_cases(self) -> Path:
        """Sets of edge cases, below the name of their pipeline."""
        return self.home / "edge_cases"

    @property
    def runs(self) -> Path:
        """What runs leave beside the ledger, each in a folder of its own."""
        return self.home / "runs"

    @property
    def work(self) -> Path:
        """Scratch folders of steps, each under its key."""
        return self.home / "work"

    @property
    def claims(self) -> Path:
        """Locks on the keys of results that are being made."""
        return self.home / "claims"

    @property
    def serve(self) -> Path:
        """What the gateway that is up is known by, and what it says."""
        return self.home / "serve"

    def replica(self, pid: int) -> Path:
        """What a process of the gateway holds, as it says itself."""
        return self.serve / "replicas" / f"{pid}.json"

    @property
    def requests(self) -> Path:
        """The request log: open segments, and sealed ones as Parquet."""
        return self.home / "requests"

    @property
    def gate_token(self) -> Path:
        """The secret that lakeFS shows the gate of protected branches; its owner's alone."""
        return self.home / "gate_token"

    @property
    def watches(self) -> Path:
        """Where the gate of each watch is that is up, a small file each."""
        return self.home / "watches"

    @property
    def code(self) -> Path:
        """Code of runs, unpacked for those that go on with it and for workers."""
        return self.home / "code"

    @property
    def index(self) -> Path:
        """The index of the project's source files."""
        return self.home / "index"
