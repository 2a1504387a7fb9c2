//! The commands and their output.

use std::{collections::BTreeMap, fs, io, path::Path, process::ExitCode};

use app::App;
use cqrs::{
    Domain, StoredCommit, StreamId, Version,
    read_model::{DeclaredTables, TableKind},
};
use cqrs_dynamodb::{RepublishFrom, StoreError, generations::PROPAGATION};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use messaging::{EventBus, publisher::publisher_to};
use serde::Serialize;
use serde_json::{Value, json};

use super::{OperateCommand, SegmentArgs, checkpoint_file::CheckpointFile, target};
use crate::{
    counters::{CountersReport, NotServed, Outcome, RebuiltCounters, rebuild_counters},
    rebuild::{RebuildReport, rebuild},
    redrive,
    republish::{Republished, republish, republish_all},
    segments::Checkpoint,
    sweep::{self, DiscardedBatch},
    verify::{self, VerifyReport},
    with_causes,
};

/// The number of parallel segments of a sweep, and of publishing all events again.
const SWEEP_SEGMENTS: u16 = 4;

/// The age of the heads in a digest: enough for commits that were being written at that time.
const HEADS_AGE: SignedDuration = SignedDuration::from_mins(5);

/// An error message for the terminal.
pub(super) type CliError = String;

pub(super) async fn run<D: Domain>(
    app: &App,
    command: OperateCommand,
    default_category: &str,
    json: bool,
) -> Result<ExitCode, CliError> {
    match command {
        OperateCommand::Verify { segments, patience, heads_at } => {
            verify::<D>(app, &segments, patience, heads_at, json).await
        }
        OperateCommand::Rebuild { segments, dry_run: true, .. } => preview_rebuild::<D>(app, &segments, json).await,
        OperateCommand::Rebuild { segments, checkpoint, counters, .. } => {
            rebuild_views::<D>(app, &segments, checkpoint.as_deref(), counters, json).await
        }
        OperateCommand::Parked => parked::<D>(app, json).await,
        OperateCommand::Redrive { streams, dry_run } => {
            let streams: Result<Vec<_>, _> =
                streams.iter().map(|stream| target::stream(stream, default_category)).collect();
            let streams = streams?;
            for stream in &streams {
                check_exists(app, stream).await?;
            }
            let streams = redrive::streams::<D>(app, &streams).await.map_err(message)?;
            match dry_run {
                true => preview_catch_up(&streams, json),
                false => redrive_streams::<D>(app, &streams, json).await,
            }
        }
        OperateCommand::Sweep { messages, dry_run } => {
            let discarded =
                sweep::read(&read_file(&messages)?).map_err(|error| format!("{}: {error}", messages.display()))?;
            match dry_run {
                true => {
                    let streams = sweep::streams::<D>(app, &discarded, Checkpoint::start(SWEEP_SEGMENTS))
                        .await
                        .map_err(message)?;
                    preview_catch_up(&streams, json)
                }
                false => sweep_streams::<D>(app, &discarded, json).await,
            }
        }
        OperateCommand::Republish { streams, from_version, since, bus, .. } => {
            let from = match (from_version, since) {
                (Some(version), _) => RepublishFrom::Version(Version::new(version)),
                (None, Some(time)) => RepublishFrom::Time(time),
                (None, None) => RepublishFrom::Start,
            };
            let streams: Result<Vec<_>, _> =
                streams.iter().map(|stream| target::stream(stream, default_category)).collect();
            republish_events::<D>(app, &streams?, from, bus, json).await
        }
        OperateCommand::History { stream } => history(app, &target::stream(&stream, default_category)?, json).await,
    }
}

impl SegmentArgs {
    fn checkpoint(&self) -> Checkpoint {
        self.segment.map_or_else(|| Checkpoint::start(self.segments), Checkpoint::start_of)
    }
}

async fn verify_views<D: Domain>(
    app: &App,
    segments: &SegmentArgs,
    patience: i64,
    heads_at: Timestamp,
) -> Result<VerifyReport, CliError> {
    let (bar, patience) = (progress_bar::<D>(app).await, SignedDuration::from_secs(patience));
    let on_page = |visited: usize, _: &Checkpoint| bar.set_position(visited as u64);
    let report = verify::verify::<D>(app, patience, heads_at, segments.checkpoint(), on_page).await;
    bar.finish_and_clear();
    report.map_err(message)
}

