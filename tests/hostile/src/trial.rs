//! One trial: hostile work against the program, with the measurements meanwhile.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::time::sleep;

use crate::bounds::{Measured, VIEW_WITHIN, View};
use crate::http::{self, ORDINARY};
use crate::ordinary::{Ordinary, What, document};
use crate::program::Program;
use crate::usage::processor_seconds;
use crate::view;

/// The minimum time with an ordinary caller, so that the trial has data.
const LEAST: Duration = Duration::from_secs(1);
/// The program is idle when it uses no more than this share of a processor beyond the ordinary.
const REST: f64 = 0.3;
const REST_LOOKS: Duration = Duration::from_millis(250);
/// How soon the program must be idle after its work was cancelled.
const REST_WITHIN: Duration = Duration::from_secs(8);

/// The context of all trials.
pub struct Trials {
    pub program: Program,
    pub ordinary: Ordinary,
    /// The processor seconds per second that the ordinary caller costs.
    pub background: f64,
}

/// A trial that has begun.
pub struct Begun {
    at: Instant,
    processor: f64,
    held: (u64, u64),
}

impl Trials {
    /// Measures the ordinary caller alone.
    pub async fn new(program: Program) -> anyhow::Result<Self> {
        let ordinary = Ordinary::start(program.port())?;
        sleep(Duration::from_secs(1)).await;
        let (begun, before) = (Instant::now(), processor_seconds(program.pid()));
        sleep(Duration::from_secs(3)).await;
        let used = processor_seconds(program.pid()) - before;
        let background = used / begun.elapsed().as_secs_f64();
        let met = ordinary.met(What::Submission, begun).await;
        if let Some(first) = met.first {
            anyhow::bail!("the ordinary caller is not served even alone: {first}");
        }
        let late = met.late;
        println!(
            "The ordinary caller alone: {:.0?} at the median, {:.0?} at the most, {background:.2} of a processor; \
             its calls were late by {late:.0?} at the most.",
            met.p50, met.max
        );
        Ok(Self {
            program,
            ordinary,
            background,
        })
    }

    pub fn begin(&self) -> Begun {
        Begun {
            held: self.program.watch.begin(),
            processor: processor_seconds(self.program.pid()),
            at: Instant::now(),
        }
    }

    /// Ends a trial: records the used time and memory, waits until the program is idle, checks the
    /// view of a later request, and restarts the program if it must.
    pub async fn end(
        &mut self,
        begun: Begun,
        refused: bool,
        need_mib: f64,
    ) -> anyhow::Result<Measured> {
        let rest = LEAST.saturating_sub(begun.at.elapsed());
        sleep(rest).await;
        let elapsed = begun.at.elapsed().as_secs_f64();
        let used = processor_seconds(self.program.pid()) - begun.processor;
        let peaks = self.program.watch.peaks();
        let mut measured = Measured {
            refused,
            need_mib,
            processor: (used - self.background * elapsed).max(0.0),
            peak_mib: mib(peaks.0, begun.held.0),
            servers_mib: mib(peaks.1, begun.held.1),
            died: self.program.ended(),
            ..Measured::default()
        };
        if measured.died.is_none() {
            measured.busy = !self.at_rest().await;
            measured.died = self.program.ended();
        }
        if measured.died.is_none() && !measured.busy {
            measured.view = self.view().await?;
        }
        measured.ordinary = self.ordinary.met(What::Submission, begun.at).await;
        measured.health = self.ordinary.met(What::Health, begun.at).await;
        if let Some(died) = &mut measured.died {
            if self.start_again().await? {
                died.push_str(", and started again");
            } else {
                died.push_str(", and did not serve when it was started again");
            }
        } else if measured.busy || measured.view == View::Missing {
            // The next trial needs a fresh program.
            self.anew().await?;
        }
        Ok(measured)
    }

    /// Restarts the program on empty data.
    pub async fn anew(&mut self) -> anyhow::Result<()> {
        self.ordinary.pause(true);
        let started = self.program.restart(true).await;
        self.ordinary.pause(false);
        started
    }

    /// Whether the program serves again on the data on which it ended. If not, it is restarted on
    /// empty data.
    async fn start_again(&mut self) -> anyhow::Result<bool> {
        self.ordinary.pause(true);
        let mut serves = self.program.restart(false).await.is_ok();
        if serves {
            // The document that ended the program comes again from the log, soon.
            sleep(Duration::from_secs(2)).await;
            serves = self.serves(VIEW_WITHIN).await && self.program.ended().is_none();
        }
        self.program.restart(true).await.context("on empty data")?;
        self.ordinary.pause(false);
        Ok(serves)
    }

    async fn serves(&self, within: Duration) -> bool {
        let request = http::post("/valuation?sync=Y", &[], document(0).as_bytes());
        let answer = http::send(self.program.port(), ORDINARY, &request, within).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Whether the program becomes idle, and then serves an ordinary caller.
    async fn at_rest(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < REST_WITHIN && self.program.ended().is_none() {
            let (at, before) = (Instant::now(), processor_seconds(self.program.pid()));
            sleep(REST_LOOKS).await;
            let used = processor_seconds(self.program.pid()) - before;
            let rests = used / at.elapsed().as_secs_f64() - self.background < REST;
            if rests
                && self
                    .serves(REST_WITHIN.saturating_sub(begun.elapsed()))
                    .await
            {
                return true;
            }
        }
        false
    }

    /// Whether the view of a new request is written.
    async fn view(&self) -> anyhow::Result<View> {
        let request = http::post("/valuation", &[], document(0).as_bytes());
        let begun = Instant::now();
        let answer = http::send(self.program.port(), ORDINARY, &request, VIEW_WITHIN).await;
        let Some(id) = answer.ok().and_then(|answer| request_id(&answer.body)) else {
            // The ordinary caller reports the reason.
            return Ok(View::NotLookedFor);
        };
        while begun.elapsed() < VIEW_WITHIN {
            let (port, password) = self.program.redis()?;
            match view::is_there(port, &password, &id).await? {
                Some(true) => return Ok(View::Found),
                Some(false) => sleep(Duration::from_millis(20)).await,
                None => return Ok(View::NotLookedFor),
            }
        }
        Ok(View::Missing)
    }
}

#[allow(clippy::cast_precision_loss)] // Memory is far below 2^52 KiB.
fn mib(peak_kib: u64, before_kib: u64) -> f64 {
    (peak_kib as f64 - before_kib as f64) / 1_024.0
}

/// The id of a request, from a 202.
pub fn request_id(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(body.get("requestId")?.as_str()?.to_owned())
}
