//! EventBridge, SQS and EventBridge Scheduler in this process, behind the HTTP seam of their SDKs.
//!
//! 1. [`event_bus`]: event buses and rules, with [`event_pattern`] and [`target_input`]; pure.
//! 2. [`queue`]: a queue; pure. [`queues`]: the SQS API.
//! 3. [`schedule`]: one-time schedules; pure.
//! 4. [`resources`]: the resources of a template. [`Messaging`]: all of them with a clock. [`connector`]: the SDK's HTTP
//!    client. [`store`]: their storage.
//! 5. [`emulator`]: another implementation of the three services, outside this process.
//!
//! Schedules fire by the clock of the stack: before each call, all schedules that are due by then have fired. So nothing
//! runs in the background, and a run with a simulated clock can be repeated.

pub mod connector;
pub mod emulator;
pub mod event_bus;
pub mod event_pattern;
pub mod queue;
pub mod queues;
mod recorded;
pub mod resources;
pub mod schedule;
pub mod scheduler_protocol;
pub mod service_error;
pub mod store;
pub mod target_input;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cqrs_dynamodb::Environment;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Builder;

use self::{
    event_bus::{EventBuses, RoutedMessage},
    queue::{Queue, QueueCounts, QueueDefinition, QueuedMessage},
    queues::{CallContext, Queues},
    schedule::{FiredSchedule, Scheduler},
    service_error::ServiceError,
    store::MessagingStore,
};
use crate::{
    clock::StackClock,
    engine::interceptor::{EngineCall, Interceptor, MessageFault},
};

/// The account of all names.
pub const ACCOUNT: &str = "000000000000";
/// The endpoint of the clients. It is never resolved.
pub const ENDPOINT: &str = "http://in-process";
/// The region of all names.
pub const REGION: &str = "local";

/// The buses, queues and schedules of a stack. Clones share them.
#[derive(Clone)]
pub struct Messaging {
    state: Arc<Mutex<State>>,
    environment: Environment,
    /// Injects faults into messages of rules and schedules.
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// What a [`Messaging`] consists of at its start.
#[derive(Clone, Debug)]
pub struct MessagingResources {
    pub buses: EventBuses,
    /// By name. A redrive policy has the name of the dead-letter queue.
    pub queues: BTreeMap<String, QueueDefinition>,
    /// The names of the schedule groups.
    pub schedule_groups: Vec<String>,
}

type EventListener = Box<dyn Fn(&str, &Value) + Send>;

struct State {
    buses: EventBuses,
    queues: Queues,
    scheduler: Scheduler,
    store: Option<MessagingStore>,
    listeners: Vec<EventListener>,
}

impl Messaging {
    /// Creates the resources without messages and schedules, by the clock of `environment`.
    pub fn new(resources: MessagingResources, environment: Environment) -> Self {
        let MessagingResources { buses, queues, schedule_groups } = resources;
        let queues = queues.into_iter().map(|(name, definition)| (name, Queue::new(definition))).collect();
        let scheduler = Scheduler::new(schedule_groups);
        let state = State { buses, queues: Queues(queues), scheduler, store: None, listeners: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), environment, interceptor: None }
    }

    /// Like [`new`](Self::new), with the messages and schedules in `store`. Changes are written to it.
    ///
    /// # Errors
    /// Fails if the stored entries cannot be read.
    pub fn restore(
        resources: MessagingResources,
        environment: Environment,
        store: MessagingStore,
    ) -> Result<Self, String> {
        let groups = resources.schedule_groups.clone();
        let messaging = Self::new(resources, environment);
        let mut state = messaging.lock();
        state.scheduler = store.restore_scheduler(groups)?;
        for (name, queue) in &mut state.queues.0 {
            *queue = store.restore_queue(name, queue.clone())?;
        }
        state.store = Some(store);
        drop(state);
        Ok(messaging)
    }

