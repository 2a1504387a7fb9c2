//! `cargo local history`: the events of an aggregate as a timeline.

use jiff::Timestamp;
use serde_json::Value;

use super::requests;
use crate::Deployment;

pub(super) async fn run(deployment: &Deployment, url: &str, id: &str) -> Result<(), String> {
    let path = deployment.path(deployment.history).ok_or("the API has no operation that returns the events")?;
    let history = requests::get(deployment, url, &with_parameter(path, id)).await?;
    println!("{id}");
    let mut before: Option<Timestamp> = None;
    for event in history["events"].as_array().into_iter().flatten() {
        let at: Option<Timestamp> = event["recorded_at"].as_str().and_then(|time| time.parse().ok());
        if let (Some(before), Some(at)) = (before, at) {
            println!("│      {}", time_span(at.duration_since(before).as_secs()));
        }
        let time = at.map(|at| format!("{at:.0}")).unwrap_or_default();
        let version = event["version"].as_u64().unwrap_or_default();
        println!("● {version:>2}   {time}   {}", event["type"].as_str().unwrap_or_default());
        for (name, value) in event["data"].as_object().into_iter().flatten() {
            println!("│      {name}: {}", as_text(value));
        }
        before = at;
    }
    Ok(())
}

/// The path with its only parameter replaced.
fn with_parameter(path: &str, value: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { value.to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A span of time in its two largest units.
fn time_span(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s later"),
        (0, 0, _) => format!("{minutes} min {} s later", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min later"),
        _ => format!("{days} d {hours} h later"),
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_has_at_most_its_two_largest_units() {
        assert_eq!(time_span(7), "7 s later");
        assert_eq!(time_span(67), "1 min 7 s later");
        assert_eq!(time_span(3 * 3600 + 120), "3 h 2 min later");
        assert_eq!(time_span(2 * 86_400 + 3600), "2 d 1 h later");
    }
}
