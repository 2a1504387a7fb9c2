//! Puts a running system under load, and holds what it said against what it did.
//!
//! 1. [`history`]: what was asked, what was answered, what is there in the end.
//! 2. [`violations`]: which promises that history breaks; pure.
//! 3. [`api`]: how the system is asked.
//! 4. [`load`]: how many ask it; [`load_client`]: what each of them does.
//! 5. [`read_final_state`]: what is there when they have ended.
//! 6. [`summary`]: all of it in numbers.

pub mod api;
mod final_state;
pub mod history;
pub mod load;
mod load_client;
pub mod summary;
pub mod violations;

use jiff::SignedDuration;

use self::summary::{CommandCounts, Latency};
pub use self::{
    api::Api,
    history::{Reply, RunHistory},
    load::Load,
    summary::Summary,
    violations::{Violation, find_violations},
};

/// Lets the load go on as long as it is to, looks at what is there then, and judges.
///
/// The read models may take until `patience` ends to catch up; with none, they are not looked at.
///
/// # Errors
/// If the system does not answer any more when the load has ended.
pub async fn check(
    load: &Load,
    should_continue: impl Fn() -> bool,
    patience: SignedDuration,
) -> Result<Summary, String> {
    let began = load.environment.now();
    let log = load.run(should_continue).await;
    let seconds = load.environment.now().duration_since(began).as_secs_f64();
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
        orders: history.orders.len(),
        events: history.orders.values().map(Vec::len).sum(),
        caught_up_after: caught_up.map(|waited| waited.as_secs_f64()),
        command_ms: Latency::of(log.command_times),
        read_ms: Latency::of(log.read_times),
        violations: find_violations(&history),
    })
}
