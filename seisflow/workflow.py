"""The workflow file: what to compute, as YAML; nothing runs here.

Every relative path in it is relative to the file. ``${NAME}`` and ``${NAME:-default}`` stand for
environment variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SerializeAsAny, ValidationError

from seisflow.archive.base import Archive
from seisflow.archive.stations import holds_responses, read_inventory, read_stations
from seisflow.association.base import Associator
from seisflow.earth.velocity import VelocityModel
from seisflow.errors import SeisflowError, WorkflowError
from seisflow.keys import Period, as_time
from seisflow.location.base import Locator
from seisflow.method import Method, build, explain
from seisflow.picking.base import Picker
from seisflow.picking.polarity.base import PolarityReader
from seisflow.waveforms.prepare import Preparation
from seisflow.waveforms.restitution import Amplitudes

if TYPE_CHECKING:
    import obspy
    import pandas as pd

__all__ = ["Stations", "Workflow", "load_workflow"]

ARCHIVE = "archive"
DEFAULTS = {"picking": "bundled", "deployment": "local"}
"""Methods of blocks that a workflow may leave out and yet has."""
SECRETS = frozenset({"key", "secret", "token", "password", "username"})
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Stations(BaseModel):
    """Which stations take part, and where their metadata lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inventory: str = ARCHIVE
    """StationXML file, folder of StationXML files, or CSV with the columns of STATIONS; ``archive``
    (the default) for what the archive itself keeps."""
    storage_options: dict[str, Any] = Field(default_factory=dict)
    """What fsspec needs to open the URL of the inventory; an inventory in the archive is opened as it is."""
    select: Annotated[tuple[str, ...], Field(min_length=1)] = ("*.*",)
    """Patterns NETWORK.STATION with ``*`` and ``?``."""
    network: str | None = None
    """Network code of a CSV inventory that gives none."""
    elevation_unit: Literal["m", "km"] = "m"
    """Unit of a CSV column ``elevation`` whose name does not say it."""

    def read(self) -> pd.DataFrame:
        """Return the rows of the inventory for the stations that take part, a STATIONS table.

        Raises
        ------
        MetadataError
            If the inventory can not be read, or none of its stations is selected.
        """
        return read_stations(
            self.inventory,
            network=self.network,
            elevation_unit=self.elevation_unit,
            select=self.select,
            storage_options=self.storage_options,
        )

    def responses(self, network: str, station: str) -> obspy.Inventory:
        """Return the responses of one station; in a folder only the files that may hold it are read.

        Raises
        ------
        MetadataError
            If the inventory holds no responses or can not be read.
        """
        select = (f"{network}.{station}",)
        return read_inventory(self.inventory, select=select, storage_options=self.storage_options)


class Workflow(BaseModel):
    """What to compute (period, stations, archive, a method per stage) and where to run it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the study."""
    period: InstanceOf[Period]
    """Span of time, [start, end)."""
    stations: Stations
    archive: SerializeAsAny[Archive]
    preparation: Preparation
    picking: SerializeAsAny[Picker]
    amplitudes: Amplitudes = Amplitudes()
    """In which unit the amplitudes of picks are measured."""
    polarity: SerializeAsAny[PolarityReader] | None = None
    """What reads the first motion of P picks; null for nothing."""
    velocity: VelocityModel | None = None
    """1-D velocity model; association and location need it."""
    association: SerializeAsAny[Associator] | None = None
    location: SerializeAsAny[Locator] | None = None
    output: str
    """Folder of the run, or ``s3://BUCKET/PREFIX``: ledger, parts, tables and report."""
    storage_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """What the storage of `output` needs (credentials, endpoint); has no influence on the result."""
    deployment: SerializeAsAny[Method]
    """Where to run; has no influence on the result."""

    blocks: ClassVar[dict[str, str]] = {
        "archive": "archive",
        "picking": "picking",
        "polarity": "picking.polarity",
        "association": "association",
        "location": "location",
        "deployment": "deploy",
    }
    """Blocks that name a method, and the room it is looked up in."""

    @property
    def wants_responses(self) -> bool:
        """Whether amplitudes are to be those of the ground, and there may be responses for that.

        Waveforms that are no counts any more keep their unit.
        """
        return (
            self.amplitudes.remove_response != "none"
            and self.preparation.remove_response == "none"
            and holds_responses(self.stations.inventory)
        )

    def parameters(self) -> dict[str, Any]:
        """Return every parameter, defaults included, as plain values for a report or a file."""
        plain: dict[str, Any] = {"name": self.name}
        plain["period"] = {"start": str(self.period.start)[:19], "end": str(self.period.end)[:19]}
        plain["stations"] = _without_secrets(self.stations.model_dump(mode="json"))
        plain_blocks = ("preparation", "amplitudes")
        for block in ("archive", *plain_blocks, *list(self.blocks)[1:]):
            method = getattr(self, block)
            if method is not None:
                head = {} if block in plain_blocks else {"method": method.name}
                plain[block] = head | _without_secrets(method.model_dump(mode="json"))
        if self.velocity is not None:
            plain["velocity"] = self.velocity.model_dump(mode="json")
        return plain


