"""The past as features; this file describes what was known of a series at a cut-off before the row to predict.

Test is predicted from the end of train on, up to its horizon. Rows that train must look the same: each gets a cut-off
of its own, as many steps back as test rows have, and sees nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from history import Floats, History, Integers

# Means of so many steps; those of a season are added.
WIDTHS = (1, 4, 13)
# A year's season is long: neighbours of the same step in the year before take part.
LONG_SEASON, NEIGHBOURS = 300, 7
# A short season's step is averaged over so many seasons.
OCCURRENCES = 4
# The latest level is that of this part of a season: a mean of a year lags half a year behind.
LATEST_PART = 4


@dataclass(frozen=True)
class Past:
    """``shortest`` and ``longest`` are the steps between the end of train and a row of test."""

    history: History
    seasons: tuple[int, ...]
    shortest: int
    longest: int

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of windows, ascending."""
        seasonal = [width for season in self.seasons for width in (season, 4 * season)]
        longest = self.history.values.shape[1]
        return tuple(sorted({width for width in (*WIDTHS, *seasonal) if width <= longest or width == 1}))

    @property
    def level_width(self) -> int:
        """The window of a series' level: as long as the horizon, in whole seasons, as far as there is a past."""
        wanted = max(self.longest, OCCURRENCES * min(self.seasons, default=WIDTHS[-1]))
        for season in sorted(self.seasons):
            if wanted <= season and 2 * season <= self.history.values.shape[1]:
                return season
        season = min(self.seasons, default=1)
        return max(season, min(wanted, int(self.history.values.shape[1]) // 3) // season * season)

    def cutoffs(self, series: Integers, steps: Integers) -> Integers:
        """Return the last step that each row may know of.

        Rows within train get different distances, the same whenever they are asked for.
        """
        span = np.uint64(max(1, self.longest - self.shortest + 1))
        mixed = (
            series.astype(np.uint64) * np.uint64(2654435761) + steps.astype(np.uint64) * np.uint64(40503)
        ) >> np.uint64(7)
        distance = self.shortest + (mixed % span).astype(np.int64)
        # The first rows look back less far rather than at nothing.
        enough = self.history.first + self.level_width - 1
        inside = np.minimum(steps - 1, np.maximum(steps - distance, enough))
        return np.where(steps > self.history.last, self.history.last, inside)

    def level(self, series: Integers, cutoffs: Integers) -> Floats:
        """Return the level of each series; of a short past what there is, of a new series that of all."""
        found = self.history.mean(series, cutoffs, self.level_width)
        everything = np.full(len(series), self.history.all_series)
        found = np.where(np.isfinite(found), found, self.history.mean(series, cutoffs, self.history.values.shape[1]))
        return np.where(np.isfinite(found), found, self.history.mean(everything, cutoffs, self.level_width))

    def latest(self, series: Integers, cutoffs: Integers) -> Floats:
        """Return where each series stood last: the mean of a quarter of its level's time, free of the season.

        The season is what the same part was beside the season around it, one season ago: of the series itself, of a
        young series that of all; without a season before, the level must do.
        """
        season = max((each for each in self.seasons if each <= self.level_width), default=1)
        quarter = self.level_width // LATEST_PART
        if quarter >= season:
            found = self.history.mean(series, cutoffs, quarter // season * season)
        else:
            part, shortest = max(1, season // LATEST_PART), min(self.seasons)
            part = part // shortest * shortest if part >= shortest else part
            everything = np.full(len(series), self.history.all_series)
            own, course = (self._course(each, cutoffs, part, season) for each in (series, everything))
            found = self.history.mean(series, cutoffs, part) - np.where(np.isfinite(own), own, course)
        return np.where(np.isfinite(found), found, self.level(series, cutoffs))

    def _course(self, series: Integers, cutoffs: Integers, part: int, season: int) -> Floats:
        """Return how far the part that ends one season before was above the season that began with it."""
        before = self.history.mean(series, cutoffs - season, part)
        around = self.history.mean(series, cutoffs - part, season)
        is_whole = cutoffs - season - part >= self.history.start(series) - 1
        return np.where(is_whole, before - around, np.nan)

    def around(self, series: Integers, steps: Integers) -> Floats:
        """Return the level around each row that is known, with what came after it: for learning the season's shape."""
        width = self.level_width
        end = np.clip(steps + width // 2, self.history.first + width - 1, self.history.last)
        found = self.history.mean(series, end, width)
        return np.where(np.isfinite(found), found, self.level(series, end))

    def naive(self, series: Integers, steps: Integers, cutoffs: Integers) -> Floats:
        """Return what was measured one season ago, of the longest season that the past holds, else the level."""
        found = self.level(series, cutoffs)
        for season in sorted(self.seasons):
            before = self.season_ago(series, steps, cutoffs, season)
            found = np.where(np.isfinite(before), before, found)
        return found

    def season_ago(self, series: Integers, steps: Integers, cutoffs: Integers, season: int) -> Floats:
        """Return the value at the same place of the latest known season; of a short one the mean of several."""
        back = -(-(steps - cutoffs) // season) * season
        if season > LONG_SEASON:
            return self.history.at(series, steps - back)
        values = np.stack([self.history.at(series, steps - back - season * more) for more in range(OCCURRENCES)])
        counts = np.isfinite(values).sum(axis=0)
        return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)

    def describe(self, series: Integers, steps: Integers, cutoffs: Integers) -> dict[str, Floats]:
        """Return features of each row, relative to the level so that they hold for all series alike."""
        history, level = self.history, self.level(series, cutoffs)
        everything = np.full(len(series), history.all_series)
        of_all = history.mean(everything, cutoffs, self.level_width)
        found = {"level": level, "distance": (steps - cutoffs).astype(np.float64)}
        found["latest"] = self.latest(series, cutoffs) - level
        for width in self.widths:
            if width != self.level_width:
                found[f"mean of {width}"] = history.mean(series, cutoffs, width) - level
                found[f"all, mean of {width}"] = history.mean(everything, cutoffs, width) - of_all
        for season in self.seasons:
            found[f"{season} ago"] = self.season_ago(series, steps, cutoffs, season) - level
            found[f"all, {season} ago"] = self.season_ago(everything, steps, cutoffs, season) - of_all
            if season > LONG_SEASON:
                found |= self._around(series, everything, steps, cutoffs, season)
        return found

    def _around(
        self, series: Integers, everything: Integers, steps: Integers, cutoffs: Integers, season: int
    ) -> dict[str, Floats]:
        """Describe the same days a year ago: the season's course, and what sets single days (of the date) apart."""
        per_day = max(1, round(season / 364))
        back = -(-(steps - cutoffs) // season) * season
        middle = steps - back + NEIGHBOURS * per_day
        width = (2 * NEIGHBOURS + 1) * per_day
        weeks = self._known(series, middle, width, cutoffs)
        weeks_of_all = self._known(everything, middle, width, cutoffs)
        year = self._known(series, middle + season // 2, season, cutoffs)
        year_of_all = self._known(everything, middle + season // 2, season, cutoffs)
        return {
            "weeks a year ago": weeks - year,
            "all, weeks a year ago": weeks_of_all - year_of_all,
            "all, same date a year ago": self._known(everything, steps - back - per_day, per_day, cutoffs)
            - weeks_of_all,
            "all, same weekday a year ago": self._known(everything, steps - back, per_day, cutoffs) - weeks_of_all,
        }

    def _known(self, series: Integers, end: Integers, width: int, cutoffs: Integers) -> Floats:
        return self.history.mean(series, np.minimum(end, cutoffs), width)
