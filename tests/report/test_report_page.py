"""The page as a file: self-contained, escaped, small, complete."""

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from made_runs import instance_frames, make_run, plan_tables

from meio_jax.errors import InputError
from meio_jax.report import write_report

SECTIONS = ["overview", "network", "convergence", "capacity", "cost", "service", "stock", "items", "decisions"]
SECTIONS += ["settings"]
MEGABYTE = 1_000_000


class Page(HTMLParser):
    """Elements with their attributes, the text, and the content of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.code, self.open = "", {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.code.setdefault(self.open[-1], []).append(data)
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(plain_report: Path) -> Page:
    return page_of(plain_report)


TURNED = "\N{RIGHT-TO-LEFT OVERRIDE}"
ODD = f"é{TURNED}" * 3


def hostile(name: str) -> str:
    """A name that would break out of text, of an attribute, of a script and of a style sheet."""
    return f"{name}<script>alert('{name}')</script>\"><img src=x onerror=alert(1)>'</style></script>&lt" + ODD


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("hostile"), rename=hostile))


@pytest.mark.parametrize("which", ["plain_report", "hostile_report"])
def test_nothing_is_fetched_and_nothing_foreign_runs(which: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(which)
    page = page_of(path)
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "link", "base", "form", "audio", "video"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("style", "src", "srcset", "action", "xlink:href"), (tag, name)
            if name == "href":
                assert (value or "").startswith("#"), value
    style = "".join(page.code["style"])
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_this_script_and_style_only(page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (content,) = page.code[kind]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_hostile_names_are_shown_as_they_are(hostile_report: Path) -> None:
    page = page_of(hostile_report)
    shown = re.sub(r"\s+", " ", page.text)
    for name in ("tiny", "fc1", "item000000", "coast", "v1", "storage", "east", "here"):
        # Ids are read without characters that nobody sees; where a run says them, a sign stands in their place.
        said = [hostile(name).replace(TURNED, sign) for sign in ("", "\N{REPLACEMENT CHARACTER}")]
        assert any(one in shown for one in said), name
    raw = hostile_report.read_text(encoding="utf-8")
    assert TURNED not in raw
    assert "<img src=x" not in raw
    assert raw.count("<script>") == 1
    assert html.escape("<img src=x onerror=alert(1)>") in raw


def test_every_section_is_there_and_linked(page: Page) -> None:
    found = [section["id"] for section in page.all("section")]
    assert found == SECTIONS
    assert [link["href"] for link in page.all("a")] == ["#main", *[f"#{name}" for name in SECTIONS]]


def test_ids_are_unique_and_references_lead_somewhere(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-controls", "aria-labelledby", "for"):
            if name in attributes:
                assert attributes[name] in ids
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids


def test_pictures_and_tables_say_what_they_are(page: Page) -> None:
    pictures = page.all("svg")
    assert len(pictures) > 8
    assert all(picture.get("role") == "img" and picture.get("aria-label") for picture in pictures)
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.all("html")[0]["lang"] == "en"


def test_figures_of_the_certificate_are_on_the_page(page: Page) -> None:
    for words in ("1,010", "1,000 to 1,020", "0.20 %", "0.90 %", "800", "purchase", "2,000", "−1,800"):
        assert words in page.text, words


def test_later_orders_are_on_the_page(page: Page) -> None:
    """Forty items, ten units of each a week for 50: 2,000 a week, 4,000 of the one vendor in all."""
    assert "The next order is expected on Tue 04 Mar 2025: 4 items, 4 units on that day." in page.text
    assert "12 units more than the highest level" in page.text
    for words in (
        "Exceptions",
        "not in time",
        "345",
        "Expected purchases",
        "Units expected to be moved",
        "03 Mar",
        "10 Mar",
        "2,000",
        "4,000",
    ):
        assert words in page.text, words


def test_nothing_to_buy_says_when(tmp_path: Path) -> None:
    frames = plan_tables(instance_frames(4))
    idle = frames["plan/calendar"].with_columns(order_items=pl.Series([0.0] * 8 + [0.3] * 6), order_units=pl.lit(7.0))
    run = make_run(tmp_path, items=4, orders=frames["plan/orders"].clear(), calendar=idle)
    text = page_of(write_report(run)).text
    assert "Nothing to buy today. The next order is expected on Wed 12 Mar 2025: 1 item, 7 units on that day." in text


def test_a_large_catalog_makes_a_small_page(tmp_path: Path) -> None:
    path = write_report(make_run(tmp_path, items=100_000))
    assert path.stat().st_size < 5 * MEGABYTE
    # The page lists some items only, so it hardly grows with the catalog.
    assert path.stat().st_size < 1 * MEGABYTE


def test_many_sites_regions_and_resources_make_a_small_page(tmp_path: Path) -> None:
    frames = instance_frames(10)
    capacity = plan_tables(frames)["prices"].drop("resource_id")
    many = pl.DataFrame({"resource_id": [f"resource{at}" for at in range(3000)]}).join(capacity, how="cross")
    path = write_report(make_run(tmp_path, items=10, prices=many))
    assert path.stat().st_size < 2 * MEGABYTE
    assert "more with lower prices" in path.read_text(encoding="utf-8")


def test_older_runs_without_flows_have_a_report(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for name in ("flows", "service", "planned_orders", "planned_transfers", "calendar", "exceptions"):
        (run / "plan" / f"{name}.parquet").unlink()
    assert "does not record service" in write_report(run).read_text(encoding="utf-8")


def test_sites_without_coordinates_are_drawn_in_rows(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    nodes = tmp_path / "instance" / "nodes.parquet"
    pl.read_parquet(nodes).with_columns(pl.lit(None, pl.Float64).alias("latitude")).write_parquet(nodes)
    assert "drawn in rows by kind" in write_report(run).read_text(encoding="utf-8")


def test_a_changed_instance_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    identity = run / "instance.json"
    identity.write_text(identity.read_text().replace('"digests": {}', '"digests": {"nodes.parquet": "other"}'))
    assert "has changed since" in write_report(run).read_text(encoding="utf-8")


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run / "certificate.json").unlink()
    with pytest.raises(InputError, match="has not ended"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_all_missing_and_broken_tables_are_told_at_once(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run / "prices.parquet").unlink()
    (run / "plan" / "orders.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(InputError) as caught:
        write_report(run)
    assert "prices.parquet" in str(caught.value)
    assert "orders.parquet" in str(caught.value)


def test_an_instance_that_moved_can_be_given(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (tmp_path / "instance").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="--instance"):
        write_report(run)
    assert write_report(run, tmp_path / "page.html", tmp_path / "elsewhere").name == "page.html"


def test_names_stand_before_ids(tmp_path: Path) -> None:
    orders = plan_tables(instance_frames(40))["plan/orders"]
    named = orders.with_columns(item_name=pl.lit("Kettle"), vendor_name=pl.lit(""), node_name=pl.lit("North depot"))
    page = write_report(make_run(tmp_path, orders=named)).read_text(encoding="utf-8")
    top = orders.sort("cost", "item_id", descending=[True, False]).row(0, named=True)
    assert f"Kettle ({top['item_id']})" in page
    assert f"{top['vendor_id']} → North depot ({top['node_id']})" in page
