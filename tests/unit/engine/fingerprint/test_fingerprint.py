"""Held against what Python does: projects at random, edited at random, run before and after."""

import importlib
import json
import re
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint import Tracer, fingerprint
from raypipe.engine.records import Fingerprint
from raypipe.errors import PipelineError
from tests.unit.engine.fingerprint.drawn import (
    MODULES,
    NEUTRAL,
    Project,
    edits,
    projects,
    reordered,
)
from tests.unit.engine.fingerprint.test_reach import Texts, importable

NO_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
searched = settings(max_examples=150, suppress_health_check=NO_CHECKS)
searched_few = settings(max_examples=30, suppress_health_check=NO_CHECKS)
searched_long = settings(max_examples=1500, suppress_health_check=NO_CHECKS)


def of(project: Project) -> Fingerprint | str:
    try:
        return fingerprint("flow:go", Texts(project.files()))
    except Exception as error:
        return repr(error)


def digest(project: Project) -> str:
    found = of(project)
    return found if isinstance(found, str) else found.digest


def shown(project: Project) -> str:
    return "".join(f"# file: {path}\n{text}" for path, text in project.files().items())


def class_given() -> Any:
    """Return the class of what the step is given, wherever it is."""
    every = (sys.modules[name] for name in MODULES if name in sys.modules)
    return next(module.Given for module in every if "Given" in vars(module))


def outcome(project: Project) -> Any:
    """Run the step; None where a module cannot be imported, so that there is nothing to plan."""
    with importable(Texts(project.files())):
        try:
            go = importlib.import_module("flow").go
        except Exception:
            return None
        try:
            return go(class_given()())
        except Exception as error:
            return repr(error)


@pytest.mark.slow
@searched
@given(st.data())
def test_an_edit_that_changes_the_result_changes_the_fingerprint(data: st.DataObject) -> None:
    check_edits(data)


@pytest.mark.long
@searched_long
@given(st.data())
def test_many_edits_that_change_the_result_change_the_fingerprint(data: st.DataObject) -> None:
    """So many that each way of breaking the tracer that was tried by hand was found."""
    check_edits(data)


def check_edits(data: st.DataObject) -> None:
    before = data.draw(projects())
    result = outcome(before)
    for after in data.draw(st.lists(edits(before), min_size=8, max_size=8)):
        other = outcome(after)
        if None not in (result, other) and result != other:
            said = f"{result} became {other}\n{shown(before)}\n====\n{shown(after)}"
            assert digest(before) != digest(after), said


def told(tracer: Tracer, imported: tuple[str, ...]) -> Any:
    """Return a fingerprint, or what is said of an edit that is no Python."""
    try:
        found = tracer.fingerprint("flow:go", imported=imported)
    except PipelineError as error:
        return str(error)
    return found.digest, found.widened


class KeptTexts(Texts):
    """A project in memory, whose fingerprints are kept."""

    shelf: Any = None

    def kept(self) -> Any:
        return self.shelf

    def keep(self, found: Any) -> None:
        KeptTexts.shelf = json.loads(json.dumps(found))

    def content(self, module: str) -> str:
        table = self.module(module)
        return "" if table is None else digest_bytes(json.dumps(table.to_json()[0]).encode())


@pytest.mark.slow
@searched_few
@given(st.data())
def test_what_is_kept_of_fingerprints_is_what_tracing_anew_finds(data: st.DataObject) -> None:
    check_kept(data)


@pytest.mark.long
@searched
@given(st.data())
def test_what_is_kept_through_many_edits_is_what_tracing_anew_finds(data: st.DataObject) -> None:
    check_kept(data)


def check_kept(data: st.DataObject) -> None:
    """Edit after edit, with what is kept from those before."""
    KeptTexts.shelf = None
    before = data.draw(projects())
    for project in [before, *data.draw(st.lists(edits(before), min_size=5, max_size=5)), before]:
        sources = KeptTexts(project.files())
        tracer = Tracer(sources, sources)
        for imported in ((), ("flow",)):
            anew = told(Tracer(Texts(project.files())), imported)
            said = f"{shown(before)}\n====\n{shown(project)}"
            assert told(tracer, imported) == anew, said
        tracer.save()


@pytest.mark.slow
@searched
@given(projects(), st.sampled_from(sorted(NEUTRAL)))
def test_an_edit_of_form_leaves_the_fingerprint(project: Project, edit: str) -> None:
    after = Project(
        {
            path: [NEUTRAL[edit](block) for block in blocks]
            for path, blocks in project.blocks.items()
        }
    )
    assert digest(project) == digest(after), shown(project)


@pytest.mark.slow
@searched
@given(projects(most_effects=0))
def test_the_order_of_plain_functions_leaves_the_fingerprint(project: Project) -> None:
    after = Project({path: reordered(blocks) for path, blocks in project.blocks.items()})
    assert digest(project) == digest(after), shown(project)


@pytest.mark.slow
@searched
@given(projects(), st.integers(0, 5))
def test_an_edit_of_what_is_not_reached_leaves_the_fingerprint(
    project: Project, where: int
) -> None:
    path = sorted(project.blocks)[where]
    one, other = (
        project.replaced(
            path, [*project.blocks[path], f"def unreached():\n    return {n}\nUNREACHED = {n}"]
        )
        for n in (1, 2)
    )
    found = of(one)
    hands_modules_on = re.search(r"sys\.modules|import_module", shown(one))
    if isinstance(found, Fingerprint) and not found.widened and not hands_modules_on:
        assert found.digest == digest(other), shown(one)
