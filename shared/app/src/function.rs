//! An HTTP function: its tables and its routes, each declared once.
//!
//! The service, the check of scopes, the description of the API and the tests use this declaration.

use std::sync::Arc;

use axum::{
    extract::Request,
    handler::Handler,
    response::{IntoResponse, Response},
};
use cqrs::{Index, Projection, Rollup, Rows, Scope, Tally};
use futures_util::future::BoxFuture;
use http::Method;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use crate::{
    App, Problem,
    command::{CommandContext, CommandDocument, CommandTarget, JsonBody, context},
    http_event::{HttpAnswer, HttpEvent},
    tables::EVENTS,
};

/// An HTTP function: its tables and its routes, each with its handler.
pub struct HttpFunction {
    name: &'static str,
    tables: Vec<&'static str>,
    read_models: Vec<&'static str>,
    lists: Vec<(&'static str, Index)>,
    warm_up: Option<WarmUp>,
    routes: Vec<Route>,
    handlers: Vec<RouteHandler>,
}

type WarmUp = fn(App) -> BoxFuture<'static, ()>;

/// The handler of a route.
type RouteHandler = Arc<dyn Fn(Request, App) -> BoxFuture<'static, Response> + Send + Sync>;

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
        Self { name, tables, read_models, lists, warm_up: None, routes: Vec::new(), handlers: Vec::new() }
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
        self.route(Route { operation, method: Method::GET, path, scopes }, handler)
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
        self.route(Route { operation, method: Method::POST, path, scopes }, handler)
    }

    /// Adds the `POST` route of a command. The only parameter of the path is the key of the instance; the path of a
    /// command that creates one has no parameter.
    #[must_use]
    pub fn command<D: CommandDocument>(self, operation: &'static str, path: &'static str) -> Self {
        match D::TARGET {
            CommandTarget::New(new_key) => {
                let create = move |context: CommandContext, JsonBody(document): JsonBody<D>| {
                    context::create(context, document, new_key)
                };
                self.post(operation, path, D::SCOPES, create)
            }
            CommandTarget::Existing | CommandTarget::NewOrExisting => {
                self.post(operation, path, D::SCOPES, context::execute::<D>)
            }
        }
    }

    fn route<H: Handler<T, App>, T: 'static>(mut self, route: Route, handler: H) -> Self {
        self.routes.push(route);
        self.handlers.push(Arc::new(move |request, app| Box::pin(handler.clone().call(request, app))));
        self
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

    /// Builds the service that answers events. The handlers see only the declared tables of `app`.
    pub fn into_service(self, app: &App) -> HttpService {
        let app = app.with_tables(&self.tables);
        HttpService { app, routes: self.routes.into_iter().zip(self.handlers).collect() }
    }

    /// Runs the function on Lambda: the only line of its `main`.
    ///
    /// # Errors
    /// The first environment variable that is missing or malformed, or an error of the runtime.
    pub fn run(self) -> Result<(), lambda_runtime::Error> {
        crate::start::block_on(async {
            let app = App::from_env(&self.tables)?;
            if let Some(warm_up) = self.warm_up {
                warm_up(app.clone()).await;
            }
            let service = self.into_service(&app);
            let answer = async |event| Ok::<_, lambda_runtime::Error>(service.answer(event).await);
            lambda_runtime::run(service_fn(answer)).await
        })
    }
}

/// Answers the HTTP events of a function.
#[derive(Clone)]
pub struct HttpService {
    app: App,
    routes: Arc<[(Route, RouteHandler)]>,
}

impl HttpService {
    /// Answers an event, which may be any JSON. An error becomes a response with a problem document.
    pub async fn answer(&self, event: LambdaEvent<Value>) -> HttpAnswer {
        let response = self.respond(event).await;
        HttpAnswer::new(response.unwrap_or_else(IntoResponse::into_response)).await
    }

    async fn respond(&self, event: LambdaEvent<Value>) -> Result<Response, Problem> {
        let LambdaEvent { payload, context, .. } = event;
        let event = HttpEvent(&payload);
        let (route, handler) = event.route(&self.routes)?;
        event.caller().ok_or_else(Problem::unauthorized)?.require_any(route.scopes)?;
        let mut request = event.to_request(route)?;
        drop(payload);
        request.extensions_mut().insert(context);
        Ok(handler(request, self.app.clone()).await)
    }
}
