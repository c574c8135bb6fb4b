"""A run over HTTP: what is answered is what the commands say, and what may not be asked is refused in one form."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_runs import Finished, usual_promotion
from tiny import tiny_frames

from meio_jax.errors import InputError
from meio_jax.items.explain import explain_run
from meio_jax.items.replan import Replanner, ReplanOptions

httpx = pytest.importorskip("httpx", reason="needs httpx")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("uvicorn", reason="needs the extra `serve`")

from meio_jax.serve.server import ServeOptions, Server, is_loopback, read_token  # noqa: E402
from meio_jax.serve.service import RunService  # noqa: E402

TOKEN = "a-token-of-enough-characters"
LIMIT = 20_000


@contextmanager
def serving(run: Path, **options: Any) -> Iterator[Server]:
    """A server in a thread of this process."""
    server = Server(run, ServeOptions(port=0, warm_up=False, max_body=LIMIT, **options))
    begun = threading.Event()

    def work() -> None:
        with usual_promotion():
            server.run(begun.set)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(30)
    try:
        yield server
    finally:
        server.end()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def server(finished: Finished) -> Iterator[Server]:
    with usual_promotion(), serving(finished.folder) as found:
        yield found


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with httpx.Client(base_url=server.url, timeout=600) as found:
        yield found


def refused(answer: Any, status: int) -> dict[str, Any]:
    """The error of an answer, which has one form whatever was wrong."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status
    assert set(error) == {"status", "message", "problems", "omitted"}
    for one in error["problems"]:
        assert set(one) == {"file", "where", "column", "value", "expected", "remedy"}
    return error


def test_health_and_prices(client: Any, finished: Finished) -> None:
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert not health.json()["instance_changed"]
    table = pl.read_parquet(finished.folder / "prices.parquet")
    found = client.get("/prices").json()["prices"]
    assert [row["price"] for row in found] == pytest.approx(table["price"].to_list())
    one = client.get("/prices", params={"resource_id": "outbound", "bucket": 1}).json()["prices"]
    assert [(row["resource_id"], row["bucket"]) for row in one] == [("outbound", 1)]
    assert "outbound" in refused(client.get("/prices", params={"resource_id": "moon"}), 422)["problems"][0]["remedy"]


