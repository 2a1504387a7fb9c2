//! Deployment of a new projection beside existing ones, for example one with another key.

use cqrs::{ReadModel, ReadModels, Version, spec::commit_of};
use cqrs_dynamodb::{CatchUpRequest, Projector, Segment, StreamFilter, views::Content};

use super::{
    Jars,
    jar::{Inventory, JarEvent, JarLevels, Visit, filled},
};

/// The projector before the deployment, without visits.
fn before(jars: &Jars) -> Projector {
    jars.builder().add(ReadModel::<JarLevels<1>>::new().rollup::<Inventory<1>>()).build().unwrap()
}

/// Appends a commit. Returns the catch-up request that its stream record leads to.
async fn append(jars: &Jars, key: &str, version: u64, event: JarEvent) -> CatchUpRequest {
    let commit = jars.append(commit_of(key, version, "2026-11-22T10:00:00Z", event)).await;
    let mut request = CatchUpRequest::new(commit.stream.clone());
    request.observe(commit.version, Some(commit));
    request
}

async fn visits(jars: &Jars, key: &str) -> Option<(Version, u64)> {
    let stored = jars.visits().get(key).await.unwrap()?;
    let Content::Current(Visit { visits, .. }) = stored.content else { panic!("{:?}", stored.content) };
    Some((stored.position.version, visits))
}

#[tokio::test]
async fn a_new_projection_is_filled_while_commits_arrive_and_existing_views_are_not_written() {
    let jars = Jars::start().await;
    for (key, version) in [("a", 1), ("a", 2), ("b", 1), ("c", 1)] {
        let request = append(&jars, key, version, filled(3)).await;
        before(&jars).catch_up(&[request]).await;
    }

    // After the deployment, a stream with a new commit gets a view of its whole history at once.
    let after = jars.projector::<1>();
    let request = append(&jars, "a", 3, filled(1)).await;
    assert_eq!(after.catch_up(&[request]).await.views_written, 2, "levels and visits");
    assert_eq!(visits(&jars, "a").await, Some((Version::new(3), 3)));
    assert_eq!(visits(&jars, "b").await, None);

    // The rebuild fills the others. Meanwhile one of them gets a commit.
    let page = after.streams(StreamFilter::All, Segment::ALL, None).await.unwrap();
    let request = append(&jars, "b", 2, filled(1)).await;
    after.catch_up(&[request]).await;
    let all: Vec<CatchUpRequest> = page.streams.into_iter().map(CatchUpRequest::new).collect();
    let report = after.catch_up(&all).await;
    assert_eq!((report.views_written, report.duplicates, report.failed.len()), (1, 5, 0), "only the visits of c");
    for (key, version) in [("a", 3), ("b", 2), ("c", 1)] {
        assert_eq!(visits(&jars, key).await, Some((Version::new(version), version)), "{key}");
    }
    let again = after.catch_up(&all).await;
    assert_eq!((again.views_written, again.duplicates), (0, 6));
}
