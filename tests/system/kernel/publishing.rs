//! Publishing the events of streams: at least once, in the order of the stream.

use std::sync::{Arc, Mutex};

use cqrs::{Domain, PublicRecord, StreamId, Version, spec::commit_of};
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, EventSink, Projector, RepublishFrom, SendError, StoreError};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use local::engine::interceptor::Fault;

use super::{
    Jars,
    catch_up::{request, stream},
    jar::{JarEvent, PANIC_AMOUNT, filled},
    jar_beside::JarDomain,
};

/// A bus that records the ids of what it takes. It fails the first `failures` events, and refuses the id `refused`.
#[derive(Default)]
struct Bus {
    taken: Mutex<Vec<String>>,
    failures: Mutex<usize>,
    refused: Mutex<Option<&'static str>>,
}

impl Bus {
    fn take(&self, record: &PublicRecord) -> Result<(), SendError> {
        if *self.refused.lock().unwrap() == Some(&record.id) {
            return Err(SendError::Refused("an entry of 300000 bytes exceeds 262144".to_owned()));
        }
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(SendError::Failed(Arc::new(StoreError::bug("the bus is unavailable"))));
        }
        self.taken.lock().unwrap().push(record.id.clone());
        Ok(())
    }

    /// The ids of the events since the last time.
    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().drain(..).collect()
    }
}

impl EventSink for Bus {
    fn send<'a>(&'a self, records: &'a [PublicRecord]) -> BoxFuture<'a, Vec<Result<(), SendError>>> {
        Box::pin(async { records.iter().map(|record| self.take(record)).collect() })
    }
}

fn publisher(jars: &Jars, bus: &Arc<Bus>) -> Projector {
    JarDomain::<1>::publications(jars.builder().publish_to(bus.clone())).build().unwrap()
}

async fn publish(jars: &Jars, bus: &Arc<Bus>, requests: &[CatchUpRequest]) -> CatchUpReport {
    publisher(jars, bus).catch_up(requests).await
}

const EMPTIED: JarEvent = JarEvent::Emptied { amount: 1 };

#[tokio::test]
async fn the_events_of_a_stream_are_published_in_order_and_private_ones_are_not() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3), EMPTIED, JarEvent::Smashed {}]).await;
    let report = publish(&jars, &bus, std::slice::from_ref(&a)).await;
    assert_eq!(bus.taken(), ["jar#a/1/0", "jar#a/3/0"]);
    assert_eq!((report.events_published, report.failed.len()), (2, 0));
    let again = publish(&jars, &bus, &[a]).await;
    assert_eq!((bus.taken().len(), again.events_published, again.duplicates), (2, 2, 1), "a repeat from version 1");
}

#[tokio::test]
async fn a_commit_that_arrives_before_its_predecessor_is_published_after_it() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3), filled(4), filled(5)]).await;
    publish(&jars, &bus, &[request(&a, &[3])]).await;
    assert_eq!(bus.taken(), ["jar#a/1/0", "jar#a/2/0", "jar#a/3/0"]);
    publish(&jars, &bus, &[request(&a, &[2])]).await;
    assert!(bus.taken().is_empty());
}

#[tokio::test]
async fn a_position_moves_only_after_the_bus_has_taken_all_events() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let (a, b) = (stream(&jars, "a", &[filled(3), filled(4)]).await, stream(&jars, "b", &[filled(1)]).await);
    *bus.failures.lock().unwrap() = 1;
    let report = publish(&jars, &bus, &[a.clone(), b.clone()]).await;
    assert!(report.failed.keys().eq([&a.stream]), "{:?}", report.failed);
    assert_eq!(bus.taken(), ["jar#a/2/0", "jar#b/1/0"]);
    let report = publish(&jars, &bus, &[request(&a, &[2]), request(&b, &[1])]).await;
    assert_eq!((bus.taken().len(), report.failed.len()), (3, 0));
}

#[tokio::test]
async fn events_are_published_again_if_the_position_was_not_written() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3)]).await;
    jars.interceptor.inject("PutItem", Fault::AccessDenied, 1);
    let report = publish(&jars, &bus, std::slice::from_ref(&a)).await;
    assert_eq!((bus.taken().len(), report.failed.len()), (1, 1));
    jars.interceptor.clear_faults();
    publish(&jars, &bus, &[a]).await;
    assert_eq!(bus.taken(), ["jar#a/1/0"]);
}

#[tokio::test]
async fn an_event_that_can_never_be_published_parks_its_stream_alone() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let (a, b) = (stream(&jars, "a", &[filled(3), filled(4)]).await, stream(&jars, "b", &[filled(1)]).await);
    *bus.refused.lock().unwrap() = Some("jar#a/2/0");
    let report = publish(&jars, &bus, &[a.clone(), b]).await;
    assert!(report.parked.keys().eq([&a.stream]) && report.failed.is_empty());
    assert_eq!(bus.taken(), ["jar#a/1/0", "jar#b/1/0"]);
    let parked = publisher(&jars, &bus).parked().await.unwrap();
    let marks: Vec<_> = parked["jar-publication"].iter().map(|view| view.parked.version.get()).collect();
    assert_eq!(marks, [2]);
    assert_eq!(publish(&jars, &bus, &[request(&a, &[2])]).await.skipped, 1);
    *bus.refused.lock().unwrap() = None;
    publish(&jars, &bus, &[CatchUpRequest::redrive(a.stream)]).await;
    assert_eq!(bus.taken(), ["jar#a/1/0", "jar#a/2/0"]);
}

