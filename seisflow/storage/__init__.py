"""Disks, object stores and anything else that fsspec opens: where bytes lie, and how they are got."""

from seisflow.storage.fetch import fetch
from seisflow.storage.place import File, Place, open_place
from seisflow.storage.retry import PATIENCE_S, retrying

__all__ = ["PATIENCE_S", "File", "Place", "fetch", "open_place", "retrying"]
