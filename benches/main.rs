//! The benchmarks: `cargo bench --bench suite -- [topics] [--quick] [--strict] [--json FILE]`.
//!
//! A limit is a ratio of two things that were measured in turn on the same machine, or a time. So it can be checked
//! anywhere; the absolute figures belong to the machine that is named beside them.

mod bare;
mod ceiling;
mod footprint;
mod growth;
mod intake;
mod mails;
mod replicas;
mod reports;
mod storm;
mod support;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use support::report::Report;
use support::service::{BARE, WORKING};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Taking webhooks in.
    Intake,
    /// Working on due cases.
    Work,
    /// Writing mails and letting them leave.
    Mails,
    /// Events that come all at once.
    Storm,
    /// Memory, start and size of the service itself.
    Footprint,
    /// What more processes bring.
    Replicas,
    /// What a case costs among millions.
    Growth,
    /// What a report costs among millions of cases.
    Reports,
    /// A million random histories under the rules of the networks.
    Ceiling,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything where nothing is named.
    #[arg(value_enum)]
    topics: Vec<Topic>,
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Exit with 1 where a limit was missed.
    #[arg(long)]
    strict: bool,
    /// Up to how many stored cases `growth` and `reports` go.
    #[arg(long, value_name = "CASES", default_value_t = 10_000_000)]
    growth_max: u64,
    /// Where to write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Given by cargo; it changes nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [BARE] => {
            actix_web::rt::System::new().block_on(bare::serve())?;
            return Ok(ExitCode::SUCCESS);
        }
        [WORKING, url] => {
            runtime().block_on(work::serve::serve(url))?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let arguments = Arguments::parse();
    let topics = if arguments.topics.is_empty() {
        Topic::value_variants()
    } else {
        &arguments.topics
    };
    let runtime = runtime();
    let mut report = Report::new(arguments.quick);
    for topic in topics {
        match topic {
            Topic::Intake => runtime.block_on(intake::run(&mut report))?,
            Topic::Work => runtime.block_on(work::run(&mut report))?,
            Topic::Mails => runtime.block_on(mails::run(&mut report))?,
            Topic::Storm => runtime.block_on(storm::run(&mut report))?,
            Topic::Replicas => runtime.block_on(replicas::run(&mut report))?,
            Topic::Growth => runtime.block_on(growth::run(&mut report, arguments.growth_max))?,
            Topic::Reports => runtime.block_on(reports::run(&mut report, arguments.growth_max))?,
            Topic::Ceiling => ceiling::run(&mut report),
            Topic::Footprint => runtime.block_on(footprint::run(&mut report))?,
        }
    }
    report.finish(arguments.json.as_deref())?;
    let good = report.all_passed() || !arguments.strict;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads can be started")
}
