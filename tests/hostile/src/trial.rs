//! One trial: something hostile against the program, with what was measured beside it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::time::sleep;

use crate::bounds::{Measured, VIEW_WITHIN, View};
use crate::http::{self, ORDINARY};
use crate::ordinary::{Ordinary, What, document};
use crate::program::Program;
use crate::usage::processor_seconds;
use crate::view;

/// An ordinary caller is met for so long at the least, so that there is something to be said.
const LEAST: Duration = Duration::from_secs(1);
/// The program is at rest when it uses no more than so much of a processor above the ordinary.
const REST: f64 = 0.3;
const REST_LOOKS: Duration = Duration::from_millis(250);
/// It is to be at rest so long after what it did was cancelled.
const REST_WITHIN: Duration = Duration::from_secs(8);

/// Everything that trials are made with.
pub struct Trials {
    pub program: Program,
    pub ordinary: Ordinary,
    /// The processor that the ordinary caller costs, in seconds a second.
    pub background: f64,
}

/// A trial that has begun.
pub struct Begun {
    at: Instant,
    processor: f64,
    held: (u64, u64),
}

impl Trials {
    /// Looks at the ordinary caller alone.
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

    /// Ends a trial: takes what was used and held until now, waits until the program is at rest,
    /// looks for the view of a later request, and starts the program anew where it must be.
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
            // What comes next is to be measured for itself.
            self.anew().await?;
        }
        Ok(measured)
    }

    /// Starts the program on empty data.
    pub async fn anew(&mut self) -> anyhow::Result<()> {
        self.ordinary.pause(true);
        let started = self.program.restart(true).await;
        self.ordinary.pause(false);
        started
    }

    /// Whether it serves again on the data that it ended on. It is started on empty ones where it
    /// does not.
    async fn start_again(&mut self) -> anyhow::Result<bool> {
        self.ordinary.pause(true);
        let mut serves = self.program.restart(false).await.is_ok();
        if serves {
            // What ended it comes again from the log, soon.
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

    /// Whether it comes to rest, and serves an ordinary caller then.
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

    /// Whether the view of a request that is submitted now comes.
    async fn view(&self) -> anyhow::Result<View> {
        let request = http::post("/valuation", &[], document(0).as_bytes());
        let begun = Instant::now();
        let answer = http::send(self.program.port(), ORDINARY, &request, VIEW_WITHIN).await;
        let Some(id) = answer.ok().and_then(|answer| request_id(&answer.body)) else {
            // The ordinary caller says why.
            return Ok(View::NotLookedFor);
        };
        while begun.elapsed() < VIEW_WITHIN {
            match view::is_there(self.program.redis_port()?, &id).await? {
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

/// The id of a request, as a 202 tells it.
pub fn request_id(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(body.get("requestId")?.as_str()?.to_owned())
}
