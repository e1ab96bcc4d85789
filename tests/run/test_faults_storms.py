"""A storm over archive and run, which both lie behind an S3 server: a fifth of the requests fail."""

from __future__ import annotations

from pathlib import Path

from seisflow.deploy.local import Local
from seisflow.method import build
from seisflow.run import run_workflow
from seisflow.workflow import load_workflow
from tests.run.conftest import SmallArchive
from tests.run.counting import ledger_rows
from tests.run.stores import on_s3
from tests.run.test_resume import counts
from tests.run.test_store_runs import tables_of, workflow_in
from tests.services.storms import Fault, Storm


def test_a_run_from_s3_to_s3_in_a_storm(storm: Storm, small_archive: SmallArchive, tmp_path: Path) -> None:
    bucket = storm.server.bucket()
    for path in sorted((small_archive.folder / "sds").rglob("*.D.2020.*")):
        storm.server.put(f"{bucket}/{path.relative_to(small_archive.folder)}", path.read_bytes())
    options = storm.server.storage_options
    archive = build("archive", {"method": "sds", "root": f"{bucket}/sds", "storage_options": options})
    store = on_s3(storm.server)
    workflow = load_workflow(workflow_in(small_archive, store, tmp_path))
    workflow = workflow.model_copy(update={"archive": archive})
    storm.forget()
    storm.faults = [
        Fault("status", 503, "SlowDown", share=0.05),
        Fault("status", 500, "InternalError", share=0.05),
        Fault("reset", share=0.05, after_bytes=100),
        Fault("stall", share=0.04, after_bytes=100, seconds=1.0),
        Fault("lost", first=3, methods=("PUT",)),
    ]
    deployment = Local(workers=2, dashboard_port=0)
    stormy = workflow.model_copy(update={"deployment": deployment})
    with deployment.connect() as client:
        report = run_workflow(stormy, client)
    struck = [fault.struck for fault in storm.faults]
    storm.calm()
    assert sum(struck) > len(storm.requests) / 10, f"the storm struck {struck} of {len(storm.requests)}"
    assert all(struck), "each kind of fault struck"
    assert report.exit_status == 0
    assert counts(report) == {"picking": (8, 0), "association": (2, 0), "location": (2, 0)}
    assert len(ledger_rows(store)) == 12
    again = run_workflow(workflow)
    assert counts(again) == {"picking": (0, 8), "association": (0, 2), "location": (0, 2)}
    by_name = {key.rsplit("/", 1)[-1]: content for key, content in tables_of(store).items()}
    assert by_name == small_archive.undisturbed()
