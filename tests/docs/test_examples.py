"""The guide's code runs, and its generated pages are those of the code."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import jax
import polars as pl
import pytest
from docstrings import ON_A_RUN, ON_AN_INSTANCE, missing_sections, run_example
from write import PAGES as GENERATED

from meio_jax.cli import BAD_INPUT, app
from meio_jax.config import make_config
from meio_jax.dual import DUAL_METHODS
from meio_jax.objective import OBJECTIVES
from meio_jax.planner import prepare
from meio_jax.policy import POLICIES
from meio_jax.results import Result
from meio_jax.tables import write_instance

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
OBJECTIVE_LINES = 15


def blocks(page: Path) -> list[str]:
    """Fenced Python of a page, in order."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page of the Python API leaves behind after all of its blocks have run in one module."""
    known = dict(OBJECTIVES)
    found: dict[str, Any] = {"__name__": "api_page"}
    with jax.numpy_dtype_promotion("standard"):
        for number, code in enumerate(blocks(DOCS / "api.md")):
            exec(compile(code, f"docs/api.md, block {number}", "exec"), found)
    for name in set(OBJECTIVES) - set(known):
        del OBJECTIVES[name]
    return found


@pytest.mark.slow
def test_the_api_page_plans(names: dict[str, Any]) -> None:
    plan, tables = names["result"], names["tables"]
    assert plan.result in (Result.CONVERGED, Result.MAX_STEPS)
    frames = plan.frames()
    assert set(frames["plan/orders"]["item_id"]) <= set(tables.items["item_id"])
    assert frames["plan/targets"].height == 2 * 2 * 2
    # Its one capacity is meant to bind.
    assert frames["prices"]["price"].max() > 0


def test_the_api_page_lists_the_frames(names: dict[str, Any]) -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    for name, frame in names["frames"].items():
        assert f"| `{name}` |" in text, name
        assert isinstance(frame, pl.DataFrame)


def test_the_objective_of_the_page_is_another_plan(names: dict[str, Any]) -> None:
    # In the last week, whose levels every later day is served by; the first one has stock to begin with.
    levels = (names[key].frames()["plan/targets"].filter(bucket=1) for key in ("result", "careful"))
    usual, careful = (frame["target"].sum() for frame in levels)
    assert careful > usual, "bad scenarios are those that run out, so it must hold more"


def test_examples_of_docstrings_run(names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the instance and the options of the page."""
    monkeypatch.chdir(tmp_path)
    write_instance(names["tables"], "shop")
    config = make_config(solve=names["short"].model_dump(), scenarios=names["few"].model_dump())
    with jax.numpy_dtype_promotion("standard"):
        known = {**names, "config": config, "model": prepare(names["tables"], config)}
        for member in ON_AN_INSTANCE:
            run_example(member, known)


def test_docstrings_say_what_goes_in() -> None:
    assert missing_sections([*ON_AN_INSTANCE, *ON_A_RUN]) == {}


def test_an_objective_is_short() -> None:
    code = next(code for code in blocks(DOCS / "api.md") if "AbstractObjective)" in code)
    assert len([line for line in code.splitlines() if line.strip()]) < OBJECTIVE_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_imports_of_the_pages_exist(page: Path) -> None:
    """Also of code that is too long to run here."""
    for code in blocks(page):
        lines = [ast.unparse(node) for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec("\n".join(lines), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == GENERATED[name](), "run: python docs/write.py"


def test_every_status_and_command_is_explained() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for result in Result:
        assert f"| {result.value} | `{result.name}` |" in page
    assert f"| {BAD_INPUT} |" in page
    assert BAD_INPUT not in {result.value for result in Result}
    for command in app.registered_commands:
        assert f"    meio {command.callback.__name__.replace('_', '-')} " in page


def test_every_library_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for names in project["optional-dependencies"].values() for one in names)]
    page = (DOCS / "libraries.md").read_text(encoding="utf-8")
    for requirement in wanted:
        name = re.split(r"[<>=~!; ]", requirement)[0].lower()
        assert f"`{name}`" in page, f"{requirement}: which part does it play, and under which licence?"


@pytest.mark.parametrize(
    ("page", "family"), [("policies", POLICIES), ("objectives", OBJECTIVES), ("dual_methods", DUAL_METHODS)]
)
def test_every_member_of_a_family_is_explained(page: str, family: dict[str, type]) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for name in family:
        assert f"| `{name}` |" in text, name
