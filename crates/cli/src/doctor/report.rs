//! The checks for people and for programs.

use std::fmt::Write as _;

use owo_colors::{OwoColorize as _, Stream};

use super::check::{Check, Status};

pub(super) fn json(checks: &[Check]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(checks).map(|text| text + "\n")
}

/// The columns are status, name and detail, with the remedy below the detail. The last line has the counts. `paint` gets the status
/// already padded to its column, so that colours do not change the layout.
pub(super) fn text(checks: &[Check], paint: impl Fn(Status, &str) -> String) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Check { name, status, detail, remedy } in checks {
        let word = paint(*status, &format!("{:4}", word(*status)));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{word}  {name:width$}  {detail}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{:1$}→ {remedy}", "", 4 + 2 + width + 2);
        }
    }
    let count = |wanted| checks.iter().filter(|check| check.status == wanted).count();
    let (ok, warned, failed) = (count(Status::Ok), count(Status::Warn), count(Status::Fail));
    let _ = writeln!(text, "\n{ok} ok, {warned} to look at, {failed} failed");
    text
}

/// The output has colour if stdout is a terminal and NO_COLOR is not set.
pub(super) fn paint(status: Status, word: &str) -> String {
    match status {
        Status::Ok => word.if_supports_color(Stream::Stdout, |word| word.green()).to_string(),
        Status::Warn => word.if_supports_color(Stream::Stdout, |word| word.yellow()).to_string(),
        Status::Fail => word.if_supports_color(Stream::Stdout, |word| word.red()).to_string(),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warn => "warn",
        Status::Fail => "fail",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::check::{Check, Status};

    fn checks() -> [Check; 3] {
        [
            Check::ok("engine", "version 28"),
            Check::warn("open-files", "few", "allow more"),
            Check::fail("port", "taken", "choose another"),
        ]
    }

    #[test]
    fn columns_are_aligned_under_any_paint() {
        let expected = "ok    engine      version 28
warn  open-files  few
                  → allow more
fail  port        taken
                  → choose another

1 ok, 1 to look at, 1 failed
";
        assert_eq!(super::text(&checks(), |_, word| word.to_owned()), expected);

        let painted = super::text(&checks(), |status, word| match status {
            Status::Ok => word.to_owned(),
            Status::Warn | Status::Fail => format!("<{word}>"),
        });
        assert_eq!(painted.replace(['<', '>'], ""), expected);
    }

    #[test]
    fn json_is_an_array_with_four_fields_each() {
        let text = super::json(&checks()).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!([
                {"name": "engine", "status": "ok", "detail": "version 28", "remedy": null},
                {"name": "open-files", "status": "warn", "detail": "few", "remedy": "allow more"},
                {"name": "port", "status": "fail", "detail": "taken", "remedy": "choose another"},
            ])
        );
    }
}
