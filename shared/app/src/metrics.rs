//! Metrics in CloudWatch's embedded metric format: one log line per invocation.
//!
//! A line needs no API call and costs as much as any other log line. Ids of streams and callers are never dimensions,
//! because CloudWatch bills each value of a dimension as a separate metric, by the month.

use std::{fmt, io::Write, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// CloudWatch's limit for the values of one metric in a line ("Embedded metric format: specification").
const MAX_VALUES: usize = 100;

/// Writes metric lines of one namespace, or discards them.
#[derive(Clone)]
pub struct Metrics {
    namespace: Arc<str>,
    write: Option<Arc<dyn Fn(Value) + Send + Sync>>,
}

/// The measurements of one invocation.
#[derive(Debug, Default)]
pub struct Measurements {
    values: Map<String, Value>,
    metrics: Vec<Value>,
    /// Pairs of metric and dimension.
    dimensions: Vec<(&'static str, &'static str)>,
}

impl Metrics {
    /// Discards all metrics.
    pub fn none() -> Self {
        Self { namespace: "".into(), write: None }
    }

    /// Passes each line to `write`.
    pub fn to(namespace: impl Into<Arc<str>>, write: impl Fn(Value) + Send + Sync + 'static) -> Self {
        Self { namespace: namespace.into(), write: Some(Arc::new(write)) }
    }

    /// Writes each line to standard output, which Lambda sends to CloudWatch Logs.
    pub fn to_stdout(namespace: impl Into<Arc<str>>) -> Self {
        // Without standard output, there is nowhere to report the error.
        Self::to(namespace, |line| drop(writeln!(std::io::stdout(), "{line}")))
    }

    /// Writes the measurements as one line, unless they have no metric.
    pub fn emit(&self, now: Timestamp, measurements: Measurements) {
        let Measurements { mut values, metrics, dimensions } = measurements;
        let Some(write) = self.write.as_ref().filter(|_| !metrics.is_empty()) else { return };
        let mut directives = vec![self.directive(&[], metrics.into())];
        for (metric, dimension) in dimensions {
            directives.push(self.directive(&[dimension], json!([{ "Name": metric, "Unit": "Count" }])));
        }
        values.insert("_aws".to_owned(), json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives }));
        write(values.into());
    }

    fn directive(&self, dimensions: &[&str], metrics: Value) -> Value {
        json!({ "Namespace": *self.namespace, "Dimensions": [dimensions], "Metrics": metrics })
    }
}

impl Measurements {
    /// Adds a count. Zero is left out: it costs as much as any value and does not change a sum.
    #[must_use]
    pub fn count(self, metric: &'static str, number: usize) -> Self {
        if number == 0 { self } else { self.add(metric, "Count", number.into()) }
    }

    /// Adds a count of one, both without a dimension and with the dimension's value `kind`.
    #[must_use]
    pub fn one_of(self, metric: &'static str, dimension: &'static str, kind: &str) -> Self {
        self.number_of(metric, dimension, kind, 1)
    }

    /// Adds a count, both without a dimension and with the dimension's value `kind`.
    #[must_use]
    pub fn number_of(mut self, metric: &'static str, dimension: &'static str, kind: &str, number: usize) -> Self {
        self.dimensions.push((metric, dimension));
        self.values.insert(dimension.to_owned(), kind.into());
        self.add(metric, "Count", number.into())
    }

    /// Adds durations in milliseconds: the first 100, which is CloudWatch's limit.
    #[must_use]
    pub fn milliseconds(self, metric: &'static str, mut times: Vec<i64>) -> Self {
        times.truncate(MAX_VALUES);
        if times.is_empty() { self } else { self.add(metric, "Milliseconds", times.into()) }
    }

    /// Adds a property to search the logs by. It is not a metric.
    #[must_use]
    pub fn note(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    fn add(mut self, metric: &'static str, unit: &str, value: Value) -> Self {
        self.metrics.push(json!({ "Name": metric, "Unit": unit }));
        self.values.insert(metric.to_owned(), value);
        self
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({})", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn emitted(measurements: Measurements) -> Vec<Value> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let metrics = Metrics::to("loans", move |line| written.lock().unwrap().push(line));
        metrics.emit(Timestamp::from_millisecond(1_700_000_000_123).unwrap(), measurements);
        drop(metrics);
        Arc::into_inner(lines).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let line =
            emitted(Measurements::default().count("Duplicates", 2).milliseconds("Lag", vec![5, 7]).note("links", "a"));
        let expected = json!({
            "_aws": {
                "Timestamp": 1_700_000_000_123_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "loans", "Dimensions": [[]],
                    "Metrics": [{ "Name": "Duplicates", "Unit": "Count" }, { "Name": "Lag", "Unit": "Milliseconds" }],
                }],
            },
            "Duplicates": 2, "Lag": [5, 7], "links": "a",
        });
        assert_eq!(line, [expected]);
    }

    #[test]
    fn a_kind_is_counted_with_and_without_its_dimension() {
        let line = emitted(Measurements::default().one_of("Rejected", "Reason", "already-shipped")).remove(0);
        assert_eq!((&line["Rejected"], &line["Reason"]), (&json!(1), &json!("already-shipped")));
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!([&directives[0]["Dimensions"], &directives[1]["Dimensions"]], [&json!([[]]), &json!([["Reason"]])]);
        assert_eq!(directives[0]["Metrics"], directives[1]["Metrics"]);
    }

    #[test]
    fn no_line_is_written_without_a_metric() {
        assert!(
            emitted(Measurements::default().count("Duplicates", 0).milliseconds("Lag", vec![]).note("a", 1)).is_empty()
        );
    }
}