def _without_secrets(block: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a block with the credentials of its storage masked."""
    options = block.get("storage_options") or {}
    masked = {name: "***" if name in SECRETS else value for name, value in options.items()}
    return block | ({"storage_options": masked} if options else {})


def load_workflow(path: str | Path, overrides: Sequence[str] = ()) -> Workflow:
    """Read and check a workflow file.

    Parameters
    ----------
    path : path of the YAML file
    overrides : sequence of str
        Settings ``block.key=value`` that replace those of the file; values are YAML.

    Raises
    ------
    WorkflowError
        Naming the file, the key, what was found and what is allowed.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise WorkflowError(f"{path}: can not be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise WorkflowError(f"{path}: is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise WorkflowError(f"{path}: must be a mapping with the keys {', '.join(_allowed())}")
    for override in overrides:
        _set(content, override)
    return parse_workflow(content, folder=path.resolve().parent, where=str(path))


def parse_workflow(content: Mapping[str, Any], folder: Path, where: str = "workflow") -> Workflow:
    """Return a workflow from plain values; relative paths are taken from `folder`."""
    unknown = sorted(set(map(str, content)) - set(_allowed()))
    if unknown:
        raise WorkflowError(f"{where}: unknown key {', '.join(unknown)}; allowed are {', '.join(_allowed())}")
    values: dict[str, Any] = _expand(dict(content), where)
    for name in ("name", "period", "stations", "archive"):
        if values.get(name) is None:
            raise WorkflowError(f"{where}: the key '{name}' is missing")
    values["period"] = _period(values["period"], where)
    values["stations"] = _stations(values["stations"], folder, where)
    values["velocity"] = _velocity(values.get("velocity"), folder, where)
    values["preparation"] = Preparation.parse(_mapping(values, "preparation", where), f"{where}: preparation")
    values["amplitudes"] = Amplitudes.parse(_mapping(values, "amplitudes", where), f"{where}: amplitudes")
    values.setdefault("polarity", {"method": "first_swing"})
    values["output"] = _resolve(str(values.get("output", f"runs/{values['name']}")), folder)
    for block, method in DEFAULTS.items():
        if values.get(block) is None:
            values[block] = {"method": method}
    for block, room in Workflow.blocks.items():
        if values.get(block) is not None:
            values[block] = build(room, _rooted(values[block], folder), f"{where}: {block}")
    values["stations"] = _beside(values["stations"], values["archive"], where)
    _check_stages(values, where)
    try:
        return Workflow.model_validate(values)
    except ValidationError as error:
        raise WorkflowError(explain(error, Workflow, where)) from error


def _allowed() -> list[str]:
    return sorted(Workflow.model_fields)


def _mapping(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    block = values.get(key) or {}
    if not isinstance(block, dict):
        raise WorkflowError(f"{where}: {key}: must be a mapping of keys and values, found {block!r}")
    return block


def _period(block: Any, where: str) -> Period:
    if not isinstance(block, dict) or set(block) != {"start", "end"}:
        raise WorkflowError(f"{where}: period: needs exactly the keys start and end, found {block!r}")
    try:
        return Period(as_time(block["start"]), as_time(block["end"]))
    except WorkflowError as error:
        raise WorkflowError(f"{where}: period: {error}") from error


def _stations(block: Any, folder: Path, where: str) -> Stations:
    block = {"inventory": block} if isinstance(block, str) else block
    if not isinstance(block, dict):
        raise WorkflowError(f"{where}: stations: must be a mapping with the keys inventory and select")
    try:
        stations = Stations.model_validate(block)
    except ValidationError as error:
        raise WorkflowError(explain(error, Stations, f"{where}: stations")) from error
    if stations.inventory == ARCHIVE:
        return stations
    return stations.model_copy(update={"inventory": _resolve(stations.inventory, folder)})


def _beside(stations: Stations, archive: Archive, where: str) -> Stations:
    """Return the stations with the inventory that the archive keeps, where it is to be used."""
    inventory = archive.inventory() if stations.inventory == ARCHIVE else stations.inventory
    if not inventory:
        raise WorkflowError(
            f"{where}: stations: inventory: an archive of the method '{archive.name}' keeps no metadata of "
            "stations; give a StationXML file, a folder with some, or a CSV file"
        )
    options = archive.storage_options if inventory.startswith(archive.root) and "://" in inventory else {}
    return stations.model_copy(
        update={"inventory": inventory, "storage_options": options | stations.storage_options}
    )


def _velocity(block: Any, folder: Path, where: str) -> VelocityModel | None:
    if block is None:
        return None
    block = (
        {"path": block} if isinstance(block, str) else dict(_mapping({"velocity": block}, "velocity", where))
    )
    try:
        if "path" in block:
            return VelocityModel.read(_resolve(str(block.pop("path")), folder), **block)
        return VelocityModel.model_validate(block)
    except ValidationError as error:
        raise WorkflowError(explain(error, VelocityModel, f"{where}: velocity")) from error
    except TypeError as error:
        raise WorkflowError(f"{where}: velocity: allowed beside path is interpolation; {error}") from error
    except SeisflowError as error:
        raise WorkflowError(f"{where}: velocity: {error}") from error


def _check_stages(values: Mapping[str, Any], where: str) -> None:
    if values.get("location") is not None and values.get("association") is None:
        raise WorkflowError(f"{where}: location: needs an association block, whose events it locates")
    if values.get("association") is not None and values.get("velocity") is None:
        raise WorkflowError(
            f"{where}: association: needs a velocity block (path, or depth_km, vp_km_s, vs_km_s)"
        )


def _rooted(block: Any, folder: Path) -> Any:
    """Make the paths among a method's parameters independent of the working directory."""
    if isinstance(block, dict) and isinstance(block.get("root"), str):
        return block | {"root": _resolve(block["root"], folder)}
    if isinstance(block, dict) and isinstance(block.get("weights"), str):
        beside = folder / block["weights"]
        return block | {"weights": str(beside.resolve())} if beside.exists() else block
    return block


def _resolve(path: str, folder: Path) -> str:
    return path if "://" in path else str((folder / Path(path).expanduser()).resolve())


def _expand(value: Any, where: str) -> Any:
    """Replace ``${NAME:-default}`` in every string of a nested value."""
    if isinstance(value, dict):
        return {key: _expand(item, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, where) for item in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], match[2])
        if found is None:
            raise WorkflowError(f"{where}: the environment variable {match[1]} is not set and has no default")
        return found

    return VARIABLE.sub(replaced, value)


def _set(content: dict[str, Any], override: str) -> None:
    """Apply one override ``block.key=value``."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise WorkflowError(f"--set {override}: write it as block.key=value")
    *blocks, last = key.strip().split(".")
    target = content
    for block in blocks:
        inner = target.setdefault(block, {})
        if not isinstance(inner, dict):
            raise WorkflowError(f"--set {override}: '{block}' is {inner!r}, not a block with keys")
        target = inner
    target[last] = yaml.safe_load(text)
