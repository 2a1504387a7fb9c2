//! Kills `cargo local --data DIR` under load, and checks its promises like `cargo local check`. `KILLS=50` kills it
//! more often than the default of 10.

use std::sync::atomic::{AtomicBool, Ordering};

use check::check;
use cqrs_dynamodb::Environment;
use jiff::SignedDuration;

use super::{DataDirectory, StackProcess, free_port, load, number_from_env};

const CLIENTS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_command_is_lost_when_the_stack_is_killed_under_load() {
    let (data, kills) = (DataDirectory::new("survival"), number_from_env("KILLS", 10));
    // On one port, the clients see a single system that sometimes does not answer.
    let port = free_port();
    let random = Environment::system();
    let mut process = StackProcess::start(port, Some(&data.0));
    let load = load(port, CLIENTS).await;
    let ended = AtomicBool::new(false);

    let killing = async {
        for _ in 0..kills {
            // After a random number of commands, while others are in flight.
            let target = load.acknowledged() + 5 + random.random_below(60);
            while load.acknowledged() < target {
                tokio::task::yield_now().await;
            }
            process = process.restart(data.0.clone(), port).await;
        }
        ended.store(true, Ordering::SeqCst);
        process
    };
    let patience = SignedDuration::from_secs(60);
    let (process, summary) = tokio::join!(killing, check(&load, || !ended.load(Ordering::SeqCst), patience));
    let summary = summary.unwrap();
    drop(process);
    println!("{kills} kills; {summary}");
    assert_eq!(summary.violations, []);
    assert!(summary.caught_up_after.is_some());
    assert!(summary.commands.unknown + summary.commands.resolved > 0, "every command got an answer at once");
}
