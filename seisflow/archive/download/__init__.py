"""Downloading from FDSN web services into a folder: politely, resumably, and nothing lost in silence."""
