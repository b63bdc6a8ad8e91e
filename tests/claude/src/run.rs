//! All facts against one version.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::StreamExt as _;
use tokio::time::timeout;

use crate::facts::{self, Fact, Outcome};
use crate::lab::Lab;
use crate::recording::Recorder;
use crate::shapes::Shapes;

/// The maximum time for one fact, on a machine that does something else too.
const MAX_FACT_TIME: Duration = Duration::from_mins(3);

pub(crate) struct Run {
    pub(crate) version: String,
    /// In the order of the table.
    pub(crate) facts: Vec<(&'static Fact, Outcome)>,
    pub(crate) shapes: Shapes,
    pub(crate) seconds: u64,
}

impl Run {
    pub(crate) fn failed(&self) -> impl Iterator<Item = &(&'static Fact, Outcome)> {
        self.facts.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }
}

/// Tests the facts whose name contains `only`, `jobs` at a time.
pub(crate) async fn run(version: &str, binary: &Path, record: Option<&Path>, only: &str, jobs: usize) -> Result<Run> {
    let began = Instant::now();
    let shapes = Arc::new(Mutex::new(Shapes::default()));
    let chosen: Vec<&Fact> = facts::all().filter(|fact| fact.name.contains(only)).collect();
    if chosen.is_empty() {
        bail!("no fact's name contains {only:?}");
    }
    let progress = Progress { version, all: chosen.len() };
    let tests = futures::stream::iter(chosen).map(|fact| {
        let recorder = Recorder::new(fact.name, record, &shapes);
        let shapes = Arc::clone(&shapes);
        async move { (fact, test(fact, version, binary, recorder, &shapes).await) }
    });
    let mut tests = tests.buffered(jobs);
    let mut facts = Vec::new();
    while let Some((fact, outcome)) = tests.next().await {
        facts.push((fact, outcome));
        progress.tell(&facts)?;
    }
    drop(tests);
    let shapes = shapes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Run { version: version.to_owned(), facts, shapes, seconds: began.elapsed().as_secs() })
}

async fn test(fact: &Fact, version: &str, binary: &Path, recorder: Recorder, shapes: &Mutex<Shapes>) -> Outcome {
    let lab = match Lab::open(version, binary, recorder, fact.scripts).await {
        Ok(lab) => Arc::new(lab),
        Err(error) => return Outcome::Failed(format!("{error:#}")),
    };
    let tested = timeout(MAX_FACT_TIME, (fact.test)(Arc::clone(&lab))).await;
    let mut shapes = shapes.lock().unwrap_or_else(PoisonError::into_inner);
    lab.model.requests().iter().for_each(|request| shapes.add_request(request));
    match tested {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Failed(format!("{error:#}")),
        Err(_) => Outcome::Failed(format!("it took longer than {} s", MAX_FACT_TIME.as_secs())),
    }
}

struct Progress<'a> {
    version: &'a str,
    all: usize,
}

impl Progress<'_> {
    /// A line on stderr for each fact.
    fn tell(&self, facts: &[(&'static Fact, Outcome)]) -> io::Result<()> {
        let Some((fact, outcome)) = facts.last() else { return Ok(()) };
        let said = match outcome {
            Outcome::Held => "holds".to_owned(),
            Outcome::Skipped(reason) => format!("not tested: {reason}"),
            Outcome::Failed(reason) => format!("FAILS: {reason}"),
        };
        writeln!(io::stderr(), "{} {:>2}/{} {}: {said}", self.version, facts.len(), self.all, fact.name)
    }
}
