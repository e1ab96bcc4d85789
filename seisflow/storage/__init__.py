"""Disks, object stores and anything else that fsspec opens: where bytes lie, and how they are got."""

from seisflow.storage.place import File, Place, open_place

__all__ = ["File", "Place", "open_place"]
