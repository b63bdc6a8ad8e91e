//! The text of a pull request. The agent's part is bounded, and the forge gives it no special meaning.

use std::fmt::Write as _;

use domain::task::Failure;

use super::report::{WorkCheck, WorkReport};

/// The forge's limits are 256 and 65,536.
const MAX_TITLE_CHARS: usize = 120;
const MAX_TEXT_CHARS: usize = 20_000;
/// The length at which the first line of a prompt is cut for a title.
const MAX_PROMPT_CHARS: usize = 72;

/// The title from the prompt, before the agent's report.
pub(super) fn first_title(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("A task for Claude");
    cut(line, MAX_PROMPT_CHARS)
}

pub(super) fn first_body(task: &str) -> String {
    format!(
        "Work in progress: more commits follow, and this text changes when the task ends.\n\n{}",
        footer(task, None)
    )
}

/// The final title and body of the pull request.
pub(super) fn last_words(
    prompt: &str,
    task: &str,
    cost: f64,
    report: Option<&WorkReport>,
    failure: Option<&Failure>,
) -> (String, String) {
    let title = report.map(|report| report.title.trim()).filter(|title| !title.is_empty());
    let title = title.map_or_else(|| first_title(prompt), |title| cut(title, MAX_TITLE_CHARS));
    let mut body = String::new();
    if let Some(report) = report {
        let _ = writeln!(body, "{}\n", cut_text(report.summary.trim()));
        if !report.checks.is_empty() {
            body.push_str("## Checks\n\n");
            for WorkCheck { command, passed } in report.checks.iter().take(50) {
                let outcome = if *passed { "passed" } else { "failed" };
                let _ = writeln!(body, "- `{}`: {outcome}", cut(&command.replace('`', "'"), 200));
            }
            body.push('\n');
        }
    }
    if let Some(failure) = failure {
        let _ = writeln!(body, "## Blockers\n\n{}\n", cut_text(&failure.error));
    }
    body.push_str(&footer(task, Some(cost)));
    (title, body)
}

fn footer(task: &str, cost: Option<f64>) -> String {
    let cost = cost.map(|cost| format!(", ${cost:.4}")).unwrap_or_default();
    format!("---\nClaude Runner, task `{task}`{cost}\n")
}

/// One line of at most `chars` characters.
fn cut(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn cut_text(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT_CHARS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::{first_title, last_words};
    use crate::repository::WorkReport;
    use domain::task::{ErrorType, Failure};

    #[test]
    fn a_pull_request_says_what_came_of_it() {
        let report = serde_json::json!({
            "title": "Refresh tokens\nin time", "summary": "They were refreshed too late.",
            "checks": [{ "command": "npm `test`", "passed": true }], "blockers": null,
        });
        let report = WorkReport::read(&report).unwrap();
        let (title, body) = last_words("fix it", "00aa", 0.5, Some(&report), None);
        assert_eq!(title, "Refresh tokens in time");
        assert_eq!(
            body,
            "They were refreshed too late.\n\n## Checks\n\n- `npm 'test'`: passed\n\n---\nClaude Runner, task `00aa`, $0.5000\n"
        );
        let failure = Failure::new(ErrorType::MaxTurns, "too many turns");
        let (title, body) = last_words("\n fix it \nplease", "00aa", 0.0, None, Some(&failure));
        assert_eq!((title.as_str(), body.contains("## Blockers\n\ntoo many turns\n")), ("fix it", true));
        assert_eq!(first_title(&"x".repeat(100)).chars().count(), 73);
    }
}
