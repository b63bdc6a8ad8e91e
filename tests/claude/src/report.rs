//! The report, in Markdown.

use std::fmt::Write as _;

use crate::facts::Outcome;
use crate::run::Run;
use crate::shapes::Shapes;

/// The maximum length of a reason, in characters.
const MAX_REASON: usize = 600;

/// The betas that the gateway passes.
const PASSING: &str = include_str!("../../../crates/gateway/src/betas.json");

/// `tolerated` versions may fail.
pub(crate) fn write(runs: &[Run], known: &Shapes, tolerated: &[String]) -> String {
    let mut text = String::from("# Claude Code: facts that Claude Runner relies on\n\n");
    for run in runs {
        let failed = run.failed().count();
        let verdict = match failed {
            0 => "all hold".to_owned(),
            _ if tolerated.contains(&run.version) => format!("{failed} fail, which is reported and does not fail"),
            _ => format!("**{failed} fail**"),
        };
        let skipped = run.facts.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))).count();
        let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} not tested") };
        _ = writeln!(text, "- {}: {} facts, {verdict}{skipped} ({} s)", run.version, run.facts.len(), run.seconds);
    }
    let versions: Vec<&str> = runs.iter().map(|run| run.version.as_str()).collect();
    _ = writeln!(text, "\n| name | fact | {} |\n|---|---|{}", versions.join(" | "), "---|".repeat(runs.len()));
    for (position, (fact, _)) in runs.first().iter().flat_map(|run| run.facts.iter().enumerate()) {
        let marks: Vec<&str> = runs.iter().map(|run| mark(&run.facts[position].1)).collect();
        _ = writeln!(text, "| `{}` | {} | {} |", fact.name, fact.statement, marks.join(" | "));
    }
    for run in runs {
        write_reasons(&mut text, run);
        write_shapes(&mut text, run, known);
    }
    text
}

fn write_reasons(text: &mut String, run: &Run) {
    if run.facts.iter().all(|(_, outcome)| matches!(outcome, Outcome::Held)) {
        return;
    }
    _ = writeln!(text, "\n## {}: facts that do not hold or were not tested\n", run.version);
    for (fact, outcome) in &run.facts {
        if let Outcome::Failed(reason) | Outcome::Skipped(reason) = outcome {
            let reason: String = reason.replace('\n', " ").chars().take(MAX_REASON).collect();
            _ = writeln!(text, "- `{}`: {reason}", fact.name);
        }
    }
}

fn write_shapes(text: &mut String, run: &Run, known: &Shapes) {
    let betas: Vec<&str> = run.shapes.named("request beta ").collect();
    _ = writeln!(text, "\n## {}: shapes that are new\n", run.version);
    let new: Vec<&str> = run.shapes.new_since(known).collect();
    if new.is_empty() {
        text.push_str("None.\n");
    } else {
        text.push_str("```\n");
        for shape in new {
            _ = writeln!(text, "{shape}");
        }
        text.push_str("```\n");
    }
    _ = writeln!(
        text,
        "\nBetas of its requests: {}.",
        if betas.is_empty() { "none".to_owned() } else { betas.join(", ") }
    );
    let removed: Vec<&str> = betas.into_iter().filter(|beta| !PASSING.contains(&format!("\"{beta}\""))).collect();
    if !removed.is_empty() {
        _ = writeln!(
            text,
            "\n**The gateway removes {}.** Add each that does not change the price to crates/gateway/src/betas.json.",
            removed.join(", ")
        );
    }
}

const fn mark(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "yes",
        Outcome::Failed(_) => "**no**",
        Outcome::Skipped(_) => "not tested",
    }
}
