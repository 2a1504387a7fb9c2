//! `cargo local demo`: fills a running system with orders of the last four weeks.
//!
//! It executes the domain's own commands, each with a clock that shows the time of the command.

use app::App;
use cqrs::{CommandId, Fingerprint, StreamId, Text};
use cqrs_dynamodb::{CommandError, CommandRequest, Dynamo, Environment, StoreError, create, execute};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use local::{Deployment, Engine, Template, cli::requests, hash, stack};
use orders::{
    Order, OrderCommand, OrderEvent,
    order::{CancelOrder, Currency, OrderId, OrderItem, OrderItems, PlaceOrder, ShipOrder},
};

/// The number of orders that are created concurrently.
const CONCURRENCY: usize = 8;
/// The days over which the orders are spread.
const DAYS: i64 = 28;
const CATALOGUE: [(&str, u64); 10] = [
    ("BOOK-RUST", 3995),
    ("BOOK-CQRS", 4250),
    ("PEN-BLUE", 300),
    ("PEN-RED", 300),
    ("NOTEBOOK-A5", 790),
    ("NOTEBOOK-A4", 1090),
    ("LAMP-DESK", 5900),
    ("CHAIR-OAK", 24_900),
    ("MUG", 1250),
    ("POSTER-EVENTS", 1800),
];
const STREETS: [&str; 5] = ["Main Street", "Station Road", "Mill Lane", "Harbour Way", "Church Street"];
const REASONS: [&str; 3] = ["changed my mind", "ordered twice", "takes too long"];

pub(super) async fn run(deployment: &Deployment, url: &str, orders: u64) -> Result<(), String> {
    let dynamodb = requests::dynamodb(url).await?;
    let template = Template::read(&deployment.template).map_err(|error| error.to_string())?;
    let engine = Engine::remote(&dynamodb);
    let app =
        stack::app(deployment, &template, &engine, &Environment::system(), "").map_err(|error| error.to_string())?;

    let now = Environment::system().now();
    let progress = ProgressBar::new(orders).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} orders  {per_sec}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let generator = OrderGenerator { app, now, orders };
    let mut created =
        stream::iter((0..orders).map(|number| generator.create_order(number))).buffer_unordered(CONCURRENCY);
    let mut throughput = Throughput::new(&progress);
    while let Some(commits) = created.next().await {
        let commits = commits.map_err(|error| format!("writing to DynamoDB at {dynamodb} failed: {error}"))?;
        progress.inc(1);
        throughput.add(commits);
    }
    progress.finish();
    println!(
        "{orders} orders, {} commits, in {:.1} s.{throughput}",
        throughput.commits,
        progress.elapsed().as_secs_f64()
    );
    println!("See {url}/dashboard, or {url}/customers/customer-1/orders.");
    Ok(())
}

struct OrderGenerator {
    app: App,
    now: Timestamp,
    orders: u64,
}

impl OrderGenerator {
    /// Executes the commands of one order up to now. Returns the number of its commits.
    async fn create_order(&self, number: u64) -> Result<u64, StoreError> {
        let random =
            |what: &str, sides: u64| hash::of(&["demo", &self.now.to_string(), &number.to_string(), what]) % sides;
        let hours = |hours: u64| SignedDuration::from_hours(i64::try_from(hours).unwrap_or_default());
        let share = i128::from(number) * i128::from(DAYS * 86_400) / i128::from(self.orders);
        let ago = DAYS * 86_400 - i64::try_from(share).unwrap_or_default();
        let placed_at = self.now - SignedDuration::from_secs(ago);
        let order_id = OrderId::derived(&self.now.to_string(), &number.to_string());
        let Some(order) = order(&random, self.orders) else { return Ok(0) };

        let mut commands = vec![(placed_at, OrderCommand::Place(order))];
        if random("cancels", 100) < 8 {
            let reason = usize::try_from(random("reason", 3)).unwrap_or_default();
            let reason = REASONS.get(reason).and_then(|reason| text(reason));
            let at = placed_at + hours(1 + random("cancelled", 10));
            commands.extend(reason.map(|reason| (at, OrderCommand::Cancel(CancelOrder { reason }))));
        } else {
            let shipped_at = placed_at + hours(6 + random("shipped", 48));
            let tracking = text(&format!("JD{:010}", random("tracking", 10_000_000_000)));
            let shipment = text("DHL").zip(tracking);
            commands.extend(shipment.map(|(carrier, tracking_number)| {
                (shipped_at, OrderCommand::Ship(ShipOrder { carrier, tracking_number }))
            }));
            commands.push((shipped_at + hours(20 + random("delivered", 72)), OrderCommand::Deliver));
        }
        let mut commits = 0;
        for (at, command) in commands.into_iter().filter(|(at, _)| *at <= self.now) {
            self.execute_at(order_id, at, command).await?;
            commits += 1;
        }
        Ok(commits)
    }

