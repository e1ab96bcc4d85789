"""The lease: of any number of drivers one holds the run, whatever their clocks say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from seisflow.errors import LeaseError, StoreError
from seisflow.run import lease as lease_module
from seisflow.run.lease import Lease, holder
from seisflow.run.ledger import Entry, Ledger
from seisflow.run.store import Store
from tests.run.stores import each_store, on_s3
from tests.services.storms import Fault, Storm

__all__ = ["each_store"]

KEY = "lease.json"

RACE = """
import json, os, s3fs, sys
from seisflow.errors import LeaseError
from seisflow.run.lease import Lease
from seisflow.run.store import Store
store = Store(sys.argv[1], json.loads(sys.argv[2]))
begin, end = os.pipe(), os.pipe()
for _ in range(int(sys.argv[3])):
    if os.fork() == 0:
        os.close(begin[1]), os.close(end[1])
        os.read(begin[0], 1)
        try:
            Lease(store).__enter__()
            answer = "won"
        except LeaseError as error:
            answer = f"lost: {error}"
        os.write(1, f"{answer}\\n".encode())
        os.read(end[0], 1)
        os._exit(9)
os.close(begin[1])
sys.stdin.readline()
"""


def race(store: Store, n: int) -> list[str]:
    """Let processes try to get a lease at once; each dies, holding it or not, when all have an answer."""
    arguments = [sys.executable, "-c", RACE, store.root, json.dumps(dict(store.storage_options)), str(n)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as drivers:
        assert drivers.stdin is not None
        assert drivers.stdout is not None
        answers = [drivers.stdout.readline().strip() for _ in range(n)]
        drivers.stdin.write("\n")
        drivers.stdin.flush()
        drivers.stdout.read()  # ends when the last of them has
    return answers


def elsewhere(store: Store, **changes: object) -> None:
    """Write a lease as a driver on another machine does."""
    content = {"token": "other", "generation": 7, "renewals": 0, "released": False}
    content |= {"host": "elsewhere", "machine": "another", "pid": 1, "started_ticks": "0"}
    store.write_json(KEY, content | changes)


def holds(store: Store) -> dict[str, Any]:
    """Return what the lease says."""
    content: dict[str, Any] = store.read_json(KEY)
    return content


def test_of_twenty_drivers_one_wins_and_of_ten_one_takes_over_from_it(each_store: Store) -> None:
    answers = race(each_store, 20)
    assert answers.count("won") == 1, answers
    assert all("is held by process" in answer for answer in answers if answer != "won"), answers
    assert holds(each_store)["generation"] == 1
    again = race(each_store, 10)
    assert again.count("won") == 1, again
    assert holds(each_store)["generation"] == 2


def test_a_lease_is_held_given_back_and_numbered(each_store: Store) -> None:
    for generation in (1, 2):
        with Lease(each_store) as lease:
            assert lease.generation == generation
            assert (lease.order(1), lease.order(2)) == (1000 * generation + 1, 1000 * generation + 2)
            assert holder(each_store)["pid"] == os.getpid()
            with pytest.raises(LeaseError, match=rf"is held by process {os.getpid()} on .*wait for it"):
                Lease(each_store).__enter__()
            lease.check()
        assert holder(each_store) == {}


def test_a_driver_elsewhere_that_is_silent_is_waited_for_and_taken_over(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is years ahead or behind: it makes no difference."""
    monkeypatch.setattr(lease_module, "EXPIRY_S", 1.0)
    elsewhere(each_store)
    said: list[str] = []
    before = time.monotonic()
    with Lease(each_store, said.append) as lease:
        waited = time.monotonic() - before
        assert lease.generation == 8
        assert lease.order(1) > 7 * 1000 + 999, "all that the other wrote or may write is older"
    assert waited >= 1.0
    assert len(said) == 1
    assert "held by process 1 on elsewhere: waiting 1 s" in said[0]


def test_a_driver_elsewhere_that_gives_a_sign_of_life_keeps_its_run(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "EXPIRY_S", 30.0)
    elsewhere(each_store)
    with pytest.raises(LeaseError, match="is held by process 1 on elsewhere"):
        Lease(each_store, lambda message: elsewhere(each_store, renewals=1)).__enter__()
    assert holds(each_store)["token"] == "other"


def test_a_driver_elsewhere_that_ends_meanwhile_is_followed_at_once(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "EXPIRY_S", 30.0)
    elsewhere(each_store)
    before = time.monotonic()
    with Lease(each_store, lambda message: elsewhere(each_store, released=True)):
        assert time.monotonic() - before < 25.0


