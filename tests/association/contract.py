"""What every associator must do; subclass `AssociatorContract` and give the hook."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from seisflow.association import Associator, associate_picks
from seisflow.association.stitching import stitching_margin_s
from seisflow.earth import Projection, TravelTimes, sites_of
from seisflow.errors import MetadataError
from seisflow.keys import Window, as_time
from seisflow.tables import ASSIGNMENTS, EVENTS, PICKS, Catalog, concatenate, empty, event_id, validate
from tests.association.sequences import Sequence, made_sequence, recovered, scores


def same(one: Catalog, other: Catalog) -> None:
    """Check that two catalogues have the same events and assignments, row by row."""
    assert_frame_equal(one.events, other.events)
    assert_frame_equal(one.assignments, other.assignments)


def in_chunks(sequence: Sequence, associator: Associator, cuts: list[str]) -> Catalog:
    """Associate chunk by chunk, each from no more picks than `stitching_margin_s` says it needs."""
    parts = []
    times = sequence.picks["time"].to_numpy(dtype="datetime64[ns]")
    for start, end in pairwise(map(as_time, cuts)):
        window = Window(start, end)
        picks = sequence.picks[window.widened(stitching_margin_s(associator)).holds(times)]
        parts.append(associate_picks(picks, sequence.stations, associator, sequence.velocity, window))
    return Catalog(
        concatenate([part.events for part in parts], EVENTS),
        concatenate([part.assignments for part in parts], ASSIGNMENTS),
        concatenate([part.picks for part in parts], PICKS).drop_duplicates("pick_id"),
    )


class AssociatorContract:
    """Checks on made sequences with known events, a mean of one in 60 s.

    Attributes
    ----------
    least_recall, least_precision, least_near : float
        What a method reaches of them: events by their picks, and by origin time and epicentre.
    """

    least_recall: ClassVar[float] = 0.95
    least_precision: ClassVar[float] = 0.95
    least_near: ClassVar[float] = 0.9

    @classmethod
    def made(cls, seed: int, **parameters: Any) -> Sequence:
        """Return a made sequence; a method that knows one network only has that in all of them."""
        return made_sequence(seed, **parameters)

    seeds: tuple[int, ...] = (2, 3, 4, 5, 6, 7)
    """Sequences that recall and precision are the mean of."""

    @pytest.fixture(scope="class")
    @classmethod
    def associator(cls) -> Associator:
        """Return the method with its defaults."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def sequence(cls) -> Sequence:
        return cls.made(1)

    @pytest.fixture(scope="class")
    @classmethod
    def catalog(cls, associator: Associator, sequence: Sequence) -> Catalog:
        return associate_picks(sequence.picks, sequence.stations, associator, sequence.velocity)

    def test_finds_the_events(self, associator: Associator) -> None:
        found = []
        for seed in self.seeds:
            sequence = self.made(seed)
            catalog = associate_picks(sequence.picks, sequence.stations, associator, sequence.velocity)
            found.append(scores(catalog, sequence, associator))
        recall, precision = np.mean(found, axis=0)
        assert recall >= self.least_recall
        assert precision >= self.least_precision

    def test_puts_them_near_where_they_were(self, catalog: Catalog, sequence: Sequence) -> None:
        assert len(recovered(catalog, sequence, 1.0, 5.0)) >= self.least_near * len(sequence.truth)

    def test_tables_are_whole(self, associator: Associator, catalog: Catalog) -> None:
        assert_frame_equal(catalog.events, validate(catalog.events, EVENTS))
        assert_frame_equal(catalog.assignments, validate(catalog.assignments, ASSIGNMENTS))
        assert set(catalog.events["status"]) == {"associated"}
        assert set(catalog.events["method"]) == {associator.name}
        assert catalog.events["time"].is_monotonic_increasing
        assert catalog.assignments["pick_id"].is_unique
        arrivals = catalog.assignments.merge(catalog.picks, on="pick_id")
        for event in catalog.events.itertuples():
            own = arrivals[arrivals["event_id"] == event.event_id]
            assert event.event_id == event_id(own["pick_id"].tolist())
            assert (own["phase"] == "P").sum() == event.n_p
            assert (own["phase"] == "S").sum() == event.n_s
            assert own["station"].nunique() >= 4
            travel_s = (own["time"] - event.time).dt.total_seconds()
            assert travel_s.between(0.0, associator.margin_s).all()

    def test_distances_and_residuals_are_those_of_the_velocity_model(
        self, catalog: Catalog, sequence: Sequence
    ) -> None:
        rows = catalog.assignments.merge(catalog.picks, on="pick_id").merge(
            catalog.events, on="event_id", suffixes=("", "_origin")
        )
        sites = sequence.stations.iloc[sites_of(rows, sequence.stations)]
        projection = Projection.of_stations(sequence.stations)
        x, y = projection.to_km(sites["latitude"], sites["longitude"])
        east, north = projection.to_km(rows["latitude"], rows["longitude"])
        distance_km = np.hypot(east - x, north - y)
        np.testing.assert_allclose(rows["distance_km"], distance_km, atol=1e-3)
        times = TravelTimes(sequence.velocity)
        receiver = -sites["elevation_m"].to_numpy() / 1000.0
        travel_s = [
            float(times.first_arrival(*path))
            for path in zip(rows["phase"], distance_km, rows["depth_km"], receiver, strict=True)
        ]
        residual_s = (rows["time"] - rows["time_origin"]).dt.total_seconds() - np.array(travel_s)
        np.testing.assert_allclose(rows["residual_s"], residual_s, atol=1e-3)

    def test_order_and_threads_do_not_matter(
        self, associator: Associator, sequence: Sequence, catalog: Catalog
    ) -> None:
        shuffled = sequence.picks.sample(frac=1.0, random_state=0)
        threaded = associator.model_copy(update={"threads": 2})
        assert threaded.fingerprint() == associator.fingerprint()
        same(catalog, associate_picks(shuffled, sequence.stations, threaded, sequence.velocity))

    def test_any_cut_gives_the_same_events(
        self, associator: Associator, sequence: Sequence, catalog: Catalog
    ) -> None:
        middle = catalog.events["time"].iloc[len(catalog.events) // 2].to_datetime64()
        cuts = ["2020-01-01", "2020-01-01T00:20", str(middle), "2020-01-02"]
        same(catalog, in_chunks(sequence, associator, cuts))

    def test_an_event_keeps_its_picks_beyond_midnight(self, associator: Associator) -> None:
        midnight = pd.Timestamp("2020-01-02", tz="UTC")
        origin = self.made(5, n_events=8, start=midnight).truth["time"].iloc[4]
        start = midnight + (midnight - origin) - pd.Timedelta("5s")  # the fifth event, 5 s before midnight
        sequence = self.made(5, n_events=8, start=start)
        whole = associate_picks(sequence.picks, sequence.stations, associator, sequence.velocity)
        days = in_chunks(sequence, associator, ["2020-01-01", "2020-01-02", "2020-01-03"])
        same(whole, days)
        day = Window.of_day("2020-01-01")
        first = associate_picks(sequence.picks, sequence.stations, associator, sequence.velocity, day)
        late = first.picks[first.picks["time"] >= midnight]
        assert len(late) > 0
        assert set(late["pick_id"]) <= set(first.assignments["pick_id"])

    def test_across_the_date_line(self, associator: Associator) -> None:
        sequence = self.made(6, n_events=6, centre=(-17.0, 179.99))
        catalog = associate_picks(sequence.picks, sequence.stations, associator, sequence.velocity)
        assert len(recovered(catalog, sequence, 1.0, 5.0)) >= 5

    def test_noise_gives_next_to_nothing(self, associator: Associator, sequence: Sequence) -> None:
        rng = np.random.default_rng(0)
        noise = sequence.picks.sample(100, random_state=0)
        noise = noise.assign(time=noise["time"].min() + pd.to_timedelta(rng.uniform(0, 2400, 100), unit="s"))
        catalog = associate_picks(noise, sequence.stations, associator, sequence.velocity)
        assert len(catalog.events) <= 1

    def test_nothing_from_nothing(self, associator: Associator, sequence: Sequence) -> None:
        for picks in (empty(PICKS), sequence.picks.head(2)):
            catalog = associate_picks(picks, sequence.stations, associator, sequence.velocity)
            assert catalog.events.empty
            assert catalog.assignments.empty
            assert len(catalog.picks) == len(picks)

    def test_names_a_station_without_coordinates(self, associator: Associator, sequence: Sequence) -> None:
        stations = sequence.stations[sequence.stations["station"] != "S07"]
        with pytest.raises(MetadataError, match=r"XX\.S07"):
            associate_picks(sequence.picks, stations, associator, sequence.velocity)
