//! Sums over what was measured.

use std::time::Duration;

/// The value below which a part `p` of all times lies. Zero of none.
pub fn percentile(times: &[Duration], p: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    // An index into a list of times fits into any number.
    let at = (last as f64 * p).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// The value in the middle.
pub fn median(times: &[Duration]) -> Duration {
    percentile(times, 0.5)
}

/// The number in the middle.
pub fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
