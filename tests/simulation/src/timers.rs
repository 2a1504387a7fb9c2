//! Checks the shipping deadlines at rest, when the clock has passed all of them.

use std::collections::{BTreeMap, BTreeSet};

use cqrs::{
    CommandId, Commit, Event, Process, ProcessEvent, StoredCommit,
    process::{CommandOutcome, CommandSent, ProcessFact, SourceFollowed, TimerFact},
};
use jiff::Timestamp;
use orders::{OrderEvent, ShippingDeadline};

/// The name of the invariant.
pub const INVARIANT: &str = "I13";

/// The names of the timers of an order.
const TIMERS: [&str; 2] = ["remind", DEADLINE];
const DEADLINE: &str = "deadline";

type OwnCommit = Commit<ProcessEvent<ShippingDeadline>>;
type CheckResult = Result<(), String>;

/// Returns the latest time of a pending timer.
///
/// # Errors
/// Fails if a commit cannot be decoded.
pub fn last_pending(streams: &[Vec<StoredCommit>]) -> Result<Option<Timestamp>, String> {
    let instances = streams_of::<ProcessEvent<ShippingDeadline>>(streams)?;
    let mut last = None;
    for commits in instances.values() {
        let mut pending = BTreeMap::new();
        for fact in facts(commits) {
            match fact {
                ProcessFact::TimerSet(TimerFact { timer, due }) => drop(pending.insert(timer, *due)),
                ProcessFact::TimerCancelled(timer) | ProcessFact::TimerFired(timer) => {
                    pending.remove(&timer.timer);
                }
                ProcessFact::SourceFollowed(_) | ProcessFact::CommandSent(_) => {}
            }
        }
        last = last.max(pending.into_values().max());
    }
    Ok(last)
}

/// Checks I13: each timer of an order has an effect at most once, none is lost, and a cancelled one has no effect.
/// `signalled` are the order streams that a delivered signal has named.
///
/// # Errors
/// Fails with the violated invariant.
pub fn check(streams: &[Vec<StoredCommit>], signalled: &BTreeSet<String>) -> CheckResult {
    let orders = streams_of::<OrderEvent>(streams)?;
    let instances = streams_of::<ProcessEvent<ShippingDeadline>>(streams)?;
    for (order, commits) in &orders {
        let result = match instances.get(order) {
            Some(own) => check_order(commits, own),
            None if signalled.contains(&format!("{}#{order}", OrderEvent::CATEGORY)) => {
                Err("the process has not followed it in spite of a signal".to_owned())
            }
            None => sent_by_process(commits).next().map_or(Ok(()), |_| Err("cancelled without a timer".to_owned())),
        };
        result.map_err(|reason| format!("{INVARIANT}: the order {order}: {reason}"))?;
    }
    match instances.keys().find(|order| !orders.contains_key(*order)) {
        Some(order) => Err(format!("{INVARIANT}: the process has followed {order}, which was not placed")),
        None => Ok(()),
    }
}

fn check_order(commits: &[Commit<OrderEvent>], own: &[OwnCommit]) -> CheckResult {
    check_positions(commits, own)?;
    for name in TIMERS {
        let count = |is_it: fn(&ProcessFact) -> Option<&TimerFact>| {
            facts(own).filter_map(is_it).filter(|fact| fact.timer == name).count()
        };
        let (set, fired, cancelled) = (count(set), count(fired), count(cancelled));
        if set != 1 || fired + cancelled != 1 {
            return Err(format!("the timer {name} was set {set} times, fired {fired}, and was cancelled {cancelled}"));
        }
    }
    if is_placed(commits) {
        return Err("it is neither shipped nor cancelled after its deadline".to_owned());
    }
    check_command(commits, own)
}

/// Checks that a timer fires only when the process has followed all commits that it read, except for the commit that is
/// the effect of the firing.
fn check_positions(commits: &[Commit<OrderEvent>], own: &[OwnCommit]) -> CheckResult {
    let mut followed = 0;
    for commit in own {
        let mut last_fired = None;
        for event in &commit.events {
            match &event.fact {
                ProcessFact::SourceFollowed(SourceFollowed { version, .. }) => {
                    let next = commits.iter().find(|commit| commit.version.get() == followed + 1);
                    if let (Some(timer), Some(next)) = (last_fired, next)
                        && next.caller != ShippingDeadline::caller()
                    {
                        return Err(format!("the timer {timer} fired before version {} was followed", next.version));
                    }
                    followed = version.get();
                }
                ProcessFact::TimerFired(fired) => last_fired = Some(&fired.timer),
                ProcessFact::TimerSet(_) | ProcessFact::TimerCancelled(_) | ProcessFact::CommandSent(_) => {}
            }
        }
    }
    Ok(())
}

