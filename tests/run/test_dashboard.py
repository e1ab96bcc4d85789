"""The page on the scheduler's dashboard, in a real browser against real schedulers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client

from seisflow.deploy.base import PAGE
from seisflow.deploy.local import Local
from seisflow.run import RunReport, dashboard, run_workflow
from seisflow.run import feed as feed_module
from seisflow.run.feed import Feed
from seisflow.run.store import Store
from seisflow.run.tally import StageTally
from tests.run.browser import Element, open_page
from tests.run.conftest import make_small_archive

EVIL = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Return a client of a local cluster as a deployment gives it."""
    with Local(workers=1, threads_per_worker=2, dashboard_port=0).connect() as client:
        yield client


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the feed speak at once."""
    monkeypatch.setattr(feed_module, "SCHEDULER_EVERY_S", 0.01)
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.1)


def place(client: Client) -> str:
    """Return the root of the dashboard."""
    return str(client.dashboard_link).rsplit("/", 1)[0]


def get(url: str) -> tuple[dict[str, str], str]:
    """Return the headers and the content of an address."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        return dict(answer.headers), answer.read().decode()


def runs_of(client: Client) -> list[dict[str, Any]]:
    """Return what the page polls."""
    _, content = get(f"{place(client)}/seisflow/feed.json")
    return [run["snapshot"] for run in json.loads(content)["runs"]]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 30.0
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"waited 30 s for {what}")
        time.sleep(0.02)


def two_stages() -> list[StageTally]:
    """Return the tally of a run in its middle, with failures of which one has an evil reason."""
    picking = StageTally("picking", total=2_000_000, ok=1_200_000, empty=30_000, failed=17, kept=400_000)
    picking.computed, picking.in_flight, picking.seconds = 830_017, 64, 830_017 * 2.5
    picking.reasons = Counter({"MetadataError": 12, EVIL: 5})
    picking.stations = {f"XX.S{n:02d}": (1000, 1000.0 * n) for n in range(30)}
    location = StageTally("location", total=9_000, ok=4_000, failed=1, computed=4_001)
    location.reasons = Counter({"LocationError": 1})
    return [picking, location]


def figures(page: Element, stage: str) -> dict[str, str]:
    """Return the figures that the page shows of a stage."""
    block = page.one("section", data_stage=stage)
    return {cell.attributes["data-figure"]: cell.text for cell in block.all("dd")}


def test_the_page_shows_the_true_counts(client: Client, tmp_path: Path, at_once: None) -> None:
    with Feed("Iceland & <b>dikes</b>", Store(str(tmp_path / "run")), lambda: client) as feed:
        feed.enter("computing")
        feed.update(two_stages())
        wait_for(lambda: any(run["stages"] for run in runs_of(client)), "the feed")
        page = open_page(f"{place(client)}/seisflow", tmp_path / "profile")
    run = next(r for r in page.all("article", kind="run") if "dikes" in r.text)
    assert run.one("h1").text == "Iceland & <b>dikes</b>"
    assert run.one(kind="pill").text == "computing"
    picking = figures(run, "picking")
    assert (picking["done"], picking["failed"], picking["left"]) == ("1,230,000", "17", "769,983")
    assert (picking["in flight"], picking["per unit"]) == ("64", "2.5 s")
    assert figures(run, "location")["failed"] == "1"
    assert run.one("section", data_stage="picking").one(kind="share").text == "61.5 % of 2,000,000"
    bar = run.one("section", data_stage="picking").one(role="progressbar")
    assert bar.attributes["aria-valuenow"] == "1230017"
    widths = {piece.attributes["class"]: piece.attributes["style"] for piece in bar.all("i")}
    assert widths["kept"] == "width: 20%;"
    assert widths["done"] == "width: 40%;"
    assert widths["empty"] == "width: 1.5%;"
    failures = [[cell.text for cell in row.all("td")] for row in run.one(kind="failures").all("tr")[1:]]
    assert failures == [
        ["12", "picking", "MetadataError"],
        ["5", "picking", EVIL],
        ["1", "location", "LocationError"],
    ]
    slowest = [row.all("td")[0].text for row in run.one(kind="slowest").all("tr")[1:]]
    assert slowest == [f"XX.S{n}" for n in range(29, 19, -1)]
    assert page.one(id="cluster").text == "1 worker · 2 threads"


