//! Usage limits: when Claude Code says that one ends.
//!
//! The notices cannot be made here without an account. Their forms are those that users report:
//! `You've hit your session limit · resets 8:30pm (Asia/Tokyo)`, `Weekly limit reached ∙ resets
//! Oct 9, 5pm`, `Your limit will reset at 3pm`, and of old versions `Claude AI usage limit
//! reached|1751230800`.

use std::sync::LazyLock;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use regex::Regex;

use crate::domain::time::Timestamp;

static NOTICE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?ix)
        \blimit\b .* \bresets? (?:\s at)? \s
        (?: (?<month> jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) [a-z]* \s (?<day> \d{1,2}) ,? \s (?:at\s)? )?
        (?<hour> \d{1,2}) (?: : (?<minute> \d{2}) )? \s? (?<half> am|pm)
        (?: \s \( (?<zone> [A-Za-z_+/0-9-]+ ) \) )?";
    Regex::new(pattern).expect("a valid pattern")
});
static EPOCH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\blimit reached\|(\d{10})\b").expect("a valid pattern"));

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A limit that is said to end at 3pm just after 3pm has ended; the clocks may differ a little.
const JUST_PAST_MS: i64 = 10 * 60 * 1_000;

/// When the usage limit ends that a notice shown `at` tells of. `None` if it tells of none, or does
/// not say. Without a time zone the local one is meant.
pub fn resets_at(notice: &str, at: Timestamp) -> Option<Timestamp> {
    resets_in(notice, at, TimeZone::system())
}

fn resets_in(notice: &str, at: Timestamp, local: TimeZone) -> Option<Timestamp> {
    if let Some(found) = EPOCH.captures(notice) {
        let seconds: i64 = found[1].parse().ok()?;
        return Some(Timestamp(seconds * 1_000));
    }
    let found = NOTICE.captures(notice)?;
    let zone = found.name("zone").and_then(|zone| TimeZone::get(zone.as_str()).ok());
    let now = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.unwrap_or(local));
    let hour: i8 = found["hour"].parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let afternoon = if found["half"].eq_ignore_ascii_case("pm") { 12 } else { 0 };
    let minute = found.name("minute").map_or(Some(0), |minute| minute.as_str().parse().ok())?;
    let time = Time::new(hour % 12 + afternoon, minute, 0, 0).ok()?;
    let end = match (found.name("month"), found.name("day")) {
        (Some(month), Some(day)) => {
            let month = month.as_str().to_ascii_lowercase();
            let month = MONTHS.iter().position(|name| *name == month)?;
            on_date(&now, i8::try_from(month + 1).ok()?, day.as_str().parse().ok()?, time)?
        }
        _ => today_or_tomorrow(&now, time)?,
    };
    Some(Timestamp(end.timestamp().as_millisecond()))
}

fn today_or_tomorrow(now: &Zoned, time: Time) -> Option<Zoned> {
    let today = at(now, now.date().to_datetime(time))?;
    let past = now.timestamp().as_millisecond() - today.timestamp().as_millisecond();
    if past < JUST_PAST_MS { Some(today) } else { today.checked_add(Span::new().days(1)).ok() }
}

fn on_date(now: &Zoned, month: i8, day: i8, time: Time) -> Option<Zoned> {
    let in_year = |year: i16| {
        let date = jiff::civil::Date::new(year, month, day).ok()?;
        at(now, date.to_datetime(time))
    };
    let this = in_year(now.year())?;
    // In December a date of January is next year's.
    let past = now.timestamp().as_second() - this.timestamp().as_second();
    if past < 183 * 86_400 { Some(this) } else { in_year(now.year() + 1) }
}

fn at(now: &Zoned, time: DateTime) -> Option<Zoned> {
    time.to_zoned(now.time_zone().clone()).ok()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::resets_in;
    use crate::domain::time::Timestamp;

    #[test]
    fn notices_are_read() {
        let now = Timestamp::parse("2026-11-21T10:00:00Z").expect("a time");
        let reset = |notice: &str| {
            resets_in(notice, now, TimeZone::UTC).map(|t| t.to_string().replace(".000", ""))
        };
        for (notice, end) in [
            ("You've hit your session limit · resets 8:30pm (UTC)", "2026-11-21T20:30:00Z"),
            ("You've hit your limit · resets 3pm", "2026-11-21T15:00:00Z"),
            ("5-hour limit reached ∙ resets 3am", "2026-11-22T03:00:00Z"),
            ("5-hour limit reached ∙ resets 9:55am", "2026-11-21T09:55:00Z"),
            ("Weekly limit reached ∙ resets Nov 24, 5pm", "2026-11-24T17:00:00Z"),
            ("Weekly limit reached · resets Jan 2 at 12am", "2027-01-02T00:00:00Z"),
            ("Claude usage limit reached. Your limit will reset at 12pm.", "2026-11-21T12:00:00Z"),
            ("Claude AI usage limit reached|1795255200", "2026-11-21T10:00:00Z"),
        ] {
            assert_eq!(reset(notice).as_deref(), Some(end), "{notice}");
        }
        for other in ["", "limit resets 13pm", "limit resets soon", "resets 3pm", "limit reached"] {
            assert_eq!(reset(other), None, "{other}");
        }
    }

    #[test]
    fn a_time_zone_counts_where_the_machine_knows_it() {
        let now = Timestamp::parse("2026-11-21T10:00:00Z").expect("a time");
        let notice = "You've hit your session limit · resets 8:30pm (Asia/Tokyo)";
        let there = TimeZone::get("Asia/Tokyo").is_ok();
        let end = if there { "2026-11-21T11:30:00Z" } else { "2026-11-21T20:30:00Z" };
        assert_eq!(resets_in(notice, now, TimeZone::UTC), Timestamp::parse(end));
    }
}
