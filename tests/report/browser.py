"""A headless Chromium, driven through its debugging protocol (Chrome DevTools Protocol) with the standard library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
_PATIENCE = 30.0


class _Socket:
    """The client end of a WebSocket (RFC 6455), text frames only."""

    def __init__(self, url: str) -> None:
        place = urlparse(url)
        self.raw = socket.create_connection((place.hostname, place.port), timeout=_PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.raw.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.waiting = b""
        while b"\r\n\r\n" not in self.waiting:
            self.waiting += self.raw.recv(4096)
        self.waiting = self.waiting.split(b"\r\n\r\n", 1)[1]

    def send(self, text: str) -> None:
        content, mask = text.encode(), os.urandom(4)
        size = len(content)
        head = b"\x81" + (
            struct.pack("!B", 0x80 | size)
            if size < 126
            else struct.pack("!BH", 0xFE, size)
            if size < 1 << 16
            else struct.pack("!BQ", 0xFF, size)
        )
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))
        self.raw.sendall(head + mask + masked)

    def _take(self, count: int) -> bytes:
        while len(self.waiting) < count:
            more = self.raw.recv(1 << 16)
            assert more, "the browser hung up"
            self.waiting += more
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def receive(self) -> str:
        text, last = b"", False
        while not last:
            first, size = self._take(2)
            last = bool(first & 0x80)
            if size == 126:
                (size,) = struct.unpack("!H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._take(8))
            text += self._take(size)
        return text.decode()


class Browser:
    """One page of a headless browser; `errors` and `requests` collect what it complains of and asks for."""

    def __init__(self) -> None:
        assert CHROMIUM is not None
        self.home = tempfile.mkdtemp(prefix="browser")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={self.home}"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([CHROMIUM, *options, "about:blank"], stdout=quiet, stderr=quiet)
        port, path = self._address()
        self.socket = _Socket(f"ws://127.0.0.1:{port}{path}")
        self.number, self.session = 0, None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _address(self) -> tuple[str, str]:
        told = Path(self.home) / "DevToolsActivePort"
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if told.exists() and len(lines := told.read_text().split()) == 2:
                return lines[0], lines[1]
            time.sleep(0.05)
        raise TimeoutError("the browser did not start")

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": arguments}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.receive())
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        name, what = event.get("method"), event.get("params", {})
        if name == "Runtime.exceptionThrown" or (name == "Runtime.consoleAPICalled" and what["type"] != "log"):
            self.errors.append(json.dumps(what))
        if name == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.errors.append(what["entry"]["text"])
        if name == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def open(self, page: Path, width: int) -> None:
        """Open a file in a window of the given width."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=page.resolve().as_uri())
        until = time.monotonic() + _PATIENCE
        while self.ask("document.readyState") != "complete" or self.ask("location.href") == "about:blank":
            assert time.monotonic() < until, "the page did not load"
            time.sleep(0.05)

    def ask(self, script: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key)
        down = {"type": "keyDown" if text else "rawKeyDown", "key": key, "windowsVirtualKeyCode": codes[key]}
        self.call("Input.dispatchKeyEvent", **down, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=codes[key])

    def close(self) -> None:
        self.socket.raw.close()
        self.process.terminate()
        self.process.wait(_PATIENCE)
        shutil.rmtree(self.home, ignore_errors=True)
