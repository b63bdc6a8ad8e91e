//! Follows the guides like a reader: every command of README.md and of the pages in `docs/` runs in order, with the real programs,
//! real containers and a scripted model, and its output is compared with the page. CONTRIBUTING.md explains how a guide is written.

mod block;
mod client;
mod expected;
mod place;
mod shell;
mod terminal;

use std::collections::BTreeSet;

use mock_api::scripted_model::{ModelHandle, ScriptedModel};
use tokio::net::TcpListener;

use crate::docs::{pages, read};
use block::{Block, Run, blocks};
use place::Place;
use shell::Shell;
use terminal::Terminal;

/// Lists every page with something to run and its test, in the reading order.
macro_rules! pages {
    ($($test:ident: $page:literal, $model:ident;)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[tokio::test]
            async fn $test() {
                follow($page, Model::$model).await;
            }
        )*
    };
}

pages! {
    readme: "README.md", OfScriptsRun;
    first_agent: "docs/guides/first-agent.md", OfScriptsRun;
    quick_start: "docs/guides/quick-start.md", Ours;
    own_agent: "docs/guides/own-agent.md", Ours;
    backend: "docs/guides/backend.md", Ours;
    frontend: "docs/guides/frontend.md", Ours;
    product_without_api: "docs/guides/product-without-api.md", Ours;
    faq: "docs/guides/faq.md", Ours;
    security: "docs/guides/security.md", Ours;
    operating: "docs/guides/operating.md", Ours;
    engines: "docs/reference/engines.md", Ours;
    metrics: "docs/reference/metrics.md", Ours;
}

/// The model that answers instead of Claude.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    /// The test runs the model. The reader has a credential for it.
    Ours,
    /// The reader has no credential, so scripts/run starts the model.
    OfScriptsRun,
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
async fn follow(page: &str, model: Model) {
    let blocks = blocks(page, &read(page));
    let mut place = Place::new();
    let model = match model {
        Model::Ours => Some(scripted_model(&mut place).await),
        Model::OfScriptsRun => {
            place.environment.retain(|name, _| !name.starts_with("ANTHROPIC_"));
            None
        }
    };
    // A page that builds the client itself gets no built one.
    let runs = |text: &str| blocks.iter().any(|block| block.run == Run::Shell && block.text.contains(text));
    if runs("clients/typescript") && !runs("npm run build") {
        client::put(&place.clone_directory());
    }
    let mut reader = Reader { page, shell: Shell::start(&place), place, terminals: Vec::new() };
    for block in &blocks {
        reader.take(block).await;
    }
    reader.finish().await;
    if let Some(model) = model {
        assert_eq!(format!("{:?}", model.violations()), "[]");
    }
}

async fn scripted_model(place: &mut Place) -> ModelHandle {
    let model = ScriptedModel::serve_builtin(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    place.environment.insert("ANTHROPIC_BASE_URL".to_owned(), model.url());
    model
}

/// A reader with a clone, a shell in it, and terminals for long-running programs.
struct Reader<'a> {
    page: &'a str,
    shell: Shell,
    // The terminals are dropped before the place, which removes what their servers leave.
    terminals: Vec<Terminal>,
    place: Place,
}

impl Reader<'_> {
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
                match Terminal::open(&self.place, self.shell.exported(), block.line, command, &says).await {
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

    async fn finish(mut self) {
        while let Some(latest) = self.terminals.len().checked_sub(1) {
            self.interrupt(latest).await;
        }
    }
}
