//! `cargo run --release -p simulation -- --seeds 10000`: runs many seeds, with a progress bar.

#![allow(clippy::print_stdout, reason = "a command line prints to the terminal")]

use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use simulation::{Mutation, seeds::run_seeds};

/// Run the whole system under many seeds, and check the invariants after every write
#[derive(Debug, Parser)]
struct SimulationOptions {
    /// The number of seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Remove this protection; the simulation must then find a violation
    #[arg(long)]
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let SimulationOptions { seeds, from, mutation } = SimulationOptions::parse();
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds, {per_sec}, {eta} left");
    let bar = ProgressBar::new(seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let outcome = run_seeds(from, seeds, mutation, || bar.inc(1));
    let elapsed = bar.elapsed();
    bar.finish_and_clear();
    match outcome {
        Ok(total) => {
            println!(
                "{} seeds, {} steps and {} commits in {:.0} s: every invariant held.",
                total.seeds,
                total.steps,
                total.commits,
                elapsed.as_secs_f64()
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
