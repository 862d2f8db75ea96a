"""Where the fingerprint finds code, and that its index never hides an edit."""

import importlib.abc
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from raypipe.engine.fingerprint import Tracer, fingerprint
from raypipe.engine.fingerprint import parse as parsing
from raypipe.engine.records import Fingerprint
from raypipe.errors import PipelineError
from raypipe.store import sources
from raypipe.store.places import code_folders
from raypipe.store.projects import module_name, project_root
from raypipe.store.sources import FileSources

STEP = "from raypipe import step\n\n\n@step\ndef load():\n    return {}\n"


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(path: Path, text: str = "X = 1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(found: FileSources, module: str) -> set[str]:
    table = found.module(module)
    assert table is not None
    return set(table.by_name)


# --- the index ----------------------------------------------------------------------------------


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """Names of the modules that were parsed, in their order."""
    seen: list[str] = []
    parse = parsing.parse_module

    def noting(name, *args, **kwargs):
        seen.append(name)
        return parse(name, *args, **kwargs)

    monkeypatch.setattr(parsing, "parse_module", noting)
    return seen


@pytest.fixture
def later(monkeypatch) -> Callable[[float], None]:
    """Moves the clock that files are compared with."""

    def move(seconds: float) -> None:
        def now() -> int:
            return time.time_ns() + int(seconds * 1e9)

        monkeypatch.setattr(sources, "time", SimpleNamespace(time_ns=now))

    return move


@pytest.fixture
def look(root, tmp_path) -> Callable[..., FileSources]:
    """Reads modules as a new process would, and keeps the index."""

    def look(*modules: str) -> FileSources:
        found = FileSources(root, tmp_path / "index")
        for module in modules:
            found.module(module)
        found.save()
        return found

    return look


def test_a_file_that_did_not_change_is_parsed_once(root, look, parsed, later):
    write(root / "mine.py")
    later(10)
    first = look("mine").module("mine")
    assert look("mine").module("mine") == first
    assert parsed == ["mine"]


def test_a_young_file_is_read_again_each_time(root, look, parsed, later):
    write(root / "mine.py")
    later(1.5)
    look("mine")
    look("mine")
    assert parsed == ["mine", "mine"]


def test_an_edit_within_the_second_that_leaves_size_and_time_is_noticed(root, look):
    file = write(root / "mine.py", "A = 1\n")
    stat = file.stat()
    assert names(look("mine"), "mine") == {"A"}
    file.write_text("B = 1\n")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert names(look("mine"), "mine") == {"B"}


@pytest.mark.parametrize("how", ["in place", "replaced", "longer", "touched"])
def test_an_old_file_that_changes_is_read_again(root, look, later, how):
    """With the mtime that it had: by ctime, inode or size; or by its mtime alone."""
    file = write(root / "mine.py", "A = 1\n")
    stat = file.stat()
    later(10)
    look("mine")
    if how == "replaced":
        write(root / "other", "B = 1\n").rename(file)
    else:
        file.write_text("B = 1\n" if how != "longer" else "B = 1000\n")
    if how != "touched":
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert names(look("mine"), "mine") == {"B"}


@pytest.mark.parametrize("field", range(4))
def test_mtime_ctime_inode_and_size_each_count(root, look, tmp_path, parsed, later, field):
    write(root / "mine.py")
    later(10)
    look("mine")
    index = tmp_path / "index" / "sources.json"
    head, tables = index.read_bytes().split(b"\n")
    data = json.loads(head)
    (entry,) = data["entries"].values()
    entry[0][field] += 1
    index.write_bytes(json.dumps(data).encode() + b"\n" + tables)
    look("mine")
    assert parsed == ["mine", "mine"]


def test_what_one_process_saves_at_two_times_is_all_kept(root, tmp_path, parsed, later):
    write(root / "one.py")
    write(root / "two.py")
    later(10)
    found = FileSources(root, tmp_path / "index")
    for module in ("one", "two"):
        found.module(module)
        found.save()
    again = FileSources(root, tmp_path / "index")
    assert again.module("one") is not None
    assert again.module("two") is not None
    assert parsed == ["one", "two"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 0, "entries": {}}', '{"format": 5, "entries": []}', "\0\xff"],
)
def test_an_index_that_cannot_be_used_is_made_anew(root, look, tmp_path, parsed, later, text):
    write(root / "mine.py")
    write(tmp_path / "index" / "sources.json", text)
    later(10)
    look("mine")
    look("mine")
    assert parsed == ["mine"]


