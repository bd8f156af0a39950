//! What can be said about waiting.

use std::time::Duration;

use clap::ValueEnum;

/// Until when to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// Claude has finished, or needs somebody (exit code 6)
    #[default]
    Idle,
    /// Claude has finished; what it asks meanwhile is told on standard error and waited for
    Done,
    /// Claude needs somebody: a permission, a question, a dialog at its start
    Permission,
}

/// Whether to wait for Claude.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Waiting")]
pub struct Wait {
    /// Wait until Claude has finished, or needs somebody, and print its last message
    #[arg(long, value_enum, value_name = "UNTIL", num_args = 0..=1, require_equals = true,
        default_missing_value = "idle")]
    pub wait: Option<Until>,
    /// With --wait: no longer than this, such as 90, 15m or 2h
    #[arg(long, requires = "wait", value_parser = duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
}

/// Waits for sessions.
#[derive(Debug, clap::Args)]
pub struct WaitFor {
    /// The sessions: names or ids.
    #[arg(required = true, value_name = "SESSION")]
    pub sessions: Vec<String>,
    /// Until when.
    #[arg(long, value_enum, default_value_t, value_name = "UNTIL")]
    pub until: Until,
    /// Only until the first of them is there.
    #[arg(long)]
    pub any: bool,
    /// No longer than this, such as 90, 15m or 2h.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
}

/// Reads a length of time: a number of seconds, or one with `s`, `m` or `h` behind it.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let seconds: f64 = match unit {
        "h" => 3600.0,
        "m" => 60.0,
        _ => 1.0,
    };
    let wrong = || "expected a time such as 90, 15m or 2h".to_owned();
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = number.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_have_units() {
        for (text, seconds) in
            [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("15m", 900.0), ("2h", 7200.0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for bad in ["", "m", "-1", "1d", "soon", "nan", "inf", "1e400", "1 m"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
