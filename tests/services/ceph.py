"""Ceph's S3 gateway on loopback: a whole cluster of one monitor, one OSD in memory and radosgw.

Needs root and Debian's packages radosgw, ceph-mon and ceph-osd; runs with ``--run-ceph``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.services.s3 import S3Server, free_port, tied, wait_until_up

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_CAPABILITIES = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
    "client.rgw": ["mon", "allow *", "osd", "allow *"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
}
_SETTINGS = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}]
public addr = 127.0.0.1
ms bind ipv6 = false
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
auth allow insecure global id reclaim = false
mon allow pool size one = true
mon data avail warn = 1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw dynamic resharding = false
"""


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run a Ceph cluster for the session."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no Ceph: {', '.join(missing)} missing; install radosgw, ceph-mon and ceph-osd")
    if os.geteuid():
        pytest.skip("a Ceph cluster is started as root")
    with cluster(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@contextmanager
def cluster(folder: Path) -> Iterator[S3Server]:
    """Run monitor, OSD and gateway in a folder; whatever was started is ended."""
    port = free_port()
    settings = folder / "ceph.conf"
    settings.write_text(_SETTINGS.format(fsid=uuid4(), folder=folder, mon_port=free_port(), port=port))
    _prepare(folder, settings)
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, "ceph-mon", "-i", "a", "-c", settings))
        osd = str(uuid4())
        _run("ceph", "-c", settings, "--connect-timeout", "30", "osd", "new", osd)
        _run("ceph", "-c", settings, "auth", "import", "-i", folder / "keyring")
        _run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "-c", settings)
        stack.enter_context(_daemon(folder, "ceph-osd", "-i", "0", "-c", settings))
        gateway = stack.enter_context(_daemon(folder, "radosgw", "-n", "client.rgw", "-c", settings))
        wait_until_up(f"http://127.0.0.1:{port}", gateway, folder / "client.rgw.log", patience_s=120)
        key, secret = "seisflow", uuid4().hex
        names = ("--uid=seisflow", "--display-name=seisflow", f"--access-key={key}", f"--secret-key={secret}")
        _run("radosgw-admin", "-c", settings, "-n", "client.rgw", "user", "create", *names)
        yield S3Server(f"http://127.0.0.1:{port}", key, secret, "us-east-1")


def _prepare(folder: Path, settings: Path) -> None:
    """Make keys, the map of monitors and the monitor's store."""
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    keyring, monitors = folder / "keyring", folder / "monmap"
    keyring.touch()
    for name, capabilities in _CAPABILITIES.items():
        granted = [
            word
            for service, grant in zip(capabilities[::2], capabilities[1::2], strict=True)
            for word in ("--cap", service, grant)
        ]
        _run("ceph-authtool", keyring, "-n", name, "--gen-key", *granted)
    fsid, mon_port = (line.split("=")[1].strip() for line in settings.read_text().splitlines()[1:3])
    _run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", mon_port, monitors)
    _run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors, "--keyring", keyring, "-c", settings)


@contextmanager
def _daemon(folder: Path, *command: object) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{command[0]}.out").open("wb") as log:
        process = subprocess.Popen(tied([*map(str, command), "-f"]), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
