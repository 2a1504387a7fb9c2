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
    event_source_mapping::{DeliveryStep, EventSourceMapping},
    stack,
};
use maintain::redrive;
use serde_json::{Value, json};
use tokio::{runtime::Builder, time};

use crate::{
    Sabotage, clients::Client, clock::START, commands::Told, delivery, faults::Faults, network::Network,
    witness::Witness, world::World,
};

/// How many clients there are.
const CLIENTS: usize = 3;
/// What each of them does.
const ACTS: u64 = 12;
/// What is still under way when trouble ends has come to its end after this.
const ALL_HAS_LANDED: Duration = Duration::from_secs(90);

/// What the product counts of itself, and what that is called here.
const COUNTED: [(&str, &str); 4] = [
    ("GapsFilled", "gap healed"),
    ("Conflicts", "commit came too late"),
    ("CommandsReplayed", "command replayed"),
    ("Parked", "stream parked"),
];

/// A run in which every invariant held.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
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
pub struct Violation {
    /// The seed, by which it comes again.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// What happened last.
    pub last_steps: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, last_steps } = self;
        writeln!(f, "seed {seed}: {what}\n")?;
        last_steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        write!(f, "\nSEED={seed} cargo test -p simulation replays it.")
    }
}

impl std::error::Error for Violation {}

/// Runs the whole system under this seed, in this thread.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(seed: u64, sabotage: Option<Sabotage>) -> Result<Done, Box<Violation>> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let run = Run::start(seed, sabotage).await;
        run.live().await;
        run.outcome()
    })
}

/// A run under way.
struct Run {
    seed: u64,
    world: Arc<World>,
    witness: Arc<Witness>,
    chaos: Arc<Chaos>,
    stack: Stack,
    orders: Mutex<Vec<(String, u64)>>,
}

impl Run {
    async fn start(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let (world, chaos) = (World::of(seed), Arc::new(Chaos::new(seed)));
        let (engine, environment) = (Engine::embedded_at(START).unwrap(), world.environment(seed));
        let template = template();
        let tables = stack::app(&template, &engine, &environment, "").unwrap().tables;
        let witness = Arc::new(Witness::new(engine.clone(), tables));
        let faults =
            Faults { chaos: Arc::clone(&chaos), world: Arc::clone(&world), witness: Arc::clone(&witness), sabotage };
        let authorizer = Authorizer::new().unwrap();
        let stack = Stack::start(template, engine.with_interceptor(Arc::new(faults)), authorizer, environment, "")
            .await
            .unwrap();
        let stack = over_the_network(stack, &world);
        Self { seed, world, witness, chaos, stack, orders: Mutex::default() }
    }

    /// Clients, projectors and the clock, all at once, until the clients have done what they do; then what is left.
    async fn live(&self) {
        let done = Cell::new(false);
        let mut mappings: Vec<EventSourceMapping> =
            (0..=self.world.chance.below(2)).map(|_| self.event_source_mapping()).collect();
        let clients: Vec<_> = (0..CLIENTS).map(|number| self.client(number)).collect();
        let living = async {
            join_all(clients.iter().map(|client| client.live(ACTS))).await;
            done.set(true);
        };
        let should_continue = || !done.get();
        let deliveries = mappings
            .iter_mut()
            .enumerate()
            .map(|(number, mapping)| self.deliver_while(number, mapping, &should_continue));
        let trouble =
            async { tokio::join!(self.unsettle_the_clock(&should_continue), self.leave_older_views(&should_continue)) };
        tokio::join!(living, join_all(deliveries), trouble, self.redrive_now_and_then(&should_continue));

        self.world.calm_down();
        self.chaos.stop().await;
        time::sleep(ALL_HAS_LANDED).await;
        for (number, mapping) in mappings.iter_mut().enumerate() {
            while self.world.holds() && self.step(number, mapping).await {}
        }
        self.redrive().await;
        self.expect(self.witness.look_at_rest(&self.world.commands));
        self.repeat_what_was_accepted(&clients[0]).await;
        // Once more from the start of the stream: a view of an older schema is folded anew when it is touched.
        let mut again = self.event_source_mapping();
        while self.world.holds() && self.step(mappings.len(), &mut again).await {}
        self.expect(self.witness.look_for_older_views());
        self.expect(self.witness.look_at_rest(&self.world.commands));
    }

    /// What an operator does about streams that are parked: a commit of theirs was missing, or not understood.
    async fn redrive(&self) {
        let streams = redrive::streams(&self.stack.app, &[]).await.unwrap_or_default();
        redrive::redrive(&self.stack.app, &streams).await;
    }

