//! The operator: redrives parked streams, rebuilds views and counters while the system is live, and repairs damage.

use std::sync::Arc;

use app::App;
use cqrs_dynamodb::{Environment, generations::PROPAGATION};
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

    /// Redrives and rebuilds now and then.
    pub async fn run(&self, should_continue: &impl Fn() -> bool) {
        while should_continue() {
            sleep(self.world.random.duration_below(10_000)).await;
            match self.world.random.below(3) {
                0 => drop(rebuild::<Domains>(&self.app, self.checkpoint(), |_, _| {}).await),
                _ => self.redrive().await,
            }
        }
    }

    /// Redrives the parked streams. A missing or unreadable commit parks a stream.
    pub async fn redrive(&self) {
        let streams = redrive::streams::<Domains>(&self.app, &[]).await.unwrap_or_default();
        let _ = redrive::redrive::<Domains>(&self.app, &streams).await;
    }

    /// Rebuilds the counters while the system is live. Gives up after some attempts.
    pub async fn rebuild_counters(&self) {
        sleep(self.world.random.duration_below(20_000)).await;
        for _ in 0..ATTEMPTS {
            if self.try_rebuild_counters().await.is_some_and(|report| report.is_complete()) {
                return self.world.trace.count("counters rebuilt");
            }
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
        rebuild_counters::<Domains>(&self.app, self.checkpoint(), PROPAGATION, |_, _| {}).await.ok()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::start(1 + self.world.random.below(3) as u16)
    }
}
