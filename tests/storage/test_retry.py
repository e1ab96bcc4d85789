"""Patience with storage: bounded, jittered, and none where it is no help."""

from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from seisflow.errors import (
    AccessError,
    ArchiveError,
    ConflictError,
    MetadataError,
    MissingFileError,
    SeisflowError,
)
from seisflow.storage import retry, retrying
from seisflow.storage.failures import Meaning, failure_of


class Clock:
    """A time that passes only in sleep and in work."""

    def __init__(self) -> None:
        self.now, self.waits = 1000.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retry, "time", clock)
    return clock


def refusal(code: str, status: int) -> boto.ClientError:
    """Return what botocore raises for an answer of S3."""
    answer = {"Error": {"Code": code, "Message": "said the server"}}
    return boto.ClientError(answer | {"ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")  # type: ignore[arg-type]


def caused(outer: Exception, cause: Exception) -> Exception:
    """Return an error with its cause, as s3fs raises them."""
    outer.__cause__ = cause
    return outer


def failing(clock: Clock, error: BaseException, seconds: float = 0.0, first: int = 10**9) -> Any:
    """Return an operation that fails so many times, and takes its time."""
    calls = []

    def operation() -> int:
        clock.now += seconds
        calls.append(clock.now)
        if len(calls) <= first:
            raise error
        return len(calls)

    operation.calls = calls  # type: ignore[attr-defined]
    return operation


@given(
    patience_s=st.floats(0, 1000),
    seconds=st.floats(0, 40),
    first=st.integers(0, 60),
)
def test_the_last_attempt_begins_within_the_patience(patience_s: float, seconds: float, first: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(retry, "time", clock)
        operation = failing(clock, ConnectionResetError("reset"), seconds, first)
        outcome: object
        try:
            outcome = retrying(operation, "s3://b/k", patience_s=patience_s)
        except ArchiveError as error:
            outcome = error
        if isinstance(outcome, ArchiveError):
            assert f"given up after {len(operation.calls)} attempts" in str(outcome)
            assert clock.now - 1000.0 >= patience_s  # never before it is at its end
        else:
            assert outcome == first + 1
        begun = [end - seconds - 1000.0 for end in operation.calls]
        assert max(begun) <= patience_s + 1e-6
        assert all(wait <= retry.wait_bound_s(i) for i, wait in enumerate(clock.waits))


def test_waits_grow_and_are_spread_over_all_of_their_range(clock: Clock) -> None:
    fractions = []
    for _ in range(300):
        clock.waits.clear()
        retrying(failing(clock, TimeoutError(), first=8), "s3://b/k", patience_s=1e6)
        fractions.append([wait / retry.wait_bound_s(i) for i, wait in enumerate(clock.waits)])
    bounds = [retry.wait_bound_s(i) for i in range(30)]
    assert bounds[:4] == [0.1, 0.2, 0.4, 0.8]
    assert bounds[-1] == 20.0
    # Full jitter: uniform between nothing and the bound, at every attempt.
    deciles = np.histogram(np.ravel(fractions), bins=10, range=(0, 1))[0] / 2400
    np.testing.assert_allclose(deciles, 0.1, atol=0.04)


TRANSIENT = [
    refusal("SlowDown", 503),
    refusal("InternalError", 500),
    refusal("503", 503),  # a HEAD request: no body, no code
    refusal("TooManyRequests", 429),
    refusal("ThrottlingException", 400),
    refusal("RequestTimeout", 400),
    refusal("ConditionalRequestConflict", 409),
    caused(OSError(16, "Please reduce your request rate."), refusal("SlowDown", 503)),
    ConnectionResetError(104, "Connection reset by peer"),
    ConnectionRefusedError(111, "Connection refused"),
    TimeoutError(),
    boto.ReadTimeoutError(endpoint_url="http://s3"),
    boto.ConnectTimeoutError(endpoint_url="http://s3"),
    boto.EndpointConnectionError(endpoint_url="http://s3"),
    boto.ConnectionClosedError(endpoint_url="http://s3"),
    boto.FlexibleChecksumError(error_msg="Expected checksum one did not match calculated checksum: other"),
    boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ResponseParserError("no XML"),
    aiohttp.ClientPayloadError("Response payload is not completed"),
    aiohttp.ServerDisconnectedError(),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_may_pass_is_tried_again(clock: Clock, error: Exception) -> None:
    assert failure_of(error).meaning is Meaning.TRANSIENT
    assert retrying(failing(clock, error, first=3), "s3://b/k") == 4


PERMANENT = [
    (refusal("AccessDenied", 403), AccessError, "anon: true"),
    (refusal("403", 403), AccessError, "anon: true"),
    (caused(PermissionError("Forbidden"), refusal("403", 403)), AccessError, "credentials"),
    (refusal("InvalidAccessKeyId", 403), AccessError, "nobody has this access key"),
    (refusal("SignatureDoesNotMatch", 403), AccessError, "the secret key is wrong"),
    (refusal("ExpiredToken", 400), AccessError, "expired"),
    (refusal("RequestTimeTooSkewed", 403), AccessError, "clock"),
    (refusal("PermanentRedirect", 301), AccessError, "region_name"),
    (refusal("AuthorizationHeaderMalformed", 400), AccessError, "region_name"),
    (boto.NoCredentialsError(), AccessError, "anon: true"),
    (refusal("NoSuchBucket", 404), MissingFileError, "name of the bucket"),
    (refusal("NoSuchKey", 404), MissingFileError, "can not be read: NoSuchKey"),
    (FileNotFoundError(2, "gone"), MissingFileError, "gone"),
    (refusal("PreconditionFailed", 412), ConflictError, "PreconditionFailed"),
    (PermissionError(13, "a disk"), AccessError, "a disk"),
    (refusal("InvalidArgument", 400), ArchiveError, "InvalidArgument"),
    (ValueError("a mistake of ours"), ArchiveError, "a mistake of ours"),
]


@pytest.mark.parametrize(("error", "family", "said"), PERMANENT, ids=repr)
def test_what_does_not_pass_ends_at_once(
    clock: Clock, error: Exception, family: type[SeisflowError], said: str
) -> None:
    operation = failing(clock, error)
    with pytest.raises(family, match="s3://b/k can not be read") as caught:
        retrying(operation, "s3://b/k")
    assert said in str(caught.value)
    assert len(operation.calls) == 1
    assert not clock.waits
    assert type(caught.value) is family
    assert family.permanent is (family is not ArchiveError)


def test_errors_of_ours_pass_as_they_are(clock: Clock) -> None:
    with pytest.raises(MetadataError, match="known already"):
        retrying(failing(clock, MetadataError("known already")), "s3://b/k")


def test_an_interruption_is_no_failure(clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt):
        retrying(failing(clock, KeyboardInterrupt()), "s3://b/k")
