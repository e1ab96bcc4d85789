"""The command line: parses, calls, prints. Everything heavy is imported by the command that uses it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from seisflow.errors import SeisflowError
from seisflow.plain_commands import plain
from seisflow.training.command import train

if TYPE_CHECKING:
    from seisflow.run import RunReport
    from seisflow.run.store import Store
    from seisflow.workflow import Workflow

__all__ = ["app", "main"]

app = typer.Typer(
    name="seisflow",
    help="Reprocess whole seismic network archives: waveforms to picks, events and hypocentres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(plain)
app.add_typer(train, name="train")

WorkflowFile = Annotated[Path, typer.Argument(metavar="WORKFLOW", help="Workflow file (YAML).")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="BLOCK.KEY=VALUE", help="Replace a setting.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON at the end.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the resulting tables.")]


def main() -> NoReturn:
    """Run the command line; bad input ends with status 2 and one clear message."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(standalone_mode=True)
    except SeisflowError as error:
        typer.secho(f"seisflow: {error}", fg="red", err=True)
        sys.exit(2)
    sys.exit(0)


@contextmanager
def _resumable() -> Iterator[None]:
    """End with a word, and status 130, when a run is interrupted: nothing that was done is lost."""
    try:
        yield
    except KeyboardInterrupt:
        typer.secho("seisflow: interrupted; the same command goes on where it stopped", fg="yellow", err=True)
        raise typer.Exit(130) from None


def _version(asked: bool) -> None:
    if asked:
        from seisflow import __version__

        typer.echo(f"seisflow {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where archive and result go.")] = Path("seisflow-demo"),
    as_json: AsJson = False,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic archive.")] = 1,
) -> None:
    """Make a synthetic network-day with known truth, run the whole workflow on it, and compare."""
    from seisflow.demo import run_demo

    raise typer.Exit(run_demo(folder, seed=seed, as_json=as_json))


@app.command()
def check(workflow: WorkflowFile, settings: Settings = None) -> None:
    """Check a workflow file and print every parameter, defaults included."""
    import yaml

    loaded = _load(workflow, settings)
    typer.echo(yaml.safe_dump(loaded.parameters(), sort_keys=False).rstrip())
    typer.secho(f"{workflow} is valid", fg="green", err=True)


@app.command()
def plan(
    workflow: WorkflowFile,
    settings: Settings = None,
    scan: Annotated[bool, typer.Option("--scan", help="Look at the archive anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a workflow would compute: units, bytes, what is done, and estimated time and memory."""
    from seisflow.run.cost import estimate_cost
    from seisflow.run.plan import make_plan

    made = make_plan(_load(workflow, settings), rescan=scan)
    costs = estimate_cost(made)
    typer.echo(f"{made.workflow.name}: {made.workflow.period}")
    typer.echo(
        f"archive: {len(made.codes)} stations, {len(made.windows)} days, {made.n_bytes / 1e9:.2f} GB, "
        f"{len(made.rejected)} unreadable files"
    )
    for c in costs:
        each = f"{c.seconds:.3g} s a unit, {'measured' if c.measured else 'assumed'}"
        typer.echo(
            f"{c.name:<12} {c.total} units, {c.done} done, {c.left} left, "
            f"about {c.core_hours:.2f} core-hours ({each}), peak memory about {c.memory_mb:.0f} MB"
        )
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "n_bytes": made.n_bytes,
                    "stages": {
                        c.name: {
                            "total": c.total,
                            "left": c.left,
                            "core_hours": round(c.core_hours, 4),
                            "memory_mb": round(c.memory_mb),
                        }
                        for c in costs
                    },
                }
            )
        )


@app.command()
def download(workflow: WorkflowFile, settings: Settings = None) -> None:
    """Download the waveforms of a workflow, or go on with that. Status 1 if some could not be had."""
    from seisflow.archive import Archive

    loaded = _load(workflow, settings)
    archive, period, select = loaded.archive, loaded.period, loaded.stations.select
    if type(archive).acquire is Archive.acquire:
        typer.echo(
            f"an archive of the method '{archive.name}' is read where it is; there is nothing to download"
        )
        return
    with _resumable():
        archive.acquire(period, select, typer.echo)
    n_failed = sum(len(scan.rejected) for scan in archive.scans(period, select))
    if n_failed:
        typer.secho(
            f"{n_failed} files are missing or damaged; a run says which and why", fg="yellow", err=True
        )
    raise typer.Exit(1 if n_failed else 0)


@app.command()
def run(workflow: WorkflowFile, settings: Settings = None, as_json: AsJson = False) -> None:
    """Run a workflow, or go on where an earlier run stopped. Status 1 if some units failed."""
    from rich.console import Console

    from seisflow.run import run_workflow
    from seisflow.run.progress import ProgressDisplay
    from seisflow.run.reporting import report_run

    loaded = _load(workflow, settings)
    console = Console(stderr=True)
    with _resumable(), loaded.deployment.connect() as client:  # type: ignore[attr-defined]
        if client is not None:
            from seisflow.run.dashboard import dashboard_of

            console.print(f"dashboard: {dashboard_of(client)}")
        with ProgressDisplay(console) as progress:
            done = run_workflow(loaded, client, show=progress.show, say=console.print)
    page = report_run(loaded)
    _tell(done, workflow)
    typer.echo(f"tables: {done.tables}\nreport: {page}")
    _finish(done, as_json)


