//! The test of golden files: one file in JSON for every schema version of every event.

use std::{collections::BTreeSet, fmt::Debug, fs, path::Path};

use crate::{Event, EventRecord};

/// Asserts that the variants of `E`, the golden files in `directory` and [`Event::SCHEMAS`] list the same events, that
/// every file decodes,
/// and that `samples`, one event of each type, are the events of the newest files.
///
/// A file is named `<type>.v<schema>.json`, such as `order.placed.v1.json`. Files of older schema versions prove the
/// upcasts; they must never change.
///
/// # Panics
/// If a file or a sample is missing, a file is not listed or does not decode, or a sample differs from its file.
#[track_caller]
#[allow(clippy::panic, reason = "a failed check must fail the test")]
pub fn assert_golden<E: Event + Debug + PartialEq>(directory: impl AsRef<Path>, samples: impl IntoIterator<Item = E>) {
    let directory = directory.as_ref();
    let schemas: BTreeSet<String> = E::SCHEMAS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(variants::<E>(), schemas, "the variants of the events and Event::SCHEMAS differ");
    let listed: BTreeSet<String> = E::SCHEMAS
        .iter()
        .flat_map(|(name, current)| (1..=*current).map(move |schema| file_name(name, schema)))
        .collect();
    let Ok(entries) = fs::read_dir(directory) else { panic!("cannot read {}", directory.display()) };
    let found: BTreeSet<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    assert_eq!(found, listed, "the files in {} and Event::SCHEMAS differ", directory.display());
    for name in &found {
        let record = read(&directory.join(name));
        assert_eq!(*name, file_name(&record.event_type, record.schema), "the name and the content of a file differ");
        if let Err(error) = record.decode::<E>() {
            panic!("{name}: {error}");
        }
    }
    let mut without_sample: BTreeSet<&str> = E::SCHEMAS.iter().map(|(name, _)| *name).collect();
    for sample in samples {
        let record = super::stored(&sample);
        let name = file_name(&record.event_type, record.schema);
        assert_eq!(read(&directory.join(&name)), record, "{name} and its sample differ");
        without_sample.remove(record.event_type.as_str());
    }
    assert!(without_sample.is_empty(), "no sample of {without_sample:?}");
}

/// Returns the published names of all variants, from serde's error for an unknown one.
fn variants<E: Event>() -> BTreeSet<String> {
    let unknown = serde_json::json!({ "type": "", "data": {} });
    let error = serde_json::from_value::<E>(unknown).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
    let expected = error.split_once("expected").map(|(_, expected)| expected).unwrap_or_default();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn file_name(event_type: &str, schema: u32) -> String {
    format!("{event_type}.v{schema}.json")
}

#[track_caller]
#[allow(clippy::panic, reason = "a missing file must fail the test")]
fn read(path: &Path) -> EventRecord {
    match fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
    {
        Ok(record) => record,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Weather {
        #[serde(rename = "weather.measured")]
        Measured {},
        #[serde(rename = "weather.forecast")]
        Forecast {},
    }

    impl Event for Weather {
        const CATEGORY: &'static str = "weather";
        const SCHEMAS: &'static [(&'static str, u32)] = &[("weather.measured", 1)];
    }

    #[test]
    fn the_variants_of_an_event_are_found_by_their_published_names() {
        assert!(variants::<Weather>().iter().eq(["weather.forecast", "weather.measured"]));
    }

    #[test]
    #[should_panic(expected = "the variants of the events and Event::SCHEMAS differ")]
    fn an_event_that_schemas_does_not_list_fails_the_test() {
        assert_golden::<Weather>("golden", [Weather::Measured {}]);
    }
}
