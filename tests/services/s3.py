"""A real S3 server on loopback for the tests: MiniStack, which checks signatures and conditions.

It lives in an environment of its own, `.venv-services` (it pins its botocore exactly), which
``make test`` makes; ``make .venv-services/installed`` makes it alone.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MINISTACK = ROOT / ".venv-services" / "bin" / "ministack"
REGION = "us-west-2"


class S3Server(NamedTuple):
    """An S3 server that runs, and who may use it.

    Attributes
    ----------
    endpoint : str
        ``http://127.0.0.1:PORT``.
    key, secret : str
        Credentials that may do everything; others are refused.
    region : str
    """

    endpoint: str
    key: str
    secret: str
    region: str = REGION

    @property
    def storage_options(self) -> dict[str, Any]:
        """What `open_place`, an archive or s3fs needs to reach the server."""
        return {"key": self.key, "secret": self.secret, **self.client_options}

    @property
    def anonymous_options(self) -> dict[str, Any]:
        """The same without credentials, as one reads a public bucket."""
        return {"anon": True, **self.client_options}

    @property
    def client_options(self) -> dict[str, Any]:
        """Where the server is."""
        return {"client_kwargs": {"endpoint_url": self.endpoint, "region_name": self.region}}

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.endpoint.removeprefix("http://").partition(":")
        return host, int(port)

    def client(self, service: str = "s3") -> Any:
        """Return a botocore client: another way in than the one under test."""
        return _client(self, service)

    def bucket(self, *, public: bool = False) -> str:
        """Make a bucket and return its URL, ``s3://NAME``; a public one may be read by anybody."""
        name = f"seisflow-{uuid4().hex[:12]}"
        client = self.client()
        # The oldest region is the one without a name.
        where = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        client.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
        if public:
            client.delete_public_access_block(Bucket=name)
            resources = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
            actions = ["s3:GetObject", "s3:ListBucket"]
            policy = {"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": resources}
            client.put_bucket_policy(Bucket=name, Policy=_policy(policy))
        return f"s3://{name}"

    def put(self, url: str, content: bytes) -> None:
        """Write an object."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        self.client().put_object(Bucket=bucket, Key=key, Body=content)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run MiniStack for the session; credentials, signatures and bucket policies are checked."""
    if not MINISTACK.exists():
        pytest.skip("no S3 server to test with: `make .venv-services/installed` installs MiniStack")
    folder = tmp_path_factory.mktemp("ministack")
    endpoint = f"http://127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            tied([str(MINISTACK)]), env=_environment(endpoint, folder), stdout=log, stderr=log
        )
    try:
        wait_until_up(f"{endpoint}/_ministack/health", process, folder / "log")
        yield _with_user(S3Server(endpoint, "test", "test"))
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(params=["s3", pytest.param("ceph", marks=pytest.mark.ceph)])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Run a test on each S3 server: MiniStack always, Ceph with ``--run-ceph``."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@lru_cache
def _client(server: S3Server, service: str) -> Any:
    """Return a client; they are slow to make, and safe to share."""
    import botocore.session
    from botocore.config import Config

    return botocore.session.get_session().create_client(
        service,
        region_name=server.region,
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        config=Config(s3={"addressing_style": "path"}),
    )


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(
    url: str, process: subprocess.Popen[bytes] | None, log: Path, patience_s: float = 60
) -> None:
    """Wait until a server answers; its log is part of the error when it does not."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end and (process is None or process.poll() is None):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:  # it answers
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server at {url} did not start:\n{log.read_text(errors='replace')[-3000:]}")


def tied(command: list[str]) -> list[str]:
    """Return a command that ends with the tests even when these are killed."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "TERM"] if setpriv else []), *command]


def _environment(endpoint: str, folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))},
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": endpoint.rpartition(":")[2],
        "AUTH": "true",
        "SERVICES": "s3,iam",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
    }


def _with_user(server: S3Server) -> S3Server:
    """Return the server with a user's credentials: those of the root account are not checked."""
    iam = server.client("iam")
    iam.create_user(UserName="seisflow")
    policy = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.put_user_policy(UserName="seisflow", PolicyName="s3", PolicyDocument=_policy(policy))
    pair = iam.create_access_key(UserName="seisflow")["AccessKey"]
    return server._replace(key=pair["AccessKeyId"], secret=pair["SecretAccessKey"])


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
