//! The whole system on an engine.

use std::{collections::BTreeMap, sync::Arc};

use app::{App, Aws, Metrics, Settings, settings::SettingError, trace::XRay};
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use cqrs_dynamodb::Environment;

use crate::{
    Deployment, Engine, Template,
    authorizer::Authorizer,
    clock::StackClock,
    event_source_mapping::EventSourceMapping,
    functions::{Function, invoke_api},
    gateway::Gateway,
    messaging::{
        self, Messaging, MessagingResources, emulator,
        resources::{self, queue_name},
        store::MessagingStore,
    },
    queue_mapping::{QueueAddress, QueueMapping},
    scheduled::ScheduledFunction,
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
    /// The event buses, queues and schedules. They are not used with the emulator of [`Engine::with_messaging`].
    pub messaging: Messaging,
    /// The addresses of the queues, by logical id.
    queues: BTreeMap<String, QueueAddress>,
    /// The clock that the functions and the schedules follow, if it can be wound.
    clock: Option<StackClock>,
    /// The prefix of all names.
    prefix: String,
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
    #[error("creating the buses, queues and schedule groups in the emulator failed: {0}.")]
    Emulator(String),
    /// The stored messages and schedules cannot be read.
    #[error("reading the stored messages failed: {0}.")]
    Messages(String),
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
    /// All names get `prefix`, so that several stacks can share an engine.
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
        let messaging = messaging(&template, &engine, &environment, prefix)?;
        let queues = match engine.messaging() {
            Some(emulator) => emulator.create(&template, prefix).await.map_err(StartError::Emulator)?,
            None => resources::addresses(&template, prefix),
        };
        let services = Services { messaging: Some(&messaging), queues: &queues };
        let app = app_with(&deployment, &template, &engine, &environment, prefix, services)?;
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
        let (deployment, prefix) = (Arc::new(deployment), prefix.to_owned());
        let clock = None;
        Ok(Self {
            deployment,
            template,
            authorizer,
            app,
            messaging,
            queues,
            clock,
            prefix,
            engine,
            functions,
            stream_arns,
        })
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

    /// Lets the gateway wind `clock`. The environment of the stack must be that of the clock.
    #[must_use]
    pub fn with_clock(self, clock: StackClock) -> Self {
        Self { clock: Some(clock), ..self }
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
            messaging: self.messaging.clone(),
            queues: self.queues.keys().map(|id| (id.clone(), self.queue_name(id))).collect(),
            emulator: self.engine.messaging().cloned(),
            // The schedules of an emulator follow the clock of the machine.
            clock: self.clock.clone().filter(|_| self.engine.messaging().is_none()),
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
                    let (arn, definition, function) = (arn.clone(), definition.clone(), function.clone());
                    let mapping = EventSourceMapping::new(streams, arn, definition, function, environment);
                    mappings.push(mapping.with_name(binary));
                }
            }
        }
        mappings
    }

    /// The mappings of the template from queues to functions.
    pub fn queue_mappings(&self) -> Vec<QueueMapping> {
        let mut mappings = Vec::new();
        for (binary, function) in &self.template.functions {
            for definition in &function.queue_mappings {
                if let (Some(address), Some(function)) =
                    (self.queues.get(&definition.queue), self.functions.get(binary))
                {
                    let (address, definition, function) = (address.clone(), definition.clone(), function.clone());
                    let environment = self.app.dynamo.environment.clone();
                    mappings.push(QueueMapping::new(self.sqs(), address, definition, function, environment));
                }
            }
        }
        mappings
    }

    /// The address of the queue with this logical id.
    pub fn queue(&self, id: &str) -> Option<&QueueAddress> {
        self.queues.get(id)
    }

    /// The functions of the template that a schedule invokes.
    pub fn scheduled_functions(&self) -> Vec<ScheduledFunction> {
        let functions = self.template.functions.iter();
        let scheduled = functions.flat_map(|(binary, function)| {
            let composed = self.functions.get(binary);
            function.schedules.iter().filter_map(move |schedule| Some((composed?.clone(), schedule.clone())))
        });
        let environment = &self.app.dynamo.environment;
        scheduled.map(|(function, schedule)| ScheduledFunction::new(function, schedule, environment.clone())).collect()
    }

    /// The name of the queue with this logical id.
    pub fn queue_name(&self, id: &str) -> String {
        queue_name(&self.template, &self.prefix, id)
    }

    /// An SQS client. Its calls bypass the interceptor of the engine.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        if let Some(emulator) = self.engine.messaging() {
            return emulator.sqs();
        }
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(messaging::REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .endpoint_url(messaging::ENDPOINT)
            .http_client(SharedHttpClient::new(self.messaging.clone()));
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

/// Creates the buses, queues and schedule groups, with the messages and schedules in the directory of the engine.
fn messaging(
    template: &Template,
    engine: &Engine,
    environment: &Environment,
    prefix: &str,
) -> Result<Messaging, StartError> {
    let (resources, environment) = (MessagingResources::of(template, prefix), environment.clone());
    let messaging = match engine.directory() {
        Some(directory) => {
            let store = MessagingStore::open(directory);
            let restored = store.and_then(|store| Messaging::restore(resources, environment, store));
            restored.map_err(StartError::Messages)?
        }
        None => Messaging::new(resources, environment),
    };
    Ok(engine.interceptor().into_iter().fold(messaging, |messaging, faults| messaging.with_interceptor(faults)))
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

/// The event buses, queues and schedules of a stack, for its functions.
struct Services<'a> {
    /// `None` for a function outside a stack.
    messaging: Option<&'a Messaging>,
    /// The addresses of the queues, by logical id.
    queues: &'a BTreeMap<String, QueueAddress>,
}

/// The variables for the endpoints of the services in this process.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_SCHEDULER", "AWS_ENDPOINT_URL_SQS"];

/// Composes the dependencies of the functions from the environment variables of the template, without the services of a
/// stack: its clients for EventBridge, SQS and EventBridge Scheduler call AWS.
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
    let services = Services { messaging: None, queues: &BTreeMap::new() };
    app_with(deployment, template, engine, environment, prefix, services)
}