@pytest.fixture(scope="module")
def tasks() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return, once a run has filled it, what the scheduler knew of its tasks: prefix and annotations."""
    return {}


@pytest.fixture(scope="module")
def computed(
    client: Client, tasks: dict[str, tuple[str, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> RunReport:
    """Return the report of a run on the cluster, of which one unit failed."""
    import obspy

    archive = make_small_archive(tmp_path_factory.mktemp("page"), days=1)
    source = next((archive.folder / "sds").rglob("*BBB..HHZ*"))
    trace = obspy.read(str(source))[0]
    trace.stats.station = "NEW"
    target = Path(str(source).replace("BBB", "NEW"))
    target.parent.mkdir(parents=True)
    trace.write(str(target), format="MSEED")
    workflow = archive.load(archive.folder / "run", deployment={"method": "local", "units_per_task": 2})

    def look(tally: object) -> None:
        tasks.update(client.run_on_scheduler(known_tasks))

    return run_workflow(workflow, client, look)


def known_tasks(dask_scheduler: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return prefix and annotations of the tasks that a scheduler has now."""
    return {
        str(key): (task.prefix.name, dict(task.annotations)) for key, task in dask_scheduler.tasks.items()
    }


def known_spans(dask_scheduler: Any) -> list[tuple[str, ...]]:
    """Return the names of all spans of a scheduler."""
    spans = dask_scheduler.extensions["spans"].spans.values()
    return sorted(span.name for span in spans if span.name[0].startswith("seisflow"))


def test_a_real_run_is_on_the_page_with_its_failure(
    client: Client, computed: RunReport, tmp_path: Path
) -> None:
    assert (computed.stages[0].computed, computed.stages[0].failed) == (5, 1)
    page = open_page(f"{place(client)}/seisflow", tmp_path / "profile")
    run = next(r for r in page.all("article", kind="run") if r.one("h1").text == "small")
    assert run.one(kind="pill").text == "done"
    picking = figures(run, "picking")
    assert (picking["done"], picking["failed"], picking["left"], picking["in flight"]) == ("4", "1", "0", "0")
    assert (figures(run, "association")["done"], figures(run, "location")["done"]) == ("1", "1")
    assert figures(run, "location")["rows"] == "1"
    failures = [[cell.text for cell in row.all("td")] for row in run.one(kind="failures").all("tr")[1:]]
    assert failures == [["1", "picking", "MetadataError"]]
    stations = {row.all("td")[0].text for row in run.one(kind="slowest").all("tr")[1:]}
    assert stations == {f"XX.{code}" for code in ("AAA", "BBB", "CCC", "DDD", "NEW")}