    /// Asks `interceptor` what happens to each message of a rule or a schedule.
    #[must_use]
    pub fn with_interceptor(&self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor: Some(interceptor), ..self.clone() }
    }

    /// Calls `listen` with each event and the name of its bus, before the caller of `PutEvents` gets its response.
    pub fn on_event(&self, listen: impl Fn(&str, &Value) + Send + 'static) {
        self.lock().listeners.push(Box::new(listen));
    }

    /// Executes a call of EventBridge, SQS or EventBridge Scheduler.
    ///
    /// # Errors
    /// Fails with the error response of the service.
    pub fn execute(&self, call: &EngineCall) -> Result<Value, ServiceError> {
        let now = self.environment.now();
        let mut new_id = || Builder::from_random_bytes(self.environment.random_bytes()).into_uuid();
        let mut state = self.lock();
        let mut context = CallContext { now, new_id: &mut new_id };
        self.advance(&mut state, &mut context);
        let body = &call.body;
        let answer = match call.operation.as_str() {
            "PutEvents" => {
                let State { buses, queues, listeners, .. } = &mut *state;
                buses.put_events(body, now, &mut *context.new_id).map(|result| {
                    for (bus, event) in &result.published {
                        listeners.iter().for_each(|listen| listen(bus, event));
                    }
                    self.send_all(queues, result.messages, &mut context);
                    result.response
                })
            }
            "CreateSchedule" => target_exists(&state, body).and_then(|()| state.scheduler.create(body, now)),
            "UpdateSchedule" => target_exists(&state, body).and_then(|()| state.scheduler.update(body, now)),
            "GetSchedule" => state.scheduler.get(body),
            "DeleteSchedule" => state.scheduler.delete(body),
            "ListSchedules" => state.scheduler.list(body),
            operation => state.queues.execute(operation, body, &mut context).unwrap_or_else(|| {
                let message = format!("the local stack does not support {operation}");
                Err(ServiceError::new("UnknownOperationException", message))
            }),
        };
        state.save()?;
        answer
    }

    /// Fires the schedules that are due, and deletes the messages that have expired.
    ///
    /// # Errors
    /// Fails if the change cannot be stored.
    pub fn fire_due_schedules(&self) -> Result<(), ServiceError> {
        let mut new_id = || Builder::from_random_bytes(self.environment.random_bytes()).into_uuid();
        let mut context = CallContext { now: self.environment.now(), new_id: &mut new_id };
        let mut state = self.lock();
        self.advance(&mut state, &mut context);
        state.save()
    }

    /// Winds `clock` forward. A stored clock is changed first, so that it does not go back after a restart.
    ///
    /// # Errors
    /// Fails if the clock would be too far ahead, or if it cannot be stored. It is then unchanged.
    pub fn wind(&self, clock: &StackClock, duration: Duration) -> Result<(), String> {
        let mut state = self.lock();
        let ahead = clock.ahead_after(duration)?;
        state.store.as_mut().map_or(Ok(()), |store| store.set_clock(ahead))?;
        clock.set_ahead(ahead);
        Ok(())
    }

    /// The next time at which a schedule fires or an invisible message becomes visible, if any.
    pub fn next_due(&self) -> Option<Timestamp> {
        let (state, now) = (self.lock(), self.environment.now());
        let visible = state.queues.0.values().filter_map(|queue| queue.next_visible(now));
        visible.chain(state.scheduler.next_due()).min()
    }

    /// The numbers of messages in a queue. `None` if there is no such queue.
    pub fn counts(&self, queue: &str) -> Option<QueueCounts> {
        let now = self.environment.now();
        self.lock().queues.0.get(queue).map(|queue| queue.counts(now))
    }

    /// The messages in a queue, whether visible or not. Reading them does not count as a receive.
    pub fn messages(&self, queue: &str) -> Vec<QueuedMessage> {
        self.lock().queues.0.get(queue).map(|queue| queue.messages().cloned().collect()).unwrap_or_default()
    }

    /// The names of all queues.
    pub fn queue_names(&self) -> Vec<String> {
        self.lock().queues.0.keys().cloned().collect()
    }

    /// Moves the state to the time of a call.
    fn advance(&self, state: &mut State, context: &mut CallContext<'_>) {
        state.queues.expire(context.now);
        let fired = state.scheduler.fire(context.now);
        self.send_all(&mut state.queues, fired.into_iter().filter_map(message_of).collect(), context);
    }

    /// Sends messages of rules and schedules, with the faults of the interceptor.
    fn send_all(&self, queues: &mut Queues, messages: Vec<RoutedMessage>, context: &mut CallContext<'_>) {
        for message in messages {
            let fault = self.interceptor.as_ref().map(|interceptor| interceptor.before_message(&message));
            let times = match fault.unwrap_or(MessageFault::None) {
                MessageFault::None => 1,
                MessageFault::Dropped => 0,
                MessageFault::Doubled => 2,
            };
            for _ in 0..times {
                if let Err(error) = queues.send_routed(message.clone(), context) {
                    tracing::error!("the queue {} refused a message: {error}", message.queue);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn save(&mut self) -> Result<(), ServiceError> {
        let Self { queues, scheduler, store, .. } = self;
        let saved = store.as_mut().map_or(Ok(()), |store| store.write(queues, scheduler));
        saved.map_err(|message| ServiceError { status: 500, code: "InternalFailure", message })
    }
}

/// Checks the target of a schedule. AWS accepts a queue that does not exist, and the schedule then has no effect.
fn target_exists(state: &State, request: &Value) -> Result<(), ServiceError> {
    let arn = request["Target"]["Arn"].as_str().unwrap_or_default();
    match queues::name_in(arn).filter(|name| state.queues.0.contains_key(*name)) {
        Some(_) => Ok(()),
        None => Err(ServiceError::validation(format!("the local stack has no queue with the ARN {arn}"))),
    }
}

fn message_of(fired: FiredSchedule) -> Option<RoutedMessage> {
    let FiredSchedule { key: (group, name), target, input, message_group, at } = fired;
    Some(RoutedMessage {
        queue: queues::name_in(&target)?.to_owned(),
        body: input,
        message_group,
        deduplication_id: cqrs::derived_id(&[&group, &name, &at.to_string()]).to_string(),
    })
}

impl fmt::Debug for Messaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messaging")
    }
}

#[cfg(test)]
mod tests;
