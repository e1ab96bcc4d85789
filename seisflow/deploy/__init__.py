"""Where to run, one file per deployment: each gives a Dask client."""

from seisflow.deploy.base import Deployment

__all__ = ["Deployment"]
