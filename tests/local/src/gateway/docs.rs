//! The descriptions of the API and of the public events, and a page to try the API (Swagger UI, bundled, so that it works
//! offline).

use std::{
    fmt::Display,
    io::{Cursor, Read},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use swagger_ui::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use super::Gateway;
use crate::{asyncapi, openapi};

/// The page, without its title. It loads nothing from other hosts: no validator, no font.
const PAGE: &str = include_str!("docs.html");

/// `GET /openapi.json`, `GET /asyncapi.json`, `GET /docs` and the files of the page.
pub(super) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/openapi.json", get(api))
        .route("/asyncapi.json", get(events))
        .route("/docs", get(page))
        .route("/docs/{file}", get(file))
}

async fn api(State(gateway): State<Arc<Gateway>>) -> Response {
    description(openapi::json(&gateway.deployment))
}

async fn events(State(gateway): State<Arc<Gateway>>) -> Response {
    description(asyncapi::json(&gateway.deployment))
}

fn description(json: Result<String, impl Display>) -> Response {
    match json {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn page(State(gateway): State<Arc<Gateway>>) -> Html<String> {
    Html(PAGE.replace("{title}", gateway.deployment.name))
}

async fn file(Path(name): Path<String>) -> Response {
    let content_type = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("png") => "image/png",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match swagger_file(&name) {
        Some(content) => ([(header::CONTENT_TYPE, content_type)], content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A file of Swagger UI, from the zip in its crate. `None` if there is no such file.
fn swagger_file(name: &str) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
    let suffix = format!("/dist/{name}");
    let path = archive.file_names().flatten().find(|path| path.ends_with(&suffix))?.into_owned();
    let mut content = Vec::new();
    archive.by_name(&path).ok()?.read_to_end(&mut content).ok()?;
    Some(content)
}
