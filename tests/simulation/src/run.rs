//! The run of one seed.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use app::{Metrics, tables::EVENTS};
use aws_sdk_dynamodb::{Client as Sdk, config::retry::RetryPartition};
use check::Reply;
use cqrs::Domain;
use domains::Domains;
use futures_util::future::join_all;
use jiff::Timestamp;
use local::{
    Engine, Stack, Template,
    authorizer::Authorizer,
    chaos::Chaos,
    engine::call_keys::CallKeys,
    event_source_mapping::{DeliveryStep, EventSourceMapping},
    messaging::resources::queue_name,
    stack,
};
use messaging::publisher::projector_of_all;
use orders::shipping_deadline::{REMIND_BEFORE, SHIP_WITHIN};
use serde_json::{Value, json};
use tokio::{runtime::Builder, time};

use crate::{
    Mutation, clients::SimulatedClient, clock::START, damage::Damage, delivery, domain, faults::Faults,
    invariant_checker::InvariantChecker, long_streams, network::Network, operator::Operator, process::process,
    published_events::PublishedEvents, signals, signals::SignalledFunction, timers, view_models::ViewModels,
    world::World,
};

const CLIENTS: usize = 3;
/// The number of actions of each client before damage. Half as many follow it.
const ACTIONS: u64 = 12;
/// The most milliseconds between two actions of a client.
const MAX_PAUSE: u64 = 80;
/// The most commits that follow each other in one stream.
const LONG_STREAM: u64 = 57;
const LONG_STREAM_AFTER_DAMAGE: u64 = 8;
/// The most times that the clock is advanced to the next schedule, at the end.
const MAX_ADVANCES: usize = 500;
/// The most sweeps for pending timers, at the end.
const MAX_SWEEPS: usize = 3;
/// Time after the last fault in which all calls in flight end.
const SETTLE_TIME: Duration = Duration::from_secs(90);

/// Metrics of the system that the report counts, with their names in the report.
const PRODUCT_METRICS: [(&str, &str); 7] = [
    ("GapsFilled", "gap filled"),
    ("Conflicts", "version conflict"),
    ("CommandsReplayed", "command replayed"),
    ("Parked", "stream parked"),
    ("TimersFired", "timer fired"),
    ("TimersOverdue", "timer overdue at a sweep"),
    ("CommandsSent", "command sent by the process"),
];

/// The report of a run without a violation.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// Number of calls and outcomes.
    pub steps: u64,
    /// Hash of all calls and outcomes.
    pub hash: u64,
    pub commits: usize,
    /// Number of faults and reactions, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

/// The first violation of a run.
#[derive(Clone, Debug)]
pub struct InvariantViolation {
    pub seed: u64,
    /// The invariant and its evidence.
    pub what: String,
    /// The last calls and outcomes, one line each.
    pub last_steps: Vec<String>,
}

impl fmt::Display for InvariantViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, last_steps } = self;
        writeln!(f, "seed {seed}: {what}\n")?;
        last_steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        write!(f, "\nReplay: SEED={seed} cargo test -p simulation")
    }
}

impl std::error::Error for InvariantViolation {}

/// Runs the whole system under `seed`, in this thread.
///
/// # Errors
/// Fails with the first violation.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Result<RunReport, Box<InvariantViolation>> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let run = SimulationRun::start(seed, mutation).await;
        run.execute().await;
        run.outcome()
    })
}

/// What happens while the clients act.
struct Phase {
    /// The number of actions of each client.
    actions: u64,
    rebuilds_counters: bool,
    /// The most commits that follow each other in one stream; `None` for no such stream.
    long_stream: Option<u64>,
}

struct SimulationRun {
    seed: u64,
    world: Arc<World>,
    checker: Arc<InvariantChecker>,
    chaos: Arc<Chaos>,
    stack: Stack,
    published: PublishedEvents,
    orders: Mutex<Vec<(String, u64)>>,
}

impl SimulationRun {
    async fn start(seed: u64, mutation: Option<Mutation>) -> Self {
        let template = template(seed);
        let (world, chaos) = (World::of(seed), Arc::new(Chaos::new(seed, &template)));
        let (engine, environment) = (Engine::embedded_at(START).unwrap(), world.environment(seed));
        let tables = stack::app(&deployment::deployment(), &template, &engine, &environment, "").unwrap().tables;
        let checker = Arc::new(InvariantChecker::new(
            engine.clone(),
            tables.get(EVENTS).unwrap(),
            Domains::publications(Domains::read_models(ViewModels::new(&tables))).build(),
        ));
        let signals = signals::runs_under(seed).then(|| queue_name(&template, "", signals::SIGNALS));
        let faults = Faults {
            chaos: Arc::clone(&chaos),
            world: Arc::clone(&world),
            checker: Arc::clone(&checker),
            mutation,
            signals,
        };
        let authorizer = Authorizer::new().unwrap();
        let stack = Stack::start(
            deployment::deployment(),
            template,
            engine.with_interceptor(Arc::new(faults)),
            authorizer,
            environment,
            "",
        )
        .await
        .unwrap();
        let published = PublishedEvents::of(&stack.messaging);
        let stack = over_the_network(stack, &world);
        Self { seed, world, checker, chaos, stack, published, orders: Mutex::default() }
    }

