"""Values come back as they were, count by their content alone, and what cannot be kept is named."""

import sys
import types
from collections import Counter, OrderedDict, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, field_validator

from raypipe.config.base import CodeReference
from raypipe.engine.digest import digest_bytes, digest_tree
from raypipe.errors import NotFound, PipelineError, StoreError
from raypipe.values.codec import TreeCodec
from raypipe.values.kinds import aside


class Blobs:
    """Artifacts of one value, in memory; a path is itself."""

    def __init__(self, blobs: tuple[bytes | Path, ...]) -> None:
        self._of = {digest_bytes(blob): blob for blob in blobs if isinstance(blob, bytes)}
        self._paths = {digest_file(blob): blob for blob in blobs if isinstance(blob, Path)}

    def read(self, digest: str) -> bytes:
        return self._of[digest]

    def view(self, digest: str) -> bytes:
        return self.read(digest)

    def path(self, digest: str) -> Path:
        return self._paths[digest]


def digest_file(path: Path) -> str:
    return digest_bytes(path.read_bytes() if path.is_file() else b"a folder")


CODEC = TreeCodec(digest_file)


def kept(value: Any, codec: TreeCodec = CODEC) -> Any:
    encoded = codec.encode(value)
    return codec.decode(encoded.manifest, Blobs(encoded.blobs))


