//! Traces: the names that AWS X-Ray and W3C Trace Context give to the same thing, and a part of a trace of our own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use jiff::Timestamp;
use serde_json::{Value, json};

/// The most traces that one batch links to: a document takes 64 KB, and goes in one datagram.
const MOST_LINKS: usize = 100;

/// X-Ray's daemon beside the function, which takes parts of traces. It can be lost without harm: it is nobody's truth.
#[derive(Clone, Debug, Default)]
pub struct XRay {
    daemon: Option<SocketAddr>,
}

/// A part of a trace: what was done, for which other traces.
#[derive(Debug)]
pub struct Subsegment<'a> {
    /// What was done.
    pub name: &'a str,
    /// An id of its own, at random.
    pub id: [u8; 8],
    /// When it began and ended.
    pub time: (Timestamp, Timestamp),
    /// The `traceparent`s of what it was done for.
    pub links: &'a [String],
}

impl XRay {
    /// The daemon at this address; none without.
    pub fn at(daemon: Option<SocketAddr>) -> Self {
        Self { daemon }
    }

    /// Adds to the trace in X-Ray's `header`, if it is one that X-Ray samples.
    pub fn add(&self, header: &str, subsegment: &Subsegment<'_>) {
        let (Some(daemon), Some(document)) = (self.daemon, subsegment.document(header)) else { return };
        let datagram = format!("{{\"format\": \"json\", \"version\": 1}}\n{document}");
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
            let _ = socket.send_to(datagram.as_bytes(), daemon);
        }
    }
}

impl Subsegment<'_> {
    /// As AWS X-Ray Developer Guide, "Segment documents", has it; with `links` as OpenTelemetry's exporter writes them.
    fn document(&self, header: &str) -> Option<Value> {
        let parts = parts(header).filter(|parts| parts.sampled)?;
        let seconds = |time: Timestamp| time.as_duration().as_secs_f64();
        let link = |traceparent: &String| {
            let mut parts = traceparent.split('-').skip(1);
            let (trace, span) = (parts.next()?, parts.next()?);
            let (epoch, rest) = trace.split_at_checked(8)?;
            Some(json!({ "trace_id": format!("1-{epoch}-{rest}"), "id": span }))
        };
        Some(json!({
            "type": "subsegment",
            "name": self.name,
            "id": format!("{:016x}", u64::from_be_bytes(self.id)),
            "trace_id": parts.root,
            "parent_id": parts.parent,
            "start_time": seconds(self.time.0),
            "end_time": seconds(self.time.1),
            "links": self.links.iter().take(MOST_LINKS).filter_map(link).collect::<Vec<_>>(),
        }))
    }
}

/// The `traceparent` of the trace in X-Ray's header (`Root=1-…;Parent=…;Sampled=1`).
pub fn traceparent(header: &str) -> Option<String> {
    let Parts { root, parent, sampled } = parts(header)?;
    let trace: String = root.strip_prefix("1-")?.split('-').collect();
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex(&trace, 32) && hex(parent, 16))
        .then(|| format!("00-{trace}-{parent}-0{}", u8::from(sampled)).to_ascii_lowercase())
}

/// What X-Ray's header says.
struct Parts<'a> {
    root: &'a str,
    parent: &'a str,
    sampled: bool,
}

fn parts(header: &str) -> Option<Parts<'_>> {
    let part = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    Some(Parts { root: part("Root")?, parent: part("Parent")?, sampled: part("Sampled") == Some("1") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn a_trace_of_x_ray_has_a_traceparent() {
        assert_eq!(traceparent(HEADER).unwrap(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        assert_eq!(traceparent(&HEADER.replace("Root=1", "Root=2")), None, "a root of another version");
        assert!(traceparent(&HEADER.replace("Sampled=1", "Sampled=0")).unwrap().ends_with("-00"));
        for other in ["", "Root=1-5759e988-bd862e3fe1be46a994272793", "Root=1-x-y;Parent=z;Sampled=1"] {
            assert_eq!(traceparent(other), None, "{other}");
        }
    }

    #[test]
    fn a_part_of_a_trace_links_to_others() {
        let links = ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(), "nonsense".to_owned()];
        let time = (Timestamp::from_millisecond(1_500).unwrap(), Timestamp::from_millisecond(2_000).unwrap());
        let part = Subsegment { name: "project", id: [0, 0, 0, 0, 0, 0, 0, 7], time, links: &links };
        let expected = json!({
            "type": "subsegment", "name": "project", "id": "0000000000000007",
            "trace_id": "1-5759e988-bd862e3fe1be46a994272793", "parent_id": "53995c3f42cd8ad8",
            "start_time": 1.5, "end_time": 2.0,
            "links": [{ "trace_id": "1-0af76519-16cd43dd8448eb211c80319c", "id": "b7ad6b7169203331" }],
        });
        assert_eq!(part.document(HEADER), Some(expected));
        assert_eq!(part.document(&HEADER.replace("Sampled=1", "Sampled=0")), None);
    }
}
