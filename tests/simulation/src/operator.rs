//! The operator: redrives parked streams, rebuilds views and counters while the system is live, and repairs damage.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{Environment, Segment, generations::PROPAGATION};
use domains::Domains;
use maintain::{
    counters::{CountersReport, rebuild_counters},
    rebuild::rebuild,
    redrive,
    segments::Checkpoint,
};
use tokio::time::sleep;

use crate::{process::process, world::World};

/// The number of attempts to rebuild the counters.
const ATTEMPTS: usize = 6;

pub struct Operator {
    app: App,
    world: Arc<World>,
}

impl Operator {
    /// An operator with a process of its own. Its clock does not jump, because a rebuild measures a wait by it.
    pub fn new(app: &App, world: Arc<World>) -> Self {
        let (clock, functions) = (world.clock.clone(), app.dynamo.environment.clone());
        let environment = Environment::new(move || clock.without_jumps(), move || functions.random_bytes());
        Self { app: process(app, environment), world }
    }

    /// Redrives now and then, and may rebuild the views.
    pub async fn run(&self, should_continue: &impl Fn() -> bool, may_rebuild: bool) {
        while should_continue() {
            sleep(self.world.random.duration_below(10_000)).await;
            match self.world.random.below(3) {
                0 if may_rebuild => self.write_views(self.checkpoint()).await,
                _ => self.redrive().await,
            }
        }
    }

    /// Redrives the parked streams. A missing or unreadable commit parks a stream.
    pub async fn redrive(&self) {
        let streams = redrive::streams::<Domains>(&self.app, &[]).await.unwrap_or_default();
        let _ = redrive::redrive::<Domains>(&self.app, &streams).await;
    }

    /// Rebuilds the counters, sometimes several times, while the system is live. Gives up after some attempts.
    ///
    /// When a rebuild begins and when it ends, the clients act at once and this process writes views. So orders change
    /// while some processes know the generations and others do not.
    pub async fn rebuild_counters(&self, streams: impl Fn() -> Vec<StreamId> + Copy) {
        let World { random, trace, unreadable, .. } = &*self.world;
        sleep(random.duration_below(10_000)).await;
        for _ in 0..ATTEMPTS {
            self.hurry_clients().await;
            let write_views = async {
                // Some views are left to the rebuild.
                let half = Segment { number: random.below(2) as u16, of: 2 };
                self.write_views(Checkpoint::start_of(half)).await;
                self.hurry_clients().await;
            };
            let rebuilding = async { tokio::join!(self.try_rebuild_counters(), write_views).0 };
            let report = tokio::select! {
                biased;
                report = rebuilding => report,
                never = self.make_a_stream_unreadable(streams) => match never {},
            };
            *unreadable.lock().unwrap() = None;
            tokio::join!(self.hurry_clients(), self.write_views(self.checkpoint()));
            if report.is_some_and(|report| report.is_complete()) {
                trace.count("counters rebuilt");
                if random.happens(700) {
                    break;
                }
            }
        }
    }

    /// Writes the views that lack commits or are not counted in a generation that this process knows.
    async fn write_views(&self, checkpoint: Checkpoint) {
        sleep(self.world.random.duration_below(1000)).await;
        drop(rebuild::<Domains>(&self.app, checkpoint, |_, _| {}).await);
    }

    /// Sometimes makes a stream unreadable while a rebuild of the counters visits the streams. Never ends.
    async fn make_a_stream_unreadable(&self, streams: impl Fn() -> Vec<StreamId>) -> Infallible {
        let World { random, trace, unreadable, .. } = &*self.world;
        if random.happens(500) {
            sleep(Duration::try_from(PROPAGATION).unwrap() - Duration::from_secs(1)).await;
            *unreadable.lock().unwrap() = random.pick(&streams()).map(ToString::to_string);
            trace.count("stream unreadable during a rebuild");
            sleep(Duration::from_secs(3)).await;
            *unreadable.lock().unwrap() = None;
        }
        pending().await
    }

    /// Makes each client act twice within a second.
    async fn hurry_clients(&self) {
        for _ in 0..2 {
            self.world.hurry.notify_waiters();
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Repairs all damage, without faults.
    ///
    /// # Errors
    /// Fails if the damage remains.
    pub async fn repair(&self) -> Result<(), String> {
        let report = rebuild::<Domains>(&self.app, self.checkpoint(), |_, _| {}).await;
        let report = report.map_err(|error| format!("the rebuild failed: {error}"))?;
        if !report.failed.is_empty() {
            return Err(format!("the rebuild left streams behind: {:?}", report.failed));
        }
        let mut last = None;
        for _ in 0..ATTEMPTS {
            last = self.try_rebuild_counters().await;
            if last.as_ref().is_some_and(CountersReport::is_complete) {
                return Ok(());
            }
        }
        Err(format!("the counters were not rebuilt: {last:?}"))
    }

    async fn try_rebuild_counters(&self) -> Option<CountersReport> {
        // Orders also change while the counters are compared.
        let on_page = |_: &_, _: &_| self.world.hurry.notify_waiters();
        rebuild_counters::<Domains>(&self.app, self.checkpoint(), PROPAGATION, on_page).await.ok()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::start(1 + self.world.random.below(3) as u16)
    }
}
