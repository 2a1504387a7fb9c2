//! Where the system is, and which part of it is meant.

use std::env;

use app::{App, Metrics, Settings, client::client, trace::XRay};
use clap::Args;
use cqrs_dynamodb::{Dynamo, Environment, Segment};

/// The tables of a system.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// A DynamoDB other than that of AWS, such as that of `cargo local` at http://localhost:8000
    #[arg(long, value_name = "URL", global = true)]
    dynamodb: Option<String>,
}

impl Target {
    /// What the functions would work with, there.
    pub(crate) fn app(&self) -> Result<App, String> {
        let local = self.dynamodb.is_some();
        let settings = Settings::read(|name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" if local => self.dynamodb.clone(),
            name => env::var(name).ok().or_else(|| local.then(|| local_name(name)).flatten()),
        });
        let settings = settings.map_err(|error| format!("{error}. See --help, or give --dynamodb."))?;
        Ok(App {
            dynamo: Dynamo::new(client(&settings), Environment::system()),
            tables: settings.tables,
            metrics: Metrics::none(),
            x_ray: XRay::default(),
        })
    }
}

/// What the local stack calls its tables.
fn local_name(variable: &str) -> Option<String> {
    let name = match variable {
        "EVENTS_TABLE" => "EventsTable",
        "ORDER_SUMMARIES_TABLE" => "OrderSummariesTable",
        "DASHBOARD_TABLE" => "DashboardTable",
        _ => return None,
    };
    Some(name.to_owned())
}

/// A segment in the form `3/100`: the third of a hundred.
pub(crate) fn segment(text: &str) -> Result<Segment, String> {
    let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse::<u16>().ok()?, of.parse().ok()?)));
    match parsed {
        Some((number, of)) if (1..=of).contains(&number) && of <= 1000 => Ok(Segment { number: number - 1, of }),
        _ => Err("it must look like 3/100: from 1/N to N/N, and N at most 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_from_one() {
        assert_eq!(segment("1/4"), Ok(Segment { number: 0, of: 4 }));
        assert_eq!(segment("4/4"), Ok(Segment { number: 3, of: 4 }));
        for wrong in ["0/4", "5/4", "1", "1/1001", "a/b", ""] {
            assert!(segment(wrong).is_err(), "{wrong}");
        }
    }
}