class Colour(Enum):
    RED = 1
    BLUE = "b"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Right(Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    points: tuple[Point, ...]
    name: str | None = None
    made_by: str = field(default="", metadata=aside())

    @dataclass(frozen=True)
    class Inner:
        a: int


@dataclass
class Derived:
    a: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = 2 * self.a


class Settings(BaseModel, frozen=True):
    rows: tuple[int, ...] = ()
    code: CodeReference | None = None
    share: float = 0.0

    @field_validator("share")
    @classmethod
    def _halved(cls, value: float) -> float:
        return value / 2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


SCALARS = [
    None,
    True,
    0,
    -(2**63),
    2**63,
    0.1,
    -0.0,
    float("inf"),
    5e-324,
    1e308,
    "",
    "Zürich\n\0\ud800",
    b"",
    b"\x00\xff" * 100_000,
    1 + 2j,
    Decimal("1.10"),
    date(2013, 1, 31),
    datetime(2013, 1, 31, 12, 30, 0, 1),
    datetime(2013, 1, 31, tzinfo=UTC),
    datetime(2013, 1, 31, tzinfo=timezone(timedelta(hours=-5))),
    datetime(2013, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    time(23, 59, 59, 999999),
    timedelta(days=-1, microseconds=7),
    Colour.BLUE,
    Level.LOW,
    Word.YES,
    Right.READ,
    Right.READ | Right.WRITE,
    CodeReference("my_pkg.model:build"),
]
CONTAINERS = [
    [],
    [1, [2, [3, "x"]]],
    (),
    (1, (2,), [3]),
    {},
    {"b": 1, "a": [2]},
    {1: "a", "1": "b", (1, 2): "c", None: "d", 2.5: "e", b"k": "f"},
    {"k": "list", "v": 1},
    OrderedDict([("b", 1), ("a", 2)]),
    set(),
    {(2, 3)},
    frozenset({frozenset({1})}),
]
RECORDS = [
    Point(1),
    Shape(points=(Point(1), Point(2, 3.0)), name="line", made_by="me"),
    Shape.Inner(3),
    Derived(4),
    Settings(rows=(1, 2), code=CodeReference("a.b:c"), share=0.5),
    Open(a=2, b=[3]),
]


@pytest.mark.parametrize("value", [*SCALARS, *CONTAINERS, *RECORDS], ids=lambda v: repr(v)[:200])
def test_a_value_comes_back_equal_and_of_the_same_type(value):
    again = kept(value)
    assert type(again) is type(value)
    assert again == value
    assert repr(again) == repr(value)


def test_an_integer_comes_back_at_any_length():
    assert kept([-(10**5000), 10**5000]) == [-(10**5000), 10**5000]


def test_what_is_not_a_number_comes_back_as_such():
    assert repr(kept([float("nan"), -float("inf")])) == "[nan, -inf]"


def test_the_order_of_a_dict_is_kept():
    assert list(kept({"b": 1, "a": 2, "c": 3})) == ["b", "a", "c"]


def test_which_fields_of_a_model_were_given_is_kept():
    assert kept(Settings(rows=(1,))).model_fields_set == {"rows"}


def test_checks_that_change_what_they_are_given_do_not_run_again():
    assert kept(Settings(share=0.5)).share == 0.25


def test_the_zone_of_a_time_is_kept_by_its_name():
    noon = datetime(2013, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert kept(noon).tzinfo is noon.tzinfo


quick = settings(max_examples=50, deadline=None, database=None)
keys = st.one_of(st.text(), st.integers(), st.booleans(), st.binary(), st.none())
leaves = st.one_of(
    keys,
    st.floats(allow_nan=False),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.sampled_from(Colour),
    st.builds(Point, st.integers(), st.floats(allow_nan=False)),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys, inner),
        st.frozensets(keys),
        st.builds(lambda points, name: Shape(points=points, name=name), inner, st.text()),
    ),
    max_leaves=20,
)


@quick
@given(values)
def test_any_value_comes_back_equal_and_with_the_same_digest(value):
    encoded = CODEC.encode(value)
    again = CODEC.decode(encoded.manifest, Blobs(encoded.blobs))
    assert again == value
    assert CODEC.encode(again) == encoded


@quick
@given(st.lists(values, max_size=4))
def test_a_part_has_the_digest_and_manifest_that_it_has_alone(items):
    manifest = CODEC.encode({"items": items}).manifest
    for index, item in enumerate(items):
        alone = CODEC.encode(item)
        assert CODEC.field(manifest, ["items", index]) == (alone.digest, alone.manifest)


# --- digests ------------------------------------------------------------------------------------


def digest(value: Any) -> str:
    return CODEC.encode(value).digest


def test_the_digest_is_that_of_the_tree_in_the_manifest():
    import json

    encoded = CODEC.encode(RECORDS)
    assert encoded.digest == digest_tree(json.loads(encoded.manifest))


def test_equal_sets_have_equal_manifests_however_they_were_made():
    collide = [0, 2**61 - 1]  # both hash to 0: the first one added comes first
    one, other = set(collide), {2**61 - 1, 0}
    assert list(one) != list(other)
    assert CODEC.encode(one) == CODEC.encode(other)


def test_the_order_of_a_dict_counts_and_what_is_aside_does_not():
    assert digest({"a": 1, "b": 2}) != digest({"b": 2, "a": 1})
    one, other = (Shape(points=(), made_by=who) for who in ("me", "you"))
    assert digest(one) == digest(other)
    assert kept(other).made_by == "you"


def test_how_a_model_came_by_its_fields_does_not_count():
    assert digest(Settings()) == digest(Settings(rows=()))


def test_values_that_python_calls_equal_count_apart_where_their_types_differ():
    apart = [1, 1.0, True, Decimal(1), Level.LOW, 1 + 0j, "1", b"1", [1], (1,), {1}, frozenset({1})]
    assert len({digest(value) for value in apart}) == len(apart)


# --- parts --------------------------------------------------------------------------------------

WHOLE = {
    "shape": Shape(points=(Point(1), Point(2)), made_by="me"),
    "by number": {1: "one", "1": "text"},
    "settings": Settings(rows=(5,)),
}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (["shape", "points", 1, "x"], 2),
        (["shape", "points", -1], Point(2)),
        (["shape", "made_by"], "me"),
        (["by number", 1], "one"),
        (["by number", "1"], "text"),
        (["settings", "rows", 0], 5),
        ([], WHOLE),
    ],
)
def test_a_part_is_found_by_field_key_or_index(path, part):
    found, manifest = CODEC.field(CODEC.encode(WHOLE).manifest, path)
    assert found == digest(part)
    assert CODEC.decode(manifest, Blobs(())) == part


@pytest.mark.parametrize(
    ("path", "of"),
    [
        (["shape", "area"], ":Shape"),
        (["shape", "points", 2], "tuple"),
        (["by number", 2], "map"),
        (["shape", "points", "x"], "tuple"),
        (["shape", "name", 0], "NoneType"),
    ],
)
def test_a_part_that_is_not_there_is_named(path, of):
    with pytest.raises(PipelineError, match=f"{of} has no part {path[-1]!r}"):
        CODEC.field(CODEC.encode(WHOLE).manifest, path)


# --- what cannot be kept ------------------------------------------------------------------------


def local_class() -> Any:
    @dataclass
    class Hidden:
        a: int = 1

    return Hidden()


@dataclass
class Holder:
    columns: list[Any]


