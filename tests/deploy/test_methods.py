"""Every deployment keeps the contract."""

from seisflow.deploy.local import Local
from seisflow.deploy.serial import Serial
from tests.deploy.contract import DeploymentContract


class TestSerial(DeploymentContract):
    def deployment(self) -> Serial:
        return Serial()


class TestLocal(DeploymentContract):
    def deployment(self) -> Local:
        return Local(workers=2, dashboard_port=0)
