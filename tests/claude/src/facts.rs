//! The facts. Each is a function that gets a lab of its own, and an entry in the table of its subject.

use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::lab::Lab;

mod background;
mod container;
mod control;
mod conversation;
mod defer;
mod failures;
mod files;
mod permission;
mod results;
mod resume;
mod start;

pub(crate) struct Fact {
    /// Also the name of its recordings.
    pub(crate) name: &'static str,
    /// The fact in one sentence.
    pub(crate) statement: &'static str,
    /// Scripts of the model for this fact.
    pub(crate) scripts: &'static str,
    pub(crate) test: fn(Arc<Lab>) -> BoxFuture<'static, Result<Outcome>>,
}

pub(crate) enum Outcome {
    Held,
    Failed(String),
    /// The reason why the fact could not be tested on this machine.
    Skipped(String),
}

/// All facts, in the order of the report.
pub(crate) fn all() -> impl Iterator<Item = &'static Fact> {
    let tables: [&'static [Fact]; 11] = [
        start::FACTS,
        conversation::FACTS,
        results::FACTS,
        failures::FACTS,
        control::FACTS,
        resume::FACTS,
        permission::FACTS,
        defer::FACTS,
        background::FACTS,
        files::FACTS,
        container::FACTS,
    ];
    tables.into_iter().flatten()
}

/// An entry of a table: a function `async fn(Arc<Lab>) -> Result<()>`, the fact in a sentence, and scripts for the model.
macro_rules! fact {
    ($test:ident, $statement:literal) => {
        fact!($test, $statement, "")
    };
    ($test:ident, $statement:literal, $scripts:expr) => {
        $crate::facts::Fact {
            name: stringify!($test),
            statement: $statement,
            scripts: $scripts,
            test: |lab| {
                Box::pin(async move {
                    $test(lab).await?;
                    Ok($crate::facts::Outcome::Held)
                })
            },
        }
    };
}
pub(crate) use fact;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: Vec<&str> = super::all().map(|fact| fact.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn scripts_are_valid() {
        for fact in super::all().filter(|fact| !fact.scripts.is_empty()) {
            mock_api::scripted_model::Scripts::parse(fact.name, fact.scripts).unwrap();
        }
    }
}
