//! Follows the guides like a reader: every command of README.md and of the pages in `docs/` runs in order, with the real programs,
//! real containers and a scripted model, and its output is compared with the page. CONTRIBUTING.md explains how a guide is written.

mod block;
mod client;
mod expected;
mod place;
mod shell;
mod terminal;

use std::collections::BTreeSet;

use mock_api::scripted_model::ScriptedModel;
use tokio::net::TcpListener;

use crate::docs::{pages, read};
use block::{Block, Credential, Run, blocks};
use place::Place;
use shell::Shell;
use terminal::Terminal;

/// The guide whose step about the credential the others begin after.
const QUICK_START: &str = "docs/guides/quick-start.md";

/// Lists every page with something to run and its test, in the reading order. Each test is a reader with a credential and a clone of
/// their own.
macro_rules! pages {
    ($($test:ident: $page:literal;)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[tokio::test]
            async fn $test() {
                with_a_credential($page).await;
            }
        )*
    };
}

pages! {
    readme: "README.md";
    first_agent: "docs/guides/first-agent.md";
    quick_start: "docs/guides/quick-start.md";
    own_agent: "docs/guides/own-agent.md";
    backend: "docs/guides/backend.md";
    frontend: "docs/guides/frontend.md";
    product_without_api: "docs/guides/product-without-api.md";
    asks: "docs/guides/asks.md";
    faq: "docs/guides/faq.md";
    security: "docs/guides/security.md";
    operating: "docs/guides/operating.md";
}

/// A reader without a credential follows all pages in one clone, and then the first ones again: no page breaks another.
#[tokio::test]
async fn every_page_in_one_clone_without_a_credential() {
    let mut place = Place::new(None);
    for page in PAGES {
        // README.md and the first guide use scripts/run, which needs no setting.
        if *page == "docs/guides/own-agent.md" {
            assert!(place.clone_directory().join(".env").exists(), "{QUICK_START} was followed before");
        }
        place = follow(page, place, Credential::Without).await;
    }
    follow(QUICK_START, place, Credential::Without).await;
}

/// The credential is for an API in which a scripted model answers.
async fn with_a_credential(page: &str) {
    let model = ScriptedModel::serve_builtin(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let mut place = Place::new(Some(model.url()));
    if page != QUICK_START {
        place = give_credential(place).await;
    }
    follow(page, place, Credential::With).await;
    assert_eq!(format!("{:?}", model.violations()), "[]");
    assert!(model.request_count() > 0 || page.ends_with("security.md"), "{page}: the reader's API was not asked");
}

/// Does the step of the quick start.
async fn give_credential(place: Place) -> Place {
    let blocks = blocks(QUICK_START, &read(QUICK_START));
    let step = blocks.iter().find(|block| block.only == Some(Credential::With)).expect("a step about the credential");
    let mut reader = Reader::new(QUICK_START, place);
    reader.take(step).await;
    reader.finish().await
}

#[test]
fn every_page_with_something_to_run_is_run() {
    for page in pages() {
        let runs = |block: &Block| !matches!(block.run, Run::Not(_));
        let has_something = blocks(&page, &read(&page)).iter().any(runs);
        assert!(
            !has_something || PAGES.contains(&page.as_str()),
            "{page} has commands that no test runs: give it a line in tests/it/guides.rs"
        );
    }
    assert_eq!(PAGES.iter().collect::<BTreeSet<_>>().len(), PAGES.len());
}

/// Follows a page from its beginning to its end.
async fn follow(page: &str, place: Place, credential: Credential) -> Place {
    let blocks = blocks(page, &read(page));
    // A page that builds the client itself gets no built one.
    let runs = |text: &str| blocks.iter().any(|block| block.run == Run::Shell && block.text.contains(text));
    if runs("clients/typescript") && !runs("npm run build") {
        client::put(&place.clone_directory());
    }
    let mut reader = Reader::new(page, place);
    for block in blocks.iter().filter(|block| block.only.is_none_or(|only| only == credential)) {
        reader.take(block).await;
    }
    reader.finish().await
}

/// A reader with a clone, a shell in it, and terminals for long-running programs.
struct Reader<'a> {
    page: &'a str,
    shell: Shell,
    // The terminals are dropped before the place, which removes what their servers leave.
    terminals: Vec<Terminal>,
    place: Place,
}

impl<'a> Reader<'a> {
    fn new(page: &'a str, place: Place) -> Self {
        Reader { page, shell: Shell::start(&place), place, terminals: Vec::new() }
    }

    async fn take(&mut self, block: &Block) {
        let text = self.place.localised(&block.text);
        let at = format!("{}:{}", self.page, block.line);
        match &block.run {
            Run::Not(reason) => eprintln!("{at}: not run: {reason}"),
            Run::File(name) => {
                // The file is written relative to the shell's directory, as an editor would.
                let path = self.shell.directory().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap_or_else(|error| panic!("{at}: {}: {error}", path.display()));
            }
            Run::Shell => {
                self.run(block.line, &text).await;
            }
            Run::Console => {
                for exchange in expected::exchanges(block.line, &text) {
                    let printed = self.run(exchange.line, &exchange.command).await;
                    self.compare(exchange.line, &exchange.command, &exchange.output, &printed);
                }
            }
            Run::Stays { says, instead } => {
                if *instead {
                    let before =
                        self.terminals.iter().rposition(|terminal| terminal.said() == self.place.localised(says));
                    let before = before.unwrap_or_else(|| panic!("{at}: no terminal shows {says:?}"));
                    self.interrupt(before).await;
                }
                let exchange = expected::exchanges(block.line, &text).into_iter().next();
                let command = exchange.as_ref().map_or(&text, |exchange| &exchange.command);
                let says = self.place.localised(says);
                match Terminal::open(&self.place, block.line, command, &says).await {
                    Ok(terminal) => {
                        if let Some(exchange) = &exchange {
                            self.compare(exchange.line, command, &exchange.output, &terminal.shows());
                        }
                        self.terminals.push(terminal);
                    }
                    Err(shown) => panic!("{at}: it did not say {says:?}:\n\n{command}\n\nit showed:\n{shown}"),
                }
            }
        }
    }

    /// Runs these lines and returns their output.
    async fn run(&mut self, line: usize, text: &str) -> String {
        match self.shell.run(self.page, line, text).await {
            Ok(printed) => printed,
            Err(failure) => {
                let shown: Vec<_> = self.terminals.iter().map(Terminal::shows).collect();
                panic!("{failure}\n\nin the terminals:\n{}", shown.join("\n---\n"));
            }
        }
    }

    fn compare(&self, line: usize, command: &str, wanted: &str, printed: &str) {
        assert!(
            expected::fits(wanted, printed),
            "{}:{line}: another output than the page shows, of\n\n{command}\n\nthe page shows:\n{wanted}\n\nit printed:\n{printed}",
            self.page
        );
    }

    /// Presses Ctrl-C in a terminal.
    async fn interrupt(&mut self, terminal: usize) {
        let shown = self.terminals.remove(terminal).interrupt().await;
        let is_wrong = shown.contains("panicked") || shown.contains(" ERROR ");
        assert!(!is_wrong, "{}: an error in a terminal:\n{shown}", self.page);
    }

    /// Ends all programs, and returns the place as the reader leaves it.
    async fn finish(mut self) -> Place {
        while let Some(latest) = self.terminals.len().checked_sub(1) {
            self.interrupt(latest).await;
        }
        self.place
    }
}
