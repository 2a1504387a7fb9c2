//! `cargo local wind`: winds the clock of a running system forward.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, Unit};
use serde_json::json;

use super::requests;

/// Parses a duration like `90m`, `2h 30m` or `3d`. A day has 24 hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a duration like 90m, 2h or 3d is expected".to_owned();
    let span: Span = text.parse().map_err(|_| expected())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(duration).map_err(|_| "the clock cannot be wound back".to_owned())
}

pub(super) async fn wind(url: &str, duration: Duration) -> Result<(), String> {
    let body = json!({ "forward_ms": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) });
    let request = reqwest::Client::new().post(format!("{url}/clock")).body(body.to_string());
    let clock = requests::send(request, url).await?;
    let ahead = SignedDuration::from_secs(clock["seconds_ahead"].as_i64().unwrap_or_default());
    let now = clock["now"].as_str().and_then(|now| now.parse::<Timestamp>().ok()).unwrap_or_default();
    let now = now.round(Unit::Second).unwrap_or(now);
    println!("The clock of the system shows {now}, and is {ahead:#} ahead.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_units() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2h 30m"), Ok(Duration::from_secs(9000)));
        assert_eq!(duration("3d"), Ok(Duration::from_secs(3 * 86_400)));
        for text in ["", "90", "soon", "1mo"] {
            assert_eq!(duration(text), Err("a duration like 90m, 2h or 3d is expected".to_owned()), "{text}");
        }
        assert_eq!(duration("-1h"), Err("the clock cannot be wound back".to_owned()));
    }
}
