//! A run of a seed.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use app::Metrics;
use aws_sdk_dynamodb::{Client as Sdk, config::retry::RetryPartition};
use futures_util::future::join_all;
use local::{
    Engine, Stack, Template,
    authorizer::Authorizer,
    chaos::Chaos,
    check::Reply,
    event_source_mapping::{DeliveryStep, EventSourceMapping},
    stack,
};
use maintain::redrive;
use serde_json::{Value, json};
use tokio::{runtime::Builder, time};

use crate::{
    Mutation, clients::SimulatedClient, clock::START, delivery, faults::Faults, invariant_checker::InvariantChecker,
    network::Network, world::World,
};

/// How many clients there are.
const CLIENTS: usize = 3;
/// What each of them does.
const ACTIONS: u64 = 12;
/// What is still under way when trouble ends has come to its end after this.
const SETTLE_TIME: Duration = Duration::from_secs(90);

/// What the product counts of itself, and what that is called here.
const PRODUCT_METRICS: [(&str, &str); 4] = [
    ("GapsFilled", "gap healed"),
    ("Conflicts", "commit came too late"),
    ("CommandsReplayed", "command replayed"),
    ("Parked", "stream parked"),
];

/// A run in which every invariant held.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// How many calls and outcomes there were.
    pub steps: u64,
    /// The hash of all of them.
    pub hash: u64,
    /// How many commits there are in the end.
    pub commits: usize,
    /// What went wrong how often, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

/// A run in which an invariant did not hold.
#[derive(Clone, Debug)]
pub struct InvariantViolation {
    /// The seed, by which it comes again.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// What happened last.
    pub last_steps: Vec<String>,
}

impl fmt::Display for InvariantViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, last_steps } = self;
        writeln!(f, "seed {seed}: {what}\n")?;
        last_steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        write!(f, "\nSEED={seed} cargo test -p simulation replays it.")
    }
}

impl std::error::Error for InvariantViolation {}

/// Runs the whole system under this seed, in this thread.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Result<RunReport, Box<InvariantViolation>> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let run = SimulationRun::start(seed, mutation).await;
        run.execute().await;
        run.outcome()
    })
}

/// A run under way.
struct SimulationRun {
    seed: u64,
    world: Arc<World>,
    checker: Arc<InvariantChecker>,
    chaos: Arc<Chaos>,
    stack: Stack,
    orders: Mutex<Vec<(String, u64)>>,
}

impl SimulationRun {
    async fn start(seed: u64, mutation: Option<Mutation>) -> Self {
        let (world, chaos) = (World::of(seed), Arc::new(Chaos::new(seed)));
        let (engine, environment) = (Engine::embedded_at(START).unwrap(), world.environment(seed));
        let template = template();
        let tables = stack::app(&template, &engine, &environment, "").unwrap().tables;
        let checker = Arc::new(InvariantChecker::new(engine.clone(), tables));
        let faults =
            Faults { chaos: Arc::clone(&chaos), world: Arc::clone(&world), checker: Arc::clone(&checker), mutation };
        let authorizer = Authorizer::new().unwrap();
        let stack = Stack::start(template, engine.with_interceptor(Arc::new(faults)), authorizer, environment, "")
            .await
            .unwrap();
        let stack = over_the_network(stack, &world);
        Self { seed, world, checker, chaos, stack, orders: Mutex::default() }
    }

    /// Clients, projectors and the clock, all at once, until the clients have done what they do; then what is left.
    async fn execute(&self) {
        let done = Cell::new(false);
        let mut mappings: Vec<EventSourceMapping> =
            (0..=self.world.random.below(2)).map(|_| self.event_source_mapping()).collect();
        let clients: Vec<_> = (0..CLIENTS).map(|number| self.client(number)).collect();
        let living = async {
            join_all(clients.iter().map(|client| client.run(ACTIONS))).await;
            done.set(true);
        };
        let should_continue = || !done.get();
        let deliveries = mappings
            .iter_mut()
            .enumerate()
            .map(|(number, mapping)| self.deliver_while(number, mapping, &should_continue));
        let trouble =
            async { tokio::join!(self.jump_the_clock(&should_continue), self.put_stale_views(&should_continue)) };
        tokio::join!(living, join_all(deliveries), trouble, self.redrive_repeatedly(&should_continue));

        self.world.stop_faults();
        self.chaos.stop().await;
        time::sleep(SETTLE_TIME).await;
        for (number, mapping) in mappings.iter_mut().enumerate() {
            while self.world.invariants_hold() && self.step(number, mapping).await {}
        }
        self.redrive().await;
        self.record_violation(self.checker.check_at_rest(&self.world.commands));
        self.repeat_what_was_accepted(&clients[0]).await;
        // Once more from the start of the stream: a view of an older schema is folded anew when it is touched.
        let mut again = self.event_source_mapping();
        while self.world.invariants_hold() && self.step(mappings.len(), &mut again).await {}
        self.record_violation(self.checker.check_no_stale_views());
        self.record_violation(self.checker.check_at_rest(&self.world.commands));
    }

    /// What an operator does about streams that are parked: a commit of theirs was missing, or not understood.
    async fn redrive(&self) {
        let streams = redrive::streams(&self.stack.app, &[]).await.unwrap_or_default();
        redrive::redrive(&self.stack.app, &streams).await;
    }

    async fn redrive_repeatedly(&self, should_continue: &impl Fn() -> bool) {
        while should_continue() {
            time::sleep(self.world.random.duration_below(10_000)).await;
            self.redrive().await;
        }
    }

