//! Points in time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since the Unix epoch, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads RFC 3339 (`2026-11-20T17:03:48.605Z`, any offset). `None` if it is not that.
    pub fn parse(text: &str) -> Option<Self> {
        let t: jiff::Timestamp = text.parse().ok()?;
        Some(Self(t.as_millisecond()))
    }

    /// This point in time, `ms` milliseconds later (or earlier, if negative).
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this; negative if `earlier` is later.
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only a hostile source speaks of years beyond 9999. What is written can be read all the same.
        let end = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let t = jiff::Timestamp::from_millisecond(self.0).unwrap_or(end);
        write!(f, "{t:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("expected a time such as 2026-01-31T12:00:00Z"))
    }
}

/// A day in UTC: its number since the Unix epoch, written as `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = Date)]
pub struct Day(pub i64);

const DAY_MS: i64 = 86_400_000;

impl Day {
    /// The day of a point in time.
    pub fn of(at: Timestamp) -> Self {
        Self(at.0.div_euclid(DAY_MS))
    }

    /// Reads a date. `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.parse().ok()?;
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self::of(Timestamp(midnight.timestamp().as_millisecond())))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp(self.0.saturating_mul(DAY_MS)).to_string();
        f.write_str(midnight.split('T').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Day, Timestamp};

    #[test]
    fn days_are_those_of_utc() {
        let day = Day::parse("2026-11-20").expect("a day");
        assert_eq!(day.to_string(), "2026-11-20");
        let late = Timestamp::parse("2026-11-21T00:59:59.999+01:00").expect("a time");
        assert_eq!(Day::of(late), day);
        assert_eq!(Day::of(late.plus_ms(1)), Day(day.0 + 1));
        assert_eq!(Day::of(Timestamp(-1)).to_string(), "1969-12-31");
        assert_eq!(Day::parse("2026-02-30"), None);
    }

    #[test]
    fn reads_and_writes_rfc_3339() {
        let t = Timestamp::parse("2026-11-20T18:03:48.605+01:00").expect("a time");
        assert_eq!(t.to_string(), "2026-11-20T17:03:48.605Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
        for end in [i64::MIN, i64::MAX] {
            assert!(Timestamp::parse(&Timestamp(end).to_string()).is_some(), "{}", Timestamp(end));
        }
    }
}