fn app_with(
    deployment: &Deployment,
    template: &Template,
    engine: &Engine,
    environment: &Environment,
    prefix: &str,
    services: Services<'_>,
) -> Result<App, StartError> {
    let environments = template.functions.values().flat_map(|function| &function.environment);
    let variables: BTreeMap<_, _> = environments.collect();
    let settings = Settings::read(&deployment.tables(), |name| match (name, variables.get(&name.to_owned())) {
        ("AWS_ENDPOINT_URL_DYNAMODB", _) => Some(engine.endpoint().to_owned()),
        (_, Some(table)) if template.tables.contains_key(*table) => Some(format!("{prefix}{table}")),
        (name, value) => value.map(|value| (*value).clone()).or_else(|| engine.variable(name).map(str::to_owned)),
    });
    let settings = settings.map_err(|error| match error {
        SettingError::Missing(_) => StartError::Functions(error.to_string()),
        SettingError::Malformed(..) => StartError::Setting(error),
    })?;
    let variable = |(name, value): (&String, &String)| {
        let resolved = resources::resolve(template, prefix, services.queues, value);
        (name.clone(), resolved.unwrap_or_else(|| value.clone()))
    };
    let mut variables: BTreeMap<String, String> = variables.into_iter().map(variable).collect();
    let in_process = services.messaging.filter(|_| engine.messaging().is_none());
    for name in ENDPOINTS {
        let emulator = engine.messaging().and_then(|emulator| emulator.endpoint(name));
        let endpoint = emulator.or(in_process.map(|_| messaging::ENDPOINT));
        variables.extend(endpoint.map(|endpoint| (name.to_owned(), endpoint.to_owned())));
    }
    let transport = engine.intercept(match in_process {
        Some(messaging) => SharedHttpClient::new(messaging.clone()),
        None => emulator::transport(),
    });
    Ok(App {
        aws: Aws::new(&settings, transport, move |name| variables.get(name).cloned()),
        dynamo: engine.dynamo(&settings, environment.clone()),
        tables: settings.tables,
        metrics: Metrics::none(),
        x_ray: XRay::default(),
    })
}

#[cfg(test)]
mod tests;
