"""Tables that lie elsewhere: files, queries, object stores and Delta tables give the same instance as files do."""

from __future__ import annotations

import io
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
import yaml
from folders import settings_content, write_raw
from stores import store
from tiny import tiny_frames, tiny_tables

from meio_jax.errors import InputError
from meio_jax.forecast.run import _copy_instance
from meio_jax.runs.data import changed_since
from meio_jax.runs.resume import table_digests
from meio_jax.tables import Tables, read_instance, read_item_block, read_network, scan_item_ids, write_instance
from meio_jax.tables.digests import file_digest

SECRET = "s3cr/t@pw"


def moved(home: Path, **sources: object) -> Path:
    """The tiny instance with some of its tables elsewhere."""
    frames = {name: frame for name, frame in tiny_frames().items() if name not in sources}
    return write_raw(home / "instance", frames, {**settings_content("mean"), "sources": sources})


def same(tables: Tables, *names: str) -> None:
    """Some tables are those of the tiny instance, but for the order of their rows."""
    for name in names:
        found, expected = tables.frames()[name], tiny_tables().frames()[name]
        assert found.sort(found.columns).equals(expected.sort(expected.columns)), name


def sqlite_of(path: Path, **frames: pl.DataFrame) -> Path:
    with closing(sqlite3.connect(path)) as base:
        for name, frame in frames.items():
            base.execute(f"CREATE TABLE {name} ({', '.join(frame.columns)})")
            marks = ", ".join("?" * frame.width)
            # The last row first: the order of the database changes nothing.
            base.executemany(f"INSERT INTO {name} VALUES ({marks})", frame.reverse().rows())
        base.commit()
    return path


def test_a_query_of_sqlite_needs_no_library(tmp_path: Path) -> None:
    frames = tiny_frames()
    sqlite_of(tmp_path / "erp.db", items=frames["items"], stock=frames["on_hand"])
    query = "SELECT item_id, node_id, units FROM stock"
    folder = moved(
        tmp_path,
        items={"database": "../erp.db", "query": "SELECT * FROM items"},
        on_hand={"database": "../erp.db", "query": query},
    )
    tables = read_instance(folder)
    same(tables, "items", "on_hand")
    assert tables.items["item_id"].to_list() == ["A", "B", "C"]
    assert scan_item_ids(folder).to_list() == ["A", "B", "C"]
    assert read_item_block(folder, ["B"], read_network(folder)).items["item_id"].to_list() == ["B"]
    assert dict(tables.digests) == table_digests(folder)
    assert {"items.query", "on_hand.query"} <= set(tables.digests)


def test_new_rows_are_read_by_the_next_whole_reading_and_tell_the_digests(tmp_path: Path) -> None:
    base = sqlite_of(tmp_path / "erp.db", stock=tiny_frames()["on_hand"])
    folder = moved(tmp_path, on_hand={"database": "../erp.db", "query": "SELECT * FROM stock"})
    before = read_instance(folder)
    known = {"digests": dict(before.digests)}
    assert changed_since(folder, known) == ()
    with closing(sqlite3.connect(base)) as connection:
        connection.execute("UPDATE stock SET units = 99 WHERE item_id = 'B'")
        connection.commit()
    assert before.on_hand["units"].sum() != read_instance(folder).on_hand["units"].sum()
    assert "on_hand.query" in changed_since(folder, known)[0]


def test_numbers_and_texts_in_a_column_of_sqlite_become_texts(tmp_path: Path) -> None:
    mixed = pl.DataFrame({"item_id": ["A"], "node_id": ["fc1"], "units": [3]})
    base = sqlite_of(tmp_path / "erp.db", stock=mixed)
    with closing(sqlite3.connect(base)) as connection:
        connection.execute("INSERT INTO stock VALUES ('B', 'fc1', '2.5')")
        connection.commit()
    folder = moved(tmp_path, on_hand={"database": "../erp.db", "query": "SELECT * FROM stock"})
    assert read_instance(folder).on_hand["units"].to_list() == [3.0, 2.5]