def test_an_entry_with_another_table_is_parsed_anew(root, look, tmp_path, parsed, later):
    write(root / "mine.py")
    later(10)
    look("mine")
    index = tmp_path / "index" / "sources.json"
    head, tables = index.read_bytes().split(b"\n")
    index.write_bytes(head + b"\n" + tables.replace(b'"mine"', b'["me"]').replace(b"[", b"{"))
    assert names(look("mine"), "mine") == {"X"}
    assert parsed == ["mine", "mine"]


def test_a_look_without_an_index_writes_nothing(root, tmp_path):
    write(root / "mine.py")
    found = FileSources(root, None)
    found.module("mine")
    found.save()
    assert [entry.name for entry in tmp_path.rglob("*")] == ["project", "mine.py"]


def test_saving_leaves_nothing_but_the_index(root, look, tmp_path, later):
    write(root / "mine.py")
    later(10)
    look("mine")
    assert [entry.name for entry in (tmp_path / "index").iterdir()] == ["sources.json"]


PROJECT = {
    "flow.py": "import lib, init\ndef go(x):\n    return lib.helper(x) + lib.RATE + x.weigh()\n",
    "lib.py": "import deep\nRATE = 1\ndef helper(x):\n    return deep.K().run()\n"
    "def unused():\n    return 1\n",
    "deep.py": "class K:\n    def run(self):\n        return 1\n",
    "init.py": "import lib, kind\nlib.RATE = 2\n",
    "kind.py": "class Kind:\n    def weigh(self):\n        return 1\n",
    "other.py": "X = 1\n",
}
EDITS = {
    "nothing": ("other.py", "X = 1", "X = 1"),
    "a comment": ("lib.py", "RATE = 1", "RATE = 1  # one"),
    "a module that is not imported": ("other.py", "X = 1", "X = 2"),
    "a function that is not reached": (
        "lib.py",
        "def unused():\n    return 1",
        "def unused(): ...",
    ),
    "a constant": ("lib.py", "RATE = 1", "RATE = 3"),
    "a method of a value": ("deep.py", "return 1", "return 2"),
    "a method of what the step is given": ("kind.py", "return 1", "return 2"),
    "what an import changes": ("init.py", "= 2", "= 3"),
    "which module is changed": ("init.py", "lib.RATE = 2", "pass"),
    "a new way to change it": ("deep.py", "class", "import lib\nlib.RATE = 5\nclass"),
    "an import": ("flow.py", "import lib, init", "import lib"),
    "a new module": ("new.py", "", "X = 1"),
    "a module in the place of a package": ("lib/__init__.py", "", "RATE = 1\nhelper = abs\n"),
    "a module that is gone": ("init.py", None, None),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_kept_of_fingerprints_is_what_tracing_anew_finds(root, tmp_path, later, edit):
    for name, text in PROJECT.items():
        write(root / name, text)
    later(10)

    def trace(index: Path | None) -> Fingerprint:
        found = FileSources(root, index)
        tracer = Tracer(found, found) if index else Tracer(found)
        traced = tracer.fingerprint("flow:go", imported=["flow"])
        tracer.save()
        found.save()
        return traced

    index = tmp_path / "index"
    assert trace(index) == trace(None)
    name, old, new = EDITS[edit]
    if new is None:
        (root / name).unlink()
    else:
        text = PROJECT.get(name, "")
        assert old in text
        write(root / name, text.replace(old, new) if old else new)
    for _ in range(2):
        assert trace(index) == trace(None)


def test_a_kept_fingerprint_needs_no_module_to_be_read(root, tmp_path, parsed, later, monkeypatch):
    for name, text in PROJECT.items():
        write(root / name, text)
    later(10)
    digests = []
    for _ in range(2):
        found = FileSources(root, tmp_path / "index")
        tracer = Tracer(found, found)
        digests.append(tracer.fingerprint("flow:go", imported=["flow"]).digest)
        tracer.save()
        found.save()
        monkeypatch.setattr(sources.ModuleTable, "from_json", None)
    assert digests[0] == digests[1]
    assert sorted(parsed) == ["deep", "flow", "init", "kind", "lib"]


# --- files that are wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["def f(:\n", "x = (\n", "if 1:\nx\n", "x = '\0'\n"])
def test_a_syntax_error_names_the_file_relative_to_the_project(root, text):
    write(root / "pkg" / "bad.py", text)
    with pytest.raises(PipelineError, match=r"^pkg/bad\.py, line \d+: "):
        FileSources(root, None).module("pkg.bad")


def test_a_syntax_error_is_found_again_after_a_look_that_failed(root, look, later):
    write(root / "bad.py", "def f(:\n")
    later(10)
    for _ in range(2):
        with pytest.raises(PipelineError, match=r"bad\.py"):
            look("bad")


def test_a_file_in_another_encoding_is_an_error_that_says_what_to_do(root):
    (root / "bad.py").write_bytes("x = 'ü'\n".encode("latin-1"))
    with pytest.raises(PipelineError, match=r"bad\.py cannot be read") as failed:
        FileSources(root, None).module("bad")
    assert failed.value.hint == "save it as UTF-8"


def test_a_file_that_declares_its_encoding_is_read(root):
    (root / "mine.py").write_bytes("# coding: latin-1\nü = 1\n".encode("latin-1"))
    assert names(FileSources(root, None), "mine") == {"ü"}


def test_a_file_that_must_not_be_read_is_an_error_that_names_it(root, monkeypatch):
    import tokenize

    write(root / "mine.py")

    def refused(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tokenize, "open", refused)
    with pytest.raises(PipelineError, match=r"mine\.py cannot be read: Permission denied"):
        FileSources(root, None).module("mine")


# --- where modules are --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("mine.py", "mine"),
        ("src/mine.py", "mine"),
        ("pkg/__init__.py", "pkg"),
        ("src/pkg/sub/deep.py", "pkg.sub.deep"),
        ("space/pkg/mine.py", "space.pkg.mine"),
    ],
)
def test_a_module_is_found_under_the_root_or_its_src(root, file, module):
    write(root / file)
    assert names(FileSources(root, None), module) == {"X"}