    /// Runs clients, deliveries, operator and faults concurrently. Some runs then damage tables and go on. At the end,
    /// stops the faults, delivers the remaining records, repairs damage, and checks the tables.
    async fn execute(&self) {
        let random = &self.world.random;
        let operator = Operator::new(&self.stack.app, Arc::clone(&self.world));
        let mut mappings: Vec<EventSourceMapping> =
            (0..=random.below(2)).map(|_| self.event_source_mapping("projector")).collect();
        mappings.push(self.event_source_mapping("publisher"));
        let signalled = || SignalledFunction::new(&self.stack, &self.world, &self.chaos);
        let mut signalled = signals::runs_under(self.seed).then(signalled);
        let rebuilds_counters = random.happens(120);
        let long_stream = random.happens(100).then_some(LONG_STREAM);
        let phase = Phase { actions: ACTIONS, rebuilds_counters, long_stream };
        self.act(&mut mappings, signalled.as_mut(), &operator, phase).await;
        let is_damaged = random.happens(250);
        if is_damaged {
            self.settle().await;
            self.inflict_damage();
            self.world.resume_faults();
            let rebuilds_counters = random.happens(150);
            let long_stream = random.happens(500).then_some(LONG_STREAM_AFTER_DAMAGE);
            let phase = Phase { actions: ACTIONS / 2, rebuilds_counters, long_stream };
            self.act(&mut mappings, signalled.as_mut(), &operator, phase).await;
        }

        self.settle().await;
        for (number, mapping) in mappings.iter_mut().enumerate() {
            while self.world.invariants_hold() && self.step(number, mapping).await {}
        }
        operator.redrive().await;
        if is_damaged {
            self.record_violation(self.checker.check_streams_since_restore(&self.world.commands));
            self.record_violation(self.repair(&operator).await);
            self.checker.repaired();
        }
        if let Some(signalled) = &mut signalled {
            self.complete_timers(&mut mappings, signalled).await;
        }
        self.record_violation(self.checker.check_at_rest(&self.world.commands));
        // Before the stream is delivered again, because that publishes all events once more.
        self.check_published_events();
        self.repeat_accepted_commands(&self.client(0, MAX_PAUSE)).await;
        // Deliver the whole stream again: each record makes the projector replace a stale view.
        for reader in ["projector", "publisher"] {
            let mut replay = self.event_source_mapping(reader);
            while self.world.invariants_hold() && self.step(mappings.len(), &mut replay).await {}
        }
        self.record_violation(self.checker.check_no_stale_views());
        self.record_violation(self.checker.check_at_rest(&self.world.commands));
        self.check_published_events();
        self.record_violation(self.verify().await);
    }

    /// Checks I12, except after a restore: events of lost commits are on the bus, and new events have their ids.
    fn check_published_events(&self) {
        if !self.checker.is_restored() {
            let streams = self.checker.commits_of_streams();
            self.record_violation(self.published.check(&streams, &self.world.random));
        }
    }

    /// Runs clients, deliveries, operator and faults until the clients have acted.
    async fn act(
        &self,
        mappings: &mut [EventSourceMapping],
        signalled: Option<&mut SignalledFunction<'_>>,
        operator: &Operator,
        phase: Phase,
    ) {
        let Phase { actions, rebuilds_counters, long_stream } = phase;
        let (done, is_rebuilding) = (Cell::new(false), Cell::new(rebuilds_counters));
        // A rebuild of the counters takes more than a minute.
        let (max_pause, max_idle) = if rebuilds_counters { (40_000, 3000) } else { (MAX_PAUSE, 300) };
        let clients: Vec<_> = (0..CLIENTS).map(|number| self.client(number, max_pause)).collect();
        let acting = async {
            join_all(clients.iter().map(|client| client.run(actions, &is_rebuilding))).await;
            done.set(true);
        };
        let lengthening = async {
            let Some(most) = long_stream else { return };
            time::sleep(self.world.random.duration_below(1000)).await;
            let order = self.world.random.pick(&self.orders.lock().unwrap()).map(|(order, _)| order.clone());
            if let Some(order) = order {
                long_streams::lengthen(&self.stack.app, &self.world, &order, most).await;
            }
        };
        let rebuilding = async {
            if rebuilds_counters {
                operator.rebuild_counters(|| self.checker.streams()).await;
            }
            is_rebuilding.set(false);
        };
        let should_continue = || !done.get();
        let deliveries = mappings
            .iter_mut()
            .enumerate()
            .map(|(number, mapping)| self.deliver_while(number, mapping, &should_continue, max_idle));
        let faults = async {
            tokio::join!(self.jump_the_clock(&should_continue), self.put_stale_views(&should_continue, 3000 + max_idle))
        };
        let signals = async {
            if let Some(signalled) = signalled {
                signalled.run(&should_continue).await;
            }
        };
        let acting = async { tokio::join!(acting, lengthening) };
        tokio::join!(
            acting,
            join_all(deliveries),
            signals,
            faults,
            operator.run(&should_continue, !rebuilds_counters),
            rebuilding
        );
    }

