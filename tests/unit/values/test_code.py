"""From a code reference to what it names."""

from pathlib import Path

import pytest

from raypipe.errors import CodeReferenceError
from raypipe.values.code import resolve


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package, with a name that no other test uses."""
    folder = tmp_path / f"mine_{tmp_path.name.replace('-', '_')}"
    folder.mkdir()
    (folder / "features.py").write_text("class A:\n    def b(): return 5\n\ndef add_route(): ...\n")
    (folder / "broken.py").write_text("x = 1\ny = x.nothing\n")
    (folder / "unwritten.py").write_text("def f(:\n")
    (folder / "needy.py").write_text("import there_is_no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def refused(reference: str) -> CodeReferenceError:
    """Return the error of a reference that does not resolve."""
    with pytest.raises(CodeReferenceError) as raised:
        resolve(reference)
    return raised.value


def test_it_gives_what_is_named(package):
    assert resolve("math:sqrt")(4) == 2
    assert resolve(f"{package.name}.features:A.b")() == 5


def test_a_name_that_is_almost_there_is_suggested(package):
    error = refused(f"{package.name}.features:add_rout")
    assert "'add_rout'" in str(error)
    assert error.hint == "Did you mean 'add_route'?"


def test_a_module_that_is_almost_there_is_suggested(package):
    error = refused(f"{package.name}.featurs:add_route")
    assert f"there is no module '{package.name}.featurs'" in str(error)
    assert error.hint == "Did you mean 'features'?"


def test_a_package_that_is_not_there_is_named():
    error = refused("no_such_package_at_all.x:y")
    assert "there is no module 'no_such_package_at_all'" in str(error)
    assert "project root" in error.hint


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("broken", "AttributeError"),
        ("unwritten", "SyntaxError"),
        ("needy", "there_is_no_such_module"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why_and_where(package, module, said):
    error = refused(f"{package.name}.{module}:x")
    assert said in str(error)
    assert f"{module}.py" in str(error)


@pytest.mark.parametrize("text", ["", "module", ":name", "module:"])
def test_what_is_no_reference_is_refused(text):
    assert "MODULE:NAME" in refused(text).hint
