"""Code of another time is imported beside that of now, and each keeps to its own."""

import sys
from pathlib import Path

import pytest

from raypipe.model.code import CodeSnapshot

MODULES = ("then_and_now", "then_pkg")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A project as it is now, importable, and a function that takes a snapshot's folder of it."""

    def write(place: str, value: int) -> Path:
        folder = tmp_path / place
        (folder / "src" / "then_pkg").mkdir(parents=True)
        (folder / "then_and_now.py").write_text(
            f"from then_pkg.parts import part\nVALUE = {value}\ndef f(): return VALUE, part()\n"
        )
        (folder / "src" / "then_pkg" / "__init__.py").write_text("")
        (folder / "src" / "then_pkg" / "parts.py").write_text(f"def part(): return {value} * 10\n")
        return folder

    now = write("now", 2)
    monkeypatch.syspath_prepend(now)
    monkeypatch.syspath_prepend(now / "src")
    yield write
    for name in [n for n in sys.modules if n.partition(".")[0] in MODULES]:
        del sys.modules[name]


def test_each_keeps_to_its_own_modules(project) -> None:
    import then_and_now

    before, path = dict(sys.modules), list(sys.path)
    snapshot = CodeSnapshot(project("then", 1))
    with snapshot.active():
        import then_and_now as then

    assert (then.f(), then_and_now.f()) == ((1, 10), (2, 20))
    assert sys.modules["then_and_now"] is then_and_now
    assert sys.path == path
    assert {name for name in sys.modules if name.startswith("then")} == {
        name for name in before if name.startswith("then")
    }


def test_a_snapshot_s_modules_are_loaded_once(project) -> None:
    snapshot = CodeSnapshot(project("then", 1))
    with snapshot.active():
        import then_and_now as first
    with snapshot.active():
        import then_and_now as second
    assert first is second


def test_nothing_is_left_behind_when_the_body_fails(project) -> None:
    snapshot = CodeSnapshot(project("then", 1))
    path = list(sys.path)
    with pytest.raises(ImportError), snapshot.active():
        import then_and_now.there_is_none  # noqa: F401
    assert "then_and_now" not in sys.modules
    assert sys.path == path


def test_raypipe_itself_is_never_a_snapshot_s(tmp_path: Path) -> None:
    import raypipe

    (tmp_path / "raypipe").mkdir()
    (tmp_path / "raypipe" / "__init__.py").write_text("raise ImportError")
    with CodeSnapshot(tmp_path).active():
        assert sys.modules["raypipe"] is raypipe