    /// Notes what does not hold.
    fn record_violation(&self, result: Result<(), String>) {
        if let Err(violation) = result {
            self.world.trace.report_violation(violation);
        }
    }

    fn client(&self, number: usize) -> SimulatedClient<'_> {
        let Self { world, checker, stack, orders, .. } = self;
        SimulatedClient { name: format!("customer-{number}"), world, stack, checker, orders }
    }

    fn event_source_mapping(&self) -> EventSourceMapping {
        let Self { stack, world, chaos, .. } = self;
        let projector = delivery::faulty_projector(stack.function("projector").unwrap(), world);
        let definition = stack.template.functions["projector"].mappings[0].clone();
        let arn = stack.stream_arn(&definition.table).unwrap().to_owned();
        let mapping = EventSourceMapping::new(
            stack.engine().streams(),
            arn,
            definition,
            projector,
            stack.app.dynamo.environment.clone(),
        );
        mapping.with_shards(1 + world.random.below(4) as usize).with_chaos(Arc::clone(chaos))
    }

    async fn deliver_while(
        &self,
        number: usize,
        mapping: &mut EventSourceMapping,
        should_continue: &impl Fn() -> bool,
    ) {
        while should_continue() && self.world.invariants_hold() {
            if !self.step(number, mapping).await {
                time::sleep(self.world.random.duration_below(300)).await;
            }
        }
    }

    /// Delivers a batch; says whether there was one.
    async fn step(&self, number: usize, mapping: &mut EventSourceMapping) -> bool {
        let trace = &self.world.trace;
        match mapping.step().await {
            Ok(DeliveryStep::Idle) => return false,
            Ok(DeliveryStep::Delivered(outcome)) => {
                trace.record(&format!("projector {number}: {outcome:?}"), &json!(null))
            }
            Ok(DeliveryStep::Discarded(discarded)) => {
                trace.report_violation(format!("I9: {} records were given up", discarded.delivery.records.len()));
            }
            Err(error) => trace.report_violation(format!("I9: the stream is not read: {error}")),
        }
        true
    }

    /// Sets the clock forward and back, by seconds or by hours.
    async fn jump_the_clock(&self, should_continue: &impl Fn() -> bool) {
        let World { random, clock, trace, .. } = &*self.world;
        while should_continue() {
            time::sleep(random.duration_below(4000)).await;
            let furthest = if random.happens(500) { 5_000 } else { 20 * 3_600_000 };
            let by = random.below(furthest) as i64;
            let (what, by) = match random.happens(500) {
                true => ("clock jumped forward", by),
                false => ("clock jumped back", -by),
            };
            trace.count(what);
            trace.record(&format!("{what}: {by} ms"), &json!(null));
            clock.jump(by);
        }
    }

    /// Puts views of an older schema in the place of today's.
    async fn put_stale_views(&self, should_continue: &impl Fn() -> bool) {
        while should_continue() {
            time::sleep(self.world.random.duration_below(3000)).await;
            if self.world.inject("view of an older schema", 700) {
                self.checker.put_stale_view(&self.world.random);
                self.record_violation(self.checker.check(&self.world.commands));
            }
        }
    }

    /// I5: every command that was accepted is accepted again, as the same. And none has landed since it was refused.
    async fn repeat_what_was_accepted(&self, client: &SimulatedClient<'_>) {
        for logged in self.world.commands.all() {
            let accepted = matches!(logged.reply, Reply::Accepted { .. }) && logged.command.key.is_some();
            if accepted
                && self.world.invariants_hold()
                && client.send_until_answered(&logged.command).await != logged.reply
            {
                self.world
                    .trace
                    .report_violation(format!("I5: {} is not accepted again as it was", logged.command.path));
            }
            self.record_violation(self.checker.check_reply(&logged.command, &logged.reply));
        }
    }

    fn outcome(&self) -> Result<RunReport, Box<InvariantViolation>> {
        let (seed, trace) = (self.seed, &self.world.trace);
        if let Some(what) = trace.violation() {
            return Err(Box::new(InvariantViolation { seed, what, last_steps: trace.last_steps() }));
        }
        let (steps, hash) = trace.steps_and_hash();
        let mut faults = trace.counts();
        self.chaos.injected().into_iter().for_each(|(what, times)| *faults.entry(what).or_default() += times);
        Ok(RunReport { steps, hash, commits: self.checker.commit_count(), faults })
    }
}

/// The template that is deployed, but for the age at which records are given up: the engine's clock stands still while
/// that of the functions jumps.
fn template() -> Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    let read = || {
        let mut template = Template::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")).unwrap();
        let mappings = template.functions.values_mut().flat_map(|function| &mut function.mappings);
        mappings.for_each(|mapping| mapping.max_age = None);
        template
    };
    TEMPLATE.get_or_init(read).clone()
}

/// The same stack, with its calls on a network, and nothing shared with other runs in this process.
fn over_the_network(mut stack: Stack, world: &Arc<World>) -> Stack {
    let sdk = &mut stack.app.dynamo.client;
    let transport = sdk.config().http_client().unwrap();
    let config = sdk.config().to_builder();
    let config = config
        .http_client(Network { transport, world: Arc::clone(world) })
        .retry_partition(RetryPartition::custom("simulation").build())
        .time_source(world.clock.clone());
    *sdk = Sdk::from_conf(config.build());
    let traced = Arc::clone(world);
    let count_metrics = move |line: Value| {
        for (metric, what) in PRODUCT_METRICS {
            traced.trace.count_many(what, line[metric].as_u64().unwrap_or_default());
        }
    };
    stack.with_metrics(Metrics::to("simulation", count_metrics)).unwrap()
}
