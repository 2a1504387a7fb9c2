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
use cqrs::{Projection, Scope};
use futures_util::future::BoxFuture;
use http::Method;

use crate::{App, Caller, Problem, tables::EVENTS};

/// An HTTP function: its tables and its routes, each with its handler.
pub struct HttpFunction {
    name: &'static str,
    tables: Vec<&'static str>,
    warm_up: Option<fn(App) -> BoxFuture<'static, ()>>,
    routes: Vec<Route>,
    router: Router<App>,
}

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
        Self { name, tables: Vec::new(), warm_up: None, routes: Vec::new(), router: Router::new() }
    }

    /// Declares that the function uses the event store.
    #[must_use]
    pub fn events(self) -> Self {
        self.table(EVENTS, |app| Box::pin(async move { app.warm_up().await }))
    }

    /// Declares that the function reads the views of `P`.
    #[must_use]
    pub fn views<P: Projection>(self) -> Self {
        self.table(P::NAME, |app| {
            Box::pin(async move {
                if let Ok(views) = app.for_warm_up().views::<P>() {
                    let _ = views.get("warm-up").await;
                }
            })
        })
    }

    /// Declares that the function reads the counters in the table `name`.
    #[must_use]
    pub fn counters(self, name: &'static str) -> Self {
        Self { tables: [self.tables, vec![name]].concat(), ..self }
    }

    /// Sets the call that opens the connection to DynamoDB during Lambda's init phase, which has full CPU. The default
    /// is a read from the first declared table.
    #[must_use]
    pub fn warm_up(self, warm_up: fn(App) -> BoxFuture<'static, ()>) -> Self {
        Self { warm_up: Some(warm_up), ..self }
    }

    fn table(mut self, name: &'static str, warm_up: fn(App) -> BoxFuture<'static, ()>) -> Self {
        self.tables.push(name);
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
