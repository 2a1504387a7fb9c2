//! The process function: the delivery of its signals, its sweeps, and the redrive of its dead letters.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use local::{
    Stack,
    chaos::Chaos,
    functions::Function,
    queue_mapping::{QueueAddress, QueueMapping, QueueStep},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{process::process, timers, world::World};

/// The logical id of the queue of signals.
pub const SIGNALS: &str = "ProcessSignals";
/// The logical id of its dead-letter queue.
const DEAD_LETTERS: &str = "ProcessDeadLetters";
/// The binary of the function.
const BINARY: &str = "process";
/// The most milliseconds between two polls of an empty queue.
const MAX_IDLE: u64 = 300;
/// The time after which a sweep finds a timer that is due.
const GRACE: SignedDuration = SignedDuration::from_mins(4);

/// Returns whether the process function runs under this seed: under three of ten. It cancels orders, so other runs have
/// more orders that are shipped and delivered.
pub fn runs_under(seed: u64) -> bool {
    matches!(seed % 10, 0 | 3 | 6)
}

/// Returns the hours until an order must be shipped: 2 to 37. A jump of the clock may pass them all.
pub fn ship_within_hours(seed: u64) -> u64 {
    2 + 7 * (seed / 10 % 6)
}

/// The process function, with a process of its own for the signals and one for the sweeps.
pub struct SignalledFunction<'a> {
    stack: &'a Stack,
    world: &'a World,
    mapping: QueueMapping,
    sweeping: Function,
    sqs: aws_sdk_sqs::Client,
}

impl<'a> SignalledFunction<'a> {
    pub fn new(stack: &'a Stack, world: &'a World, chaos: &Arc<Chaos>) -> Self {
        let environment = stack.app.dynamo.environment.clone();
        let compose = || {
            let app = process(&stack.app, environment.clone());
            stack.deployment.compose(BINARY, &app, stack.template.functions[BINARY].timeout).unwrap()
        };
        let definition = stack.template.functions[BINARY].queue_mappings[0].clone();
        let queue = stack.queue(SIGNALS).unwrap().clone();
        let mapping = QueueMapping::new(stack.sqs(), queue, definition, compose(), environment.clone());
        let mapping = mapping.with_chaos(Arc::clone(chaos));
        Self { stack, world, mapping, sweeping: compose(), sqs: stack.sqs() }
    }

    /// Delivers signals, and sweeps and redrives now and then.
    pub async fn run(&mut self, should_continue: &impl Fn() -> bool) {
        let Self { stack, world, mapping, sweeping, sqs } = self;
        let delivering = async {
            while should_continue() && world.invariants_hold() {
                if !step(mapping, world).await {
                    sleep(world.random.duration_below(MAX_IDLE)).await;
                }
            }
        };
        let operating = async {
            while should_continue() {
                sleep(world.random.duration_below(6000)).await;
                match world.random.below(3) {
                    0 => redrive(stack, world, sqs).await,
                    _ => sweep(sweeping, world).await,
                }
            }
        };
        tokio::join!(delivering, operating);
    }

    /// Delivers one batch of signals. Returns false if there was none.
    pub async fn step(&mut self) -> bool {
        step(&mut self.mapping, self.world).await
    }

    /// Sends the signals in the dead-letter queue again.
    pub async fn redrive(&self) {
        redrive(self.stack, self.world, &self.sqs).await;
    }

    /// Sets the clock past the grace time of a timer that is due at `due`, and sweeps.
    pub async fn sweep_after(&self, due: Timestamp) {
        self.advance_to(due.saturating_add(GRACE).unwrap());
        sweep(&self.sweeping, self.world).await;
    }

    /// Sets the clock to the next time at which a schedule fires or a message becomes visible. Returns false without one.
    pub fn advance(&self) -> bool {
        let due = self.stack.messaging.next_due();
        due.inspect(|due| self.advance_to(*due)).is_some()
    }

    /// Checks that no signal is left in the dead-letter queue.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_dead_letters(&self) -> Result<(), String> {
        match self.stack.messaging.messages(&self.stack.queue_name(DEAD_LETTERS)).first() {
            Some(message) => Err(format!("{}: a signal failed without faults: {}", timers::INVARIANT, message.body)),
            None => Ok(()),
        }
    }

    fn advance_to(&self, time: Timestamp) {
        let behind = time.duration_since(self.world.clock.now()).as_millis();
        if behind >= 0 {
            self.world.clock.jump(i64::try_from(behind).unwrap() + 1);
        }
    }
}

async fn step(mapping: &mut QueueMapping, world: &World) -> bool {
    match mapping.step().await {
        Ok(QueueStep::Idle) => return false,
        Ok(QueueStep::Delivered(outcome)) => world.trace.record(&format!("signals: {outcome:?}"), &json!(null)),
        Err(error) => world.trace.report_violation(format!("{}: reading signals failed: {error}", timers::INVARIANT)),
    }
    true
}

async fn sweep(function: &Function, world: &World) {
    world.trace.count("sweep for overdue timers");
    let swept = function.invoke(json!({ "sweep": {} }), world.clock.now().as_millisecond()).await;
    world.trace.record(&format!("sweep: {}", if swept.is_ok() { "done" } else { "failed" }), &json!(null));
}

async fn redrive(stack: &Stack, world: &World, sqs: &aws_sdk_sqs::Client) {
    let address = |id: &str| -> &QueueAddress { stack.queue(id).unwrap() };
    let dead = stack.messaging.messages(&stack.queue_name(DEAD_LETTERS));
    if dead.is_empty() {
        return;
    }
    world.trace.count_many("signal redriven", dead.len() as u64);
    sqs.purge_queue().queue_url(&address(DEAD_LETTERS).url).send().await.unwrap();
    for message in dead {
        sqs.send_message().queue_url(&address(SIGNALS).url).message_body(message.body).send().await.unwrap();
    }
}

/// Returns the source stream that a signal names.
pub fn stream_of(body: &str) -> Option<String> {
    serde_json::from_str::<Value>(body).ok()?["stream"].as_str().map(str::to_owned)
}
