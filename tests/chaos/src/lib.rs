//! `make chaos`: a cluster under load and faults. Whatever happens to it, nothing that it accepted
//! may be lost, doubled, wrong or stuck. See `docs/chaos.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    missing_docs
)]

mod brokers;
mod caller;
mod check;
mod cluster;
mod disk;
mod documents;
mod faults;
mod http;
mod ledger;
mod load;
mod process;
mod random;
mod redis_nodes;
mod report;
mod roles;
mod schedule;
mod stored;
mod timeline;
mod valuer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use check::Checked;
use cluster::Cluster;
use faults::NotHere;
use ledger::Ledger;
use load::Load;
pub use report::Report;
use schedule::{Planned, Schedule};
use timeline::Timeline;

/// How long after the last fault everything may take to end.
pub const DRAIN: Duration = Duration::from_mins(1);
/// The shortest time between two faults of a lane, also when the lane is late.
const BETWEEN: Duration = Duration::from_millis(500);
/// A lane that is later than this part of the run leaves out its other faults.
const LATEST: f64 = 1.3;
/// How often the run says how far it is.
const PROGRESS: Duration = Duration::from_secs(15);
/// How often the queues are looked at while they drain.
const LOOK: Duration = Duration::from_millis(500);

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program.
    pub binary: PathBuf,
    /// The folder of all runs. This one gets a folder in it, named by its seed.
    pub folder: PathBuf,
    pub seed: u64,
    pub requests: usize,
    pub faults: usize,
    pub seconds: u64,
    pub shards: u8,
    /// Only kinds of faults with one of these texts in their name; all if there are none.
    pub only: Vec<String>,
    /// Whether leases are shorter than by default, so that work of a dead process is taken up soon.
    pub short_leases: bool,
    /// Whether to print the timeline too.
    pub aloud: bool,
}

/// How the faults went.
#[derive(Default)]
struct Inflicted {
    by_kind: BTreeMap<&'static str, usize>,
    /// Kinds that cannot be had here, with the reason.
    not_here: BTreeMap<&'static str, String>,
    /// Faults that did not go as planned: the cluster did not come back, for example.
    failed: Vec<String>,
    left_out: usize,
}

/// Runs the plan, and checks everything.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    // The servers take paths, and find their tools from the folder of the run.
    let folder = std::path::absolute(&plan.folder)?.join(plan.seed.to_string());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("removing an earlier run of this seed")?;
    }
    std::fs::create_dir_all(&folder)?;
    let timeline = Timeline::new(&folder, plan.aloud)?;
    #[allow(clippy::cast_precision_loss)] // It is some thousands.
    let seconds = plan.seconds as f64;
    let schedule = Schedule::new(plan.seed, plan.faults, seconds, &plan.only);
    std::fs::write(folder.join("schedule.txt"), schedule.text())?;
    timeline.note(&format!("{plan:?}"));
    if plan.aloud {
        print!("{}", schedule.text());
    }
    let cluster = Cluster::start(plan, &folder, &timeline).await?;
    tokio::select! {
        report = under_faults(plan, &cluster, &schedule, &folder) => report,
        ended = cluster.supervise() => {
            ended.context("a process could not be restarted")?;
            unreachable!("a supervisor does not end");
        }
    }
}