    /// Advances the clock until all schedules have fired, and then past all timers that are still pending. Sweeps for
    /// those whose schedule or signal was lost.
    async fn complete_timers(&self, mappings: &mut [EventSourceMapping], signalled: &mut SignalledFunction<'_>) {
        signalled.redrive().await;
        self.drain(mappings, signalled).await;
        for _ in 0..MAX_ADVANCES {
            if !self.world.invariants_hold() || !signalled.advance() {
                break;
            }
            self.drain(mappings, signalled).await;
        }
        for _ in 0..MAX_SWEEPS {
            let Ok(Some(due)) = timers::last_pending(&self.checker.commits_of_streams()) else { break };
            signalled.sweep_after(due).await;
            self.drain(mappings, signalled).await;
        }
        self.record_violation(signalled.check_dead_letters());
        let signalled = self.world.signalled.lock().unwrap().clone();
        self.record_violation(timers::check(&self.checker.commits_of_streams(), &signalled));
    }

    /// Delivers all records and signals.
    async fn drain(&self, mappings: &mut [EventSourceMapping], signalled: &mut SignalledFunction<'_>) {
        let mut is_idle = false;
        while self.world.invariants_hold() && !is_idle {
            is_idle = !signalled.step().await;
            for (number, mapping) in mappings.iter_mut().enumerate() {
                is_idle &= !self.step(number, mapping).await;
            }
        }
    }

    /// Stops the faults, and waits until all calls in flight have ended.
    async fn settle(&self) {
        self.world.stop_faults();
        self.chaos.stop().await;
        time::sleep(SETTLE_TIME).await;
    }

    /// Damages some tables. The clients forget the orders and versions that a restore has removed.
    fn inflict_damage(&self) {
        for damage in Damage::pick(&self.world.random) {
            self.world.trace.record(damage.name(), &json!(null));
            let heads = self.checker.inflict(damage, &self.world);
            self.orders.lock().unwrap().retain_mut(|(order, version)| {
                let head = heads.get(&format!("{}#{order}", domain::CATEGORY)).copied().unwrap_or_default();
                *version = head.min(*version);
                head > 0
            });
        }
    }

    /// Repairs all damage. Sometimes the new counters are changed meanwhile, and must be built once more.
    async fn repair(&self, operator: &Operator) -> Result<(), String> {
        let World { random, .. } = &*self.world;
        let changing = async {
            if random.happens(500) {
                time::sleep(Duration::from_secs(1) + random.duration_below(60_000)).await;
                self.checker.change_building_counters(&self.world);
            }
        };
        tokio::join!(operator.repair(), changing).0
    }

    /// Compares all read models and publications with the streams, as `cargo operate verify` does, rows included.
    async fn verify(&self) -> Result<(), String> {
        let projector = projector_of_all::<Domains>(&self.stack.app).map_err(|error| error.to_string())?;
        let verified = projector.verify(&self.checker.streams(), Timestamp::MAX).await;
        let verified = verified.map_err(|error| error.to_string())?;
        if let Some((stream, defect)) = verified.streams.corrupt.first_key_value() {
            return Err(format!("I1: verify finds {stream} corrupt: {defect}"));
        }
        match verified.views.into_iter().find(|(_, verified)| !verified.defective.is_empty()) {
            Some((projection, verified)) => Err(format!("I6: verify finds in {projection}: {:?}", verified.defective)),
            None => Ok(()),
        }
    }

    fn record_violation(&self, result: Result<(), String>) {
        if let Err(violation) = result {
            self.world.trace.report_violation(violation);
        }
    }

