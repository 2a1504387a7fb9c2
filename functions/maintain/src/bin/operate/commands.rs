//! What each command does, and how it is told.

use std::{collections::BTreeMap, fs, io, path::Path, process::ExitCode};

use app::App;
use cqrs::{StreamId, Version};
use cqrs_dynamodb::StoreError;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use maintain::{
    rebuild::{RebuildReport, rebuild},
    redrive,
    segments::Checkpoint,
    sweep::{self, DiscardedBatch},
    verify::{self, VerifyReport},
    with_causes,
};
use orders::OrderEvent;
use serde::Serialize;
use serde_json::json;

use crate::{Command, Part, checkpoint_file::CheckpointFile};

/// In how many parts the events are read for a sweep.
const SEGMENTS: u16 = 4;

/// What went wrong, for the terminal.
pub(crate) type CliError = String;

pub(crate) async fn run(app: &App, command: Command, json: bool) -> Result<ExitCode, CliError> {
    match command {
        Command::Verify { part, patience } => verify(app, &part, patience, json).await,
        Command::Rebuild { part, checkpoint, dry_run } => match dry_run {
            true => would_rebuild(app, &part, json).await,
            false => rebuild_all(app, &part, checkpoint.as_deref(), json).await,
        },
        Command::Parked => parked(app, json).await,
        Command::Redrive { orders, dry_run } => {
            for order in &orders {
                exists(app, order).await?;
            }
            let streams = redrive::streams(app, &orders).await.map_err(in_words)?;
            match dry_run {
                true => would_catch_up(&streams, json),
                false => catch_up(app, &streams, json).await,
            }
        }
        Command::Sweep { messages, dry_run } => {
            let discarded = sweep::read(&read(&messages)?).map_err(|error| format!("{messages:?}: {error}"))?;
            match dry_run {
                true => {
                    let streams =
                        sweep::streams(app, &discarded, Checkpoint::start(SEGMENTS)).await.map_err(in_words)?;
                    would_catch_up(&streams, json)
                }
                false => sweep_all(app, &discarded, json).await,
            }
        }
        Command::History { order } => history(app, &order, json).await,
    }
}

impl Part {
    fn checkpoint(&self) -> Checkpoint {
        self.segment.map_or_else(|| Checkpoint::start(self.segments), Checkpoint::start_of)
    }
}

async fn look(app: &App, part: &Part, patience: i64) -> Result<BTreeMap<&'static str, VerifyReport>, CliError> {
    let (bar, patience) = (bar(app).await, SignedDuration::from_secs(patience));
    let looked =
        verify::verify(app, patience, part.checkpoint(), |looked_at, _| bar.set_position(looked_at as u64)).await;
    bar.finish_and_clear();
    looked.map_err(in_words)
}

async fn verify(app: &App, part: &Part, patience: i64, json: bool) -> Result<ExitCode, CliError> {
    let reports = look(app, part, patience).await?;
    let wrong = reports.values().any(VerifyReport::is_wrong);
    if json {
        line(&json!({ "wrong": wrong, "projections": reports }))?;
    } else {
        for (name, report) in &reports {
            let views = &report.views;
            println!(
                "{name}: {} views, {} defective, {} behind, {} parked; counters {:?}",
                views.views,
                views.defective.len(),
                views.behind.len(),
                views.parked,
                report.counters
            );
            views.defective.iter().for_each(|(stream, wrong)| println!("  {stream}: {wrong:?}"));
            views.behind.iter().for_each(|(stream, since)| println!("  {stream}: behind since {since}"));
        }
    }
    Ok(ExitCode::from(u8::from(wrong)))
}

async fn rebuild_all(app: &App, part: &Part, file: Option<&Path>, json: bool) -> Result<ExitCode, CliError> {
    let file = match file {
        Some(file) => Some(CheckpointFile::open(file, app).await?),
        None => None,
    };
    let saved = file.as_ref().map(CheckpointFile::load).transpose()?.flatten();
    if let (Some(file), Some(saved)) = (&file, &saved) {
        eprintln!("cargo operate: resuming from {}, with its {} segments", file.path().display(), saved.of);
    }
    let bar = bar(app).await;
    let rebuilt = rebuild(app, saved.unwrap_or_else(|| part.checkpoint()), |report, checkpoint| {
        bar.set_position(report.streams as u64);
        // A resumed rebuild must visit the failed streams again, so the checkpoint stays before them.
        if report.failed.is_empty() {
            file.iter().for_each(|file| file.save(checkpoint));
        }
    })
    .await;
    bar.finish_and_clear();
    let report = rebuilt.map_err(in_words)?;
    if report.failed.is_empty() {
        file.iter().for_each(CheckpointFile::remove);
    }
    print_rebuild(&report, json)?;
    Ok(ExitCode::from(u8::from(!report.failed.is_empty())))
}

