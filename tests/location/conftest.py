"""A catalogue with known truth, made once."""

from __future__ import annotations

import pandas as pd
import pytest

from seisflow.tables import Catalog
from tests.location.truth import Network, catalog_of, hypocentres


@pytest.fixture(scope="session")
def stations() -> pd.DataFrame:
    """Return 20 stations at sea level over 100 km."""
    return Network().stations()


@pytest.fixture(scope="session")
def truth() -> pd.DataFrame:
    """Return 500 true hypocentres among them."""
    return hypocentres(500)


@pytest.fixture(scope="session")
def catalog(truth: pd.DataFrame, stations: pd.DataFrame) -> Catalog:
    """Return their picks at all stations; one in 20 is an outlier."""
    return catalog_of(truth, stations, outlier_share=0.05)
