//! Tracing: converts AWS X-Ray trace headers to W3C Trace Context, and sends subsegments to the X-Ray daemon.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use jiff::Timestamp;
use serde_json::{Value, json};

/// The limit of links in a subsegment. A document has at most 64 KB and is sent as one datagram.
const MAX_LINKS: usize = 100;

/// A client of the X-Ray daemon beside the function. It sends over UDP and ignores errors, so subsegments may be lost.
#[derive(Clone, Debug, Default)]
pub struct XRay {
    daemon: Option<SocketAddr>,
}

/// A unit of work within a trace, with links to the traces that caused it.
#[derive(Debug)]
pub struct Subsegment<'a> {
    pub name: &'a str,
    /// A random id.
    pub id: [u8; 8],
    /// Start and end.
    pub time: (Timestamp, Timestamp),
    /// The `traceparent` of each linked trace. The first 100 are sent.
    pub links: &'a [String],
}

impl XRay {
    /// Creates a client of the daemon at this address. Without an address, nothing is sent.
    pub fn at(daemon: Option<SocketAddr>) -> Self {
        Self { daemon }
    }

    /// Adds a subsegment to the trace in the X-Ray trace header, if the trace is sampled.
    pub fn add(&self, header: &str, subsegment: &Subsegment<'_>) {
        let (Some(daemon), Some(document)) = (self.daemon, subsegment.document(header)) else { return };
        let datagram = format!("{{\"format\": \"json\", \"version\": 1}}\n{document}");
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
            let _ = socket.send_to(datagram.as_bytes(), daemon);
        }
    }
}

impl Subsegment<'_> {
    /// Builds the document of the AWS X-Ray Developer Guide, "Segment documents". The member `links` has the form
    /// that OpenTelemetry's X-Ray exporter writes.
    fn document(&self, header: &str) -> Option<Value> {
        let trace = TraceHeader::parse(header).filter(|trace| trace.sampled)?;
        let seconds = |time: Timestamp| time.as_duration().as_secs_f64();
        let link = |traceparent: &String| {
            let mut fields = traceparent.split('-').skip(1);
            let (trace_id, span_id) = (fields.next()?, fields.next()?);
            let (epoch, rest) = trace_id.split_at_checked(8)?;
            Some(json!({ "trace_id": format!("1-{epoch}-{rest}"), "id": span_id }))
        };
        Some(json!({
            "type": "subsegment",
            "name": self.name,
            "id": format!("{:016x}", u64::from_be_bytes(self.id)),
            "trace_id": trace.root,
            "parent_id": trace.parent,
            "start_time": seconds(self.time.0),
            "end_time": seconds(self.time.1),
            "links": self.links.iter().take(MAX_LINKS).filter_map(link).collect::<Vec<_>>(),
        }))
    }
}

/// Converts an X-Ray trace header (`Root=1-…;Parent=…;Sampled=1`) to a `traceparent`.
pub fn traceparent(header: &str) -> Option<String> {
    let TraceHeader { root, parent, sampled } = TraceHeader::parse(header)?;
    let trace_id: String = root.strip_prefix("1-")?.split('-').collect();
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex(&trace_id, 32) && hex(parent, 16) && !is_zero(&trace_id) && !is_zero(parent))
        .then(|| format!("00-{trace_id}-{parent}-0{}", u8::from(sampled)).to_ascii_lowercase())
}

/// Checks for a `traceparent` of version 00 (W3C Trace Context, 3.2.2). Other versions are ignored, and so is a
/// `traceparent` with an all-zero id, which is invalid.
pub fn is_traceparent(header: &str) -> bool {
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    matches!(header.split('-').collect::<Vec<_>>()[..], ["00", trace_id, span_id, flags]
        if hex(trace_id, 32) && hex(span_id, 16) && hex(flags, 2) && !is_zero(trace_id) && !is_zero(span_id))
}

/// Returns whether an id is all zeros, which W3C Trace Context defines as invalid.
fn is_zero(id: &str) -> bool {
    id.bytes().all(|digit| digit == b'0')
}

/// The fields of an X-Ray trace header.
struct TraceHeader<'a> {
    root: &'a str,
    parent: &'a str,
    sampled: bool,
}

impl<'a> TraceHeader<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let field = |name: &str| header.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        Some(Self { root: field("Root")?, parent: field("Parent")?, sampled: field("Sampled") == Some("1") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    const ZEROS: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000;Sampled=1";

    #[test]
    fn an_x_ray_trace_header_becomes_a_traceparent() {
        assert_eq!(traceparent(HEADER).unwrap(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        assert_eq!(traceparent(&HEADER.replace("Root=1", "Root=2")), None, "unknown version of the root");
        assert!(traceparent(&HEADER.replace("Sampled=1", "Sampled=0")).unwrap().ends_with("-00"));
        for other in ["", "Root=1-5759e988-bd862e3fe1be46a994272793", "Root=1-x-y;Parent=z;Sampled=1", ZEROS] {
            assert_eq!(traceparent(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_well_formed_traceparent_is_accepted() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for other in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-00000000000000000000000000000000-0000000000000000-00",
            "00-1-2-3",
            "alice",
        ] {
            assert!(!is_traceparent(other), "{other}");
        }
    }

    #[test]
    fn a_subsegment_links_to_other_traces() {
        let links = ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(), "nonsense".to_owned()];
        let time = (Timestamp::from_millisecond(1_500).unwrap(), Timestamp::from_millisecond(2_000).unwrap());
        let subsegment = Subsegment { name: "project", id: [0, 0, 0, 0, 0, 0, 0, 7], time, links: &links };
        let expected = json!({
            "type": "subsegment", "name": "project", "id": "0000000000000007",
            "trace_id": "1-5759e988-bd862e3fe1be46a994272793", "parent_id": "53995c3f42cd8ad8",
            "start_time": 1.5, "end_time": 2.0,
            "links": [{ "trace_id": "1-0af76519-16cd43dd8448eb211c80319c", "id": "b7ad6b7169203331" }],
        });
        assert_eq!(subsegment.document(HEADER), Some(expected));
        assert_eq!(subsegment.document(&HEADER.replace("Sampled=1", "Sampled=0")), None);
    }
}