def test_duckdb_files_and_files_by_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra `sql`")
    frames = tiny_frames()
    frames["offers"].write_csv(tmp_path / "offers_1.csv")
    with duckdb.connect(str(tmp_path / "plan.duckdb")) as base:
        base.register("given", frames["items"].to_arrow())
        base.execute("CREATE TABLE things AS SELECT * FROM given")
    folder = moved(
        tmp_path,
        items={"database": "../plan.duckdb", "query": "SELECT * FROM things"},
        offers={"database": ":memory:", "query": "SELECT * FROM read_csv('../offers_*.csv')"},
    )
    same(read_instance(folder), "items", "offers")


def test_the_url_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite by URL stands for a server: the way to it is the same."""
    pytest.importorskip("connectorx", reason="needs the extra `sql`")
    base = sqlite_of(tmp_path / "erp.db", stock=tiny_frames()["on_hand"].with_columns(pl.col("units").cast(pl.Float64)))
    monkeypatch.setenv("ERP_HOME", str(base.parent))
    folder = moved(tmp_path, on_hand={"database": "sqlite://${ERP_HOME}/erp.db", "query": "SELECT * FROM stock"})
    same(read_instance(folder), "on_hand")


def test_no_message_shows_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries say the URL that they were given; a server that cannot be reached is stood in for by its error."""
    pytest.importorskip("connectorx", reason="needs the extra `sql`")

    def unreachable(query: str, url: str, engine: str) -> pl.DataFrame:
        assert url == "postgresql://planner:s3cr%2Ft%40pw@127.0.0.1:1/stock"
        raise RuntimeError(f"no connection to {url} with {SECRET} ({query}, {engine})")

    monkeypatch.setattr(pl, "read_database_uri", unreachable)
    monkeypatch.setenv("DB_USER", "planner")
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    url = "postgresql://${DB_USER}:${DB_PASSWORD}@127.0.0.1:1/stock"
    folder = moved(tmp_path, on_hand={"database": url, "query": "SELECT 1"})
    with pytest.raises(InputError) as told:
        read_network(folder) and read_item_block(folder, ["A"])
    assert "on_hand (from postgresql://127.0.0.1:1/stock" in str(told.value)
    assert SECRET not in str(told.value)
    assert "s3cr" not in str(told.value)