    async fn execute_at(&self, order_id: OrderId, at: Timestamp, command: OrderCommand) -> Result<(), StoreError> {
        let request = CommandRequest {
            stream: StreamId::of::<OrderEvent>(order_id),
            command_id: CommandId::derived("demo", &at.to_string()),
            fingerprint: Fingerprint::of(&["demo"]),
            expected_version: None,
            caller: "demo".to_owned(),
            trace: None,
            command,
        };
        let dynamo = Dynamo::new(self.app.dynamo.client.clone(), Environment::new(move || at, || [0; 16]));
        let events = App { dynamo, ..self.app.clone() }.events()?;
        let result = match &request.command {
            OrderCommand::Place(_) => create::<Order>(&events, &request, |_| true).await,
            OrderCommand::Ship(_) | OrderCommand::Deliver | OrderCommand::Cancel(_) => {
                execute::<Order>(&events, &request, |_| true).await
            }
        };
        match result {
            Err(CommandError::Store(error)) => Err(error),
            // These orders have no other caller and the commands are valid, so no other error is possible.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// A random order. `None` would mean that the catalogue exceeds the bounds of an order.
fn order(random: &impl Fn(&str, u64) -> u64, orders: u64) -> Option<PlaceOrder> {
    // The minimum of two numbers: a few customers order often, most rarely.
    let customers = (orders / 6).max(3);
    let customer = random("customer", customers).min(random("customer again", customers)) + 1;
    let currency = match random("currency", 100) {
        0..60 => Currency::EUR,
        60..85 => Currency::USD,
        85..95 => Currency::GBP,
        _ => Currency::JPY,
    };
    let item = |index: u64| {
        let article = usize::try_from(random(&format!("article {index}"), 10)).unwrap_or_default();
        let (sku, unit_price) = *CATALOGUE.get(article)?;
        let quantity = random(&format!("quantity {index}"), 3) + 1;
        Some(OrderItem {
            sku: text(sku)?,
            quantity: quantity.try_into().ok()?,
            unit_price: unit_price.try_into().ok()?,
        })
    };
    let items: Option<Vec<OrderItem>> = (0..=random("items", 4)).map(item).collect();
    let street = STREETS.get(usize::try_from(random("street", 5)).unwrap_or_default())?;
    Some(PlaceOrder {
        customer_id: format!("customer-{customer}").try_into().ok()?,
        currency,
        items: OrderItems::try_from(items?).ok()?,
        shipping_address: text(&format!("{} {street}, Springfield", random("house", 120) + 1))?,
    })
}

fn text<const MAX: usize>(value: &str) -> Option<Text<MAX>> {
    value.to_owned().try_into().ok()
}

/// The speed of the first and the last thousand orders, in commits per second. Recent orders have fewer commits.
struct Throughput<'a> {
    progress: &'a ProgressBar,
    commits: u64,
    /// Elapsed seconds and commits after each thousand orders.
    marks: Vec<(f64, u64)>,
}

impl<'a> Throughput<'a> {
    fn new(progress: &'a ProgressBar) -> Self {
        Self { progress, commits: 0, marks: vec![(0.0, 0)] }
    }

    fn add(&mut self, commits: u64) {
        self.commits += commits;
        if self.progress.position().is_multiple_of(1000) {
            self.marks.push((self.progress.elapsed().as_secs_f64(), self.commits));
        }
    }
}

impl std::fmt::Display for Throughput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = |(from, before): &(f64, u64), (to, after): &(f64, u64)| (after - before) as f64 / (to - from);
        match &self.marks[..] {
            [first, second, .., last_but_one, last] => {
                let (begin, end) = (rate(first, second), rate(last_but_one, last));
                write!(f, " First thousand orders: {begin:.0} commits per second; last thousand: {end:.0}.")
            }
            _ => Ok(()),
        }
    }
}
