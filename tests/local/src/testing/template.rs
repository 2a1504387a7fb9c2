//! Compares the template of a project with its code: functions, routes, scopes, environment, tables and indexes.

use std::collections::{BTreeMap, BTreeSet};

use app::{HttpFunction, tables};
use cqrs::{Domain, Index, Projection, ReadModel, ReadModels, read_model::TableKind};

use crate::{
    Deployment, Template,
    template::{IndexDefinition, Key, RouteDefinition},
};

/// Asserts that the template of `deployment` agrees with its code:
///
/// - It has exactly the functions of the deployment, and each has exactly its routes, with their scopes.
/// - Each function gets the names of exactly the tables that it uses. Its read models and lists are declared by `D`, and
///   its role may query exactly its lists.
/// - It has the events table, and exactly the tables and indexes of the read models of `D`.
///
/// # Panics
/// At the first difference.
#[track_caller]
pub fn assert_template<D: Domain>(deployment: &Deployment) {
    for operation in [deployment.example.operation, deployment.history] {
        assert!(deployment.path(operation).is_some(), "no function has the operation {operation}");
    }
    let template = Template::read(&deployment.template).unwrap_or_else(|error| panic!("{error}"));
    let declared: BTreeMap<_, _> = deployment.functions().collect();
    let expected = D::publications(D::read_models(ExpectedReadModels::default()));
    let names: BTreeSet<_> = template.functions.keys().map(String::as_str).collect();
    assert_eq!(names, declared.keys().copied().collect(), "the functions");
    for (binary, function) in &template.functions {
        let deployed: BTreeSet<_> = function.routes.iter().map(with_sorted_scopes).collect();
        let http = declared.get(binary.as_str()).and_then(Option::as_ref);
        assert_eq!(deployed, http.map(routes).unwrap_or_default(), "the routes of {binary}");

        let used = deployment.tables_of(binary).into_iter();
        let used: BTreeMap<_, _> = used.map(|table| (tables::variable(table), tables::logical_id(table))).collect();
        let mut passed = function.environment.clone();
        passed.retain(|name, _| name.ends_with("_TABLE"));
        assert_eq!(passed, used, "the tables of {binary}");

        let Some(http) = http else { continue };
        for name in http.read_models() {
            assert!(expected.names.contains(name), "{binary} reads {name}, which no domain declares");
        }
        for (projection, index) in http.lists() {
            let list = (*projection, index.name);
            assert!(expected.lists.contains(&list), "{binary} reads {list:?}, which is not in INDEXES");
        }
        let granted = function.grants.iter().filter(|(_, resource)| resource.contains("/index/"));
        let granted: BTreeSet<_> = granted.cloned().collect();
        let query = |(projection, index): &(&str, Index)| {
            let resource = format!("${{{}.Arn}}/index/{}", tables::logical_id(projection), index.name);
            ("dynamodb:Query".to_owned(), resource)
        };
        assert_eq!(granted, http.lists().iter().map(query).collect(), "the lists that {binary} may query");
    }
    let mut deployed = template.tables;
    assert!(deployed.remove(&tables::logical_id(tables::EVENTS)).is_some(), "the events table is missing");
    let deployed: BTreeMap<_, _> = deployed.into_iter().map(|(id, table)| (id, (table.key, table.indexes))).collect();
    assert_eq!(deployed, expected.tables, "the tables of the read models");
}

fn routes(function: &HttpFunction) -> BTreeSet<RouteDefinition> {
    let route = |route: &app::Route| {
        let scopes = route.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        with_sorted_scopes(&RouteDefinition { method: route.method.to_string(), path: route.path.to_owned(), scopes })
    };
    function.routes().iter().map(route).collect()
}

/// The order of scopes has no meaning.
fn with_sorted_scopes(route: &RouteDefinition) -> RouteDefinition {
    let mut route = route.clone();
    route.scopes.sort();
    route
}

/// The declarations of the read models that a template must contain.
#[derive(Default)]
struct ExpectedReadModels {
    names: BTreeSet<&'static str>,
    /// The names of projections, each with the name of an index.
    lists: BTreeSet<(&'static str, &'static str)>,
    /// As the local stack reads them from a template.
    tables: BTreeMap<String, (Key, Vec<IndexDefinition>)>,
}

impl ReadModels for ExpectedReadModels {
    fn add<P: Projection>(mut self, model: ReadModel<P>) -> Self {
        let index = |index: &Index| IndexDefinition {
            name: index.name.to_owned(),
            key: Key::new(index.partition, &[index.sort, &[P::KEY]].concat()),
            projection: "INCLUDE".to_owned(),
            attributes: [index.shows, &["version", "parked_in"]].concat().into_iter().map(str::to_owned).collect(),
        };
        let parked = IndexDefinition {
            name: "parked".to_owned(),
            key: Key::new(&["parked_in"], &[P::KEY]),
            projection: "INCLUDE".to_owned(),
            attributes: vec!["parked".to_owned()],
        };
        self.names.extend(model.names());
        self.lists.extend(P::INDEXES.iter().map(|index| (P::NAME, index.name)));
        for table in model.tables() {
            let expected = match table.kind {
                TableKind::Views { key: partition } => {
                    (Key::new(&[partition], &[]), P::INDEXES.iter().map(index).chain([parked.clone()]).collect())
                }
                TableKind::Counters => (Key::new(&["shard"], &["row"]), Vec::new()),
                TableKind::Rows => (Key::new(&["partition"], &["sort"]), Vec::new()),
            };
            self.tables.insert(tables::logical_id(table.name), expected);
        }
        self
    }
}
