//! What each command does, and how it is told.

use std::{fs, io, path::Path, process::ExitCode};

use app::App;
use cqrs::{StreamId, Version};
use cqrs_dynamodb::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use maintain::{
    rebuild::{Rebuilt, rebuild},
    redrive,
    segments::Progress,
    sweep::{self, GivenUp},
    verify, with_causes,
};
use orders::OrderEvent;
use serde::Serialize;
use serde_json::json;

use crate::{Command, Part};

/// In how many parts the events are read for a sweep.
const SEGMENTS: u16 = 4;

/// What went wrong, for the terminal.
type Trouble = String;

pub(crate) async fn run(app: &App, command: Command, json: bool) -> Result<ExitCode, Trouble> {
    match command {
        Command::Verify { part, patience } => verify(app, &part, patience, json).await,
        Command::Rebuild { part, keep, dry_run } => match dry_run {
            true => would_rebuild(app, &part, json).await,
            false => rebuild_all(app, &part, keep.as_deref(), json).await,
        },
        Command::Parked => parked(app, json).await,
        Command::Redrive { orders, dry_run } => {
            let streams = redrive::streams(app, &orders).await.map_err(told)?;
            match dry_run {
                true => would_catch_up(&streams, json),
                false => catch_up(app, &streams, json).await,
            }
        }
        Command::Sweep { messages, dry_run } => {
            let given_up = sweep::read(&read(&messages)?).map_err(|error| format!("{messages:?}: {error}"))?;
            match dry_run {
                true => {
                    let streams = sweep::streams(app, &given_up, Progress::start(SEGMENTS)).await.map_err(told)?;
                    would_catch_up(&streams, json)
                }
                false => sweep_all(app, &given_up, json).await,
            }
        }
        Command::History { order } => history(app, &order, json).await,
    }
}

impl Part {
    fn progress(&self) -> Progress {
        self.segment.map_or_else(|| Progress::start(self.segments), Progress::start_of)
    }
}

async fn verify(app: &App, part: &Part, patience: i64, json: bool) -> Result<ExitCode, Trouble> {
    let bar = bar(app).await;
    let looked = verify::verify(app, part.progress(), |looked_at, _| bar.set_position(looked_at as u64)).await;
    bar.finish_and_clear();
    let verdicts = looked.map_err(told)?;
    let deadline = verify::deadline(app.dynamo.ambient.now(), SignedDuration::from_secs(patience));
    let wrong = verdicts.values().any(|verdict| verdict.is_wrong(deadline));
    if json {
        line(&json!({ "wrong": wrong, "projections": verdicts }))?;
    } else {
        for (name, verdict) in &verdicts {
            let views = &verdict.views;
            println!(
                "{name}: {} views, {} wrong, {} behind, {} parked; sums {:?}",
                views.views,
                views.wrong.len(),
                views.behind.len(),
                views.parked,
                verdict.sums
            );
            views.wrong.iter().for_each(|(stream, wrong)| println!("  {stream}: {wrong:?}"));
            views.behind.iter().for_each(|(stream, since)| println!("  {stream}: behind since {since}"));
        }
    }
    Ok(ExitCode::from(u8::from(wrong)))
}

async fn rebuild_all(app: &App, part: &Part, keep: Option<&Path>, json: bool) -> Result<ExitCode, Trouble> {
    let kept = keep.and_then(|file| fs::read(file).ok());
    let progress = match kept {
        Some(kept) => serde_json::from_slice(&kept).map_err(|error| format!("{keep:?} cannot be read: {error}"))?,
        None => part.progress(),
    };
    let bar = bar(app).await;
    let rebuilt = rebuild(app, progress, |rebuilt, progress| {
        bar.set_position(rebuilt.streams as u64);
        // What failed is done again with all that comes after it.
        if let (Some(file), Ok(text), true) = (keep, serde_json::to_vec(progress), rebuilt.failed.is_empty()) {
            keep_whole(file, &text);
        }
    });
    let rebuilt = rebuilt.await.map_err(told);
    bar.finish_and_clear();
    let rebuilt = rebuilt?;
    if rebuilt.failed.is_empty() {
        keep.iter().for_each(|file| drop(fs::remove_file(file)));
    }
    tell_rebuilt(&rebuilt, json)?;
    Ok(ExitCode::from(u8::from(!rebuilt.failed.is_empty())))
}

