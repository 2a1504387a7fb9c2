//! An HTTP function: its tables and its routes, each declared once.
//!
//! The router, the check of scopes, the description of the API and the tests use this declaration.

use std::pin::Pin;

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use cqrs::{Index, Projection, Rollup, Rows, Scope, Tally};
use futures_util::future::BoxFuture;
use http::Method;

use crate::{App, Caller, Problem, tables::EVENTS};

/// An HTTP function: its tables and its routes, each with its handler.
pub struct HttpFunction {
    name: &'static str,
    tables: Vec<&'static str>,
    read_models: Vec<&'static str>,
    lists: Vec<(&'static str, Index)>,
    warm_up: Option<WarmUp>,
    routes: Vec<Route>,
    router: Router<App>,
}

type WarmUp = fn(App) -> BoxFuture<'static, ()>;

/// A route of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The id in the description of the API, such as `placeOrder`.
    pub operation: &'static str,
    pub method: Method,
    /// With parameters in braces.
    pub path: &'static str,
    /// A caller needs at least one of them.
    pub scopes: &'static [Scope],
}

impl HttpFunction {
    /// Declares a function without tables and routes. `name` is the name of its binary.
    pub fn new(name: &'static str) -> Self {
        let (tables, read_models, lists) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, tables, read_models, lists, warm_up: None, routes: Vec::new(), router: Router::new() }
    }

    /// Declares that the function uses the event store.
    #[must_use]
    pub fn events(self) -> Self {
        self.table(EVENTS, |app| Box::pin(async move { app.warm_up().await }))
    }

    /// Declares that the function reads single views of `P`.
    #[must_use]
    pub fn views<P: Projection>(self) -> Self {
        self.read_model(P::NAME, P::NAME, |app| {
            Box::pin(async move {
                if let Ok(views) = app.for_warm_up().views::<P>() {
                    let _ = views.get("warm-up").await;
                }
            })
        })
    }

    /// Declares that the function reads pages of a list of the views of `P`, and single views.
    #[must_use]
    pub fn list<P: Projection>(self, index: &Index) -> Self {
        let lists = [self.lists.clone(), vec![(P::NAME, *index)]].concat();
        Self { lists, ..self.views::<P>() }
    }

    /// Declares that the function reads the counters of the rollup `R`.
    #[must_use]
    pub fn rollup<R: Rollup>(self) -> Self {
        self.read_model(R::NAME, R::TABLE, |app| Box::pin(async move { app.warm_up_counters(R::TABLE).await }))
    }

    /// Declares that the function reads the counters of the tally `T`.
    #[must_use]
    pub fn tally<T: Tally>(self) -> Self {
        self.read_model(T::NAME, T::TABLE, |app| Box::pin(async move { app.warm_up_counters(T::TABLE).await }))
    }

    /// Declares that the function reads the rows `R`.
    #[must_use]
    pub fn rows<R: Rows>(self) -> Self {
        self.read_model(R::NAME, R::NAME, |app| {
            Box::pin(async move {
                if let Ok(rows) = app.for_warm_up().rows::<R>() {
                    let _ = rows.list("warm-up", None, 1, false).await;
                }
            })
        })
    }

    fn read_model(self, name: &'static str, table: &'static str, warm_up: WarmUp) -> Self {
        let read_models = [self.read_models.clone(), vec![name]].concat();
        Self { read_models, ..self.table(table, warm_up) }
    }

    /// Adds a table. The warm-up reads from the first one: it opens the connection to DynamoDB during Lambda's init
    /// phase, which has full CPU.
    fn table(mut self, name: &'static str, warm_up: WarmUp) -> Self {
        if !self.tables.contains(&name) {
            self.tables.push(name);
        }
        Self { warm_up: self.warm_up.or(Some(warm_up)), ..self }
    }

    /// Adds a `GET` route. A caller needs one of `scopes`.
    #[must_use]
    pub fn get<H: Handler<T, App>, T: 'static>(
        self,
        operation: &'static str,
        path: &'static str,
        scopes: &'static [Scope],
        handler: H,
    ) -> Self {
        self.route(Route { operation, method: Method::GET, path, scopes }, MethodFilter::GET, handler)
    }

    /// Adds a `POST` route. A caller needs one of `scopes`.
    #[must_use]
    pub fn post<H: Handler<T, App>, T: 'static>(
        self,
        operation: &'static str,
        path: &'static str,
        scopes: &'static [Scope],
        handler: H,
    ) -> Self {
        self.route(Route { operation, method: Method::POST, path, scopes }, MethodFilter::POST, handler)
    }

    fn route<H: Handler<T, App>, T: 'static>(mut self, route: Route, method: MethodFilter, handler: H) -> Self {
        let handler = Scoped { scopes: route.scopes, handler };
        let router = self.router.route(route.path, on(method, handler));
        self.routes.push(route);
        Self { router, ..self }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the declared names of the tables.
    pub fn tables(&self) -> &[&'static str] {
        &self.tables
    }

    /// Returns the names of the projections, rollups, tallies and rows that the function reads.
    pub fn read_models(&self) -> &[&'static str] {
        &self.read_models
    }

    /// Returns the lists that the function reads, each with the name of its projection.
    pub fn lists(&self) -> &[(&'static str, Index)] {
        &self.lists
    }

    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Builds the router that serves the routes. The handlers see only the declared tables of `app`.
    pub fn into_router(self, app: &App) -> Router {
        self.router.with_state(app.with_tables(&self.tables))
    }

    /// Runs the function on Lambda: the only line of its `main`.
    ///
    /// # Errors
    /// The first environment variable that is missing or malformed, or an error of the runtime.
    pub fn run(self) -> Result<(), lambda_http::Error> {
        crate::start::block_on(async {
            let app = App::from_env(&self.tables)?;
            if let Some(warm_up) = self.warm_up {
                warm_up(app.clone()).await;
            }
            lambda_http::run(self.into_router(&app)).await
        })
    }
}

/// Checks the scopes of a route before its handler runs.
#[derive(Clone)]
struct Scoped<H> {
    scopes: &'static [Scope],
    handler: H,
}

impl<H: Handler<T, App>, T: 'static> Handler<T, App> for Scoped<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, app: App) -> Self::Future {
        let (parts, body) = request.into_parts();
        let permission = Caller::from_claims(&parts).ok_or_else(Problem::unauthorized);
        if let Err(problem) = permission.and_then(|caller| caller.require_any(self.scopes)) {
            return Box::pin(async { problem.into_response() });
        }
        Box::pin(self.handler.call(Request::from_parts(parts, body), app))
    }
}