WRONG = {
    "a password": ({"database": f"mysql://me:{SECRET}@h/x", "query": "SELECT 1"}, "write \\$\\{NAME\\}"),
    "a password in the query of a URL": ({"database": f"mysql://h/x?password={SECRET}", "query": "Q"}, "no password"),
    "no query": ({"database": "a.db"}, "a query with a database"),
    "two places": ({"path": "a.csv", "delta": "b"}, "or one of the keys"),
    "another scheme": ("ftp://a/b.csv", "begins with s3://, gs://"),
    "another key": ({"path": "a.csv", "user": "b"}, "sources.on_hand.user"),
    "no such file": ("nowhere.csv", "relative to the folder"),
    "no such database": ({"database": "nowhere.db", "query": "SELECT 1"}, "No such file.*DuckDB or SQLite file"),
    "no such variable": ({"database": "${NOT_SET_HERE}.db", "query": "SELECT 1"}, "variable NOT_SET_HERE"),
    "another ending": ("instance.yaml", "ends in .parquet, .csv or .xlsx"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_source_is_told(tmp_path: Path, case: str) -> None:
    source, message = WRONG[case]
    with pytest.raises(InputError, match=message) as told:
        read_instance(moved(tmp_path, on_hand=source))
    assert SECRET not in str(told.value)


def test_a_failing_query_and_a_name_twice_are_told(tmp_path: Path) -> None:
    sqlite_of(tmp_path / "erp.db", stock=tiny_frames()["on_hand"])
    for query, message in {
        "SELECT absent FROM stock": r"on_hand \(from ../erp.db\), column query: found no such column: absent",
        "SELECT item_id, item_id FROM stock": "column item_id twice",
        "DELETE FROM stock": "readonly",
    }.items():
        with pytest.raises(InputError, match=message):
            read_instance(moved(tmp_path, on_hand={"database": "../erp.db", "query": query}))


def test_an_unknown_table_and_a_table_in_two_forms(tmp_path: Path) -> None:
    frames = tiny_frames()
    frames["items"].write_csv(tmp_path / "items.csv")
    folder = moved(tmp_path, itmes="../items.csv", items="../items.csv")
    with pytest.raises(InputError, match=r"sources.itmes.*did you mean items"):
        read_instance(folder)
    frames["items"].write_csv(folder / "items.csv")
    with pytest.raises(InputError, match=r"items.csv and sources.items of instance.yaml"):
        read_instance(folder)


def test_files_elsewhere_and_beside(tmp_path: Path) -> None:
    frames = tiny_frames()
    frames["items"].write_csv(tmp_path / "things.csv")
    folder = moved(tmp_path, items="../things.csv", lanes="ways.parquet")
    frames["lanes"].write_parquet(folder / "ways.parquet")
    tables = read_instance(folder)
    same(tables, "items", "lanes")
    assert not [one for one in tables.warnings if one.kind == "not read"]
    assert tables.read_from["items"] == "items (from ../things.csv)"
    content = (tmp_path / "things.csv").read_bytes()
    assert tables.digests["items.path"] == file_digest(tables.read_from["items"], content)
    assert dict(tables.digests) == table_digests(folder)


def test_an_instance_written_anew_has_no_sources(tmp_path: Path) -> None:
    tiny_frames()["items"].write_csv(tmp_path / "things.csv")
    folder = moved(tmp_path, items="../things.csv")
    same(read_instance(write_instance(read_instance(folder), tmp_path / "copy")), "items")
    assert "sources" not in yaml.safe_load((tmp_path / "copy/instance.yaml").read_text(encoding="utf-8"))
    _copy_instance(folder, tmp_path / "forecast")
    assert (tmp_path / "forecast/items.parquet").is_file()


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_objects_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """One object, a pattern of objects, and one that is not there; digests are those of the bytes."""
    pytest.importorskip({"s3": "s3fs", "gs": "gcsfs"}[scheme], reason="needs the extra `cloud`")
    frames = tiny_frames()
    items, forecast = frames["items"].write_csv().encode(), frames["forecast"]
    objects = {
        "plan/items.csv": items,
        "plan/demand/a.parquet": parquet_bytes(forecast.head(20)),
        "plan/demand/b.parquet": parquet_bytes(forecast.slice(20)),
    }
    with store(objects) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "planner")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        sources = {"items": f"{scheme}://plan/items.csv", "forecast": f"{scheme}://plan/demand/*.parquet"}
        tables = read_instance(moved(tmp_path, **sources))
        same(tables, "items", "forecast")
        assert tables.digests[f"items.{scheme}"] == file_digest(f"{scheme}://plan/items.csv", items)
        assert tables.read_from["items"] == f"{scheme}://plan/items.csv"
        assert scheme == "gs" or any("planner" in one for one in seen), "requests are signed by the environment"
        with pytest.raises(InputError, match=rf"items \(from {scheme}://plan/none.csv\), column path"):
            read_instance(moved(tmp_path, items=f"{scheme}://plan/none.csv"))


def test_delta_tables_by_version(tmp_path: Path) -> None:
    pytest.importorskip("deltalake", reason="needs the extra `delta`")
    stock = tiny_frames()["on_hand"]
    stock.write_delta(tmp_path / "stock")
    stock.with_columns(units=pl.lit(1.0)).write_delta(tmp_path / "stock", mode="overwrite")
    same(read_instance(moved(tmp_path, on_hand={"delta": "../stock", "version": 0})), "on_hand")
    newest = read_instance(moved(tmp_path, on_hand={"delta": "../stock"}))
    assert newest.on_hand["units"].to_list() == [1.0] * 4
    assert newest.read_from["on_hand"] == "on_hand (from ../stock, version 1)"
    with pytest.raises(InputError, match=r"on_hand \(from ../nowhere\)"):
        read_instance(moved(tmp_path, on_hand={"delta": "../nowhere"}))


ABSENT = {
    "duckdb": ({"database": ":memory:", "query": "SELECT 1"}, "sql"),
    "connectorx": ({"database": "postgresql://h/x", "query": "SELECT 1"}, "sql"),
    "s3fs": ("s3://plan/on_hand.csv", "cloud"),
    "gcsfs": ("gs://plan/on_hand.csv", "cloud"),
    "deltalake": ({"delta": "stock"}, "delta"),
}


@pytest.mark.parametrize("library", ABSENT)
def test_without_a_library_the_way_to_install_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    source, extra = ABSENT[library]
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf'on_hand \(from .*`{library}`.*pip install "meio-jax\[{extra}\]"'):
        read_instance(moved(tmp_path, on_hand=source))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("COPY (SELECT 1) TO '{}'", "COPY"),
        ("SELECT 1; COPY (SELECT 1) TO '{}'", "SELECT and COPY"),
        ("ATTACH '{}' AS other", "ATTACH"),
        ("INSTALL httpfs", "LOAD"),
    ],
)
def test_a_query_of_duckdb_writes_nothing(tmp_path: Path, query: str, told: str) -> None:
    pytest.importorskip("duckdb", reason="needs the extra `sql`")
    made = tmp_path / "made"
    folder = moved(tmp_path, on_hand={"database": ":memory:", "query": query.format(made)})
    with pytest.raises(InputError, match=f"found {told}; expected one SELECT"):
        read_instance(folder)
    assert not made.exists()


