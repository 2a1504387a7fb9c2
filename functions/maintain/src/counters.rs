//! Rebuilds counters: counts all views into the next generation, compares it with the views, and serves it.
//!
//! The served generation stays in use meanwhile, and commands and the projector continue. The next rebuild resumes one
//! that stops early. It repairs counters that somebody changed, and counts the tallies of restored streams anew.

use std::{collections::BTreeMap, time::Duration};

use app::App;
use cqrs::{Counters, Domain};
use cqrs_dynamodb::{
    CatchUpRequest, CountersTable, Generation, Generations, InGeneration, Projector, StoreError, StreamFilter,
};
use jiff::{SignedDuration, Timestamp};
use messaging::publisher::projector_of_all;
use serde::Serialize;

use crate::{
    rebuild::{RebuildReport, catch_up},
    segments::Checkpoint,
    verify::{CountersStatus, VerifyReport, verify},
};

/// The maximum number of comparisons, if the counters change meanwhile.
const COMPARISONS: usize = 3;

/// The result of rebuilding counters.
#[derive(Debug, Serialize)]
pub struct CountersReport {
    pub streams: RebuildReport,
    /// By the declared name of the table. Empty if a stream was not caught up.
    pub tables: BTreeMap<String, RebuiltCounters>,
}

/// The new generation of a table of counters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RebuiltCounters {
    pub generation: Generation,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Queries read the new generation.
    Served {
        /// The former counters minus the correct ones.
        former_error: Counters,
    },
    /// Queries still read the former generation.
    NotServed(NotServed),
}

/// The reason why a generation is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NotServed {
    /// These views are not counted in it. Their streams cannot be folded, or older code has written them.
    Incomplete { views: usize },
    /// It differs from the sum of its views, while no counter changed. The next rebuild begins another generation.
    Wrong,
    /// Another rebuild has stopped building it.
    Abandoned,
    /// It changed while it was compared. Rebuild again when fewer commands arrive.
    NotCompared,
}

impl CountersReport {
    /// Returns whether all tables serve their new generation.
    pub fn is_complete(&self) -> bool {
        self.streams.failed.is_empty()
            && self.tables.values().all(|table| matches!(table.outcome, Outcome::Served { .. }))
    }
}

/// Rebuilds the counters of all tables, from `checkpoint` on. `propagation` is the time after which all writers know
/// that the generation is being built: [`PROPAGATION`](cqrs_dynamodb::generations::PROPAGATION), or zero if no other
/// process writes. Calls `on_page` after each page with the report and the checkpoint so far.
///
/// # Errors
/// [`StoreError`], if a read or a change of the generations fails. The next rebuild continues.
pub async fn rebuild_counters<D: Domain>(
    app: &App,
    checkpoint: Checkpoint,
    propagation: SignedDuration,
    on_page: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<CountersReport, StoreError> {
    let projector = projector_of_all::<D>(app)?;
    let mut building = BTreeMap::new();
    for (name, table) in projector.counters_tables() {
        building.insert(*name, table.begin_generation().await?);
    }
    wait_for_writers(app, building.values(), propagation).await;
    let streams = catch_up::<D>(app, StreamFilter::All, CatchUpRequest::redrive, checkpoint, on_page).await?;
    let mut report = CountersReport { streams, tables: BTreeMap::new() };
    if report.streams.failed.is_empty() {
        let outcomes = compare::<D>(app, &projector, &building).await?;
        for (name, outcome) in outcomes {
            let table = projector.counters_tables().get(name).ok_or_else(|| StoreError::bug(name))?;
            let Some(generation) = building.get(name).and_then(|generations| generations.building) else { continue };
            let outcome = serve_or_abandon(table, generation, outcome).await?;
            report.tables.insert(name.to_owned(), RebuiltCounters { generation, outcome });
        }
    }
    Ok(report)
}

/// Waits until all writers know the generations that are being built.
async fn wait_for_writers<'a>(app: &App, building: impl Iterator<Item = &'a Generations>, propagation: SignedDuration) {
    let now = app.dynamo.environment.now();
    let began = building.filter_map(|generations| generations.since).max().unwrap_or(Timestamp::MIN);
    // Bounded, because the clock of the process that began may be ahead.
    let wait = (propagation - now.duration_since(began)).min(propagation);
    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
}