def test_the_dashboard_of_dask_knows_stages_and_station_days(
    client: Client, computed: RunReport, tasks: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    assert client.run_on_scheduler(known_spans) == [
        ("seisflow small",),
        ("seisflow small", "association"),
        ("seisflow small", "location"),
        ("seisflow small", "picking"),
    ]
    assert {prefix for prefix, _ in tasks.values()} <= {"picking", "association", "location"}
    picking = {key: notes for key, (prefix, notes) in tasks.items() if prefix == "picking"}
    assert any(key.startswith("picking-XX.AAA.2020-01-01-") for key in picking)
    assert all(notes["stage"] == "picking" for notes in picking.values())
    named = {unit for notes in picking.values() for unit in notes["units"]}
    assert named <= {f"XX.{code}.2020-01-01" for code in ("AAA", "BBB", "CCC", "DDD", "NEW")}
    assert "XX.AAA.2020-01-01" in named


def test_what_a_reason_holds_is_text_and_never_markup(client: Client, tmp_path: Path, at_once: None) -> None:
    with Feed(EVIL, Store(str(tmp_path / "evil")), lambda: client) as feed:
        feed.update(two_stages())
        wait_for(lambda: any(run["name"] == EVIL for run in runs_of(client)), "the feed")
        page = open_page(f"{place(client)}/seisflow", tmp_path / "profile")
    assert page.all("article"), "the page is there"
    assert "owned" not in page.one("title").text.replace(EVIL, "")
    assert page.all("img") == []
    assert len(page.all("script")) == 1
    assert any(EVIL in cell.text for cell in page.all("td", kind="reason"))


def test_the_page_asks_nothing_of_any_other_server(client: Client) -> None:
    headers, page = get(f"{place(client)}/seisflow")
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["img-src"] == "data:"
    for part in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[\w+/=]+'", policy[part]), "its own and no other"
    namespaces = ("http://www.w3.org/2000/svg",)
    addresses = [found for found in re.findall(r"\w+://[^\s\"'<)]+", page) if found not in namespaces]
    assert addresses == []
    assert not re.findall(r"""(?:src|href)=["'](?!data:)(?:\w+:|/)""", page), "all links are relative"
    assert "innerHTML" not in page


def test_every_link_of_the_page_leads_somewhere(client: Client) -> None:
    _, page = get(f"{place(client)}/seisflow")
    links = re.findall(r"<a href=\"([^\"]+)\"", page)
    assert {"status", "tasks", "seisflow/feed.json"} <= set(links)
    for link in links:
        get(f"{place(client)}/{link}")


def test_runs_that_share_a_scheduler_are_told_apart(client: Client, tmp_path: Path, at_once: None) -> None:
    with (
        Feed("first", Store(str(tmp_path / "first")), lambda: client) as first,
        Feed("second", Store(str(tmp_path / "second")), lambda: client) as second,
    ):
        first.update([StageTally("picking", total=10, ok=3)])
        second.update([StageTally("picking", total=20, ok=20)])

        def counts() -> dict[str, list[int]]:
            return {run["name"]: [stage["ok"] for stage in run["stages"]] for run in runs_of(client)}

        wait_for(lambda: counts().get("first") == [3] and counts().get("second") == [20], "both")
    with Feed("second", Store(str(tmp_path / "second")), lambda: client) as again:
        again.update([StageTally("picking", total=20, ok=4)])
        wait_for(lambda: counts()["second"] == [4], "the newer driver of the same run in place of the older")
    assert [run["name"] for run in runs_of(client)].count("second") == 1


def test_a_driver_that_fell_silent_is_shown_as_such(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.log_event(
        "seisflow",
        {
            "run": "gone",
            "name": "gone",
            "phase": "computing",
            "snapshot": json.dumps(
                Feed("gone", Store(str(tmp_path / "gone"))).snapshot().as_json()
                | {"run": "gone", "phase": "computing"}
            ),
        },
    )
    client.run_on_scheduler(age_events)
    page = open_page(f"{place(client)}/seisflow", tmp_path / "profile")
    run = page.one("article", data_run="gone")
    assert run.one(kind="pill").text == "silent"
    assert "The driver does not report" in run.text


def age_events(dask_scheduler: Any) -> None:
    """Let an hour pass since the events of runs were logged."""
    events = dask_scheduler._broker._topics["seisflow"].events
    kept = [(at - 3600.0, said) if said["run"] == "gone" else (at, said) for at, said in events]
    events.clear()
    events.extend(kept)


def test_a_scheduler_without_runs_says_so(tmp_path: Path) -> None:
    with Local(workers=1, dashboard_port=0).connect() as client:
        page = open_page(f"{place(client)}/seisflow", tmp_path / "profile")
    assert "No run has reported to this scheduler yet." in page.one("main").text


def test_the_link_is_to_the_page_where_there_is_one(client: Client) -> None:
    assert dashboard.dashboard_of(client) == f"{place(client)}/seisflow"
    assert dashboard.__name__ == PAGE


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses that a process listens on."""
    return {c.laddr.ip for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN}


def test_a_local_cluster_listens_on_loopback_alone(client: Client) -> None:
    here = psutil.Process()
    addresses = {process.pid: listening(process) for process in (here, *here.children(recursive=True))}
    assert len([found for found in addresses.values() if found]) >= 2, "scheduler and workers"
    assert set().union(*addresses.values()) == {"127.0.0.1"}


def test_a_scheduler_of_the_command_line_serves_the_page(tmp_path: Path) -> None:
    import dask
    import distributed  # noqa: F401

    modules = [*dask.config.get("distributed.scheduler.http.routes"), PAGE]
    environment = os.environ | {
        "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": json.dumps(modules),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += [
        "--dashboard-address",
        f"127.0.0.1:{port}",
        "--scheduler-file",
        str(file),
        "--dashboard-prefix",
        "/proxied",
    ]
    scheduler = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(file.exists, "the scheduler")
        with (
            Client(scheduler_file=str(file)) as client,
            Feed("far", Store(str(tmp_path / "far")), lambda: client) as feed,
        ):
            feed.update([StageTally("picking", total=10, ok=7, failed=1)])
            wait_for(
                lambda: (
                    '"ok": 7'
                    in get(f"http://127.0.0.1:{port}/proxied/seisflow/feed.json")[1].replace("\\", "")
                ),
                "the feed",
            )
            page = open_page(f"http://127.0.0.1:{port}/proxied/seisflow", tmp_path / "profile")
            assert listening(psutil.Process(scheduler.pid)) == {"127.0.0.1"}
            assert dashboard.dashboard_of(client).endswith("/seisflow")
        assert figures(page.one("article"), "picking")["failed"] == "1"
    finally:
        scheduler.terminate()
        scheduler.wait(20)


def test_the_script_of_the_page_builds_text_only() -> None:
    source = Path(dashboard.__file__).with_suffix(".html").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in source