#[tokio::test]
async fn code_that_panics_parks_its_stream_after_the_events_before() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3), filled(PANIC_AMOUNT), filled(4)]).await;
    let report = publish(&jars, &bus, std::slice::from_ref(&a)).await;
    assert!(report.parked.keys().eq([&a.stream]));
    assert_eq!(bus.taken(), ["jar#a/1/0"]);
}

#[tokio::test]
async fn verify_finds_streams_that_are_not_published_to_their_end() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3), filled(4)]).await;
    publish(&jars, &bus, &[request(&a, &[1])]).await;
    let verify = async || {
        let streams = [StreamId::of::<JarEvent>("a")];
        let mut verified = publisher(&jars, &bus).verify(&streams, Timestamp::MAX).await.unwrap();
        let views = verified.views.remove("jar-publication").unwrap();
        (views.defective.len(), views.behind.len())
    };
    // A request with all commits up to its head needs no read, so version 2 is still unknown.
    assert_eq!(verify().await, (0, 1));
    publish(&jars, &bus, &[a]).await;
    assert_eq!(verify().await, (0, 0));
}

#[tokio::test]
async fn a_publication_without_a_bus_is_not_caught_up() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3)]).await;
    let without_bus = JarDomain::<1>::publications(jars.builder()).build().unwrap();
    let report = without_bus.catch_up(std::slice::from_ref(&a)).await;
    assert_eq!((report.views_written, report.failed.len()), (0, 0));
    publish(&jars, &bus, &[a]).await;
    assert_eq!(bus.taken(), ["jar#a/1/0"]);
}

#[tokio::test]
async fn events_are_published_again_from_the_start_a_version_or_a_time_and_the_position_stays() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3), EMPTIED, filled(4)]).await;
    let streams = [a.stream.clone(), StreamId::of::<JarEvent>("never-filled")];
    let later = commit_of("a", 4, "2026-11-23T10:00:00Z", filled(5));
    let later = jars.append(later).await;
    publish(&jars, &bus, std::slice::from_ref(&a)).await;
    bus.taken();
    let republish = async |from: RepublishFrom| {
        let report = publisher(&jars, &bus).republish(&streams, from).await;
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        let taken = bus.taken();
        assert_eq!(report.events, taken.len());
        taken
    };
    assert_eq!(republish(RepublishFrom::Start).await, ["jar#a/1/0", "jar#a/3/0", "jar#a/4/0"]);
    assert_eq!(republish(RepublishFrom::Version(Version::new(2))).await, ["jar#a/3/0", "jar#a/4/0"]);
    assert_eq!(republish(RepublishFrom::Time(later.recorded_at)).await, ["jar#a/4/0"]);
    publish(&jars, &bus, &[CatchUpRequest::new(a.stream)]).await;
    assert_eq!(bus.taken(), ["jar#a/4/0"]);
}

#[tokio::test]
async fn an_event_that_is_not_sent_again_is_reported() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let (a, b) = (stream(&jars, "a", &[filled(3)]).await, stream(&jars, "b", &[filled(PANIC_AMOUNT)]).await);
    *bus.failures.lock().unwrap() = 1;
    let streams = [a.stream, b.stream];
    let report = publisher(&jars, &bus).republish(&streams, RepublishFrom::Start).await;
    assert_eq!((report.events, report.failed.keys().cloned().collect::<Vec<_>>()), (0, streams.to_vec()));
}

#[tokio::test]
async fn publishing_costs_one_write_unit_and_half_a_read_unit_per_stream_and_batch() {
    let (jars, bus) = (Jars::start().await, Arc::<Bus>::default());
    let a = stream(&jars, "a", &[filled(3), filled(4), filled(5)]).await;
    jars.interceptor.take_costs();
    publish(&jars, &bus, &[request(&a, &[1])]).await;
    let costs = |expected: &[(&str, f64)]| {
        let costs = jars.interceptor.take_costs();
        let operations: Vec<_> = costs.iter().map(|(operation, _)| operation.as_str()).collect();
        assert!(operations.iter().eq(expected.iter().map(|(operation, _)| operation)), "{operations:?}");
        if crate::harness::engine().is_embedded() {
            assert!(costs.iter().map(|(_, units)| units).eq(expected.iter().map(|(_, units)| units)), "{costs:?}");
        }
    };
    costs(&[("PutItem", 1.0)]);
    publish(&jars, &bus, &[request(&a, &[2, 3])]).await;
    costs(&[("BatchGetItem", 0.5), ("PutItem", 1.0)]);
}
