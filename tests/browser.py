"""Debian's Chromium, headless, driven by its own protocol over a pipe: no port, no driver."""

import base64
import ctypes
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60
"""Seconds after which a browser that says nothing is ended: nothing is asserted on time."""


class Unavailable(Exception):
    """There is no browser on this machine."""


@dataclass(frozen=True)
class Seen:
    """A page as a browser showed it."""

    errors: list[str]
    """What scripts, the policy and the console complained of."""
    requests: list[str]
    """Addresses that were asked for, the page's own left out."""
    picture: "Picture"
    value: Any
    """What the expression came to that was asked of it."""


@dataclass(frozen=True)
class Picture:
    """Pixels, as red, green and blue, row by row."""

    width: int
    height: int
    rows: list[bytes] = field(repr=False)
    png: bytes = field(repr=False)

    def colours(self) -> Counter[str]:
        """Return how many pixels have each colour, such as #ffffff."""
        return Counter(
            f"#{row[place : place + 3].hex()}"
            for row in self.rows
            for place in range(0, len(row), 3)
        )


def browser() -> str:
    """Return the browser's command; Unavailable without one."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise Unavailable("there is no Chromium on this machine (Debian: apt install chromium)")


def _dies_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Browser:
    """A browser that is up."""

    def __init__(self, process: subprocess.Popen[bytes], ask: int, said: int) -> None:
        self._process = process
        self._ask = ask
        self._said = said
        self._rest = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []

    def look(
        self,
        page: Path,
        *,
        width: int = 1200,
        height: int = 1200,
        dark: bool = False,
        media: str = "",
        ask: str = "null",
    ) -> Seen:
        """Open a page, let it come to rest, ask it for the value of an expression, picture it."""
        self._events.clear()
        target = self._tell("Target.createTarget", url="about:blank")["targetId"]
        session = self._tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

        def tell(method: str, **given: Any) -> Any:
            return self._tell(method, session, **given)

        for domain in ("Page", "Runtime", "Log", "Network"):
            tell(f"{domain}.enable")
        tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tell("Emulation.setEmulatedMedia", media=media, features=[scheme])
        tell("Page.navigate", url=page.as_uri())
        self._wait("Page.loadEventFired", session)
        said = tell("Runtime.evaluate", expression=ask, returnByValue=True)
        assert "exceptionDetails" not in said, said
        size = tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": min(size["height"], height), "scale": 1}
        shot = tell("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        picture = read_png(base64.b64decode(shot["data"]))
        seen = Seen(
            errors=[_complaint(one) for one in self._of(session) if _complaint(one)],
            requests=[
                url
                for one in self._of(session)
                if one["method"] == "Network.requestWillBeSent"
                and (url := one["params"]["request"]["url"]) != page.as_uri()
            ],
            picture=picture,
            value=said["result"].get("value"),
        )
        self._tell("Target.closeTarget", targetId=target)
        return seen

    def _of(self, session: str) -> list[dict[str, Any]]:
        return [one for one in self._events if one.get("sessionId") == session]

    def _tell(self, method: str, session: str | None = None, **given: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if session is not None:
            message["sessionId"] = session
        os.write(self._ask, json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != self._number:
            self._events.append(said)
        assert "error" not in said, said
        return said["result"]

    def _wait(self, event: str, session: str) -> None:
        while not any(one["method"] == event for one in self._of(session)):
            said = self._next()
            self._events.append(said)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._said], [], [], PATIENCE)[0], "the browser says nothing"
            read = os.read(self._said, 1 << 20)
            assert read, f"the browser ended: {self._process.poll()}"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def _complaint(event: dict[str, Any]) -> str:
    params = event.get("params", {})
    match event["method"]:
        case "Runtime.exceptionThrown":
            return json.dumps(params["exceptionDetails"])
        case "Log.entryAdded":
            return f"{params['entry']['level']}: {params['entry']['text']}"
        case "Runtime.consoleAPICalled" | "Page.javascriptDialogOpening":
            return json.dumps(params)
    return ""


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Start a browser; it and its folder go at the end, and with the tests however they end."""
    command = browser()
    folder = tempfile.mkdtemp(prefix="rp-browser-")
    theirs, ask = os.pipe()
    said, ours = os.pipe()
    arguments = [
        "--headless",
        "--remote-debugging-pipe",
        "--no-sandbox",  # tests may be root's, and pages are ours
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={folder}",
    ]

    def prepare() -> None:
        _dies_with_the_tests()
        # The browser reads at 3 and writes at 4; both ends may have these numbers already.
        high = [os.dup(theirs), os.dup(ours)]
        while min(high) < 5:
            high = [os.dup(one) for one in high]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    process = subprocess.Popen(
        [command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=prepare,
        pass_fds=(3, 4),
        env={**os.environ, "HOME": folder},
        start_new_session=True,
    )
    os.close(theirs)
    os.close(ours)
    try:
        yield Browser(process, ask, said)
    finally:
        os.close(ask)
        os.close(said)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def read_png(content: bytes) -> Picture:
    """Read a PNG of eight bits, in colour, with alpha or without."""
    place, packed, head = 8, b"", b""
    while place < len(content):
        size, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind == b"IHDR":
            head = content[place + 8 : place + 8 + size]
        elif kind == b"IDAT":
            packed += content[place + 8 : place + 8 + size]
        place += 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", head[:10])
    assert (depth, colour) in ((8, 2), (8, 6)), "a PNG of another kind"
    step = 3 if colour == 2 else 4
    lines, stride = zlib.decompress(packed), width * step
    rows, before = [], bytearray(stride)
    for row in range(height):
        start = row * (stride + 1)
        before = _unfiltered(
            lines[start], bytearray(lines[start + 1 : start + 1 + stride]), before, step
        )
        rows.append(bytes(before) if step == 3 else _without_alpha(before))
    return Picture(width=width, height=height, rows=rows, png=content)


def _without_alpha(row: bytearray) -> bytes:
    kept = bytearray(len(row) // 4 * 3)
    for part in range(3):
        kept[part::3] = row[part::4]
    return bytes(kept)


def _unfiltered(kind: int, line: bytearray, above: bytearray, step: int) -> bytearray:
    for place in range(len(line)):
        left = line[place - step] if place >= step else 0
        up = above[place]
        match kind:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case 4:
                guess = _paeth(left, up, above[place - step] if place >= step else 0)
            case _:
                return line
        line[place] = line[place] + guess & 0xFF
    return line


def _paeth(left: int, up: int, corner: int) -> int:
    near = left + up - corner
    return min((left, up, corner), key=lambda one: abs(near - one))