    fn client(&self, number: usize, max_pause: u64) -> SimulatedClient<'_> {
        let Self { world, checker, stack, orders, .. } = self;
        SimulatedClient { name: format!("customer-{number}"), world, stack, checker, orders, max_pause }
    }

    /// A mapping of the stream to a reader of it, which runs as a process of its own.
    fn event_source_mapping(&self, reader: &str) -> EventSourceMapping {
        let Self { stack, world, chaos, .. } = self;
        let app = process(&stack.app, stack.app.dynamo.environment.clone());
        let timeout = stack.template.functions[reader].timeout;
        let function = stack.deployment.compose(reader, &app, timeout).unwrap();
        let function = delivery::with_faults(&function, world);
        let definition = stack.template.functions[reader].mappings[0].clone();
        let arn = stack.stream_arn(&definition.table).unwrap().to_owned();
        let mapping = EventSourceMapping::new(
            stack.engine().streams(),
            arn,
            definition,
            function,
            stack.app.dynamo.environment.clone(),
        );
        mapping.with_name(reader).with_shards(1 + world.random.below(4) as usize).with_chaos(Arc::clone(chaos))
    }

    async fn deliver_while(
        &self,
        number: usize,
        mapping: &mut EventSourceMapping,
        should_continue: &impl Fn() -> bool,
        max_pause: u64,
    ) {
        while should_continue() && self.world.invariants_hold() {
            if !self.step(number, mapping).await {
                time::sleep(self.world.random.duration_below(max_pause)).await;
            }
        }
    }

    /// Delivers one batch. Returns false if there was none.
    async fn step(&self, number: usize, mapping: &mut EventSourceMapping) -> bool {
        let trace = &self.world.trace;
        match mapping.step().await {
            Ok(DeliveryStep::Idle) => return false,
            Ok(DeliveryStep::Delivered(outcome)) => {
                trace.record(&format!("{} {number}: {outcome:?}", mapping.name()), &json!(null))
            }
            Ok(DeliveryStep::Discarded(discarded)) => {
                trace.report_violation(format!("I9: {} records were discarded", discarded.delivery.records.len()));
            }
            Err(error) => trace.report_violation(format!("I9: reading the stream failed: {error}")),
        }
        true
    }

    /// Sets the clock forward or back, by seconds or by hours.
    async fn jump_the_clock(&self, should_continue: &impl Fn() -> bool) {
        let World { random, clock, trace, .. } = &*self.world;
        while should_continue() {
            time::sleep(random.duration_below(4000)).await;
            let max = if random.happens(500) { 5_000 } else { 20 * 3_600_000 };
            let by = random.below(max) as i64;
            let (what, by) = match random.happens(500) {
                true => ("clock jumped forward", by),
                false => ("clock jumped back", -by),
            };
            trace.count(what);
            trace.record(&format!("{what}: {by} ms"), &json!(null));
            clock.jump(by);
        }
    }

    /// Replaces views by views of an older schema version.
    async fn put_stale_views(&self, should_continue: &impl Fn() -> bool, max_pause: u64) {
        while should_continue() {
            time::sleep(self.world.random.duration_below(max_pause)).await;
            if self.world.inject("view of an older schema version", 700) {
                self.checker.put_stale_view(&self.world.random);
                self.record_violation(self.checker.check(&self.world.commands));
            }
        }
    }

    /// Checks I5: the repeat of an accepted command gets the same reply. Compares all replies with the final tables.
    async fn repeat_accepted_commands(&self, client: &SimulatedClient<'_>) {
        for logged in self.world.commands.all() {
            let accepted = matches!(logged.reply, Reply::Accepted { .. }) && logged.command.key.is_some();
            if accepted
                && self.world.invariants_hold()
                && client.send_until_answered(&logged.command).await != logged.reply
            {
                self.world
                    .trace
                    .report_violation(format!("I5: the repeat of {} got another reply", logged.command.path));
            }
            self.record_violation(self.checker.check_reply(domain::CATEGORY, &logged.command, &logged.reply));
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

/// The deployed template, without a maximum record age: the engine's clock is fixed, while that of the functions jumps.
/// The deadline to ship an order is so short that jumps of the clock pass it.
fn template(seed: u64) -> Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    let read = || {
        let mut template = deployment::template();
        let mappings = template.functions.values_mut().flat_map(|function| &mut function.mappings);
        mappings.for_each(|mapping| mapping.max_age = None);
        template
    };
    let mut template = TEMPLATE.get_or_init(read).clone();
    let hours = [(SHIP_WITHIN, signals::ship_within_hours(seed)), (REMIND_BEFORE, 1)];
    let settings = hours.map(|(name, hours)| (name.to_owned(), hours.to_string()));
    template.functions.get_mut("process").unwrap().environment.extend(settings);
    template
}

/// Puts the stack's calls on a simulated network, with a retry partition and metrics of its own.
fn over_the_network(mut stack: Stack, world: &Arc<World>) -> Stack {
    let sdk = &mut stack.app.dynamo.client;
    let transport = sdk.config().http_client().unwrap();
    let config = sdk.config().to_builder();
    let config = config
        .http_client(Network { transport, keys: CallKeys::of(&stack.template), world: Arc::clone(world) })
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
