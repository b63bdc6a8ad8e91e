//! The steps of a page: its fenced blocks, and the comments that say how to run them.

/// A reader has a credential for the model API, or has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    With,
    Without,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// The only readers that run it, after `<!-- with a credential -->` or `<!-- without a credential -->`.
    pub(super) only: Option<Credential>,
    /// The page's line on which its text begins, counted from 1.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) run: Run,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// `sh`: runs in the reader's shell.
    Shell,
    /// `console`: lines after `$ ` run in the shell, and the lines below show their output.
    Console,
    /// After `<!-- stays: TEXT -->`: runs in a separate terminal, which must show this text and stays open. With `instead:`, Ctrl-C
    /// first ends the terminal that showed the same text.
    Stays { says: String, instead: bool },
    /// A block with a file's name: its text is written to that file.
    File(String),
    /// After `<!-- not run: REASON -->`: does not run.
    Not(String),
}

/// Languages of programs: such a block runs or gives the reason why not.
const CODE: [&str; 6] = ["ts", "js", "html", "python", "jsx", "tsx"];

/// Returns the blocks of a page that run, in order. Panics with the line of a mistake.
pub(super) fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut comment = "";
    while let Some((index, line)) = lines.next() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        if ticks < 3 {
            assert!(!line.trim_start().starts_with("```"), "{page}:{}: an indented block is not run", index + 1);
            if !line.is_empty() {
                comment = line;
            }
            continue;
        }
        let first = index + 2;
        let is_end = |line: &str| line.len() >= ticks && line.bytes().all(|byte| byte == b'`');
        let mut body = String::new();
        let mut ended = false;
        for (_, line) in lines.by_ref() {
            if is_end(line) {
                ended = true;
                break;
            }
            body.push_str(line);
            body.push('\n');
        }
        assert!(ended, "{page}:{}: the block has no end", index + 1);
        let comment = std::mem::take(&mut comment);
        if let Some(run) = run(&line[ticks..], comment, &body) {
            found.push(Block { only: only(comment), line: first, text: body, run });
        } else if CODE.contains(&line[ticks..].trim()) {
            panic!("{page}:{first}: a program without a file name, and no `<!-- not run: REASON -->` before it");
        }
    }
    found
}

fn only(comment: &str) -> Option<Credential> {
    match comment {
        "<!-- with a credential -->" => Some(Credential::With),
        "<!-- without a credential -->" => Some(Credential::Without),
        _ => None,
    }
}

/// Returns `None` for a block that is only shown.
fn run(info: &str, comment: &str, body: &str) -> Option<Run> {
    let said = comment.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or_default();
    let after = |word: &str| said.strip_prefix(word).map(|rest| rest.trim().to_owned());
    if let Some(reason) = after("not run:") {
        return Some(Run::Not(reason));
    }
    if let Some(says) = after("stays:") {
        return Some(Run::Stays { says, instead: false });
    }
    if let Some(says) = after("instead:") {
        return Some(Run::Stays { says, instead: true });
    }
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default();
    match (language, words.next()) {
        (_, Some(name)) => Some(Run::File(name.to_owned())),
        ("sh" | "bash", None) => Some(Run::Shell),
        ("console", None) => Some(Run::Console),
        (language, None) if CODE.contains(&language) => name_in(body).map(Run::File),
        (_, None) => None,
    }
}

/// Returns the file name from a comment on the first line.
fn name_in(body: &str) -> Option<String> {
    let first = body.lines().next()?;
    let said = [("// ", ""), ("# ", ""), ("<!-- ", " -->")]
        .iter()
        .find_map(|(before, after)| first.strip_prefix(before)?.strip_suffix(after))?;
    let is_name = said.contains('.') && !said.contains(' ');
    is_name.then(|| said.to_owned())
}

#[test]
fn a_page_has_what_is_run_and_what_is_not() {
    let page = "Do\n\n```sh\nls\n```\n```json\n{}\n```\n\n<!-- not run: it costs money -->\n\n```sh\nbuy\n```\n\
                ```ts\n// a.mts\nlet a;\n```\n<!-- stays: ready -->\n```sh\nserve\n```\n````md AGENTS.md\n```sh\nx\n```\n````\n";
    let found: Vec<_> = blocks("p", page).into_iter().map(|block| (block.line, block.run)).collect();
    let stays = Run::Stays { says: "ready".to_owned(), instead: false };
    let file = |name: &str| Run::File(name.to_owned());
    assert_eq!(
        found,
        [
            (4, Run::Shell),
            (13, Run::Not("it costs money".to_owned())),
            (16, file("a.mts")),
            (21, stays),
            (24, file("AGENTS.md"))
        ]
    );
}
