"""The ``/seisflow`` page on the scheduler's dashboard: how far the runs are that report to it.

Dask adds the `routes` of every module in its setting ``distributed.scheduler.http.routes`` to the
scheduler's HTTP server. The page is one file that asks nothing of any other server; it polls
``/seisflow/feed.json``, which gives the newest event of each run under the topic ``seisflow``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import dask
from distributed.http.utils import RequestHandler

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["FeedData", "Page", "dashboard_of", "routes"]

TOPIC = "seisflow"
ROUTES = "seisflow.run.dashboard"


class Page(RequestHandler):
    """The page itself: one HTML file, with a policy that lets it ask this server alone."""

    def get(self) -> None:
        """Give the page."""
        page, policy = _page()
        self.set_header("Content-Security-Policy", policy)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-cache")
        self.write(page)


class FeedData(RequestHandler):
    """What the page polls: the newest snapshot of each run, and its age by the scheduler's clock."""

    def get(self) -> None:
        """Give the runs, those heard of last first."""
        now_s = time.time()
        newest = {said["run"]: (at_s, said["snapshot"]) for at_s, said in self.server.get_events(TOPIC)}
        runs = [
            {"age_s": round(max(0.0, now_s - at_s), 1), "snapshot": json.loads(snapshot)}
            for at_s, snapshot in sorted(newest.values(), reverse=True)
        ]
        workers = self.server.workers.values()
        content = {"runs": runs, "workers": len(workers), "threads": sum(w.nthreads for w in workers)}
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.write(json.dumps(content))


def dashboard_of(client: Client) -> str:
    """Return where to look at a run: the page where the scheduler was started with it, else Dask's own."""
    link = str(client.dashboard_link)
    modules = client.run_on_scheduler(dask.config.get, "distributed.scheduler.http.routes")
    return f"{link.rsplit('/', 1)[0]}/seisflow" if ROUTES in modules else link


@cache
def _page() -> tuple[str, str]:
    """Return the page and its Content-Security-Policy: its own style and script, and nothing else."""
    page = files("seisflow.run").joinpath("dashboard.html").read_text(encoding="utf-8")
    style = " ".join(_hashes(page, "style"))
    script = " ".join(_hashes(page, "script"))
    policy = (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return page, policy


def _hashes(page: str, tag: str) -> list[str]:
    """Return the hashes of the inline elements of a page, as a policy names them."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found]


routes: list[tuple[str, type, dict[str, Any]]] = [
    (r"seisflow", Page, {}),
    (r"seisflow/feed\.json", FeedData, {}),
]