def test_a_lease_that_could_not_be_given_back_hinders_nobody_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: the lease still names this process, which lives but holds it no more."""

    def full(store: Store, key: str, content: bytes, stamp: str) -> bool:
        raise StoreError("no space left")

    store = Store(str(tmp_path))
    lease = Lease(store).__enter__()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "replace", full)
        lease.__exit__(None, None, None)
    assert holds(store)["released"] is False
    assert holder(store) == {}
    with Lease(store) as following:
        assert following.generation == 2
        with pytest.raises(LeaseError, match=f"is held by process {os.getpid()}"):
            Lease(store).__enter__()


def test_a_process_number_that_was_used_again_is_no_driver(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with Lease(store) as lease:
        mine = holds(store)
    elsewhere(store, machine=mine["machine"], pid=mine["pid"], started_ticks="0.00")
    with Lease(store) as lease:
        assert lease.generation == 8


def test_a_lease_that_can_not_be_read_is_waited_for_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "EXPIRY_S", 0.3)
    store = Store(str(tmp_path))
    store.write_bytes(KEY, b"\x00 no json")
    with Lease(store) as lease:
        assert holds(store)["token"] == lease.token


def test_the_holder_renews_and_sees_that_it_was_replaced(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEWAL_S", 0.05)
    with Lease(each_store) as lease:
        first = holds(each_store)["renewals"]
        wait_until(lambda: holds(each_store)["renewals"] > first + 1)
        lease.check()
        elsewhere(each_store, generation=2)
        wait_until(lambda: lease._lost)
        with pytest.raises(LeaseError, match="another driver took over"):
            lease.check()
    assert holds(each_store)["token"] == "other", "the other keeps its lease"


def test_a_holder_that_slept_looks_before_it_goes_on(
    each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its renewals slept, too: what counts is that it asks before it writes again."""
    with Lease(each_store) as lease:
        now = lease_module._clock()
        monkeypatch.setattr(lease_module, "_clock", lambda: now + 3600.0)
        lease.check()
        assert holds(each_store)["renewals"] == 1, "nobody took it over: it is renewed at once"
        elsewhere(each_store, generation=2)
        monkeypatch.setattr(lease_module, "_clock", lambda: now + 7200.0)
        with pytest.raises(LeaseError, match="another driver took over"):
            lease.check()


STOPPED = """
import sys, time
from seisflow.errors import LeaseError
from seisflow.run import lease
from seisflow.run.ledger import Entry, Ledger
from seisflow.run.store import Store
lease.EXPIRY_S, lease.RENEWAL_S = 1.0, 0.1
store = Store(sys.argv[1])
with lease.Lease(store) as held:
    print("holds", flush=True)
    sys.stdin.readline()
    row = Entry("picking", "a", "failed", finished=1_893_456_000_000_000_000, order=held.order(1))
    Ledger(store, "stages/a").record("2014-08", "task", [row])
    try:
        while True:
            held.check()
            time.sleep(0.01)
    except LeaseError as error:
        print(error, flush=True)
"""


def test_a_stopped_driver_is_taken_over_and_its_late_rows_count_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes on this machine, writes what it had in hand, sees that the run is not its own, and ends."""
    monkeypatch.setattr(lease_module, "EXPIRY_S", 1.0)
    store = Store(str(tmp_path))
    sleeper = subprocess.Popen(
        [sys.executable, "-c", STOPPED, store.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert sleeper.stdout is not None
    assert sleeper.stdin is not None
    try:
        assert sleeper.stdout.readline() == "holds\n"
        os.kill(sleeper.pid, signal.SIGSTOP)
        wait_until(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED)
        with Lease(store) as lease:
            assert lease.generation == 2
            row = Entry("picking", "a", "ok", finished=1_767_225_600_000_000_000, order=lease.order(1))
            Ledger(store, "stages/a").record("2014-08", "task", [row])
            os.kill(sleeper.pid, signal.SIGCONT)
            sleeper.stdin.write("\n")
            sleeper.stdin.flush()
            assert "another driver took over" in sleeper.stdout.readline()
            assert sleeper.wait(30) == 0
            assert len(store.keys("stages/a")) == 2, "it did write"
            assert Ledger(store, "stages/a").entries("2014-08") == {"a": row}
            lease.check()
            assert holds(store)["token"] == lease.token
    finally:
        sleeper.kill()
        sleeper.communicate()


def test_a_storm_neither_breaks_nor_gives_away_a_lease(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEWAL_S", 0.05)
    store = on_s3(storm.server)
    kinds = ("status", "lost", "reset")
    with Lease(store) as lease:
        storm.faults = [Fault(kind, share=0.15, pattern="*lease.json") for kind in kinds]  # type: ignore[arg-type]
        first = lease._renewals
        wait_until(lambda: all(fault.struck > 2 for fault in storm.faults) and lease._renewals > first + 10)
        lease.check()
        storm.calm()
    assert holds(store)["released"]


def test_a_renewal_that_was_done_though_it_seemed_to_fail_is_no_loss(
    storm: Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seisflow.storage.objects_s3.CLAIM_PATIENCE_S", 0.0)
    store = on_s3(storm.server)
    said: list[str] = []
    with Lease(store, said.append) as lease:
        storm.faults = [Fault("lost", first=2, methods=("PUT",))]  # the client itself tries a second time
        lease._swap()
        assert holds(store)["renewals"] == 1, "it was done"
        assert "could not be renewed" in said[0]
        storm.calm()
        lease._swap()
        lease.check()
        assert holds(store)["renewals"] == 2
    assert holds(store)["released"]


def test_a_driver_that_is_cut_off_from_its_store_stops(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can not know whether another has taken over by now."""
    monkeypatch.setattr("seisflow.storage.objects_s3.CLAIM_PATIENCE_S", 0.1)
    monkeypatch.setattr(lease_module, "RENEWAL_S", 0.05)
    with Lease(on_s3(storm.server)) as lease:
        storm.faults = [Fault("status")]
        wait_until(lambda: storm.faults[0].struck > 3)
        lease.check()  # not for as long as the lease stands
        monkeypatch.setattr(lease_module, "EXPIRY_S", 0.2)
        time.sleep(0.3)
        with pytest.raises(LeaseError, match="or was cut off for more than"):
            lease.check()


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)