def test_a_package_comes_before_a_module_of_its_name(root):
    write(root / "one.py", "MODULE = 1\n")
    write(root / "one" / "__init__.py", "PACKAGE = 1\n")
    assert names(FileSources(root, None), "one") == {"PACKAGE"}


def test_a_folder_of_modules_without_init_is_a_package_without_code(root):
    write(root / "space" / "mine.py")
    found = FileSources(root, None)
    table = found.module("space")
    assert table is not None
    assert table.is_package
    assert table.pieces == ()
    assert found.lines("space") == []


@pytest.mark.parametrize("name", ["nothing", "json", "numpy", "empty", "mine.inner", "data"])
def test_what_is_no_module_of_the_project_is_none(root, name):
    write(root / "mine.py")
    write(root / "data" / "rows.csv")
    (root / "empty").mkdir()
    assert FileSources(root, None).module(name) is None


def test_raypipes_own_modules_are_found_wherever_the_project_is(root):
    table = FileSources(root, None).module("raypipe.engine.step")
    assert table is not None
    assert "Step" in table.by_name


def test_the_lines_of_a_module_are_those_of_its_file(root):
    write(root / "mine.py", "A = 1\n\nB = 2\n")
    assert FileSources(root, None).lines("mine") == ["A = 1", "", "B = 2"]


@pytest.mark.parametrize("above", ["", "src/"])
def test_the_modules_of_a_package_are_listed_at_any_depth(root, above):
    for file in ("__init__", "a", "sub/__init__", "sub/b", "space/c", "not-a-name"):
        write(root / f"{above}pkg/{file}.py")
    found = FileSources(root, None)
    listed = {"pkg", "pkg.a", "pkg.sub", "pkg.sub.b", "pkg.space.c"}
    assert set(found.submodules("pkg")) == listed
    assert set(found.submodules("pkg.sub")) == {"pkg.sub", "pkg.sub.b"}
    assert list(found.submodules("nothing")) == []


@pytest.mark.parametrize("name", ['f"pkg.models.{name}"', 'f".models.{name}", __package__'])
def test_an_edit_in_a_subpackage_whose_modules_are_found_by_name_counts(root, name):
    choose = f"def load(name):\n    return import_module({name})\n"
    write(root / "pkg/steps.py", f"from importlib import import_module\n\n\n{choose}")
    write(root / "pkg/__init__.py", "")
    write(root / "pkg/models/__init__.py", "")
    write(root / "pkg/models/tree.py", "DEPTH = 1\n")
    before = fingerprint("pkg.steps:load", FileSources(root, None)).digest
    write(root / "pkg/models/tree.py", "DEPTH = 2\n")
    assert fingerprint("pkg.steps:load", FileSources(root, None)).digest != before


# --- code of other projects ---------------------------------------------------------------------

USES = "from {} import work\n\n\ndef load():\n    return work()\n"


def other_project(folder: Path, name: str) -> Path:
    write(folder / name / "__init__.py", "from .inner import work\n")
    return write(folder / name / "inner.py", "def work():\n    return 1\n")


def edited_changes_the_fingerprint(root: Path, inner: Path) -> bool:
    before = fingerprint("mine:load", FileSources(root, None)).digest
    inner.write_text("def work():\n    return 2\n")
    return fingerprint("mine:load", FileSources(root, None)).digest != before


