#!/usr/bin/env bash
# Every S3 test against Ceph's gateway, as a job of its own: installs it where apt-get can, as root.
#   tests/services/ceph.sh [options of pytest]
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! { command -v radosgw && command -v ceph-mon && command -v ceph-osd; } >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd
fi
make test PYTEST_ARGS="--run-ceph -m ceph $*"
