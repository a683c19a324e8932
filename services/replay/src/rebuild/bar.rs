//! The progress bar of a rebuild.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often the progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// The width of the bar.
const WIDTH: u64 = 30;

/// The progress bar, on a terminal only.
pub struct Bar {
    total: u64,
    begun: Instant,
    shown: Option<Instant>,
    wanted: bool,
}

impl Bar {
    pub fn new(total: u64) -> Self {
        Self {
            total,
            begun: Instant::now(),
            shown: None,
            wanted: std::io::stderr().is_terminal(),
        }
    }

    #[allow(clippy::cast_precision_loss)] // A rate is for display.
    pub fn show(&mut self, done: u64, events: u64) {
        if !self.wanted || self.shown.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let full = (done * WIDTH)
            .checked_div(self.total)
            .unwrap_or(WIDTH)
            .min(WIDTH);
        let of = |times: u64, with: &str| with.repeat(usize::try_from(times).unwrap_or(0));
        let rate = events as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        eprint!(
            "\r{}{} {done}/{} commits, {rate:.0} events/s ",
            of(full, "█"),
            of(WIDTH - full, "░"),
            self.total
        );
        // A bar that is not seen harms nothing.
        let _ = std::io::stderr().flush();
    }

    pub fn end(&self, done: u64) {
        if self.wanted && self.shown.is_some() {
            eprintln!("\r{} {done} commits folded; switching", "█".repeat(30));
        }
    }
}
