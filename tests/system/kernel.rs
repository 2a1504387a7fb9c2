//! The toolkit without the order domain: a test aggregate with two projections, rollups, tallies and rows, on its own
//! tables.

mod added_projection;
mod catch_up;
mod execute;
mod instalments;
mod invariants;
mod jar;
mod jar_beside;
mod process;
mod process_function;
mod publishing;
mod read_models;
mod store;
mod verify;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use app::{Settings, settings::SettingError};
use cqrs::{
    Commit, Domain, ReadModel, ReadModels, StoredCommit,
    read_model::{DeclaredTables, TableKind},
};
use cqrs_dynamodb::{CountersTable, Dynamo, Environment, EventStore, Projector, ProjectorBuilder, Views};
use jiff::Timestamp;
use local::{
    tables,
    template::{IndexDefinition, Key, TableDefinition},
};

use self::{
    jar::{Inventory, JarEvent, JarLevels, Visits},
    jar_beside::JarDomain,
};
use crate::harness::{self, interceptor::TestInterceptor};

/// The partition key of the index of parked streams.
const PARKED_IN: &str = "parked_in";

/// The tables of the test aggregate.
#[derive(Clone)]
struct Jars {
    dynamo: Dynamo,
    /// The client without the interceptor.
    direct: Dynamo,
    interceptor: Arc<TestInterceptor>,
    /// In milliseconds since 1970. Each read advances it by one.
    clock: Arc<AtomicI64>,
    prefix: String,
}

impl Jars {
    async fn start() -> Self {
        let interceptor = Arc::new(TestInterceptor::default());
        let (engine, prefix) = (harness::engine().with_interceptor(interceptor.clone()), harness::prefix());
        let (clock, random) = (Arc::new(AtomicI64::new(1_700_000_000_000)), AtomicU64::new(1));
        let time = Arc::clone(&clock);
        let environment = Environment::new(
            move || Timestamp::from_millisecond(time.fetch_add(1, Ordering::SeqCst)).unwrap(),
            move || u128::from(random.fetch_add(1, Ordering::SeqCst)).to_be_bytes(),
        );
        let settings = settings(engine.endpoint()).unwrap();
        let dynamo = engine.dynamo(&settings, environment.clone());
        let direct = engine.direct().dynamo(&settings, environment);
        let declared = JarDomain::<1>::publications(JarDomain::<1>::read_models(DeclaredTables::default()));
        let declared = declared.check().unwrap();
        let events = ("events", vec![("stream", "S"), ("version", "N")]);
        for (name, attributes) in declared.into_iter().map(|(name, kind)| (name, key_of(kind))).chain([events]) {
            let table = TableDefinition {
                attributes: [(PARKED_IN, "S")]
                    .iter()
                    .chain(&attributes)
                    .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
                    .collect(),
                key: Key::new(&[attributes[0].0], &attributes[1..].iter().map(|(name, _)| *name).collect::<Vec<_>>()),
                indexes: vec![IndexDefinition {
                    name: "parked".to_owned(),
                    key: Key::new(&[PARKED_IN], &[attributes[0].0]),
                    projection: "ALL".to_owned(),
                    attributes: Vec::new(),
                }],
                stream: None,
            };
            tables::create(&dynamo.client, &format!("{prefix}{name}"), &table).await.unwrap();
        }
        Self { dynamo, direct, interceptor, clock, prefix }
    }

    /// These jars without the interceptor.
    fn without_faults(&self) -> Self {
        Self { dynamo: self.direct.clone(), ..self.clone() }
    }

    /// Appends the commit after the one before it. Returns the stored commit.
    async fn append(&self, commit: Commit<JarEvent>) -> StoredCommit {
        let before = self.events().load_stored(&commit.stream).await.unwrap();
        let commit = Commit { previous: before.last().and_then(|before| before.hash), ..commit };
        self.events().append(&commit).await.unwrap();
        self.events().load_stored(&commit.stream).await.unwrap().pop().unwrap()
    }

    fn table(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn events(&self) -> EventStore {
        EventStore::new(self.dynamo.clone(), self.table("events"))
    }

    fn levels<const SCHEMA: u32>(&self) -> Views<JarLevels<SCHEMA>> {
        Views::new(self.dynamo.clone(), self.table("levels"))
    }

    fn visits(&self) -> Views<Visits> {
        Views::new(self.dynamo.clone(), self.table("visits"))
    }

    fn inventory(&self) -> CountersTable {
        CountersTable::new(self.dynamo.clone(), self.table("inventory"))
    }

    /// The tables are deployed under their declared names, with the prefix of this test.
    fn builder(&self) -> ProjectorBuilder<impl Fn(&'static str) -> Option<Arc<str>>> {
        Projector::builder(self.events(), |name| Some(self.table(name).into()))
    }

    /// The projector of everything that the domain declares, with this schema version of the levels.
    fn projector_of_all<const SCHEMA: u32>(&self) -> Projector {
        JarDomain::<SCHEMA>::read_models(self.builder()).build().unwrap()
    }

    /// The projector of a deployment whose projection of levels has this schema version.
    fn projector<const SCHEMA: u32>(&self) -> Projector {
        self.builder()
            .add(ReadModel::<JarLevels<SCHEMA>>::new().rollup::<Inventory<SCHEMA>>())
            .add(ReadModel::<Visits>::new())
            .build()
            .unwrap()
    }
}

/// The key attributes of a table of this kind, with their types.
fn key_of(kind: TableKind) -> Vec<(&'static str, &'static str)> {
    match kind {
        TableKind::Views { key } => vec![(key, "S")],
        TableKind::Counters => vec![("shard", "S"), ("row", "S")],
        TableKind::Rows => vec![("partition", "S"), ("sort", "S")],
    }
}

fn settings(endpoint: &str) -> Result<Settings, SettingError> {
    Settings::read(&[], |name| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(endpoint.to_owned()),
        _ => None,
    })
}