Pair = namedtuple("Pair", "a b")


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: 1, "the value is a function"),
        (Holder([0, {"fn": len}]), ".columns[1]['fn'] is a builtin_function_or_method"),
        ([0, (1, {2: object()})], "[1][1][2] is a object"),
        ({"a": types}, "['a'] is a module"),
        (iter([]), "the value is a list_iterator"),
        (Point, "the value is a type"),
        (Counter("a"), "is a collections.Counter; make it a dict"),
        (Pair(1, 2), "Pair; make it a dataclass"),
        (Text("a"), "Text; make it a str"),
        ([local_class()], "[0] cannot be read back: local_class.<locals>.Hidden is defined inside"),
        (make_dataclass("Made", ["a"])(1), "cannot be imported"),
    ],
)
def test_what_cannot_be_kept_is_an_error_that_names_type_and_place(value, said):
    with pytest.raises(TypeError) as refused:
        CODEC.encode(value)
    assert said in str(refused.value)


def test_a_value_that_holds_itself_is_an_error():
    ring: list[Any] = [1]
    ring.append({"again": ring})
    with pytest.raises(TypeError, match=r"\[1\]\['again'\] holds itself"):
        CODEC.encode(ring)


def test_a_value_may_hold_another_twice():
    point = Point(1)
    assert kept([point, point]) == [point, point]


def test_a_value_that_is_nested_without_end_is_an_error():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(TypeError, match="nested too deeply"):
        CODEC.encode(deep)


# --- files --------------------------------------------------------------------------------------


def test_a_file_counts_by_its_content_and_comes_with_the_value(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("1,2")
    encoded = CODEC.encode({"file": tmp_path / "a.csv"})
    assert encoded.blobs == (tmp_path / "a.csv",)
    assert encoded.digest == digest({"file": tmp_path / "b.csv"})
    (tmp_path / "b.csv").write_text("1,3")
    assert encoded.digest != digest({"file": tmp_path / "b.csv"})
    assert CODEC.decode(encoded.manifest, Blobs(encoded.blobs)) == {"file": tmp_path / "a.csv"}


def test_no_path_of_the_machine_is_in_a_manifest(tmp_path):
    (tmp_path / "a.csv").write_text("1,2")
    assert str(tmp_path).encode() not in CODEC.encode([tmp_path / "a.csv", tmp_path]).manifest


def test_a_file_and_a_folder_are_never_the_same(tmp_path):
    folder_like = TreeCodec(lambda path: "d")
    (tmp_path / "file").write_text("")
    assert folder_like.encode(tmp_path).digest != folder_like.encode(tmp_path / "file").digest


def test_a_blob_that_is_there_twice_is_published_once(tmp_path):
    (tmp_path / "a.csv").write_text("1,2")
    data = b"x" * 100_000
    encoded = CODEC.encode([tmp_path / "a.csv", data, tmp_path / "a.csv", data])
    assert len(encoded.blobs) == 2


def test_a_path_with_nothing_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(NotFound, match=r"\['table'\] is the path '.*none\.csv', where there is"):
        CODEC.encode({"table": tmp_path / "none.csv"})


# --- classes ------------------------------------------------------------------------------------


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    made = types.ModuleType("some_module")
    sys.modules["some_module"] = made
    yield made
    del sys.modules["some_module"]


def define(module: types.ModuleType, source: str) -> None:
    exec("from dataclasses import dataclass\nfrom enum import Enum\n" + source, module.__dict__)


def test_a_class_whose_fields_are_others_now_is_an_error_that_says_so(module):
    define(module, "@dataclass\nclass C:\n  a: int\n  b: int = 2")
    manifest = CODEC.encode(module.C(1)).manifest
    define(module, "@dataclass\nclass C:\n  a: int\n  c: int = 2")
    with pytest.raises(StoreError, match=r"some_module:C was kept with the fields a, b and now"):
        TreeCodec(digest_file).decode(manifest, Blobs(()))


def test_a_model_whose_fields_are_others_now_is_an_error_that_says_so(module):
    source = "from pydantic import BaseModel\nclass C(BaseModel):\n  {}: int = 1"
    define(module, source.format("a"))
    manifest = CODEC.encode(module.C(a=1)).manifest
    define(module, source.format("b"))
    with pytest.raises(StoreError, match="was kept with the fields a and now has b"):
        TreeCodec(digest_file).decode(manifest, Blobs(()))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("del C", "has no C"),
        ("def C(a): raise SystemExit", "no class of values"),
        ("class C:\n  def __init__(self, a): raise SystemExit", "no class of values"),
        ("class C(Enum):\n  A = 1", "no class of values"),
        (
            "@dataclass\nclass C:\n  a: int\n  def __post_init__(self): raise ValueError('old')",
            "cannot be made from what was kept: ValueError: old",
        ),
    ],
)
def test_only_a_class_of_values_is_made_from_a_manifest(module, now, said):
    define(module, "@dataclass\nclass C:\n  a: int")
    manifest = CODEC.encode(module.C(1)).manifest
    define(module, now)
    with pytest.raises(StoreError, match=said) as refused:
        CODEC.decode(manifest, Blobs(()))
    assert refused.value.hint


