//! Shows on a terminal that something goes on while nothing is said.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);

pub(super) struct Spinner {
    enabled: bool,
    bar: Option<ProgressBar>,
}

impl Spinner {
    pub(super) fn new(enabled: bool) -> Self {
        Spinner { enabled, bar: None }
    }

    /// Turns until it is hidden, with the time since it began.
    pub(super) fn spin(&mut self, what: &'static str) {
        if !self.enabled {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            // The template is ours and right; the default would do as well.
            if let Ok(style) = ProgressStyle::with_template("        {spinner}  {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(what);
    }

    /// Leaves the line empty for what is printed next.
    pub(super) fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.hide();
    }
}