async fn verify<D: Domain>(
    app: &App,
    segments: &SegmentArgs,
    patience: i64,
    heads_at: Option<Timestamp>,
    json: bool,
) -> Result<ExitCode, CliError> {
    let now = app.dynamo.environment.now();
    let heads_at = heads_at.unwrap_or_else(|| now.checked_sub(HEADS_AGE).unwrap_or(now));
    let report = verify_views::<D>(app, segments, patience, heads_at).await?;
    let wrong = report.is_wrong();
    if json {
        let VerifyReport { streams, projections, counters, building, .. } = &report;
        print_json(&json!({
            "wrong": wrong, "streams": streams, "heads_at": heads_at, "projections": projections, "counters": counters,
            "building": building,
        }))?;
    } else {
        let streams = &report.streams;
        println!("events: {} streams, {} corrupt", streams.streams, streams.corrupt.len());
        streams.corrupt.iter().for_each(|(stream, defect)| println!("  {stream}: {defect}"));
        let heads = &streams.heads;
        println!("heads of {} streams at {heads_at}: {heads}", heads.streams);
        for (name, projection) in &report.projections {
            let views = &projection.views;
            println!(
                "{name}: {} views, {} defective, {} behind, {} parked",
                views.views,
                views.defective.len(),
                views.behind.len(),
                views.parked
            );
            views.defective.iter().for_each(|(stream, defect)| println!("  {stream}: {defect:?}"));
            views.behind.iter().for_each(|(stream, since)| println!("  {stream}: behind since {since}"));
        }
        report.counters.iter().for_each(|(table, status)| println!("{table}: counters {status:?}"));
        report
            .building
            .iter()
            .for_each(|(table, status)| println!("{table}: counters of the generation being built: {status:?}"));
    }
    Ok(ExitCode::from(u8::from(wrong)))
}

async fn rebuild_views<D: Domain>(
    app: &App,
    segments: &SegmentArgs,
    file: Option<&Path>,
    counters: bool,
    json: bool,
) -> Result<ExitCode, CliError> {
    let file = match file {
        Some(file) => Some(CheckpointFile::open::<D>(file, app, counters).await?),
        None => None,
    };
    let saved = file.as_ref().map(CheckpointFile::load).transpose()?.flatten();
    if let (Some(file), Some(saved)) = (&file, &saved) {
        eprintln!("cargo operate: resuming from {} with {} segments", file.path().display(), saved.of);
    }
    let bar = progress_bar::<D>(app).await;
    let start = saved.unwrap_or_else(|| segments.checkpoint());
    let on_page = |report: &RebuildReport, checkpoint: &Checkpoint| {
        bar.set_position(report.streams as u64);
        // A resumed rebuild must visit the failed streams again, so the checkpoint stays before them.
        if report.failed.is_empty() {
            file.iter().for_each(|file| file.save(checkpoint));
        }
    };
    let report = match counters {
        true => rebuild_counters::<D>(app, start, PROPAGATION, on_page).await,
        false => {
            rebuild::<D>(app, start, on_page).await.map(|streams| CountersReport { streams, tables: BTreeMap::new() })
        }
    };
    bar.finish_and_clear();
    let report = report.map_err(message)?;
    if report.streams.failed.is_empty() {
        file.iter().for_each(CheckpointFile::remove);
    }
    if json && counters {
        print_json(&report)?;
    } else {
        print_report(&report.streams, json)?;
        report.tables.iter().for_each(|(name, table)| print_counters(name, table));
    }
    Ok(ExitCode::from(u8::from(!report.is_complete())))
}

fn print_counters(name: &str, RebuiltCounters { generation, outcome }: &RebuiltCounters) {
    match outcome {
        Outcome::Served { former_error } => {
            println!("{name}: generation {generation} of the counters is served");
            let errors = former_error.iter();
            errors.for_each(|(row, column, amount)| println!("  {row} {column}: former error {amount}"));
        }
        Outcome::NotServed(reason) => {
            let reason = match reason {
                NotServed::Incomplete { views } => format!("{views} views are not counted in it"),
                NotServed::Wrong => "it differs from the sum of its views".to_owned(),
                NotServed::Abandoned => "another rebuild has stopped building it".to_owned(),
                NotServed::NotCompared => "it changed while it was compared".to_owned(),
            };
            println!("{name}: generation {generation} of the counters is not served: {reason}");
        }
    }
}