    async fn redrive_now_and_then(&self, should_continue: &impl Fn() -> bool) {
        while should_continue() {
            time::sleep(self.world.chance.while_below(10_000)).await;
            self.redrive().await;
        }
    }

    /// Notes what does not hold.
    fn expect(&self, held: Result<(), String>) {
        if let Err(violation) = held {
            self.world.journal.violated(violation);
        }
    }

    fn client(&self, number: usize) -> Client<'_> {
        let Self { world, witness, stack, orders, .. } = self;
        Client { name: format!("customer-{number}"), world, stack, witness, orders }
    }

    fn event_source_mapping(&self) -> EventSourceMapping {
        let Self { stack, world, chaos, .. } = self;
        let projector = delivery::of(stack.function("projector").unwrap(), world);
        let definition = stack.template.functions["projector"].mappings[0].clone();
        let arn = stack.stream_arn(&definition.table).unwrap().to_owned();
        let mapping = EventSourceMapping::new(
            stack.engine().streams(),
            arn,
            definition,
            projector,
            stack.app.dynamo.environment.clone(),
        );
        mapping.with_shards(1 + world.chance.below(4) as usize).with_chaos(Arc::clone(chaos))
    }

    async fn deliver_while(
        &self,
        number: usize,
        mapping: &mut EventSourceMapping,
        should_continue: &impl Fn() -> bool,
    ) {
        while should_continue() && self.world.holds() {
            if !self.step(number, mapping).await {
                time::sleep(self.world.chance.while_below(300)).await;
            }
        }
    }

    /// Delivers a batch; says whether there was one.
    async fn step(&self, number: usize, mapping: &mut EventSourceMapping) -> bool {
        let journal = &self.world.journal;
        match mapping.step().await {
            Ok(DeliveryStep::Idle) => return false,
            Ok(DeliveryStep::Delivered(outcome)) => {
                journal.note(&format!("projector {number}: {outcome:?}"), &json!(null))
            }
            Ok(DeliveryStep::Discarded(discarded)) => {
                journal.violated(format!("I9: {} records were given up", discarded.delivery.records.len()));
            }
            Err(error) => journal.violated(format!("I9: the stream is not read: {error}")),
        }
        true
    }

    /// Sets the clock forward and back, by seconds or by hours.
    async fn unsettle_the_clock(&self, should_continue: &impl Fn() -> bool) {
        let World { chance, clock, journal, .. } = &*self.world;
        while should_continue() {
            time::sleep(chance.while_below(4000)).await;
            let furthest = if chance.strikes(500) { 5_000 } else { 20 * 3_600_000 };
            let by = chance.below(furthest) as i64;
            let (what, by) = match chance.strikes(500) {
                true => ("clock jumped forward", by),
                false => ("clock jumped back", -by),
            };
            journal.count(what);
            journal.note(&format!("{what}: {by} ms"), &json!(null));
            clock.jump(by);
        }
    }

    /// Puts views of an older schema in the place of today's.
    async fn leave_older_views(&self, should_continue: &impl Fn() -> bool) {
        while should_continue() {
            time::sleep(self.world.chance.while_below(3000)).await;
            if self.world.goes_wrong("view of an older schema", 700) {
                self.witness.leave_an_older_view(&self.world.chance);
                self.expect(self.witness.look(&self.world.commands));
            }
        }
    }

    /// I5: every command that was accepted is accepted again, as the same. And none has landed since it was refused.
    async fn repeat_what_was_accepted(&self, client: &Client<'_>) {
        for asked in self.world.commands.all() {
            let accepted = matches!(asked.told, Told::Accepted { .. }) && asked.command.key.is_some();
            if accepted && self.world.holds() && client.insist(&asked.command).await != asked.told {
                self.world.journal.violated(format!("I5: {} is not accepted again as it was", asked.command.path));
            }
            self.expect(self.witness.is_true(&asked.command, &asked.told));
        }
    }

    fn outcome(&self) -> Result<Done, Box<Violation>> {
        let (seed, journal) = (self.seed, &self.world.journal);
        if let Some(what) = journal.violation() {
            return Err(Box::new(Violation { seed, what, last_steps: journal.last_steps() }));
        }
        let (steps, hash) = journal.steps_and_hash();
        let mut faults = journal.done();
        self.chaos.injected().into_iter().for_each(|(what, times)| *faults.entry(what).or_default() += times);
        Ok(Done { steps, hash, commits: self.witness.commits(), faults })
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
    let heard = Arc::clone(world);
    let hear = move |line: Value| {
        for (metric, what) in COUNTED {
            heard.journal.count_many(what, line[metric].as_u64().unwrap_or_default());
        }
    };
    stack.with_metrics(Metrics::to("simulation", hear)).unwrap()
}
