//! The clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// The present.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Minutes since midnight at `at`, in this machine's time zone.
pub fn minute_of_day(at: Timestamp) -> u16 {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    // Never negative, and below 24 * 60.
    u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default()
}