fn print_rebuild(rebuilt: &RebuildReport, json: bool) -> Result<(), CliError> {
    if json {
        return line(rebuilt);
    }
    let RebuildReport { streams, written, unchanged, parked, parked_now, failed } = rebuilt;
    println!(
        "{streams} orders: {written} views written, {unchanged} as they must be, {parked} parked, {} failed",
        failed.len()
    );
    parked_now.iter().for_each(|(stream, reason)| println!("  {stream} is parked: {reason}"));
    failed.iter().for_each(|(stream, reason)| println!("  {stream} failed: {reason}"));
    if !failed.is_empty() {
        let keys: Vec<_> = failed.keys().map(StreamId::key).collect();
        println!("Once mended: cargo operate redrive {}", keys.join(" "));
    }
    Ok(())
}

async fn would_rebuild(app: &App, part: &Part, json: bool) -> Result<ExitCode, CliError> {
    for (name, report) in look(app, part, 0).await? {
        let (would, views) = (report.views.defective.len() + report.views.behind.len(), report.views.views);
        match json {
            true => line(&json!({ "projection": name, "views": views, "would_be_looked_into": would }))?,
            false => println!(
                "{name}: of {views} views, {would} are of another schema, wrong or behind. Nothing was written."
            ),
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn parked(app: &App, json: bool) -> Result<ExitCode, CliError> {
    let parked = redrive::parked(app).await.map_err(in_words)?;
    if json {
        line(&parked)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, views) in parked {
        println!("{name}: {} parked", views.len());
        for view in views {
            let parked = view.parked;
            println!(
                "  {} before version {}: {} ({} tries since {})",
                view.key, parked.version, parked.reason, parked.attempts, parked.since
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of a file, or of standard input.
fn read(file: &Path) -> Result<String, CliError> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    text.map_err(|error| format!("{}: {error}", file.display()))
}

fn would_catch_up(streams: &[StreamId], json: bool) -> Result<ExitCode, CliError> {
    if json {
        line(&json!({ "would_be_caught_up": streams }))?;
    } else {
        streams.iter().for_each(|stream| println!("{stream} would be caught up"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn sweep_all(app: &App, discarded: &[DiscardedBatch], json: bool) -> Result<ExitCode, CliError> {
    let bar = bar(app).await;
    let swept =
        sweep::sweep(app, discarded, Checkpoint::start(SEGMENTS), |swept, _| bar.set_position(swept.streams as u64));
    let swept = swept.await;
    bar.finish_and_clear();
    print_caught_up(&swept.map_err(in_words)?, json)
}

/// Refuses an order that there is not: nothing could be said of it but that all is well.
async fn exists(app: &App, order: &str) -> Result<(), CliError> {
    match app.events().load_after(&StreamId::of::<OrderEvent>(order), Version::NONE).await {
        Ok(commits) if commits.is_empty() => Err(format!("there is no order {order}")),
        Ok(_) | Err(StoreError::Corrupt { .. }) => Ok(()),
        Err(failure) => Err(in_words(failure)),
    }
}

async fn catch_up(app: &App, streams: &[StreamId], json: bool) -> Result<ExitCode, CliError> {
    let mut rebuilt = RebuildReport::default();
    for report in redrive::redrive(app, streams).await {
        rebuilt.add(0, &report);
    }
    rebuilt.streams = streams.len();
    print_caught_up(&rebuilt, json)
}

fn print_caught_up(rebuilt: &RebuildReport, json: bool) -> Result<ExitCode, CliError> {
    print_rebuild(rebuilt, json)?;
    Ok(ExitCode::from(u8::from(!rebuilt.failed.is_empty() || rebuilt.parked > 0)))
}

async fn history(app: &App, order: &str, json: bool) -> Result<ExitCode, CliError> {
    let commits = app.events().load_after(&StreamId::of::<OrderEvent>(order), Version::NONE).await.map_err(in_words)?;
    if json {
        line(&commits)?;
    } else {
        for commit in &commits {
            let types: Vec<_> = commit.events.iter().map(|event| event.event_type.as_str()).collect();
            println!("{}  {}  {}  command {}", commit.version, commit.recorded_at, types.join(", "), commit.command_id);
        }
    }
    Ok(ExitCode::from(u8::from(commits.is_empty())))
}

/// A bar with a rate and the time left, as far as DynamoDB knows how many orders there are: it counts every six hours.
async fn bar(app: &App) -> ProgressBar {
    let described = app.dynamo.client.describe_table().table_name(&*app.tables.order_summaries).send().await;
    let orders =
        described.ok().and_then(|described| described.table?.item_count).and_then(|count| count.try_into().ok());
    let (bar, template) = match orders {
        Some(orders) if orders > 0 => (ProgressBar::new(orders), "{bar:40} {pos}/{len} orders  {per_sec}  {eta} left"),
        _ => (ProgressBar::new_spinner(), "{spinner} {pos} orders  {per_sec}  {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn line(document: &impl Serialize) -> Result<(), CliError> {
    println!("{}", serde_json::to_string(document).map_err(|error| error.to_string())?);
    Ok(())
}

fn in_words(error: StoreError) -> CliError {
    with_causes(&error)
}
