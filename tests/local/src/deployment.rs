//! The declaration of a project's system, from which the local stack runs it.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use app::{
    App, HttpFunction, Route,
    openapi::{DescribedFunction, Operation},
    start::{self, UsedTables},
};
use cqrs::{DeclarationError, Domain, Publication, read_model::DeclaredTables};
use lambda_runtime::LambdaEvent;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{functions::Function, openapi::ApiDescription, public_events::DescribedPublication};

/// The system of a project: its functions, its tables, its API, and the texts of its `cargo local`.
#[derive(Clone)]
pub struct Deployment {
    /// The name of the system, in messages and as the title of its API. For example `Orders`.
    pub name: &'static str,
    /// The SAM template that deploys the system.
    pub template: PathBuf,
    pub api: ApiDescription,
    /// The request that the startup message shows.
    pub example: ExampleRequest,
    /// The operation that responds with the events of an instance, for `cargo local history`.
    pub history: &'static str,
    tables: fn(UsedTables) -> Result<Vec<&'static str>, DeclarationError>,
    functions: Vec<DeployedFunction>,
    /// The names of the publications of the domains.
    declared_publications: Vec<&'static str>,
    publications: Vec<DescribedPublication>,
}

/// A function of the system.
#[derive(Clone)]
struct DeployedFunction {
    /// The name of its binary.
    name: &'static str,
    compose: Arc<Compose>,
    http: Option<DescribedFunction>,
    /// The declared names of its tables.
    tables: Vec<&'static str>,
}

type Compose = dyn Fn(&App, Duration) -> Function + Send + Sync;

/// A command that a user can send first.
#[derive(Clone)]
pub struct ExampleRequest {
    /// The operation, whose path has no parameters.
    pub operation: &'static str,
    /// JSON without single quotes, as the shell needs it.
    pub body: &'static str,
    /// The caller with `--auth`.
    pub caller: &'static str,
    /// The scopes of the caller, separated by spaces.
    pub scopes: &'static str,
}

impl Deployment {
    /// Declares a system with the read models of `D`, and without functions.
    ///
    /// # Errors
    /// [`DeclarationError`] if declarations of `D` collide.
    pub fn new<D: Domain>(
        name: &'static str,
        template: PathBuf,
        api: ApiDescription,
        example: ExampleRequest,
        history: &'static str,
    ) -> Result<Self, DeclarationError> {
        start::tables::<D>(UsedTables::All)?;
        let declared_publications = D::publications(DeclaredTables::default()).check()?.into_keys().collect();
        let (tables, functions, publications) = (start::tables::<D>, Vec::new(), Vec::new());
        Ok(Self { name, template, api, example, history, tables, functions, declared_publications, publications })
    }

    /// Adds HTTP functions.
    #[must_use]
    pub fn http(mut self, functions: &[DescribedFunction]) -> Self {
        for described in functions {
            let (function, _) = *described;
            let compose = move |app: &App, timeout| Function::from_service(function().into_service(app), timeout);
            let (name, tables) = (function().name(), function().tables().to_vec());
            self.functions.push(DeployedFunction { name, compose: Arc::new(compose), http: Some(*described), tables });
        }
        self
    }

    /// Adds a function that handles events other than HTTP requests. `name` is the name of its binary, `used` its
    /// tables.
    #[must_use]
    pub fn handler<E, A, F>(
        self,
        name: &'static str,
        used: UsedTables,
        handle: impl Fn(App, LambdaEvent<E>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        E: DeserializeOwned + Send,
        A: Serialize,
        F: Future<Output = Result<A, lambda_runtime::Error>> + Send,
    {
        let tables = self.declared(used);
        self.handler_of(name, &tables, handle)
    }

    /// Like [`handler`](Self::handler), for a function that uses these tables.
    #[must_use]
    pub fn handler_of<E, A, F>(
        mut self,
        name: &'static str,
        tables: &[&'static str],
        handle: impl Fn(App, LambdaEvent<E>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        E: DeserializeOwned + Send,
        A: Serialize,
        F: Future<Output = Result<A, lambda_runtime::Error>> + Send,
    {
        let compose = move |app: &App, timeout| {
            let (app, handle) = (app.clone(), handle.clone());
            Function::from_handler(timeout, move |event| handle(app.clone(), event))
        };
        let tables = tables.to_vec();
        self.functions.push(DeployedFunction { name, compose: Arc::new(compose), http: None, tables });
        self
    }

    /// Describes the events that `P` publishes. `source` is the `source` of their envelopes, as the template sets it.
    /// `samples` returns streams, whose events become the examples; they need one for each type.
    #[must_use]
    pub fn publishes<P: Publication>(mut self, source: &'static str, samples: fn() -> Vec<Vec<P::Event>>) -> Self
    where
        P::Public: ToSchema,
    {
        self.publications.push(DescribedPublication::of::<P>(source, samples));
        self
    }

    /// Returns the names of the publications that the domains declare.
    pub fn declared_publications(&self) -> &[&'static str] {
        &self.declared_publications
    }

    /// Returns the publications that are described.
    pub fn publications(&self) -> &[DescribedPublication] {
        &self.publications
    }

    /// Returns the declared names of all tables.
    pub fn tables(&self) -> Vec<&'static str> {
        self.declared(UsedTables::All)
    }

    /// Returns the declared names of the tables that a function uses.
    pub fn tables_of(&self, binary: &str) -> Vec<&'static str> {
        let function = self.functions.iter().find(|function| function.name == binary);
        function.map(|function| function.tables.clone()).unwrap_or_default()
    }

    fn declared(&self, used: UsedTables) -> Vec<&'static str> {
        // Colliding declarations were an error in `new`.
        (self.tables)(used).unwrap_or_default()
    }

    /// Composes the function of this binary, as its `main` composes it. `None` for an unknown name.
    pub fn compose(&self, binary: &str, app: &App, timeout: Duration) -> Option<Function> {
        let function = self.functions.iter().find(|function| function.name == binary)?;
        Some((function.compose)(app, timeout))
    }

    /// Returns the functions by the names of their binaries, each with its HTTP declaration if it has one.
    pub fn functions(&self) -> impl Iterator<Item = (&'static str, Option<HttpFunction>)> {
        self.functions.iter().map(|function| (function.name, function.http.map(|(http, _)| http())))
    }

    /// Returns all routes.
    pub fn routes(&self) -> Vec<Route> {
        self.functions().filter_map(|(_, http)| http).flat_map(|http| http.routes().to_vec()).collect()
    }

    /// Returns the description of all operations.
    pub fn operations(&self) -> Vec<Operation> {
        let described = self.functions.iter().filter_map(|function| function.http);
        described.flat_map(|(http, describe)| http().operations(describe)).collect()
    }

    /// Returns the path of an operation.
    pub fn path(&self, operation: &str) -> Option<&'static str> {
        self.routes().into_iter().find(|route| route.operation == operation).map(|route| route.path)
    }

    /// Returns all scopes of the API, separated by spaces.
    pub fn operator_scopes(&self) -> String {
        let scopes: BTreeSet<_> =
            self.routes().iter().flat_map(|route| route.scopes).map(|scope| scope.as_str()).collect();
        scopes.into_iter().collect::<Vec<_>>().join(" ")
    }
}
