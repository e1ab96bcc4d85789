"""Files fetched side by side: all of them, whole, and never more at once than is allowed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from seisflow.errors import AccessError, MissingFileError
from seisflow.storage import fetch
from tests.services.storms import Fault, Storm

N_FILES = 24


@pytest.fixture
def contents(any_storm: Storm) -> dict[str, bytes]:
    """Return objects of many sizes, by URL."""
    bucket = any_storm.server.bucket()
    contents = {f"{bucket}/day-{i:02d}": os.urandom(1 + 7000 * i) for i in range(N_FILES)}
    for url, content in contents.items():
        any_storm.server.put(url, content)
    any_storm.forget()
    return contents


def options(any_storm: Storm, at_once: int = 4, **other: Any) -> dict[str, Any]:
    config = {"max_pool_connections": at_once, "read_timeout": 1.0}
    return {**any_storm.server.storage_options, "config_kwargs": config, **other}


def test_requests_are_concurrent_and_bounded(any_storm: Storm, contents: dict[str, bytes]) -> None:
    any_storm.latency_s = 0.05
    assert fetch([*contents, *contents], options(any_storm)) == contents
    assert any_storm.most_at_once == 4
    assert sorted(any_storm.requests) == sorted(f"GET /{url.removeprefix('s3://')}" for url in contents)


def test_threads_of_a_process_share_the_bound(any_storm: Storm, contents: dict[str, bytes]) -> None:
    any_storm.latency_s = 0.05
    with ThreadPoolExecutor(3) as pool:
        parts = list(
            pool.map(lambda part: fetch(part, options(any_storm)), [list(contents)[i::3] for i in range(3)])
        )
    assert parts[0] | parts[1] | parts[2] == contents
    assert any_storm.most_at_once == 4


def test_the_default_is_bounded(any_storm: Storm, contents: dict[str, bytes]) -> None:
    any_storm.latency_s = 0.3
    assert fetch(list(contents), any_storm.server.storage_options) == contents
    assert any_storm.most_at_once == 16


def test_local_files_are_left_where_they_are(
    any_storm: Storm, contents: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "day").write_bytes(b"local")
    url = next(iter(contents))
    assert fetch([str(tmp_path / "day"), url], options(any_storm)) == {url: contents[url]}
    assert fetch([str(tmp_path / "nowhere")]) == {}


def test_a_storm_changes_nothing(any_storm: Storm, contents: dict[str, bytes]) -> None:
    any_storm.faults = [
        Fault(share=0.5, first=4),
        Fault(status=500, code="InternalError", share=0.5, first=4),
        Fault("reset", after_bytes=500, share=0.5, first=4),
        Fault("truncate", after_bytes=500, share=0.5, first=4),
        Fault("stall", after_bytes=500, share=0.5, first=4),
        Fault("lost", share=0.5, first=4),
    ]
    assert fetch(list(contents), options(any_storm)) == contents
    assert [fault.struck for fault in any_storm.faults] == [4] * 6


def test_one_refusal_ends_the_rest(any_storm: Storm, contents: dict[str, bytes]) -> None:
    with pytest.raises(AccessError, match="the secret key is wrong"):
        fetch(list(contents), options(any_storm, secret="wrong"))
    assert len(any_storm.requests) <= 8  # those under way, and those that took their places meanwhile


def test_a_missing_file_is_named(any_storm: Storm, contents: dict[str, bytes]) -> None:
    url = next(iter(contents))
    with pytest.raises(MissingFileError, match=f"{url}.gone"):
        fetch([url, f"{url}.gone"], options(any_storm))
