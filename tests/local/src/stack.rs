//! The whole system on an engine.

use std::{collections::BTreeMap, sync::Arc};

use app::{App, Aws, Metrics, Settings, client, settings::SettingError, trace::XRay};
use cqrs_dynamodb::Environment;

use crate::{
    Deployment, Engine, Template,
    authorizer::Authorizer,
    event_source_mapping::EventSourceMapping,
    functions::{Function, invoke_api},
    gateway::Gateway,
    tables,
    template::TemplateError,
};

/// The system of a deployment, on an engine.
pub struct Stack {
    pub deployment: Arc<Deployment>,
    pub template: Template,
    pub authorizer: Arc<Authorizer>,
    /// The dependencies of the functions.
    pub app: App,
    engine: Engine,
    functions: BTreeMap<String, Function>,
    stream_arns: BTreeMap<String, String>,
}

/// The reason why a stack does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("reading the template failed: {0}")]
    Template(#[from] TemplateError),
    #[error("creating the table {table} in DynamoDB at {endpoint} failed: {reason}.")]
    Table { endpoint: String, table: String, reason: String },
    /// An environment variable of this process is malformed.
    #[error("{0}.")]
    Setting(SettingError),
    /// The template has an unknown function, or a setting is missing.
    #[error("the template does not match the functions: {0}")]
    Functions(String),
}

impl Stack {
    /// Creates the tables of `template`, which may differ from the file of the deployment, and composes the functions.
    ///
    /// Table names get `prefix`, so that several stacks can share an engine.
    ///
    /// # Errors
    /// Fails with [`StartError`].
    pub async fn start(
        deployment: Deployment,
        template: Template,
        engine: Engine,
        authorizer: Authorizer,
        environment: Environment,
        prefix: &str,
    ) -> Result<Self, StartError> {
        let app = app(&deployment, &template, &engine, &environment, prefix)?;
        let mut stream_arns = BTreeMap::new();
        for (id, table) in &template.tables {
            let name = format!("{prefix}{id}");
            let stream = tables::create(&app.dynamo.client, &name, table).await;
            let stream = stream.and_then(|stream| engine.index(&name).map(|()| stream)).map_err(|reason| {
                let endpoint = engine.endpoint().to_owned();
                StartError::Table { endpoint, table: name, reason }
            })?;
            stream_arns.extend(stream.map(|arn| (id.clone(), arn)));
        }
        let functions = compose(&deployment, &template, &app)?;
        let authorizer = Arc::new(authorizer.with_operator_scopes(&deployment.operator_scopes()));
        Ok(Self { deployment: Arc::new(deployment), template, authorizer, app, engine, functions, stream_arns })
    }

    /// Composes the functions again, with these metrics.
    ///
    /// # Errors
    /// Fails with [`StartError::Functions`].
    pub fn with_metrics(mut self, metrics: Metrics) -> Result<Self, StartError> {
        self.app.metrics = metrics;
        self.functions = compose(&self.deployment, &self.template, &self.app)?;
        Ok(self)
    }

    /// Replaces all functions with those behind the Lambda Invoke API at `url`.
    #[must_use]
    pub fn with_functions_at(mut self, url: &str) -> Self {
        for (binary, function) in &self.template.functions {
            self.functions.insert(binary.clone(), invoke_api::at(url, [binary, &function.id]));
        }
        self
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The function of this binary.
    pub fn function(&self, binary: &str) -> Option<&Function> {
        self.functions.get(binary)
    }

    /// The stream ARN of the table with this logical id.
    pub fn stream_arn(&self, table: &str) -> Option<&str> {
        self.stream_arns.get(table).map(String::as_str)
    }

    /// The HTTP API of the functions. `dynamodb` is the URL that `GET /health` shows.
    pub fn gateway(&self, dynamodb: &str) -> Gateway {
        let functions = self.template.functions.iter();
        let routes = functions.filter_map(|(binary, function)| Some((&function.routes, self.functions.get(binary)?)));
        Gateway {
            routes: routes.flat_map(|(routes, f)| routes.iter().map(|route| (route.clone(), f.clone()))).collect(),
            cors: self.template.cors.clone(),
            deployment: Arc::clone(&self.deployment),
            authorizer: Arc::clone(&self.authorizer),
            environment: self.app.dynamo.environment.clone(),
            dynamodb: dynamodb.to_owned(),
        }
    }

    /// The event source mappings of the template, each at the beginning of its stream.
    pub fn event_source_mappings(&self) -> Vec<EventSourceMapping> {
        let mut mappings = Vec::new();
        for (binary, function) in &self.template.functions {
            for definition in &function.mappings {
                if let (Some(arn), Some(function)) =
                    (self.stream_arns.get(&definition.table), self.functions.get(binary))
                {
                    let environment = self.app.dynamo.environment.clone();
                    let streams = self.engine.streams();
                    mappings.push(EventSourceMapping::new(
                        streams,
                        arn.clone(),
                        definition.clone(),
                        function.clone(),
                        environment,
                    ));
                }
            }
        }
        mappings
    }
}

/// The functions of the template, by the name of their binary.
fn compose(deployment: &Deployment, template: &Template, app: &App) -> Result<BTreeMap<String, Function>, StartError> {
    let composed = template.functions.iter().map(|(binary, function)| {
        let composed = deployment.compose(binary, app, function.timeout);
        let composed = composed.ok_or_else(|| StartError::Functions(format!("the function {binary} is unknown")))?;
        Ok((binary.clone(), composed))
    });
    composed.collect()
}

/// Composes the dependencies of the functions from the environment variables of the template.
///
/// # Errors
/// Fails with [`StartError::Functions`] if a setting is missing, or [`StartError::Setting`] if it is malformed.
pub fn app(
    deployment: &Deployment,
    template: &Template,
    engine: &Engine,
    environment: &Environment,
    prefix: &str,
) -> Result<App, StartError> {
    let environments = template.functions.values().flat_map(|function| &function.environment);
    let variables: BTreeMap<_, _> = environments.collect();
    let settings = Settings::read(deployment.tables(), |name| match (name, variables.get(&name.to_owned())) {
        ("AWS_ENDPOINT_URL_DYNAMODB", _) => Some(engine.endpoint().to_owned()),
        (_, Some(table)) if template.tables.contains_key(*table) => Some(format!("{prefix}{table}")),
        (name, value) => value.map(|value| (*value).clone()).or_else(|| engine.variable(name).map(str::to_owned)),
    });
    let settings = settings.map_err(|error| match error {
        SettingError::Missing(_) => StartError::Functions(error.to_string()),
        SettingError::Malformed(..) => StartError::Setting(error),
    })?;
    let variables: BTreeMap<String, String> = variables.into_iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    Ok(App {
        aws: Aws::new(&settings, client::transport(&settings), move |name| variables.get(name).cloned()),
        dynamo: engine.dynamo(&settings, environment.clone()),
        tables: settings.tables,
        metrics: Metrics::none(),
        x_ray: XRay::default(),
    })
}
