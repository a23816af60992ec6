//! Durations in words, for people.

/// The largest unit that says enough: `3 days`, `1 hour`, `42 seconds`.
pub(crate) fn words(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let (count, unit) = match seconds {
        s if s < 120.0 => (s, "second"),
        s if s < 2.0 * 3600.0 => (s / 60.0, "minute"),
        s if s < 2.0 * 86_400.0 => (s / 3600.0, "hour"),
        s => (s / 86_400.0, "day"),
    };
    let count = count.floor();
    if count == 1.0 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_its_largest_useful_unit() {
        for (seconds, expected) in [
            (-5.0, "0 seconds"),
            (1.9, "1 second"),
            (119.0, "119 seconds"),
            (120.0, "2 minutes"),
            (7199.0, "119 minutes"),
            (7200.0, "2 hours"),
            (172_800.0, "2 days"),
            (8_640_000.0, "100 days"),
        ] {
            assert_eq!(words(seconds), expected);
        }
    }
}
