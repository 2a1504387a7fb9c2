//! `cargo local check` on the system under chaos.

use std::{cell::Cell, sync::Arc};

use check::{Api, Load, check};
use cqrs_dynamodb::Environment;
use deployment::OrderWorkload;
use jiff::SignedDuration;
use local::chaos::Chaos;

use crate::harness::{FAR_FUTURE, System, engine, template};

const COMMANDS: u64 = 300;

#[tokio::test]
async fn the_check_finds_no_violation_under_chaos() {
    let chaos = Arc::new(Chaos::new(21, &template()));
    let (engine, faults) = (engine().with_interceptor(chaos.clone()), chaos.clone());
    let system = System::start_on(engine, move |mapping| mapping.with_shards(4).with_chaos(faults)).await;
    let token = system.stack.authorizer.token("check", "orders/admin", FAR_FUTURE).unwrap();
    let (api, environment) = (Api::new(system.url(), token).unwrap(), Environment::system());
    let load = Load::new(api, OrderWorkload, Arc::new(move || environment.now()), "run".to_owned(), 20, 21);
    load.ping().await.unwrap();

    let done = Cell::new(false);
    let checking = async {
        let summary = check(&load, || load.acknowledged() < COMMANDS, SignedDuration::from_mins(5)).await.unwrap();
        done.set(true);
        summary
    };
    let projector = async {
        while !done.get() {
            system.project_a_batch().await;
        }
    };
    let (summary, ()) = tokio::join!(checking, projector);
    assert_eq!(summary.violations, [], "{summary}");
    assert!(summary.caught_up_after.is_some(), "{summary}");
    assert!(summary.commands.ok as u64 >= COMMANDS && summary.commands.fail > 0 && summary.reads > 100, "{summary}");
    chaos.stop().await;
    system.project().await;
    system.check_read_models().await;
}