@pytest.mark.slow
def test_a_replan_is_that_of_python(client: Any, finished: Finished) -> None:
    """Numbers, dates as text, and new stock arrive as tables do; nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*.parquet")}
    stock = [{"item_id": "B", "node_id": "dc1", "units": 900}]
    answer = client.post("/replan", json={"tables": {"on_hand": stock}, "steps": 2})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    with usual_promotion():
        expected = Replanner(finished.folder).replan({"on_hand": pl.DataFrame(stock)}, ReplanOptions(steps=2))
    assert found["orders"] == []
    for name in ("targets", "transfers"):
        table = expected.frames[f"plan/{name}"]
        for column in ("units", "target"):
            if column in table.columns:
                assert [row[column] for row in found[name]] == pytest.approx(table[column].to_list(), rel=1e-5)
    assert found["items"][0]["cost_after"] == pytest.approx(expected.items["cost_after"][0], rel=1e-5)
    named = client.post("/replan", json={"items": ["A", "C"], "steps": 1}).json()
    assert sorted(row["item_id"] for row in named["items"]) == ["A", "C"]
    orders = pl.read_parquet(finished.folder / "plan/orders.parquet")
    assert all(row["order_date"] == orders["order_date"][0].isoformat() for row in named["orders"])
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*.parquet")} == before


@pytest.mark.slow
def test_an_explanation_is_that_of_the_command(client: Any, finished: Finished) -> None:
    found = client.get("/explain", params={"item": "B", "scenarios": 4}).json()
    with usual_promotion():
        expected = json.loads(json.dumps(explain_run(finished.folder, "B", scenarios=4).as_dict()))
    assert found.pop("notes") == []
    assert found["node_id"] == expected["node_id"]
    assert found["slope"] == pytest.approx(expected["slope"], rel=1e-4, abs=1e-6)
    assert client.get("/explain", params={"item": "B", "scenarios": 4}).json()["slope"] == found["slope"]
    assert refused(client.get("/explain", params={"item": "Z"}), 422)["problems"][0]["value"] == "Z"
    assert refused(client.get("/explain"), 422)["problems"][0]["column"] == "item"


WRONG = {
    "no table": ({"tables": {"lanes": []}}, "unknown table"),
    "no item": ({}, "at least one item"),
    "another item": ({"items": ["Z"]}, "'Z'"),
    "a negative number": ({"tables": {"on_hand": [{"item_id": "B", "node_id": "dc1", "units": -1}]}}, "units"),
    "a value that is none": ({"tables": {"on_hand": [{"item_id": "B", "units": [1]}]}}, "units"),
    "another key": ({"items": ["A"], "speed": 1}, "speed"),
    "too many steps": ({"items": ["A"], "steps": 10**6}, "steps"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_request_is_told(client: Any, case: str) -> None:
    body, message = WRONG[case]
    error = refused(client.post("/replan", json=body), 422)
    assert message in error["message"]
    assert error["problems"]


def test_other_refusals_have_the_same_form(client: Any, server: Server) -> None:
    assert "/openapi.json" in refused(client.get("/nothing"), 404)["problems"][0]["remedy"]
    refused(client.get("/replan"), 405)
    refused(client.post("/replan", content=b"{", headers={"content-type": "application/json"}), 422)
    refused(client.post("/replan", content=b'{"items": ["A"]}', headers={"content-type": "text/plain"}), 422)
    assert "max-body-mib" in refused(client.post("/replan", content=b" " * (LIMIT + 1)), 413)["problems"][0]["remedy"]

    def pieces() -> Iterator[bytes]:
        for _ in range(LIMIT // 1000 + 2):
            yield b" " * 1000

    refused(httpx.post(f"{server.url}/replan", content=pieces()), 413)
    refused(client.get("/health", headers={"host": "evil.example"}), 403)


def test_a_client_that_reads_late_gets_the_refusal_of_a_large_request(server: Server) -> None:
    """It sends all of a body that is refused at its first byte, and only then reads: the socket is not reset."""
    text = b" " * (200 * LIMIT)
    head = f"POST /replan HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n\r\n".encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10) as client:
            client.sendall(head)
            for start in range(0, len(text), LIMIT):
                client.sendall(text[start : start + LIMIT])
                if start < 3 * LIMIT:
                    time.sleep(0.02)
            time.sleep(0.05)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"max-body-mib" in answer


def test_openapi_names_every_route(client: Any) -> None:
    found = client.get("/openapi.json").json()
    assert {"/health", "/prices", "/explain", "/replan"} == set(found["paths"])
    assert "ReplanRequest" in found["components"]["schemas"]


def test_health_answers_while_requests_wait_in_line(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time on the device; the line has an end; those that wait are refused when the server is told to end."""
    go, at_once, most = threading.Event(), [0], [0]

    def slow(self: RunService, request: object) -> bytes:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        go.wait(20)
        at_once[0] -= 1
        return b"{}"

    monkeypatch.setattr(RunService, "replan", slow)
    answers: list[Any] = []
    with usual_promotion(), serving(finished.folder, waiting=3) as server:
        ask = lambda: answers.append(httpx.post(f"{server.url}/replan", json={"items": ["A"]}, timeout=60))
        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while len(answers) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [one.status_code for one in answers] == [503, 503]
        assert refused(answers[0], 503)
        assert answers[0].headers["retry-after"]
        started = time.monotonic()
        assert httpx.get(f"{server.url}/health").json()["waiting"] == 3
        assert time.monotonic() - started < 2
        server.end()
        for thread in threads:
            thread.join(20)
        go.set()
    assert [one.status_code for one in answers] == [503] * 5
    assert most[0] == 1