async fn under_faults(
    plan: &Plan,
    cluster: &Cluster,
    schedule: &Schedule,
    folder: &Path,
) -> anyhow::Result<Report> {
    let timeline = &cluster.timeline;
    let load = Arc::new(Load::new(cluster.roles.apis(), timeline)?);
    let ledger = Ledger::new(folder)?;
    let over = Duration::from_secs(plan.seconds);
    let begun = timeline.now();
    let callers = load.clone().run(plan.seed, plan.requests, over, &ledger);
    let faults = async {
        let inflicted = inflict_all(cluster, schedule, begun, over).await;
        timeline.until(begun + over).await;
        cluster.heal().await.context("healing")?;
        timeline.note("healed");
        let healed = timeline.now();
        let drained = drain(cluster, &load, plan.requests).await;
        load.end();
        timeline.note(&match drained {
            Some(took) => format!("drained {took:.1?} after healing"),
            None => format!("NOT DRAINED within {DRAIN:?} of healing"),
        });
        anyhow::Ok((inflicted, healed.saturating_sub(begun), drained))
    };
    let progress = async {
        loop {
            tokio::time::sleep(PROGRESS).await;
            let (begun, open) = load.progress();
            timeline.note(&format!("{begun} requests begun, {open} of them open"));
        }
    };
    let ((), outcome) = tokio::select! {
        both = async { tokio::join!(callers, faults) } => both,
        () = progress => unreachable!("it does not end"),
    };
    let (inflicted, lasted, drained) = outcome?;
    let records = ledger.into_records();
    timeline.note("checking");
    let mut checked = check::all(cluster, plan.shards, &records).await?;
    if drained.is_none() && !checked.findings.iter().any(|f| f.check == "drained") {
        let text = format!("not within {DRAIN:?} of healing, but later");
        checked.found("drained", "queues", text);
    }
    Report::new(
        plan, folder, &records, &inflicted, lasted, drained, &checked,
    )
}

/// Lets every fault come in its time.
async fn inflict_all(
    cluster: &Cluster,
    schedule: &Schedule,
    begun: Duration,
    over: Duration,
) -> Inflicted {
    let lanes = schedule.0.iter();
    let lanes = lanes.map(|lane| inflict_lane(cluster, lane, begun, over.mul_f64(LATEST)));
    let mut all = Inflicted::default();
    for lane in futures::future::join_all(lanes).await {
        all.left_out += lane.left_out;
        all.failed.extend(lane.failed);
        all.not_here.extend(lane.not_here);
        for (kind, count) in lane.by_kind {
            *all.by_kind.entry(kind).or_default() += count;
        }
    }
    all
}

async fn inflict_lane(
    cluster: &Cluster,
    lane: &[Planned],
    begun: Duration,
    latest: Duration,
) -> Inflicted {
    let timeline = &cluster.timeline;
    let mut inflicted = Inflicted::default();
    for planned in lane {
        let name = planned.kind.name;
        timeline.until(begun + planned.at).await;
        tokio::time::sleep(BETWEEN).await;
        if timeline.now() > begun + latest {
            inflicted.left_out += 1;
            continue;
        }
        timeline.note(&format!("{name} begins, for {:.1?}", planned.lasting));
        match faults::inflict(cluster, planned).await {
            Ok(()) => {
                timeline.note(&format!("{name} ends"));
                *inflicted.by_kind.entry(name).or_default() += 1;
            }
            Err(error) => {
                timeline.note(&format!("{name} did not go as planned: {error:#}"));
                if let Some(why) = error.downcast_ref::<NotHere>() {
                    inflicted.not_here.insert(name, why.to_string());
                } else {
                    *inflicted.by_kind.entry(name).or_default() += 1;
                    inflicted.failed.push(format!("{name}: {error:#}"));
                }
            }
        }
    }
    inflicted
}

/// Waits until all callers have their ends and nothing waits in the queues, at most for `DRAIN`.
async fn drain(cluster: &Cluster, load: &Load, requests: usize) -> Option<Duration> {
    let jetstream = cluster.jetstream();
    let healed = std::time::Instant::now();
    let drained = async {
        loop {
            let all_begun_and_done = load.progress() == (requests, 0);
            let waiting = check::waiting(&jetstream).await;
            if all_begun_and_done && waiting.is_ok_and(|waiting| waiting.is_empty()) {
                return healed.elapsed();
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(DRAIN, drained).await.ok()
}

impl Checked {
    fn of<'a>(&'a self, check: &'a str) -> impl Iterator<Item = &'a ledger::Finding> {
        self.findings.iter().filter(move |f| f.check == check)
    }
}
