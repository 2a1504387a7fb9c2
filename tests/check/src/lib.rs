//! Puts a running system under load, and compares its answers with its final state.
//!
//! The checker sends HTTP requests to any URL. It knows neither the stack behind the URL nor the domain: a
//! [`Workload`] provides the commands and reads the answers of one domain.
//!
//! 1. [`history`]: commands, replies, reads and the final state of a run.
//! 2. [`violations`]: the promises that a history breaks; pure.
//! 3. [`workload`]: the commands, paths and documents of one domain.
//! 4. [`api`]: the requests to the system.
//! 5. [`load`]: the clients together; `load_client`: the actions of one client.
//! 6. `final_state`: the events and views after the load.
//! 7. [`summary`]: the run in numbers.
//! 8. [`consumer`]: the recipe for consumers of public events; pure.

pub mod api;
pub mod consumer;
mod final_state;
pub mod history;
pub mod load;
mod load_client;
pub mod summary;
pub mod violations;
pub mod workload;

use jiff::SignedDuration;

use self::summary::{CommandCounts, Latency};
pub use self::{
    api::Api,
    consumer::{Consumer, Receipt},
    history::{Reply, RunHistory},
    load::{Clock, Load},
    summary::Summary,
    violations::{Violation, find_violations},
    workload::Workload,
};

/// Runs the load while `should_continue` returns true, reads the final state, and finds the violations.
///
/// The views may take up to `patience` to catch up. If `patience` is zero, they are not checked.
///
/// # Errors
/// Fails if the system stops answering after the load.
pub async fn check<W: Workload>(
    load: &Load<W>,
    should_continue: impl Fn() -> bool,
    patience: SignedDuration,
) -> Result<Summary, String> {
    let began = load.now();
    let log = load.run(should_continue).await;
    let seconds = load.now().duration_since(began).as_secs_f64();
    let mut history = RunHistory { commands: log.commands, reads: log.reads, ..RunHistory::default() };
    let caught_up = final_state::read_final_state(load, &mut history, patience).await?;
    Ok(Summary {
        run: load.run.clone(),
        seed: load.seed,
        clients: load.clients,
        seconds,
        commands: CommandCounts::of(&history),
        reads: history.reads.len(),
        reads_unanswered: log.unanswered,
        streams: history.streams.len(),
        events: history.streams.values().map(Vec::len).sum(),
        caught_up_after: caught_up.map(|waited| waited.as_secs_f64()),
        command_ms: Latency::of(log.command_times),
        read_ms: Latency::of(log.read_times),
        violations: find_violations(&history),
    })
}
