//! End-to-end benchmarks: the real server with real containers, compared with the bare CLI, the bare engine and a bare WebSocket
//! loop. The two sides take turns, so that other load on the machine affects both. `scripts/bench` runs them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its results and panics if it cannot measure"
)]

mod attacker;
mod bare;
mod decode;
mod fan_out;
mod fast_agent;
mod growth;
mod idle;
mod load;
mod neighbour;
mod reference;
mod report;
mod repository;
mod server;
mod subscribers;
mod take_over;
mod turns;

use clap::Parser;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use report::Row;

#[derive(Parser)]
struct Arguments {
    /// Few rounds and small numbers: shows that each runs, measures nothing
    #[arg(long)]
    quick: bool,
    /// Only benchmarks whose name holds this
    #[arg(long)]
    only: Option<String>,
    /// The names of the benchmarks
    #[arg(long)]
    list: bool,
    /// Also writes all rows, with all samples, as JSON to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Sends the lines of FILE to so many WebSockets: the other end of the benchmark of fan-out
    #[arg(long, num_args = 2, value_names = ["FILE", "CONNECTIONS"], hide = true)]
    reference: Option<Vec<String>>,
    /// Attacks the server as one key for so many seconds: the other end of the benchmark `neighbour`
    #[arg(long, num_args = 4, value_names = ["ADDRESS", "KEY", "SILENT", "SECONDS"], hide = true)]
    attack: Option<Vec<String>>,
    /// The flag that `cargo bench` gives to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The size of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    Quick,
    Full,
}

impl Effort {
    pub(crate) fn of<T>(self, quick: T, full: T) -> T {
        match self {
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }
}

type Benchmark = (&'static str, fn(Effort) -> BoxFuture<'static, Vec<Row>>);

const BENCHMARKS: [Benchmark; 12] = [
    ("follow-up", |effort| turns::follow_up(effort).boxed()),
    ("new-session", |effort| turns::new_session(effort).boxed()),
    ("container-per-task", |effort| turns::container_per_task(effort).boxed()),
    ("decode", |effort| decode::decode(effort).boxed()),
    ("fan-out", |effort| fan_out::fan_out(effort).boxed()),
    ("idle", |effort| idle::idle(effort).boxed()),
    ("load", |effort| load::load(effort).boxed()),
    ("neighbour", |effort| neighbour::neighbour(effort).boxed()),
    ("take-over", |effort| take_over::take_over(effort).boxed()),
    ("second-clone", |effort| repository::second_task(effort).boxed()),
    ("growth-of-sessions", |effort| growth::sessions(effort).boxed()),
    ("growth-of-events", |effort| growth::events(effort).boxed()),
];

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if let Some([file, connections]) = arguments.reference.as_deref() {
        return reference::serve(file, connections.parse().unwrap()).await;
    }
    if let Some([address, key, silent, seconds]) = arguments.attack.as_deref() {
        return attacker::attack(address, key, silent, seconds.parse().unwrap()).await;
    }
    let effort = if arguments.quick { Effort::Quick } else { Effort::Full };
    let only = arguments.only.unwrap_or_default();
    let mut rows = Vec::new();
    for (name, measure) in BENCHMARKS.into_iter().filter(|(name, _)| name.contains(&only)) {
        if arguments.list {
            println!("{name}");
            continue;
        }
        eprintln!("==> {name}");
        let measured = measure(effort).await;
        for row in &measured {
            eprintln!("    {}", row.line());
        }
        rows.extend(measured);
    }
    if !arguments.list {
        report::print(&rows);
    }
    if let Some(file) = arguments.json {
        std::fs::write(file, report::json(&rows)).unwrap();
    }
}
