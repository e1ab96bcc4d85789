"""What every locator must do; a method subscribes by a subclass in `test_methods.py`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seisflow.errors import MetadataError, TableError
from seisflow.location import Locator, locate_events
from seisflow.method import build
from seisflow.tables import ASSIGNMENTS, EVENTS, Catalog, empty, to_arrow
from tests.location.truth import CRUST, Network, catalog_of, epicentral_error_km, hypocentres


def rows_of(catalog: Catalog, keep: pd.Series) -> Catalog:
    """Return a catalogue with some of its events, and the picks of those alone."""
    events = catalog.events[keep]
    assignments = catalog.assignments[catalog.assignments["event_id"].isin(events["event_id"])]
    return Catalog(events, assignments, catalog.picks[catalog.picks["pick_id"].isin(assignments["pick_id"])])


class LocatorContract:
    """Subclass it and return the locator under test, set to the errors of the picks that it is given."""

    def locator(self) -> Locator:
        """Return a locator that believes P errors of 0.05 s, S errors of 0.1 s and an exact model."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def located(cls, catalog: Catalog, stations: pd.DataFrame) -> Catalog:
        """Return the catalogue of 500 events, located."""
        return locate_events(catalog, stations, CRUST, cls().locator())

    def test_name_builds_it(self) -> None:
        locator = self.locator()
        assert build("location", {"method": locator.name, **locator.model_dump()}) == locator

    def test_hypocentres_are_recovered(self, located: Catalog, truth: pd.DataFrame) -> None:
        events = located.events
        assert (events["status"] == "located").mean() > 0.98
        distance = epicentral_error_km(events, truth)
        assert np.median(distance) < 0.2
        assert np.quantile(distance, 0.95) < 0.5
        depth = (events["depth_km"] - truth["depth_km"]).to_numpy()
        assert np.median(np.abs(depth)) < 0.3
        assert abs(np.median(depth)) < 0.05
        late = (events["time"] - truth["time"]).dt.total_seconds()
        assert abs(late.median()) < 0.01
        assert late.abs().quantile(0.95) < 0.1

    def test_errors_hold_the_truth_as_often_as_they_say(self, located: Catalog, truth: pd.DataFrame) -> None:
        events = located.events
        deep = (events["depth_km"] - truth["depth_km"]).abs() <= events["depth_error_km"]
        assert 0.60 <= deep.mean() <= 0.78
        # A circle with the semi-major axis of the ellipse holds somewhat more than the ellipse.
        inside = epicentral_error_km(events, truth) <= events["horizontal_error_km"]
        assert 0.62 <= inside.mean() <= 0.88

    def test_residuals_are_observed_minus_computed(self, located: Catalog, catalog: Catalog) -> None:
        rows = located.assignments
        good = rows[rows["weight"] > 0.5]
        assert abs(good["residual_s"].median()) < 0.005
        assert 0.03 < (good["residual_s"].abs().median() / 0.6745) < 0.1
        outliers = rows["residual_s"].abs() > 1.0
        assert 0.02 < outliers.mean() < 0.06
        assert rows.loc[outliers, "weight"].max() < 0.3
        assert rows["weight"].between(0.0, 1.0).all()
        assert rows[["event_id", "pick_id"]].equals(catalog.assignments[["event_id", "pick_id"]])

    def test_rows_follow_the_schemas_and_picks_are_untouched(
        self, located: Catalog, catalog: Catalog
    ) -> None:
        to_arrow(located.events, EVENTS)
        to_arrow(located.assignments, ASSIGNMENTS)
        assert located.events["event_id"].equals(catalog.events["event_id"])
        pd.testing.assert_frame_equal(located.picks, catalog.picks)
        assert (located.events["method"] == self.locator().name).all()
        assert located.events["gap_deg"].between(30, 340).all()
        assert located.events["n_p"].between(10, 20).all()

    def test_any_cut_gives_the_same_hypocentres(
        self, located: Catalog, catalog: Catalog, stations: pd.DataFrame
    ) -> None:
        for keep in (np.arange(500) % 50 == 7, np.arange(500) == 499):
            part = rows_of(catalog, pd.Series(keep, index=catalog.events.index))
            shuffled = Catalog(part.events, part.assignments[::-1], part.picks[::-1])
            found = locate_events(shuffled, stations, CRUST, self.locator()).events
            pd.testing.assert_frame_equal(found, located.events[keep].reset_index(drop=True))

    def test_one_wrong_pick_hardly_moves_the_epicentre(self, stations: pd.DataFrame) -> None:
        truth = hypocentres(20, seed=9)
        catalog = catalog_of(truth, stations)
        spoilt = catalog.picks.copy()
        first = catalog.assignments.groupby("event_id")["pick_id"].first()
        spoilt.loc[spoilt["pick_id"].isin(first), "time"] += pd.Timedelta("5s")
        right = locate_events(catalog, stations, CRUST, self.locator()).events
        wrong = locate_events(catalog._replace(picks=spoilt), stations, CRUST, self.locator()).events
        assert epicentral_error_km(wrong, right).max() < 0.3

    def test_elevation_of_stations_does_not_shift_depths(self) -> None:
        stations, truth = Network(elevation_m=1000.0).stations(), hypocentres(60)
        events = locate_events(catalog_of(truth, stations), stations, CRUST, self.locator()).events
        bias = (events["depth_km"] - truth["depth_km"]).median()
        flat = stations.assign(elevation_m=0.0)
        ignored = locate_events(catalog_of(truth, stations), flat, CRUST, self.locator()).events
        assert abs(bias) < 0.15
        assert (ignored["depth_km"] - events["depth_km"]).median() > 0.5

    def test_networks_across_the_antimeridian(self) -> None:
        shift = 118.0 + 179.9
        stations, truth = Network().stations(), hypocentres(10)
        moved = stations.assign(longitude=(stations["longitude"] + shift + 180.0) % 360.0 - 180.0)
        catalog = catalog_of(truth, stations)
        there = locate_events(catalog, moved, CRUST, self.locator()).events
        back = there.assign(longitude=(there["longitude"] - shift + 180.0) % 360.0 - 180.0)
        assert epicentral_error_km(back, truth).max() < 1.0

    def test_events_that_can_not_be_located_are_kept_with_a_reason(self, stations: pd.DataFrame) -> None:
        truth = hypocentres(4, seed=5)
        catalog = catalog_of(truth, stations)
        rank = catalog.assignments.groupby("event_id").cumcount()
        station = catalog.assignments.merge(catalog.picks, on="pick_id")["station"]
        ids = catalog.assignments["event_id"]
        keep = (ids == "event00000") | ((ids == "event00001") & (rank < 3))
        keep |= (ids == "event00002") & station.isin(["S003", "S004"])
        found = locate_events(
            catalog._replace(assignments=catalog.assignments[keep]), stations, CRUST, self.locator()
        )
        reasons = ["located", "too_few_picks", "too_few_stations", "too_few_picks"]
        assert found.events["status"].tolist() == reasons
        places = ["time", "latitude", "longitude", "depth_km"]
        pd.testing.assert_frame_equal(found.events.loc[1:, places], catalog.events.loc[1:, places])
        assert found.events.loc[1:, ["horizontal_error_km", "depth_error_km"]].isna().all(axis=None)

    def test_event_far_outside_is_not_given_a_false_place(self, stations: pd.DataFrame) -> None:
        truth = hypocentres(5, width_km=1.0).assign(latitude=36.5)
        found = locate_events(catalog_of(truth, stations), stations, CRUST, self.locator()).events
        assert set(found["status"]) == {"outside_search_region"}
        assert found["horizontal_error_km"].isna().all()

    def test_picks_that_belong_to_no_event_are_seen_through(self, stations: pd.DataFrame) -> None:
        """Arrivals at random times within a minute: no claim, or one that owns to tens of kilometres."""
        catalog = catalog_of(hypocentres(30), stations, n_picks=6)
        rng = np.random.default_rng(4)
        shift = pd.to_timedelta(rng.uniform(-30, 30, len(catalog.picks)), "s")
        found = locate_events(
            catalog._replace(picks=catalog.picks.assign(time=catalog.picks["time"] + shift)),
            stations,
            CRUST,
            self.locator(),
        ).events
        sure = (found["status"] == "located") & (found["horizontal_error_km"] < 5.0)
        assert sure.mean() < 0.2

    def test_nothing_in_nothing_out(self, catalog: Catalog, stations: pd.DataFrame) -> None:
        nothing = Catalog(empty(EVENTS), empty(ASSIGNMENTS), catalog.picks)
        found = locate_events(nothing, stations, CRUST, self.locator())
        assert (len(found.events), len(found.assignments)) == (0, 0)

    def test_what_does_not_fit_together_is_refused(self, catalog: Catalog, stations: pd.DataFrame) -> None:
        with pytest.raises(MetadataError, match="no station coordinates"):
            locate_events(catalog, stations[5:], CRUST, self.locator())
        with pytest.raises(TableError, match="name a pick_id"):
            locate_events(catalog._replace(picks=catalog.picks[5:]), stations, CRUST, self.locator())
        with pytest.raises(TableError, match="name a event_id"):
            locate_events(catalog._replace(events=catalog.events[5:]), stations, CRUST, self.locator())