def test_a_token_is_asked_for(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"--host: found '0\.0\.0\.0'.*MEIO_TOKEN"):
        Server(finished.folder, ServeOptions(host="0.0.0.0", port=0))
    with usual_promotion(), serving(finished.folder, token=TOKEN) as server:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            answer = httpx.get(f"{server.url}/health", headers=headers)
            assert TOKEN not in refused(answer, 401)["message"]
            assert answer.headers["www-authenticate"] == "Bearer"
        good = {"authorization": f"Bearer {TOKEN}", "host": "planner.example"}
        assert httpx.get(f"{server.url}/health", headers=good).status_code == 200
    assert [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "0.0.0.0", "a.b")] == [True] * 3 + [
        False
    ] * 2
    monkeypatch.delenv("MEIO_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("MEIO_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    (tmp_path / "token").write_text("short\n", encoding="utf-8")
    with pytest.raises(InputError, match="5 characters"):
        read_token(tmp_path / "token")


def test_a_run_that_changes_is_told(finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    with usual_promotion(), serving(run) as server:
        assert httpx.get(f"{server.url}/prices").status_code == 200
        (run / "prices.parquet").write_bytes((run / "prices.parquet").read_bytes())
        for path in ("/prices", "/explain?item=A"):
            assert "start the server again" in refused(httpx.get(server.url + path), 409)["message"]
        health = httpx.get(f"{server.url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "changed")


def test_a_taken_port_and_absent_libraries_are_told(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="choose another --port"):
        Server(finished.folder, ServeOptions(port=taken.getsockname()[1]))
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r'pip install "meio-jax\[serve\]"'):
        Server(finished.folder, ServeOptions(port=0))


def test_sigterm_ends_the_command_within_two_seconds_while_it_works(finished: Finished) -> None:
    """The first re-plan compiles for seconds: it is under way when the signal comes."""
    root = Path(__file__).parents[2]
    paths = {"PYTHONPATH": os.pathsep.join([str(root), str(root / "kernels")])}
    command = [
        sys.executable,
        "-c",
        "from meio_jax.cli import main; main()",
        "serve",
        str(finished.folder),
        "--port",
        "0",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "MEIO_TOKEN"} | paths
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    url = re.search(r"http://\S+:\d+", process.stderr.readline())
    assert url is not None
    answers: list[Any] = []

    def ask() -> None:
        body = {"items": ["A", "B", "C"], "steps": 1000}
        answers.append(httpx.post(f"{url[0]}/replan", json=body, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    while httpx.get(f"{url[0]}/health", timeout=30).json()["waiting"] < 2:
        time.sleep(0.05)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - started < 2.0
    thread.join(20)
    assert refused(answers[0], 503)
    process.stderr.close()


def test_forecast_rows_of_a_request_are_read_as_those_of_a_file(client: Any) -> None:
    rows = [row for row in tiny_frames()["forecast"].to_dicts() if row["item_id"] == "B"]
    doubled = [{**row, "mean": row["mean"] * 2} for row in rows]
    assert client.post("/replan", json={"tables": {"forecast": doubled}, "steps": 1}).status_code == 200
    short = client.post("/replan", json={"tables": {"forecast": doubled[:3]}, "steps": 1})
    assert "B" in refused(short, 422)["message"]


def test_the_log_holds_nothing_that_a_terminal_acts_on() -> None:
    """What a request said may stand in a message or in a traceback."""
    code = """
import logging
from meio_jax.cli.serve import log_to_terminal
log_to_terminal()
try:
    raise ValueError("of \\x1b]0;title")
except ValueError as error:
    logging.getLogger("meio_jax.serve").error("%s failed", "GET /\\x1b[31m", exc_info=error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "ERROR GET /\\x1b[31m failed\nTraceback" in done.stderr
    assert done.stderr.endswith("ValueError: of \\x1b]0;title\n")
    assert "\x1b" not in done.stderr
