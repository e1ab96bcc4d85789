"""Layered velocity models of the pick sequences."""

from __future__ import annotations

from seisflow.earth import VelocityModel

__all__ = ["HADLEY_KANAMORI", "IASP91"]

HADLEY_KANAMORI = VelocityModel(
    depth_km=(0.0, 5.5, 16.0, 32.0),
    vp_km_s=(5.5, 6.3, 6.7, 7.8),
    vs_km_s=(3.18, 3.64, 3.87, 4.51),
)
"""Southern California: P of Hadley & Kanamori (1977), S by Vp/Vs = 1.73."""

IASP91 = VelocityModel(
    depth_km=(0.0, 20.0, 35.0, 120.0, 210.0),
    vp_km_s=(5.8, 6.5, 8.04, 8.05, 8.3),
    vs_km_s=(3.36, 3.75, 4.47, 4.50, 4.52),
)
"""IASP91 (Kennett & Engdahl 1991) to 210 km, its slow gradients below the Moho as layers."""
