//! The system to operate on, and the parsers of segments and streams.

use std::env;

use app::{
    App, Aws, Metrics, Settings,
    client::{client_over, transport},
    start::{self, UsedTables},
    trace::XRay,
};
use clap::Args;
use cqrs::{Domain, StreamId};
use cqrs_dynamodb::{Dynamo, Environment, Segment};

#[derive(Debug, Args)]
pub(super) struct Target {
    /// Use the DynamoDB at this endpoint, such as `cargo local` at http://localhost:8000
    #[arg(long, value_name = "URL", global = true)]
    dynamodb: Option<String>,
}

impl Target {
    /// Builds the app of this system, without metrics and tracing.
    ///
    /// # Errors
    /// If a setting is missing or malformed.
    pub(super) fn app<D: Domain>(&self) -> Result<App, String> {
        let declared = start::tables::<D>(UsedTables::All).map_err(|error| error.to_string())?;
        let settings = Settings::read(&declared, |name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" if self.dynamodb.is_some() => self.dynamodb.clone(),
            name => env::var(name).ok(),
        });
        let settings = settings.map_err(|error| format!("{error}; see --help, or pass --dynamodb"))?;
        let transport = transport(&settings);
        Ok(App {
            dynamo: Dynamo::new(client_over(&settings, transport.clone()), Environment::system()),
            aws: Aws::new(&settings, transport, |name| env::var(name).ok()),
            tables: settings.tables,
            metrics: Metrics::none(),
            x_ray: XRay::default(),
        })
    }
}

/// Parses a segment, numbered from 1: `3/100` is the third of a hundred.
pub(super) fn segment(text: &str) -> Result<Segment, String> {
    let parsed =
        text.split_once('/').and_then(|(number, count)| Some((number.parse::<u16>().ok()?, count.parse().ok()?)));
    match parsed {
        Some((number, count)) if (1..=count).contains(&number) && count <= 1000 => {
            Ok(Segment { number: number - 1, of: count })
        }
        _ => Err("must be I/N with 1 <= I <= N <= 1000, such as 3/100".to_owned()),
    }
}

/// Parses a stream id, such as `order#7c9e…`, or a key of the default category.
pub(super) fn stream(text: &str, default_category: &str) -> Result<StreamId, String> {
    let id = if text.contains('#') { text.to_owned() } else { format!("{default_category}#{text}") };
    StreamId::try_from(id).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_an_id_of_the_default_category_or_a_stream_id_of_any_category() {
        let stream = |text| stream(text, "order");
        assert_eq!(stream("7c9e").unwrap().as_str(), "order#7c9e");
        assert_eq!(stream("order#7c9e").unwrap().as_str(), "order#7c9e");
        assert_eq!(stream("loan#C-1042").unwrap().as_str(), "loan#C-1042");
        for invalid in ["", "#", "order#", "#7c9e"] {
            assert!(stream(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn segments_are_numbered_from_one() {
        assert_eq!(segment("1/4"), Ok(Segment { number: 0, of: 4 }));
        assert_eq!(segment("4/4"), Ok(Segment { number: 3, of: 4 }));
        for invalid in ["0/4", "5/4", "1", "1/1001", "a/b", ""] {
            assert!(segment(invalid).is_err(), "{invalid}");
        }
    }
}