/// Checks that the process cancels the order only when the deadline fires, and at most once, with the outcome that it
/// recorded.
fn check_command(commits: &[Commit<OrderEvent>], own: &[OwnCommit]) -> CheckResult {
    let sent: Vec<&CommandSent> = facts(own).filter_map(command_sent).collect();
    let cancellations: Vec<_> = sent_by_process(commits).collect();
    let Some(deadline) = facts(own).filter_map(fired).find(|fact| fact.timer == DEADLINE) else {
        return match sent.len() + cancellations.len() {
            0 => Ok(()),
            _ => Err("the process sent a command, and its deadline did not fire".to_owned()),
        };
    };
    let trigger = format!("{}#{}/{DEADLINE}/{}", ShippingDeadline::NAME, commits[0].stream.key(), deadline.due);
    let id = CommandId::of_process(ShippingDeadline::NAME, &trigger, 0);
    let [CommandSent { command_id, outcome, .. }] = sent.as_slice() else {
        return Err(format!("the process recorded {} commands", sent.len()));
    };
    if *command_id != id || cancellations.iter().any(|commit| commit.command_id != id) {
        return Err("the process sent a command with another id than that of its deadline".to_owned());
    }
    match (outcome, cancellations.as_slice()) {
        (CommandOutcome::Rejected { .. }, []) => Ok(()),
        (CommandOutcome::Accepted { version }, [commit]) if commit.version == *version => {
            match is_placed(&commits[..commit.version.get() as usize - 1]) {
                true => Ok(()),
                false => Err("the process cancelled it after it was shipped or cancelled".to_owned()),
            }
        }
        (outcome, cancellations) => {
            Err(format!("the process recorded {outcome:?} and has {} cancellations", cancellations.len()))
        }
    }
}

fn set(fact: &ProcessFact) -> Option<&TimerFact> {
    if let ProcessFact::TimerSet(timer) = fact { Some(timer) } else { None }
}

fn fired(fact: &ProcessFact) -> Option<&TimerFact> {
    if let ProcessFact::TimerFired(timer) = fact { Some(timer) } else { None }
}

fn cancelled(fact: &ProcessFact) -> Option<&TimerFact> {
    if let ProcessFact::TimerCancelled(timer) = fact { Some(timer) } else { None }
}

fn command_sent(fact: &ProcessFact) -> Option<&CommandSent> {
    if let ProcessFact::CommandSent(sent) = fact { Some(sent) } else { None }
}

fn facts(own: &[OwnCommit]) -> impl Iterator<Item = &ProcessFact> {
    own.iter().flat_map(|commit| &commit.events).map(|event| &event.fact)
}

/// Returns whether the order is neither shipped nor cancelled by these commits.
fn is_placed(commits: &[Commit<OrderEvent>]) -> bool {
    commits.iter().flat_map(|commit| &commit.events).all(|event| matches!(event, OrderEvent::Placed(_)))
}

fn sent_by_process(commits: &[Commit<OrderEvent>]) -> impl Iterator<Item = &Commit<OrderEvent>> {
    commits.iter().filter(|commit| commit.caller == ShippingDeadline::caller())
}

/// Returns the streams of a category by their keys.
fn streams_of<E: Event>(streams: &[Vec<StoredCommit>]) -> Result<BTreeMap<String, Vec<Commit<E>>>, String> {
    let of_category = |commits: &&Vec<StoredCommit>| commits[0].stream.category() == E::CATEGORY;
    let decoded = streams.iter().filter(of_category).map(|commits| {
        let decoded: Result<Vec<Commit<E>>, _> = commits.iter().cloned().map(StoredCommit::decode).collect();
        let decoded = decoded.map_err(|error| format!("{INVARIANT}: {error}"))?;
        Ok((commits[0].stream.key().to_owned(), decoded))
    });
    decoded.collect()
}
