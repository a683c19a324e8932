//! What was done when, on the terminal and in the file `timeline.log`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The clock and the diary of a run.
#[derive(Clone)]
pub struct Timeline {
    begun: Instant,
    file: Arc<Mutex<File>>,
    aloud: bool,
}

impl Timeline {
    pub fn new(folder: &Path, aloud: bool) -> anyhow::Result<Self> {
        let file = File::create(folder.join("timeline.log"))?;
        Ok(Self {
            begun: Instant::now(),
            file: Arc::new(Mutex::new(file)),
            aloud,
        })
    }

    /// The time since the start of the run.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The time since the start of the run in seconds, to the millisecond.
    pub fn seconds(&self) -> f64 {
        (self.now().as_secs_f64() * 1_000.0).round() / 1_000.0
    }

    pub async fn until(&self, time: Duration) {
        tokio::time::sleep_until((self.begun + time).into()).await;
    }

    /// Notes what happens now.
    pub fn note(&self, what: &str) {
        let line = format!(
            "{:8.3}  {:.3}  {what}",
            self.now().as_secs_f64(),
            Timestamp::now()
        );
        // A full disk must not end the run.
        let _ = writeln!(self.file.lock().unwrap(), "{line}");
        if self.aloud {
            println!("{line}");
        }
    }
}
