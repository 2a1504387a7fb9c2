//! Puts a running system under load, and holds what it said against what it did.
//!
//! 1. [`history`]: what was asked, what was answered, what is there in the end.
//! 2. [`mod@verdict`]: which promises that history breaks; pure.
//! 3. [`api`]: how the system is asked.
//! 4. [`load`]: how many ask it; [`client`]: what each of them does.
//! 5. [`aftermath`]: what is there when they have ended.
//! 6. [`summary`]: all of it in numbers.

mod aftermath;
pub mod api;
mod client;
pub mod history;
pub mod load;
pub mod summary;
pub mod verdict;

use jiff::SignedDuration;

use self::summary::{Commands, Latency};
pub use self::{
    api::Api,
    history::History,
    load::Load,
    summary::Summary,
    verdict::{Violation, verdict},
};

/// Lets the load go on as long as it is to, looks at what is there then, and judges.
///
/// The read models may take until `patience` ends to catch up; with none, they are not looked at.
///
/// # Errors
/// If the system does not answer any more when the load has ended.
pub async fn check(load: &Load, goes_on: impl Fn() -> bool, patience: SignedDuration) -> Result<Summary, String> {
    let began = load.environment.now();
    let log = load.run(goes_on).await;
    let seconds = load.environment.now().duration_since(began).as_secs_f64();
    let mut history = History { commands: log.commands, reads: log.reads, ..History::default() };
    let caught_up = aftermath::aftermath(load, &mut history, patience).await?;
    Ok(Summary {
        run: load.run.clone(),
        seed: load.seed,
        clients: load.clients,
        seconds,
        commands: Commands::of(&history),
        reads: history.reads.len(),
        reads_unanswered: log.unanswered,
        orders: history.orders.len(),
        events: history.orders.values().map(Vec::len).sum(),
        caught_up_after: caught_up.map(|waited| waited.as_secs_f64()),
        command_ms: Latency::of(log.commands_took),
        read_ms: Latency::of(log.reads_took),
        violations: verdict(&history),
    })
}
