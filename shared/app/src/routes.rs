//! The routes of a function, as a router and as a list. A test compares the list with the template.

use axum::{
    Router,
    handler::Handler,
    routing::{get, post},
};

use crate::App;

/// The routes of a function, each with its handler.
#[derive(Debug, Default)]
pub struct Routes {
    listed: Vec<(&'static str, &'static str)>,
    router: Router<App>,
}

impl Routes {
    /// Adds a `GET` route.
    #[must_use]
    pub fn get<H: Handler<T, App>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.listed.push(("GET", path));
        Self { router: self.router.route(path, get(handler)), ..self }
    }

    /// Adds a `POST` route.
    #[must_use]
    pub fn post<H: Handler<T, App>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.listed.push(("POST", path));
        Self { router: self.router.route(path, post(handler)), ..self }
    }

    /// Returns method and path of each route.
    pub fn listed(&self) -> &[(&'static str, &'static str)] {
        &self.listed
    }

    /// Builds the router that serves the routes with `app` as state.
    pub fn into_router(self, app: App) -> Router {
        self.router.with_state(app)
    }
}