/// Writes the file beside its place and moves it there: a kill leaves the one before, or this one.
fn keep_whole(file: &Path, text: &[u8]) {
    let beside = file.with_extension("new");
    if fs::write(&beside, text).and_then(|()| fs::rename(&beside, file)).is_err() {
        eprintln!("cargo operate: {} cannot be written; after a kill it begins anew", file.display());
    }
}

fn tell_rebuilt(rebuilt: &Rebuilt, json: bool) -> Result<(), Trouble> {
    if json {
        return line(rebuilt);
    }
    let Rebuilt { streams, written, unchanged, parked, failed } = rebuilt;
    println!(
        "{streams} orders: {written} views written, {unchanged} as they must be, {parked} parked, {} failed",
        failed.len()
    );
    failed.iter().for_each(|(stream, reason)| println!("  {stream} failed, do it again: {reason}"));
    Ok(())
}

async fn would_rebuild(app: &App, part: &Part, json: bool) -> Result<ExitCode, Trouble> {
    let bar = bar(app).await;
    let looked = verify::verify(app, part.progress(), |looked_at, _| bar.set_position(looked_at as u64)).await;
    bar.finish_and_clear();
    for (name, verdict) in looked.map_err(told)? {
        let (would, views) = (verdict.views.wrong.len() + verdict.views.behind.len(), verdict.views.views);
        match json {
            true => line(&json!({ "projection": name, "views": views, "would_be_looked_into": would }))?,
            false => println!(
                "{name}: of {views} views, {would} are of another shape, wrong or behind. Nothing was written."
            ),
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn parked(app: &App, json: bool) -> Result<ExitCode, Trouble> {
    let parked = redrive::parked(app).await.map_err(told)?;
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
fn read(file: &Path) -> Result<String, Trouble> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    text.map_err(|error| format!("{}: {error}", file.display()))
}

fn would_catch_up(streams: &[StreamId], json: bool) -> Result<ExitCode, Trouble> {
    if json {
        line(&json!({ "would_be_caught_up": streams }))?;
    } else {
        streams.iter().for_each(|stream| println!("{stream} would be caught up"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn sweep_all(app: &App, given_up: &[GivenUp], json: bool) -> Result<ExitCode, Trouble> {
    let bar = bar(app).await;
    let swept =
        sweep::sweep(app, given_up, Progress::start(SEGMENTS), |swept, _| bar.set_position(swept.streams as u64));
    let swept = swept.await;
    bar.finish_and_clear();
    tell_caught_up(&swept.map_err(told)?, json)
}

async fn catch_up(app: &App, streams: &[StreamId], json: bool) -> Result<ExitCode, Trouble> {
    let mut rebuilt = Rebuilt::default();
    for report in redrive::redrive(app, streams).await {
        rebuilt.add(0, &report);
    }
    rebuilt.streams = streams.len();
    tell_caught_up(&rebuilt, json)
}

fn tell_caught_up(rebuilt: &Rebuilt, json: bool) -> Result<ExitCode, Trouble> {
    tell_rebuilt(rebuilt, json)?;
    Ok(ExitCode::from(u8::from(!rebuilt.failed.is_empty() || rebuilt.parked > 0)))
}

async fn history(app: &App, order: &str, json: bool) -> Result<ExitCode, Trouble> {
    let commits = app.events().load_after(&StreamId::of::<OrderEvent>(order), Version::NONE).await.map_err(told)?;
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

fn line(document: &impl Serialize) -> Result<(), Trouble> {
    println!("{}", serde_json::to_string(document).map_err(|error| error.to_string())?);
    Ok(())
}

fn told(failure: Failure) -> Trouble {
    with_causes(&failure)
}