@pytest.mark.parametrize("query", ["ATTACH '{}' AS other", "VACUUM INTO '{}'"])
def test_a_query_of_sqlite_makes_no_file(tmp_path: Path, query: str) -> None:
    sqlite_of(tmp_path / "erp.db", stock=tiny_frames()["on_hand"])
    made = tmp_path / "made"
    folder = moved(tmp_path, on_hand={"database": "../erp.db", "query": query.format(made)})
    with pytest.raises(InputError, match=r"not authorized|authorization denied"):
        read_instance(folder)
    assert not made.exists()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT x'ff00' AS item_id, 'dc1' AS node_id, 1 AS units", "column item_id: found values of type Binary"),
        ("SELECT cast(x'ff' AS text) AS item_id, 'dc1' AS node_id, 1 AS units", "UTF-8"),
    ],
)
def test_values_of_sqlite_that_no_cell_can_be_are_told(tmp_path: Path, query: str, told: str) -> None:
    sqlite_of(tmp_path / "erp.db", stock=tiny_frames()["on_hand"])
    with pytest.raises(InputError, match=told):
        read_instance(moved(tmp_path, on_hand={"database": "../erp.db", "query": query}))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("[1, 2] AS item_id, {'a': 1} AS node_id, 1 AS units", "column item_id: found values of type List"),
        ("'A' AS item_id, 'dc1' AS node_id, 170141183460469231731687303715884105727::HUGEINT AS units", "39 digits"),
        ("'A' AS item_id, 'dc1' AS node_id, INTERVAL 1 DAY AS units", "expected"),
        ("'A' AS item_id, 'dc1' AS node_id, '101'::BIT AS units", "expected"),
    ],
)
def test_values_of_duckdb_that_no_cell_can_be_are_told(tmp_path: Path, values: str, told: str) -> None:
    pytest.importorskip("duckdb", reason="needs the extra `sql`")
    with pytest.raises(InputError, match=told):
        read_instance(moved(tmp_path, on_hand={"database": ":memory:", "query": f"SELECT {values}"}))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("a\0b.csv", "sources.on_hand.path: expected text without control characters"),
        ({"database": "a\0b", "query": "SELECT 1"}, "sources.on_hand.database: expected text without control"),
        ({"database": ":memory:", "query": "SELECT 1\0"}, "sources.on_hand.query: expected text without control"),
        ({"delta": "a\x1b[31m"}, "sources.on_hand.delta: expected text without control"),
        ({"delta": "stock", "version": 10**30}, "sources.on_hand.version: expected a value less than"),
    ],
)
def test_a_source_that_cannot_be_named_is_told(tmp_path: Path, source: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_instance(moved(tmp_path, on_hand=source))