def test_an_editable_install_by_a_path_is_project_code(root, tmp_path, monkeypatch):
    inner = other_project(tmp_path / "elsewhere", "theirs")
    write(root / "mine.py", USES.format("theirs"))
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert edited_changes_the_fingerprint(root, inner)


@pytest.mark.parametrize("folder", ["theirs", "lib"])
def test_an_editable_install_by_an_import_hook_is_project_code(root, tmp_path, monkeypatch, folder):
    """What setuptools makes of a project without `src/`: no folder of it is on the path."""
    inner = other_project(tmp_path / "elsewhere", folder)
    write(root / "mine.py", USES.format("theirs"))

    class _EditableFinder(importlib.abc.MetaPathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            init = inner.with_name("__init__.py")
            return importlib.util.spec_from_file_location(name, init) if name == "theirs" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _EditableFinder])
    assert set(FileSources(root, None).submodules("theirs")) == {"theirs", "theirs.inner"}
    assert edited_changes_the_fingerprint(root, inner)


def test_an_editable_install_of_a_single_module_is_project_code(root, tmp_path, monkeypatch):
    module = write(tmp_path / "elsewhere" / "theirs.py", "def work():\n    return 1\n")
    write(root / "mine.py", USES.format("theirs"))

    class _EditableFinder(importlib.abc.MetaPathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return (
                importlib.util.spec_from_file_location(name, module) if name == "theirs" else None
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _EditableFinder])
    assert FileSources(root, None).module("theirs.inner") is None
    assert edited_changes_the_fingerprint(root, module)


def test_what_is_in_site_packages_is_no_project_code(root, tmp_path, monkeypatch):
    packages = tmp_path / "lib" / "site-packages"
    other_project(packages, "theirs")
    monkeypatch.syspath_prepend(packages)
    assert FileSources(root, None).module("theirs") is None


def test_the_projects_own_module_comes_before_another_projects(root, tmp_path, monkeypatch):
    write(tmp_path / "elsewhere" / "shared.py", "THEIRS = 1\n")
    write(root / "shared.py", "MINE = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert names(FileSources(root, None), "shared") == {"MINE"}


# --- distributions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "distribution"), [("yaml", "pyyaml"), ("sklearn", "scikit-learn"), ("_pytest", None)]
)
def test_a_module_belongs_to_the_distribution_that_brought_it(root, module, distribution):
    from importlib.metadata import version

    name = distribution or "pytest"
    assert FileSources(root, None).distribution(module) == (name, version(name))


def test_pythons_own_modules_have_no_distribution(root):
    assert FileSources(root, None).distribution("json") is None


def test_what_is_not_installed_has_the_version_that_says_so(root):
    assert FileSources(root, None).distribution("no_such") == ("no_such", "not installed")


def test_a_distribution_that_is_updated_has_its_new_version_at_once(root, tmp_path, monkeypatch):
    """The index keeps the name alone."""
    found = FileSources(root, tmp_path / "index")
    found.distribution("yaml")
    found.save()
    monkeypatch.setattr(sources, "version_of", lambda name: "99")
    again = FileSources(root, tmp_path / "index")
    assert again.distribution("yaml") == ("pyyaml", "99")


# --- projects -----------------------------------------------------------------------------------


def test_the_project_root_is_the_folder_of_the_nearest_pyproject(tmp_path):
    write(tmp_path / "pyproject.toml", "")
    write(tmp_path / "inner" / "pyproject.toml", "")
    assert project_root(tmp_path / "inner" / "a" / "b" / "flow.py") == tmp_path / "inner"
    assert project_root(tmp_path / "other" / "flow.py") == tmp_path


def test_without_a_pyproject_the_root_is_the_files_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    assert project_root(tmp_path / "a" / "flow.py") == tmp_path / "a"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("flow.py", "flow"),
        ("src/flow.py", "flow"),
        ("src/pkg/flow.py", "pkg.flow"),
        ("pkg/__init__.py", "pkg"),
        ("__init__.py", "__init__"),
        ("../elsewhere/flow.py", "flow"),
    ],
)
def test_a_file_is_named_as_the_module_that_it_is(root, file, name):
    assert module_name((root / file).resolve(), root) == name


def test_the_folders_of_code_are_those_on_the_path_then_root_and_src(root, monkeypatch):
    for folder in ("src", "scripts", "venv/lib"):
        (root / folder).mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(root / "venv"))
    on_path = [str(root / "scripts"), str(root / "gone"), str(root / "venv/lib"), "/usr"]
    monkeypatch.setattr(sys, "path", on_path)
    assert code_folders(root) == [root / "scripts", root, root / "src"]
