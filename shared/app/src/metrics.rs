//! What is counted, for CloudWatch: a line an invocation, in its embedded metric format.
//!
//! A line costs what a log line costs, and no call. No id of an order or a customer is ever a dimension: each value of a
//! dimension is a metric of its own, to be paid by the month.

use std::{fmt, io::Write, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The most values of one metric in a line (CloudWatch, "Embedded metric format: specification").
const MOST_VALUES: usize = 100;

/// Where metrics go.
#[derive(Clone)]
pub struct Metrics {
    namespace: Arc<str>,
    write: Option<Arc<dyn Fn(Value) + Send + Sync>>,
}

/// What one invocation counted.
#[derive(Debug, Default)]
pub struct Measurements {
    values: Map<String, Value>,
    metrics: Vec<Value>,
    split: Vec<(&'static str, &'static str)>,
}

impl Metrics {
    /// Metrics that nobody wants.
    pub fn none() -> Self {
        Self { namespace: "".into(), write: None }
    }

    /// Metrics of this namespace, each line handed to `write`.
    pub fn to(namespace: impl Into<Arc<str>>, write: impl Fn(Value) + Send + Sync + 'static) -> Self {
        Self { namespace: namespace.into(), write: Some(Arc::new(write)) }
    }

    /// Metrics of this namespace on standard output, where Lambda's log takes them from.
    pub fn to_stdout(namespace: impl Into<Arc<str>>) -> Self {
        // Nobody can be told that there is no standard output.
        Self::to(namespace, |line| drop(writeln!(std::io::stdout(), "{line}")))
    }

    /// Writes the line, unless there is nothing in it.
    pub fn emit(&self, now: Timestamp, measured: Measurements) {
        let Measurements { mut values, metrics, split } = measured;
        let Some(write) = self.write.as_ref().filter(|_| !metrics.is_empty()) else { return };
        let directive = |dimensions: &[&str], metrics: Value| json!({ "Namespace": *self.namespace, "Dimensions": [dimensions], "Metrics": metrics });
        let mut directives = vec![directive(&[], metrics.into())];
        for (metric, dimension) in split {
            directives.push(directive(&[dimension], json!([{ "Name": metric, "Unit": "Count" }])));
        }
        values.insert("_aws".to_owned(), json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives }));
        write(values.into());
    }
}

impl Measurements {
    /// The same, with a number of things. Zero is not written: it costs, and says nothing that a sum does not.
    #[must_use]
    pub fn count(self, metric: &'static str, number: usize) -> Self {
        if number == 0 { self } else { self.with(metric, "Count", number.into()) }
    }

    /// The same, with one thing of a kind: it counts by itself, and by the kind as a dimension.
    #[must_use]
    pub fn one_of(mut self, metric: &'static str, dimension: &'static str, kind: &str) -> Self {
        self.split.push((metric, dimension));
        self.values.insert(dimension.to_owned(), kind.into());
        self.with(metric, "Count", 1.into())
    }

    /// The same, with times in milliseconds; of many, the first hundred.
    #[must_use]
    pub fn milliseconds(self, metric: &'static str, mut times: Vec<i64>) -> Self {
        times.truncate(MOST_VALUES);
        if times.is_empty() { self } else { self.with(metric, "Milliseconds", times.into()) }
    }

    /// The same, with something to be found by, which is no metric.
    #[must_use]
    pub fn note(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    fn with(mut self, metric: &'static str, unit: &str, value: Value) -> Self {
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

    fn emitted(measured: Measurements) -> Vec<Value> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let metrics = Metrics::to("orders", move |line| written.lock().unwrap().push(line));
        metrics.emit(Timestamp::from_millisecond(1_700_000_000_123).unwrap(), measured);
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
                    "Namespace": "orders", "Dimensions": [[]],
                    "Metrics": [{ "Name": "Duplicates", "Unit": "Count" }, { "Name": "Lag", "Unit": "Milliseconds" }],
                }],
            },
            "Duplicates": 2, "Lag": [5, 7], "links": "a",
        });
        assert_eq!(line, [expected]);
    }

    #[test]
    fn what_is_of_a_kind_counts_twice() {
        let line = emitted(Measurements::default().one_of("Rejected", "Reason", "already-shipped")).remove(0);
        assert_eq!((&line["Rejected"], &line["Reason"]), (&json!(1), &json!("already-shipped")));
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!([&directives[0]["Dimensions"], &directives[1]["Dimensions"]], [&json!([[]]), &json!([["Reason"]])]);
        assert_eq!(directives[0]["Metrics"], directives[1]["Metrics"]);
    }

    #[test]
    fn nothing_is_written_of_nothing() {
        assert!(
            emitted(Measurements::default().count("Duplicates", 0).milliseconds("Lag", vec![]).note("a", 1)).is_empty()
        );
    }
}