fn print_report(report: &RebuildReport, json: bool) -> Result<(), CliError> {
    if json {
        return print_json(report);
    }
    let RebuildReport { streams, written, removed, unchanged, parked, unhandled, parked_now, failed } = report;
    println!(
        "{streams} streams: {written} views written, {unchanged} unchanged, {parked} parked, {} failed",
        failed.len()
    );
    if *removed > 0 {
        println!("  {removed} views of streams without commits removed");
    }
    if *unhandled > 0 {
        println!("  {unhandled} of these streams have no projection");
    }
    parked_now.iter().for_each(|(stream, reason)| println!("  {stream} is parked: {reason}"));
    failed.iter().for_each(|(stream, reason)| println!("  {stream} failed: {reason}"));
    if !failed.is_empty() {
        let streams: Vec<_> = failed.keys().map(StreamId::as_str).collect();
        println!("After the fix, run: cargo operate redrive {}", streams.join(" "));
    }
    Ok(())
}

async fn preview_rebuild<D: Domain>(app: &App, segments: &SegmentArgs, json: bool) -> Result<ExitCode, CliError> {
    for (name, report) in verify_views::<D>(app, segments, 0, Timestamp::MAX).await?.projections {
        let views = report.views.views;
        let defective_or_behind = report.views.defective.len() + report.views.behind.len();
        match json {
            true => {
                print_json(&json!({ "projection": name, "views": views, "defective_or_behind": defective_or_behind }))?
            }
            false => {
                println!("{name}: {defective_or_behind} of {views} views are defective or behind; nothing was written")
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn parked<D: Domain>(app: &App, json: bool) -> Result<ExitCode, CliError> {
    let parked = redrive::parked::<D>(app).await.map_err(message)?;
    if json {
        print_json(&parked)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, views) in parked {
        println!("{name}: {} parked", views.len());
        for view in views {
            let parked = view.parked;
            println!(
                "  {}: parked at version {} since {} (attempts: {}): {}",
                view.stream, parked.version, parked.since, parked.attempts, parked.reason
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a file, or standard input if `file` is `-`.
fn read_file(file: &Path) -> Result<String, CliError> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    text.map_err(|error| format!("{}: {error}", file.display()))
}

fn preview_catch_up(streams: &[StreamId], json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(&json!({ "would_be_caught_up": streams }))?;
    } else {
        streams.iter().for_each(|stream| println!("{stream} would be caught up"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn sweep_streams<D: Domain>(app: &App, discarded: &[DiscardedBatch], json: bool) -> Result<ExitCode, CliError> {
    let bar = progress_bar::<D>(app).await;
    let on_page = |report: &RebuildReport, _: &Checkpoint| bar.set_position(report.streams as u64);
    let report = sweep::sweep::<D>(app, discarded, Checkpoint::start(SWEEP_SEGMENTS), on_page).await;
    bar.finish_and_clear();
    print_caught_up(&report.map_err(message)?, json)
}

/// Fails for an unknown stream. Otherwise redriving it would report success.
async fn check_exists(app: &App, stream: &StreamId) -> Result<(), CliError> {
    match app.events().map_err(message)?.load_stored(stream).await {
        Ok(commits) if commits.is_empty() => Err(format!("{stream} does not exist")),
        Ok(_) | Err(StoreError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(message(error)),
    }
}

async fn redrive_streams<D: Domain>(app: &App, streams: &[StreamId], json: bool) -> Result<ExitCode, CliError> {
    let mut total = RebuildReport { streams: streams.len(), ..RebuildReport::default() };
    for report in redrive::redrive::<D>(app, streams).await.map_err(message)? {
        total.add(0, &report);
    }
    print_caught_up(&total, json)
}

/// Prints the report of a redrive or a sweep. Unlike after a rebuild, a stream that is parked, or that no projection
/// handles, also gives exit code 1.
fn print_caught_up(report: &RebuildReport, json: bool) -> Result<ExitCode, CliError> {
    print_report(report, json)?;
    Ok(ExitCode::from(u8::from(!report.failed.is_empty() || report.parked + report.unhandled > 0)))
}

/// Publishes the events of these streams again, or of all streams if `streams` is empty.
async fn republish_events<D: Domain>(
    app: &App,
    streams: &[StreamId],
    from: RepublishFrom,
    bus: Option<String>,
    json: bool,
) -> Result<ExitCode, CliError> {
    for stream in streams {
        check_exists(app, stream).await?;
    }
    let event_bus = EventBus::new(app, bus).map_err(|error| error.to_string())?;
    let publisher = publisher_to::<D>(app, event_bus).map_err(message)?;
    let republished = if streams.is_empty() {
        let bar = progress_bar::<D>(app).await;
        let on_page = |republished: &Republished, _: &Checkpoint| bar.set_position(republished.streams as u64);
        let republished = republish_all::<D>(app, &publisher, from, Checkpoint::start(SWEEP_SEGMENTS), on_page).await;
        bar.finish_and_clear();
        republished.map_err(message)?
    } else {
        republish(&publisher, streams, from).await
    };
    if json {
        print_json(&republished)?;
    } else {
        let Republished { streams, events, failed } = &republished;
        println!("{streams} streams: {events} events sent, {} failed", failed.len());
        failed.iter().for_each(|(stream, reason)| println!("  {stream} failed: {reason}"));
    }
    Ok(ExitCode::from(u8::from(!republished.failed.is_empty())))
}

async fn history(app: &App, stream: &StreamId, json: bool) -> Result<ExitCode, CliError> {
    let commits = app.events().map_err(message)?.load_stored(stream).await.map_err(message)?;
    if commits.is_empty() {
        eprintln!("cargo operate: {stream} has no commits");
    }
    if json {
        let documents: Result<Vec<_>, _> = commits.iter().map(document).collect();
        print_json(&documents.map_err(|error| error.to_string())?)?;
    } else {
        for commit in &commits {
            let types: Vec<_> = commit.events.iter().map(|event| event.event_type.as_str()).collect();
            println!("{}  {}  {}  command {}", commit.version, commit.recorded_at, types.join(", "), commit.command_id);
        }
    }
    Ok(ExitCode::from(u8::from(commits.is_empty())))
}

/// Returns a commit in JSON, with its hashes as hexadecimal digits.
fn document(commit: &StoredCommit) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(commit)?;
    if let Some(fields) = document.as_object_mut() {
        let hashes = [("previous", commit.previous), ("hash", commit.hash)];
        fields.extend(hashes.into_iter().filter_map(|(name, hash)| Some((name.to_owned(), hash?.to_string().into()))));
    }
    Ok(document)
}

/// Returns a progress bar over all streams, or a spinner if their number is unknown. DynamoDB updates `item_count`
/// about every six hours.
async fn progress_bar<D: Domain>(app: &App) -> ProgressBar {
    let (bar, template) = match number_of_streams::<D>(app).await {
        Some(streams) if streams > 0 => {
            (ProgressBar::new(streams), "{bar:40} {pos}/{len} streams  {per_sec}  {eta} left")
        }
        _ => (ProgressBar::new_spinner(), "{spinner} {pos} streams  {per_sec}  {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Estimates the number of streams from the sizes of the view tables. A stream has one view in each table. Tables with
/// the same key contain views of the same streams.
async fn number_of_streams<D: Domain>(app: &App) -> Option<u64> {
    let mut views: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, kind) in D::read_models(DeclaredTables::default()).check().ok()? {
        if let TableKind::Views { key } = kind {
            let table = app.tables.get(name).ok()?;
            let described = app.dynamo.client.describe_table().table_name(&*table).send().await.ok()?;
            let items = u64::try_from(described.table?.item_count?).ok()?;
            views.entry(key).and_modify(|most| *most = items.max(*most)).or_insert(items);
        }
    }
    Some(views.values().sum())
}

fn print_json(document: &impl Serialize) -> Result<(), CliError> {
    println!("{}", serde_json::to_string(document).map_err(|error| error.to_string())?);
    Ok(())
}

fn message(error: StoreError) -> CliError {
    with_causes(&error)
}
