//! `cargo run --release -p simulation -- --seeds 10000`: many seeds, with a progress bar.

#![allow(clippy::print_stdout, reason = "what it finds out is for a terminal")]

use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use simulation::{Mutation, seeds::run_seeds};

/// Runs the whole system under many seeds, each the same in every run, and checks the invariants after every write.
#[derive(Debug, Parser)]
struct SimulationOptions {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// A protection to take away, to see that it is noticed.
    #[arg(long)]
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let SimulationOptions { seeds, from, mutation } = SimulationOptions::parse();
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds, {per_sec}, {eta} left");
    let bar = ProgressBar::new(seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let outcome = run_seeds(from, seeds, mutation, || bar.inc(1));
    let took = bar.elapsed();
    bar.finish_and_clear();
    match outcome {
        Ok(total) => {
            println!(
                "{} seeds, {} steps and {} commits in {:.0} s: every invariant held.",
                total.seeds,
                total.steps,
                total.commits,
                took.as_secs_f64()
            );
            total.faults.iter().for_each(|(what, times)| println!("{times:>9} × {what}"));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