/// Serves the generation, or stops building it, according to the comparison. Returns the outcome.
async fn serve_or_abandon(
    table: &CountersTable,
    generation: Generation,
    compared: Outcome,
) -> Result<Outcome, StoreError> {
    Ok(match compared {
        Outcome::Served { .. } if table.serve_generation(generation).await?.serving != generation => {
            Outcome::NotServed(NotServed::Abandoned)
        }
        Outcome::NotServed(NotServed::Wrong) => {
            table.abandon_generation(generation).await?;
            compared
        }
        compared => compared,
    })
}

/// Compares the new generations with the sums over all views. Repeats this for tables that change meanwhile.
async fn compare<D: Domain>(
    app: &App,
    projector: &Projector,
    building: &BTreeMap<&'static str, Generations>,
) -> Result<BTreeMap<&'static str, Outcome>, StoreError> {
    let mut outcomes = BTreeMap::new();
    let mut differences: BTreeMap<&str, Counters> = BTreeMap::new();
    for _ in 0..COMPARISONS {
        let report = verify::<D>(app, SignedDuration::ZERO, Timestamp::MAX, Checkpoint::start(1), |_, _| {}).await?;
        let uncounted_views = report.projections.values().map(|projection| projection.views.not_built).sum();
        for (name, generations) in building {
            let Some(table) = projector.counters_tables().get(name) else { continue };
            let Some(next) = generations.building else { continue };
            let served = InGeneration::new(*name, generations.serving);
            let next = InGeneration::new(*name, next);
            let outcome = if uncounted_views > 0 {
                Outcome::NotServed(NotServed::Incomplete { views: uncounted_views })
            } else {
                let unexplained = unexplained_difference(table, &report, &served, &next).await?;
                let is_constant = differences.insert(name, unexplained.clone()) == Some(unexplained.clone());
                match report.building.get(*name) {
                    Some(CountersStatus::Correct) => Outcome::Served { former_error: unexplained },
                    Some(CountersStatus::Wrong) => Outcome::NotServed(NotServed::Wrong),
                    // Both generations change by the same amounts. So a constant difference that the views do not
                    // explain is the error of the served generation, unless somebody changed the new one.
                    _ if unexplained.is_zero() || is_constant => Outcome::Served { former_error: unexplained },
                    _ => Outcome::NotServed(NotServed::NotCompared),
                }
            };
            outcomes.insert(*name, outcome);
        }
        if outcomes.values().all(|outcome| matches!(outcome, Outcome::Served { .. })) {
            break;
        }
    }
    Ok(outcomes)
}

/// Returns the served counters minus the new ones, without the difference that the views explain.
///
/// The counters of both generations are read at one instant, row by row. The contributions of a view to both change
/// together, so their difference is the same whenever the view was read.
async fn unexplained_difference(
    table: &CountersTable,
    report: &VerifyReport,
    served: &InGeneration,
    next: &InGeneration,
) -> Result<Counters, StoreError> {
    let sum = |table: &InGeneration| report.sums.get(table).cloned().unwrap_or_default();
    let (served_sum, next_sum) = (sum(served), sum(next));
    let mut unexplained = next_sum.clone() - &served_sum;
    let (served_rows, next_rows) = (table.all_rows(served.generation).await?, table.all_rows(next.generation).await?);
    let all = [&served_sum, &next_sum, &served_rows, &next_rows];
    let mut rows: Vec<&str> = all.iter().flat_map(|counters| counters.rows().map(|(row, _)| row)).collect();
    rows.sort_unstable();
    rows.dedup();
    for row in rows {
        let snapshot = table.snapshot(&[served.generation, next.generation], row).await?;
        let of = |counters: &InGeneration| snapshot.get(&counters.generation).cloned().unwrap_or_default();
        unexplained += &of(served);
        unexplained = unexplained - &of(next);
    }
    Ok(unexplained)
}
