"""The earth: velocity models, travel times, map projection, and where sites stand in it."""

from seisflow.earth.projection import Projection
from seisflow.earth.sites import site_index, sites_of
from seisflow.earth.traveltimes import TravelTimes
from seisflow.earth.velocity import VelocityModel

__all__ = ["Projection", "TravelTimes", "VelocityModel", "site_index", "sites_of"]
