"""A real browser without a window: which scripts ran, and which requests left a page."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.reliability.hostile.payloads import OWNED

LIMIT_S = 120
_MARK = re.compile(r"<html[^>]*\bdata-owned")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
SEARCHES = ("", "#find=e", "#find=%3Cscript")


def browser_command() -> str | None:
    """The installed Chromium or Chrome, or None."""
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


class Browser:
    """Opens pages in a headless Chromium, beside a server that counts requests."""

    def __init__(self, folder: Path) -> None:
        """Start the server.

        Args:
            folder: Folder for the browser's profile and copies of pages.
        """
        self._folder = folder
        self._requests = list[str]()
        requests = self._requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def version(self) -> str:
        """Name and version of the browser."""
        command = [str(browser_command()), "--version"]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=True
        ).stdout.strip()

    def detects_an_attack(self) -> bool:
        """Whether a page that is open to attacks is recognized, by script and by request."""
        page = self._folder / "open.html"
        page.write_text(f'<html><script>{OWNED}</script><img src="{self._canary}">')
        return len(self._opened(page, "")) == 2

    def faults(self, page: Path, searches: Sequence[str] = SEARCHES) -> list[str | None]:
        """One entry for each way to open a page: a fault, or None.

        The page is opened as it is, and without its Content-Security-Policy, which would hide a text
        that is not escaped.
        """
        text = page.read_text(encoding="utf-8").replace(r"{port}", str(self.port))
        page.write_text(text, encoding="utf-8")
        weak = page.with_name("weak-" + page.name)
        weak.write_text(_POLICY.sub("", text, count=1), encoding="utf-8")
        found = list[str | None]()
        for path in (page, weak):
            for search in searches:
                faults = self._opened(path, search, needs_rows=True)
                found.append(f"{path.name}{search}: {'; '.join(faults)}" if faults else None)
        return found

    @property
    def _canary(self) -> str:
        return f"http://127.0.0.1:{self.port}/canary"

    def _opened(self, page: Path, search: str, needs_rows: bool = False) -> list[str]:
        self._requests.clear()
        command = [
            *(str(browser_command()), "--headless", "--no-sandbox", "--disable-gpu"),
            *("--no-first-run", "--disable-background-networking", "--virtual-time-budget=3000"),
            *(f"--user-data-dir={self._folder / 'profile'}", "--disable-dev-shm-usage"),
            *("--dump-dom", page.resolve().as_uri() + search),
        ]
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
        content = done.stdout.decode(errors="replace")
        faults = ["a script ran"] if _MARK.search(content) else []
        if "</html>" not in content:
            faults.append(f"the page was not opened: {done.stderr[-200:]!r}")
        if needs_rows and '<section id="samples"' not in content:
            faults.append("the page has no samples")
        if needs_rows and 'hidden=""' in content.split('id="search"')[-1][:60]:
            faults.append("our own script did not run")
        if self._requests:
            faults.append(f"requests: {self._requests[:3]}")
        return faults
