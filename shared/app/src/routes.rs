//! The routes of a function, as a list that can be held against the template.

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
    /// The same, with `GET` on `path`.
    #[must_use]
    pub fn get<H: Handler<T, App>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.listed.push(("GET", path));
        Self { router: self.router.route(path, get(handler)), ..self }
    }

    /// The same, with `POST` on `path`.
    #[must_use]
    pub fn post<H: Handler<T, App>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.listed.push(("POST", path));
        Self { router: self.router.route(path, post(handler)), ..self }
    }

    /// Method and path of each route.
    pub fn listed(&self) -> &[(&'static str, &'static str)] {
        &self.listed
    }

    /// The function: its routes over `app`.
    pub fn over(self, app: App) -> Router {
        self.router.with_state(app)
    }
}
