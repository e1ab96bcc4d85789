"""Places on S3: against a real server, in quiet and in storms; requests are counted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seisflow.errors import AccessError, ArchiveError, MissingFileError
from seisflow.storage import Place, open_place
from seisflow.storage.s3 import list_pages
from tests.services.s3 import S3Server
from tests.services.storms import Fault, Storm

CONTENT = os.urandom(300_000)
PATIENCE_S = 30.0
IMPATIENT = {"read_timeout": 1.0}


@pytest.fixture
def s3_server(any_storm: Storm) -> S3Server:
    """Give each S3 server, in fair weather."""
    return any_storm.server


@pytest.fixture
def bucket(any_storm: Storm) -> str:
    """Return a bucket with an object in a folder in a folder."""
    url = any_storm.server.bucket()
    any_storm.server.put(f"{url}/2014/Z7/day", CONTENT)
    any_storm.forget()
    return url


def place_in(any_storm: Storm, url: str, patience_s: float = PATIENCE_S, **options: Any) -> Place:
    """Open a place through the any_storm, with a client that waits only shortly for a byte."""
    return open_place(
        url, {**any_storm.server.storage_options, "config_kwargs": IMPATIENT, **options}, patience_s
    )


class TestQuiet:
    def test_folders_and_files_are_found(self, s3_server: S3Server, bucket: str) -> None:
        for key in ("2014/Z7/.hidden", "2014/Z7/empty/", "2014/A1/a b+c%25", "2014x/other"):
            s3_server.put(f"{bucket}/{key}", b"")
        root = open_place(bucket, s3_server.storage_options)
        assert root.is_folder()
        assert not root.below("201").is_folder()
        assert not root.below("2014/Z7/day").is_folder()
        assert [place.uri for place in root.below("2014").folders()] == [
            f"{bucket}/2014/A1",
            f"{bucket}/2014/Z7",
        ]
        files = root.below("2014").files()
        assert [(file.relative, file.n_bytes) for file in files] == [("A1/a b+c%25", 0), ("Z7/day", 300_000)]
        assert open_place(files[1].uri, s3_server.storage_options).read_bytes() == CONTENT

    def test_one_file_is_listed_by_its_name(self, s3_server: S3Server, bucket: str) -> None:
        (file,) = open_place(f"{bucket}/2014/Z7/day", s3_server.storage_options).files()
        assert (file.uri, file.relative, file.n_bytes) == (f"{bucket}/2014/Z7/day", "day", 300_000)
        assert file.stamp

    def test_a_range_of_bytes(self, s3_server: S3Server, bucket: str) -> None:
        place = open_place(f"{bucket}/2014/Z7/day", s3_server.storage_options)
        assert place.read_bytes(1000, 2000) == CONTENT[1000:2000]
        assert place.read_bytes(start=299_990) == CONTENT[-10:]

    def test_what_is_not_there(self, s3_server: S3Server, bucket: str) -> None:
        with pytest.raises(FileNotFoundError, match="there is no folder or file"):
            open_place(f"{bucket}/2015", s3_server.storage_options).files()
        with pytest.raises(MissingFileError, match="NoSuchKey"):
            open_place(f"{bucket}/2015", s3_server.storage_options).read_bytes()
        with pytest.raises(MissingFileError, match="check the name of the bucket"):
            open_place("s3://seisflow-no-such-bucket/a", s3_server.storage_options).read_bytes()

    def test_a_long_run_sees_new_and_changed_files(self, s3_server: S3Server, bucket: str) -> None:
        place = open_place(f"{bucket}/2014/Z7", s3_server.storage_options)
        before = place.files()
        assert len(place.fs.ls(place.path)) == 1
        s3_server.put(f"{bucket}/2014/Z7/next", b"new")
        s3_server.put(f"{bucket}/2014/Z7/day", b"changed")
        after = open_place(f"{bucket}/2014/Z7", s3_server.storage_options).files()
        assert [(file.relative, file.n_bytes) for file in after] == [("day", 7), ("next", 3)]
        assert after[0] != before[0]
        assert len(place.fs.ls(place.path)) == 2  # s3fs itself keeps listings unless told otherwise
        assert place.fs.info(f"{place.path}/day")["size"] == 7

    def test_a_folder_of_many_pages(self, s3_server: S3Server, bucket: str) -> None:
        for i in range(23):
            s3_server.put(f"{bucket}/many/{i:02d}", b"")
        place = open_place(bucket, s3_server.storage_options)
        pages = list(list_pages(place.fs, f"{place.path}/many/", at_most=5, start_after="many/02"))
        assert [len(page.objects) for page in pages] == [5, 5, 5, 5]
        assert [entry["Key"][-2:] for page in pages for entry in page.objects] == [
            f"{i:02d}" for i in range(3, 23)
        ]


class TestRefusal:
    """Wrong credentials end at once: one request, no second."""

    @pytest.mark.parametrize("ask", [Place.read_bytes, Place.files, Place.folders, Place.is_folder])
    @pytest.mark.parametrize(
        ("stranger", "advice"),
        [
            ({"key": "AKIANOBODY"}, "nobody has this access key"),
            ({"secret": "wrong"}, "the secret key is wrong"),
            ({"key": None, "secret": None, "anon": True}, "anon: true"),
        ],
    )
    def test_wrong_credentials(
        self, any_storm: Storm, bucket: str, ask: Any, stranger: dict[str, Any], advice: str
    ) -> None:
        with pytest.raises(AccessError, match=advice) as caught:
            ask(place_in(any_storm, f"{bucket}/2014/Z7/day", **stranger))
        assert len(any_storm.requests) == 1
        assert caught.value.permanent

    def test_no_credentials_at_all(
        self, any_storm: Storm, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        where = any_storm.server.client_options
        with pytest.raises(AccessError, match="anon: true"):
            open_place(f"{bucket}/2014/Z7/day", where, PATIENCE_S).read_bytes()
        assert not any_storm.requests
        # Credentials that come later in the same process are found: nothing is kept of the failure.
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", any_storm.server.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", any_storm.server.secret)
        assert open_place(f"{bucket}/2014/Z7/day", where, PATIENCE_S).read_bytes() == CONTENT

    def test_a_public_bucket_needs_none(self, s3_server: S3Server) -> None:
        url = s3_server.bucket(public=True)
        s3_server.put(f"{url}/a/b", CONTENT)
        place = open_place(url, s3_server.anonymous_options)
        assert [file.relative for file in place.files()] == ["a/b"]
        assert place.below("a/b").read_bytes() == CONTENT


FAULTS = {
    "503": Fault(status=503, code="SlowDown", first=3),
    "500": Fault(status=500, code="InternalError", first=3),
    "429": Fault(status=429, code="TooManyRequests", first=3),
    "reset before the answer": Fault("lost", first=3),
    "reset in the body": Fault("reset", after_bytes=100, first=2),
    "stall before the body": Fault("stall", first=1),
    "stall in the body": Fault("stall", after_bytes=100, first=1),
    "cut body": Fault("truncate", after_bytes=100, first=2),
}


class TestStorms:
    @pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
    def test_a_file_is_read_whole_after_faults(self, any_storm: Storm, bucket: str, fault: Fault) -> None:
        any_storm.faults = [replace(fault)]
        assert place_in(any_storm, f"{bucket}/2014/Z7/day").read_bytes() == CONTENT
        assert any_storm.faults[0].struck == fault.first
        assert len(any_storm.requests) == fault.first + 1

    @pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
    def test_a_folder_is_listed_whole_after_faults(self, any_storm: Storm, bucket: str, fault: Fault) -> None:
        any_storm.faults = [replace(fault)]
        place = place_in(any_storm, bucket)
        assert place.is_folder()
        assert [file.relative for file in place.files()] == ["2014/Z7/day"]
        assert [folder.name for folder in place.folders()] == ["2014"]
        assert any_storm.faults[0].struck == fault.first
        assert len(any_storm.requests) == fault.first + 3

    def test_a_page_that_fails_does_not_begin_the_listing_anew(self, any_storm: Storm, bucket: str) -> None:
        for i in range(12):
            any_storm.server.put(f"{bucket}/many/{i:02d}", b"")
        any_storm.forget()
        # Every page fails twice; a listing that began anew would never come to its end.
        any_storm.faults = [
            Fault(first=2, pattern="*start-after*"),
            Fault(first=8, share=2 / 3, pattern="*continuation-token*"),
        ]
        place = place_in(any_storm, bucket)
        pages = list(list_pages(place.fs, f"{place.path}/many/", at_most=3, start_after="many/"))
        assert [entry["Key"][-2:] for page in pages for entry in page.objects] == [
            f"{i:02d}" for i in range(12)
        ]
        struck = sum(fault.struck for fault in any_storm.faults)
        assert struck > 4
        assert len(any_storm.requests) == 4 + struck

    def test_an_outage_that_lasts_ends_with_the_patience(self, any_storm: Storm, bucket: str) -> None:
        place = place_in(any_storm, f"{bucket}/2014/Z7/day", patience_s=2.0)
        assert place.read_bytes() == CONTENT
        any_storm.faults = [Fault()]
        with pytest.raises(ArchiveError, match=r"SlowDown \(HTTP 503\).*given up after") as caught:
            place.read_bytes()
        assert not caught.value.permanent
        assert len(any_storm.requests) > 2

    @pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
    def test_nothing_below_retries_by_itself(self, any_storm: Storm, bucket: str, fault: Fault) -> None:
        any_storm.faults = [replace(fault, first=None)]
        for ask in (Place.read_bytes, Place.files):
            with pytest.raises(ArchiveError, match="given up after 1 attempts"):
                ask(place_in(any_storm, f"{bucket}/2014/Z7/day", patience_s=0.0))
        # aiohttp asks once more by itself where a connection that it kept open is found closed.
        assert len(any_storm.requests) <= (4 if fault.kind == "lost" else 2)

    def test_a_byte_that_changes_on_the_way_is_noticed(self, storm: Storm) -> None:
        url = f"{storm.server.bucket()}/day"
        storm.server.put(url, CONTENT)  # S3 keeps its checksum; radosgw 16 keeps none
        storm.faults = [Fault("flip", first=2)]
        assert place_in(storm, url).read_bytes() == CONTENT
        assert storm.faults[0].struck == 2

    def test_a_server_that_comes_back(self, any_storm: Storm, bucket: str) -> None:
        any_storm.faults = [Fault("lost", first=6)]
        assert place_in(any_storm, f"{bucket}/2014/Z7/day").read_bytes(10, 20) == CONTENT[10:20]
