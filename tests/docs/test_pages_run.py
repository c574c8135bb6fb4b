"""Every block of code of the pages runs: Python as it stands, commands where a page builds on them."""

import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from docstrings import ON_A_RUN, run_example
from small_runs import usual_promotion
from test_examples import DOCS, PAGES, ROOT, blocks

from meio_jax.cli import app, main
from meio_jax.config import load_config
from meio_jax.objective import OBJECTIVES
from meio_jax.policy import POLICIES
from meio_jax.progress import Silent
from meio_jax.results import Result
from meio_jax.runs.run import run_solve

# Each list is run in one folder, in order; `api.md` has tests of its own.
ON_THE_SHOP = ("tutorial.md", "new_policy.md")
JOURNEYS = ("from_orders.md", "from_freight.md", "from_weekly_sales.md")
ON_THE_QUICKSTART = ("explain.md", "reruns.md", "../README.md")
# The pages ask for prices and levels; what levels could still save is not on them.
FEW_STEPS = {"max_steps": 2, "min_steps": 2, "feasibility_steps": 0, "slack_items": 0}
# Tables of a first instance, besides `instance.yaml`.
TABLES = 5
FENCED = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


def run_command(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit status of a command as a shell would start it."""
    monkeypatch.setattr(sys, "argv", line.split("#")[0].split())
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def run_page(name: str, monkeypatch: pytest.MonkeyPatch, *, commands: bool, until: str = "") -> dict[str, Any]:
    """Run the blocks of a page in one module, up to the first command `until`; what it leaves behind."""
    found: dict[str, Any] = {"__name__": name}
    for number, (language, code) in enumerate(FENCED.findall((DOCS / name).read_text(encoding="utf-8"))):
        if language == "python":
            exec(compile(code, f"docs/{name}, block {number}", "exec"), found)
        elif until and code.startswith(until):
            break
        elif commands:
            for line in code.strip().splitlines():
                assert run_command(line, monkeypatch) in (0, Result.MAX_STEPS.value), line
    return found


@pytest.fixture
def families() -> Any:
    """Members that a page adds to a registry are gone after it."""
    before = dict(POLICIES), dict(OBJECTIVES)
    yield
    for family, known in zip((POLICIES, OBJECTIVES), before, strict=True):
        for name in set(family) - set(known):
            del family[name]


@pytest.mark.slow
def test_the_tutorial_and_the_page_that_builds_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, families: None
) -> None:
    monkeypatch.chdir(tmp_path)
    with usual_promotion():
        shop = run_page("tutorial.md", monkeypatch, commands=True)
        run_page("new_policy.md", monkeypatch, commands=False)
    assert shop["orders"]["units"].sum() > 0
    # The eastern site is said to be what the items compete for.
    assert shop["prices"]["price"].max() > 0
    assert shop["day"].units["demand"] >= shop["day"].units["shipped"] > 0
    # Tomorrow, today's orders are under way.
    under_way = shop["read_instance"](shop["tomorrow"]).on_order
    assert under_way["units"].sum() == shop["orders"]["units"].sum()


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_comes_to_a_valid_instance(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first one has five tables at most."""
    monkeypatch.chdir(tmp_path)
    run_page(name, monkeypatch, commands=True, until="meio solve")
    if name != "from_freight.md":
        run_page_again = tmp_path / "first"
        run_page_again.mkdir()
        monkeypatch.chdir(run_page_again)
        run_page(name, monkeypatch, commands=False, until="meio validate")
        assert len(list(run_page_again.glob("*/*.csv"))) <= TABLES


@pytest.mark.slow
@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_comes_to_orders(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with usual_promotion():
        found = run_page(name, monkeypatch, commands=True)
    assert found["bought"]["units"].sum() > 0


@pytest.mark.slow
def test_pages_that_ask_a_finished_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quickstart has few items and steps here."""
    monkeypatch.chdir(tmp_path)
    content = {
        "instance": {
            "path": "instances/quickstart",
            "generate": {"items": 8, "nodes_per_tier": [1, 2, 1], "regions": 2, "speeds": 1, "waves": 1, "periods": 14},
        },
        "run": "runs/quickstart",
        "scenarios": {"train": 4, "per_step": 4, "holdout": 4, "clairvoyant": 0},
        "solve": {**FEW_STEPS, "violation": 1e6, "gap": 1e6},
    }
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with usual_promotion():
        run_solve(load_config(Path("configs/quickstart.yaml")), Silent())
        pages = {name: run_page(name, monkeypatch, commands=False) for name in ON_THE_QUICKSTART}
        for member in ON_A_RUN:
            run_example(member, {})
    assert pages["explain.md"]["found"].resource == "storage_FC01"
    assert pages["reruns.md"]["found"].items["item_id"].to_list() == ["I0000007"]
    assert math.isfinite(pages["../README.md"]["result"].certificate.holdout_cost)


def test_no_page_with_python_is_left_out() -> None:
    run = {"api.md", *JOURNEYS, *ON_THE_SHOP, *(Path(name).name for name in ON_THE_QUICKSTART)}
    assert {page.name for page in PAGES if blocks(page)} == run


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_commands_of_the_pages_exist(page: Path) -> None:
    """Their names and options are known, also where running them would take long."""
    group = typer.main.get_command(app)
    for language, code in FENCED.findall(page.read_text(encoding="utf-8")):
        for line in code.splitlines() if language == "sh" else []:
            for words in re.findall(r"\bmeio ([^&|#]+)", line):
                name, *rest = words.split()
                command = group.commands[name]  # type: ignore[attr-defined]
                command.make_context(name, rest)
