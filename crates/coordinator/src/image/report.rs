use std::io::Write as _;
use std::time::Duration;

use container_engine::Engine;
use indicatif::{ProgressBar, ProgressStyle};

use super::{BuildOptions, ImageError, Outcome, Progress, build};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Characters of an image's id that people compare.
const SHORT_ID: usize = "sha256:".len() + 12;

/// The command `claude-runner image build`: [`build`] with its progress on stderr, one line that changes on a terminal and
/// plain lines elsewhere.
pub async fn run(engine: &dyn Engine, options: &BuildOptions) -> Result<Outcome, ImageError> {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(TICK);
    let outcome = build(engine, options, |progress| show(&spinner, progress)).await;
    spinner.finish_and_clear();

    let outcome = outcome?;
    let (id, what) = match &outcome {
        Outcome::Built(id) => (id, "built"),
        Outcome::UpToDate(id) => (id, "up to date"),
    };
    say(&format!("image {} is {what} ({})", options.name(), id.get(..SHORT_ID).unwrap_or(id)));
    Ok(outcome)
}

fn show(spinner: &ProgressBar, progress: Progress) {
    let line = match progress {
        Progress::Fetching(package) => format!("fetching {package} with npm"),
        Progress::Building => "building the image".to_owned(),
        Progress::Line(line) => line,
    };
    // Indicatif hides everything when stderr is no terminal.
    if spinner.is_hidden() {
        say(&line);
    } else {
        spinner.set_message(line.replace('\n', " "));
    }
}

fn say(line: &str) {
    // Nothing is to be done about a stderr that is closed.
    drop(writeln!(std::io::stderr(), "{line}"));
}