def test_a_module_that_is_gone_is_an_error(module):
    define(module, "@dataclass\nclass C:\n  a: int")
    manifest = CODEC.encode(module.C(1)).manifest.replace(b"some_module", b"gone_module")
    with pytest.raises(StoreError, match="gone_module:C, the class of a kept value, is not there"):
        CODEC.decode(manifest, Blobs(()))


def test_a_member_that_is_gone_is_an_error(module):
    define(module, "class C(Enum):\n  A = 1\n  B = 2")
    manifest = CODEC.encode(module.C.B).manifest
    define(module, "class C(Enum):\n  A = 1")
    with pytest.raises(StoreError, match="some_module:C has no 'B' any more"):
        CODEC.decode(manifest, Blobs(()))


def test_a_class_that_takes_what_it_does_not_keep_is_refused(module):
    define(module, "from dataclasses import InitVar\n@dataclass\nclass C:\n  a: InitVar[int]")
    with pytest.raises(TypeError, match="InitVar"):
        CODEC.encode(module.C(1))


def test_what_a_script_defines_has_the_name_of_its_file(module, monkeypatch):
    """Written by the script itself, read by a worker that imports the file; and the other way."""
    define(module, "@dataclass\nclass C:\n  a: int")
    script = TreeCodec(digest_file, main_module="some_module")
    worker = TreeCodec(digest_file)
    written_by_worker = worker.encode(module.C(1))

    main = types.ModuleType("__main__")
    define(main, "@dataclass\nclass C:\n  a: int")
    monkeypatch.setitem(sys.modules, "__main__", main)
    written_by_script = script.encode(main.C(1))

    assert written_by_script == written_by_worker
    assert type(script.decode(written_by_worker.manifest, Blobs(()))) is main.C
    assert type(worker.decode(written_by_script.manifest, Blobs(()))) is module.C


# --- manifests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("manifest", [b"", b"{", b'{"k":"record","t":"m', b"\xff"])
def test_a_torn_manifest_is_an_error(manifest):
    for read in (lambda: CODEC.decode(manifest, Blobs(())), lambda: CODEC.field(manifest, ["a"])):
        with pytest.raises(StoreError, match="torn"):
            read()


def test_a_manifest_of_a_later_version_is_an_error_that_says_so():
    with pytest.raises(StoreError, match="unknown kind 'hologram'") as refused:
        CODEC.decode(b'{"k":"hologram","v":""}', Blobs(()))
    assert "upgrade" in str(refused.value.hint)


def test_plain_values_import_no_library_for_arrays():
    import subprocess

    code = (
        "import sys; from raypipe.values.codec import TreeCodec; from pathlib import Path\n"
        "codec = TreeCodec(str)\n"
        "codec.decode(codec.encode([1, {'a': b'x'}, (2.5,), {3}]).manifest, None)\n"
        "print({'numpy', 'pyarrow', 'torch', 'pandas', 'pydantic'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


@pytest.mark.parametrize("value", [[], [1, "a", None], (2.5, b"x"), [(1,), {"a": 2}]])
def test_the_items_of_a_list_or_tuple_are_what_each_is_by_itself(value):
    written = [CODEC.encode(item) for item in value]
    expected = [(item.digest, item.manifest) for item in written]
    assert CODEC.items(CODEC.encode(value).manifest) == expected


@pytest.mark.parametrize("value", [None, 3, "ab", {"a": 1}, {1, 2}, b"bc"])
def test_what_is_neither_list_nor_tuple_has_no_items(value):
    assert CODEC.items(CODEC.encode(value).manifest) is None


@pytest.mark.parametrize(
    "value", [[], [1, 2], (1, [2, (3,)]), {"a": [1], "b": ()}, {1: "a", (2, 3): ["b"]}]
)
def test_gathered_values_are_what_the_whole_is(value):
    whole = CODEC.encode(value)
    assert CODEC.gather(_taken_apart(value)) == (whole.digest, whole.manifest)


def _taken_apart(value):
    match value:
        case list():
            return [_taken_apart(item) for item in value]
        case tuple():
            return tuple(_taken_apart(item) for item in value)
        case dict():
            return {key: _taken_apart(item) for key, item in value.items()}
    return CODEC.encode(value).manifest
