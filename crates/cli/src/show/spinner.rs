//! Shows on a terminal that work continues while there is no output.

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

    /// Spins until it is hidden, and shows the time since its start.
    pub(super) fn spin(&mut self, what: &'static str) {
        if !self.enabled {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            // The template is constant and valid. The default would also be usable.
            if let Ok(style) = ProgressStyle::with_template("        {spinner}  {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(what);
    }

    /// Clears the line for the next output.
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
