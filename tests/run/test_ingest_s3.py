"""A store in a bucket: the same samples, few requests, and patience when the server refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seisflow.archive import scan_archive
from seisflow.archive.zarr import Zarr
from seisflow.keys import Period, Window
from seisflow.run.ingest import ingest_archive
from tests.run.conftest import SmallArchive
from tests.run.test_ingest import PERIOD, samples_of
from tests.services.storms import Fault, Storm

DAY = Period("2020-01-01", "2020-01-02")


def test_a_bucket_holds_what_a_disk_would(small_archive: SmallArchive, storm: Storm, tmp_path: Path) -> None:
    options = storm.server.storage_options
    workflow = small_archive.load(tmp_path / "run", storage_options=options)
    root = f"{storm.server.bucket()}/waveforms"
    storm.faults = [Fault(share=0.15)]
    assert ingest_archive(workflow, root).exit_status == 0
    assert storm.faults[0].struck > 5
    store = Zarr(root=root, storage_options=options)
    assert samples_of(store, PERIOD) == samples_of(workflow.archive, PERIOD)
    storm.calm()

    holdings = scan_archive(store, DAY).holdings
    assert len(holdings) == 12
    assert len(storm.requests) <= 4, "is there a folder, which manifests, and one of them"
    storm.forget()
    uris = holdings["uri"][holdings["station"] == "AAA"].tolist()
    start = np.datetime64("2020-01-01T06:00:30", "ns")
    found = store.read(uris, Window(start, start + np.timedelta64(60, "s")))
    assert [len(channel.samples) for channel in found.channels] == [1500] * 3
    assert len(storm.requests) == 6, "the document and the chunks of each of three channels"
