//! Times in views, and the days of a calendar in UTC.

use std::fmt::{self, Display};

use jiff::{Span, Timestamp, civil::Date, tz::Offset};
use serde::{Deserialize, Serialize};

use crate::InvalidValue;

/// A time in a view. It serializes as RFC 3339 in UTC with exactly six fractional digits, so texts sort like times and
/// the time can be the sort key of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(Timestamp);

impl Time {
    /// Returns the day of this time in UTC.
    pub fn day(self) -> Day {
        Day::of(self.0)
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
            .map(Self)
            .map_err(|_| InvalidValue("must be an RFC 3339 time, such as 2026-11-22T10:00:00Z".to_owned()))
    }
}

/// A day in UTC, such as `2026-11-22`. Days sort by date, also as texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(Date);

impl Day {
    /// Returns the day of `time` in UTC.
    pub fn of(time: Timestamp) -> Self {
        Self(Offset::UTC.to_datetime(time).date())
    }

    /// Returns the day `days` days earlier.
    #[must_use]
    pub fn before(self, days: u16) -> Self {
        Self(self.0.saturating_sub(Span::new().days(days)))
    }

    /// Iterates over the last `days` days up to and including this one, in reverse.
    pub fn last(self, days: u16) -> impl Iterator<Item = Self> {
        (0..days).map(move |ago| self.before(ago))
    }

    /// Returns the row of this day in the counters of a rollup: `day#2026-11-22`.
    pub fn row(self) -> String {
        format!("day#{self}")
    }
}

impl Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn times_as_texts_sort_like_times_to_the_microsecond() {
        let texts = ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.500001Z"];
        let texts = texts.map(|text| time(text).to_string());
        assert_eq!(texts[0], "2026-11-22T10:00:00.000000Z");
        assert!(texts.is_sorted());
    }

    #[test]
    fn a_time_survives_serialization() {
        let time = time("2026-11-22T10:00:00.123456Z");
        let stored = serde_json::to_string(&time).unwrap();
        assert_eq!(stored, "\"2026-11-22T10:00:00.123456Z\"");
        assert_eq!(serde_json::from_str::<Time>(&stored).unwrap(), time);
        assert!(Time::try_from("yesterday".to_owned()).is_err());
    }

    #[test]
    fn the_last_days_end_with_today() {
        let today = time("2026-11-23T00:30:00Z").day();
        let days: Vec<String> = today.last(2).map(Day::row).collect();
        assert_eq!(days, ["day#2026-11-23", "day#2026-11-22"]);
        assert_eq!(today.before(29).to_string(), "2026-10-25");
    }
}