@app.command()
def ingest(
    workflow: WorkflowFile,
    to: Annotated[str, typer.Option("--to", metavar="STORE", help="Folder or s3:// URL of the store.")],
    settings: Settings = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read what is there first; do again what is damaged or gone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the waveforms of a workflow into a Zarr store, or go on. Status 1 if some units failed."""
    from rich.console import Console

    from seisflow.run.ingest import ingest_archive
    from seisflow.run.progress import ProgressDisplay

    loaded, console = _load(workflow, settings), Console(stderr=True)
    connected = loaded.deployment.connect()  # type: ignore[attr-defined]
    with _resumable(), connected as client, ProgressDisplay(console) as progress:
        done = ingest_archive(loaded, to, client, progress.show, console.print, verify=verify)
    _tell(done, f"{workflow} --set output={done.store.root}")
    typer.echo(f"archive: {{method: zarr, root: {done.store.root.rpartition('/')[0]}}}")
    _finish(done, as_json)


def _tell(done: RunReport, where: object) -> None:
    """Print the counts of a run, and how its failures are listed."""
    for s in done.stages:
        typer.echo(f"{s.name:<12} {s.computed} computed, {s.kept} kept, {s.failed} failed, {s.n_rows} rows")
    if len(done.failures):
        typer.secho(f"{len(done.failures)} failures; see: seisflow failures {where}", fg="yellow", err=True)


def _finish(done: RunReport, as_json: bool) -> NoReturn:
    """Print the counts of a run as one line of JSON, where that was asked for, and end."""
    if as_json:
        stages = {
            s.name: {"computed": s.computed, "kept": s.kept, "failed": s.failed, "rows": s.n_rows}
            for s in done.stages
        }
        counts = {"seconds": round(done.seconds, 2), "failures": len(done.failures), "stages": stages}
        typer.echo(json.dumps(counts))
    raise typer.Exit(done.exit_status)


@app.command()
def status(
    workflow: WorkflowFile,
    settings: Settings = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until no driver is at work.")] = False,
) -> None:
    """Say how far a run is: from any machine, also after the driver died.

    With --watch the status is 0 if all was done at the end, 1 if not.
    """
    from seisflow.run.status import read_status
    from seisflow.run.watch import summary, watch_run

    store = _store(_load(workflow, settings))
    if watch:
        try:
            raise typer.Exit(0 if watch_run(store, as_json=as_json).all_done else 1)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
    found = read_status(store)
    if as_json:
        typer.echo(json.dumps(found.as_json()))
        return
    for text in summary(found):
        typer.echo(text)


@app.command()
def failures(
    workflow: WorkflowFile,
    settings: Settings = None,
    notes: Annotated[
        bool, typer.Option(help="Also units that are done, but where something was noticed.")
    ] = False,
) -> None:
    """List every unit that failed and every unreadable file, with the reason."""
    from seisflow.run.progress import printable
    from seisflow.run.status import failed_rows

    n_failed = 0
    for rows in failed_rows(_store(_load(workflow, settings)), notes=notes):
        for row in rows.to_dict("records"):
            fields = (row["stage"], row["unit"], row["status"], row["reason"])
            typer.echo("\t".join(printable(field) for field in fields))
        n_failed += int((rows["status"] == "failed").sum())
    typer.secho(f"{n_failed} failed", fg="yellow" if n_failed else "green", err=True)


@app.command()
def report(workflow: WorkflowFile, settings: Settings = None) -> None:
    """Write the HTML report of a run: one file that needs nothing else."""
    from seisflow.run.reporting import report_run

    typer.echo(report_run(_load(workflow, settings)))


@app.command()
def export(
    workflow: WorkflowFile,
    out: OutFolder,
    form: Annotated[str, typer.Option("--format", help="See: seisflow methods export.")] = "quakeml",
    settings: Settings = None,
) -> None:
    """Write the catalogue of a run in a format of the field."""
    from seisflow.export import export_catalog
    from seisflow.method import build
    from seisflow.run.results import read_catalog
    from seisflow.tables import STATIONS

    store = _store(_load(workflow, settings))
    catalog = read_catalog(store.uri(store.tables), store.storage_options)
    stations = store.read_table(f"{store.tables}/stations.parquet", STATIONS)
    exporter: Any = build("export", form, "--format")
    for path in export_catalog(catalog, stations, exporter, out):
        typer.echo(path)


@app.command()
def methods(
    room: Annotated[str | None, typer.Argument(help="One room only, e.g. picking.")] = None,
    name: Annotated[str | None, typer.Argument(help="One method only, e.g. phasenet.")] = None,
) -> None:
    """List the methods there are, with their parameters, defaults and what is allowed."""
    from seisflow.method import describe, rooms

    typer.echo("\n\n".join(describe(each, name) for each in ([room] if room else rooms())))


def _load(path: Path, settings: list[str] | None) -> Workflow:
    from seisflow.workflow import load_workflow

    return load_workflow(path, settings or [])


def _store(workflow: Workflow) -> Store:
    from seisflow.run.store import Store

    return Store(workflow.output, workflow.storage_options)


if __name__ == "__main__":
    main()
