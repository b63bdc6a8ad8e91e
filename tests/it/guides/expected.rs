//! The output of commands as a page shows it.

/// A command of a `console` block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// The page's line on which it begins.
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) output: String,
}

/// Returns the commands of a `console` block, whose first line is the page's line `first`. A command continues after a `\`. Returns
/// none if no line begins with `$ `.
pub(super) fn exchanges(first: usize, text: &str) -> Vec<Exchange> {
    let mut found: Vec<Exchange> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            found.push(Exchange { line: first + index, command: format!("{command}\n"), output: String::new() });
        } else if let Some(last) = found.last_mut() {
            let text = if goes_on { &mut last.command } else { &mut last.output };
            text.push_str(line);
            text.push('\n');
        }
        goes_on = (goes_on || line.starts_with("$ ")) && line.ends_with('\\');
    }
    found
}

/// Returns true when the output fits the page. A line `...` (or `…`) stands for any lines, in a line it stands for any
/// text.
pub(super) fn fits(shown: &str, printed: &str) -> bool {
    let lines = |text: &str| text.trim().lines().map(|line| line.trim_end().replace('…', "...")).collect::<Vec<_>>();
    lines_fit(&lines(shown), &lines(printed))
}

fn lines_fit(shown: &[String], printed: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((first, rest)), _) if first.trim() == "..." => {
            (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..]))
        }
        (Some(_), None) => false,
        (Some((first, rest)), Some((line, below))) => line_fits(first, line) && lines_fit(rest, below),
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut rest) = parts.next().and_then(|beginning| printed.strip_prefix(beginning)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

#[test]
fn what_is_left_out_may_be_anything_and_all_else_may_not() {
    let printed = "one 1\ntwo 22 and\nthree\n";
    for shown in
        ["one 1\ntwo 22 and\nthree", "...", "one ...\n...\nthree\n", "…\ntwo ... and\n…", "one 1\n...\ntwo...\nthree"]
    {
        assert!(fits(shown, printed), "{shown}");
    }
    for shown in ["", "one 1", "one 1\n...\ntwo", "two 22 and\n...", "one ...\ntwo ... or\nthree", "...\nfour\n..."] {
        assert!(!fits(shown, printed), "{shown}");
    }
}

#[test]
fn commands_have_their_lines_and_outputs() {
    let found = exchanges(10, "$ one \\\n    more\nout\n\n$ two\n");
    let exchange =
        |line, command: &str, output: &str| Exchange { line, command: command.to_owned(), output: output.to_owned() };
    assert_eq!(found, [exchange(10, "one \\\n    more\n", "out\n\n"), exchange(14, "two\n", "")]);
}
