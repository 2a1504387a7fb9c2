//! `cargo local --data DIR` is killed under load, again and again: it keeps all its promises, as `cargo local check`
//! understands them. `KILLS=50` kills it more often than by default.

use std::sync::atomic::{AtomicBool, Ordering};

use cqrs_dynamodb::Environment;
use jiff::SignedDuration;
use local::check::{Api, Load, check};

use super::{DataDirectory, StackProcess, free_port, number_from_env, token};

const CLIENTS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_command_is_lost_when_the_stack_is_killed_under_load() {
    let (data, kills) = (DataDirectory::new("survival"), number_from_env("KILLS", 10));
    // The same port each time: to its clients it is one system, which does not answer for a while.
    let port = free_port();
    let environment = Environment::system();
    let random = environment.clone();
    let mut process = StackProcess::start(port, Some(&data.0));
    let api = Api::new(format!("http://127.0.0.1:{port}"), token(port).await).unwrap();
    let load = Load::new(api, environment, CLIENTS, 1);
    let ended = AtomicBool::new(false);

    let killing = async {
        for _ in 0..kills {
            // At any moment: after so many more commands, and in the midst of others.
            let enough = load.acknowledged() + 5 + random.random_below(60);
            while load.acknowledged() < enough {
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
    assert!(summary.commands.unknown + summary.commands.resolved > 0, "no answer was lost");
}
