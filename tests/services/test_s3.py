"""The S3 server that the tests stand on refuses what S3 refuses."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.services.s3 import S3Server


def _split(url: str) -> dict[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


@pytest.fixture
def url(s3_server: S3Server) -> str:
    url = f"{s3_server.bucket()}/object"
    s3_server.put(url, b"samples")
    return url


def test_what_is_written_can_be_read(s3_server: S3Server, url: str) -> None:
    assert s3_server.client().get_object(**_split(url))["Body"].read() == b"samples"


@pytest.mark.parametrize(
    ("stranger", "code"),
    [({"key": "AKIANOBODY"}, "InvalidAccessKeyId"), ({"secret": "wrong"}, "SignatureDoesNotMatch")],
)
def test_strangers_are_refused(s3_server: S3Server, url: str, stranger: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        s3_server._replace(**stranger).client().get_object(**_split(url))


def test_conditional_writes_are_conditional(s3_server: S3Server, url: str) -> None:
    client, where = s3_server.client(), _split(url)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(**where, Body=b"mine", IfNoneMatch="*")
    stamp = client.head_object(**where)["ETag"].strip('"')  # radosgw 16 takes a quoted one for another
    client.put_object(**where, Body=b"first", IfMatch=stamp)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(**where, Body=b"second", IfMatch=stamp)
    assert client.get_object(**where)["Body"].read() == b"first"
