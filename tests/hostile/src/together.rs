//! 64 of the costliest accepted documents at once, and the end of the program while they are
//! processed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostile::{KINDS, Kind};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bounds::CALLERS_NEED_MIB;
use crate::documents::body;
use crate::http::{self, HOSTILE};
use crate::program::GRACE;
use crate::table::Row;
use crate::trial::{Trials, request_id};

const TOGETHER: usize = 64;
/// How many kinds are used, in rotation.
const COSTLIEST: usize = 8;
/// How long the ordinary caller is watched meanwhile.
const LENGTH: Duration = Duration::from_secs(10);
/// The wait for an answer ends with the watch.
const ANSWERED_WITHIN: Duration = LENGTH;
/// How long to wait for a quarter of the documents before the program is terminated.
const QUARTER_WITHIN: Duration = Duration::from_secs(5);
/// How much longer than its grace period the program may take to end.
const BEYOND_GRACE: Duration = Duration::from_secs(3);

struct Submission {
    kind: &'static Kind,
    body: Vec<u8>,
    /// The document's own need of memory, with the results of its tasks, in MiB.
    need_mib: f64,
}

/// The costliest kinds among those that were accepted and did not end the program.
fn costliest(rows: &[Row]) -> Vec<(&'static Kind, f64)> {
    let accepted = |row: &&Row| row.answer.starts_with("202") && row.measured.died.is_none();
    let mut rows: Vec<&Row> = rows.iter().filter(accepted).collect();
    rows.sort_by(|a, b| b.measured.processor.total_cmp(&a.measured.processor));
    let kind = |row: &&Row| {
        let kind = KINDS.iter().find(|kind| kind.name == row.name)?;
        Some((kind, row.measured.need_mib))
    };
    rows.iter().filter_map(kind).take(COSTLIEST).collect()
}

/// Runs both trials.
pub async fn run(trials: &mut Trials, rows: &[Row]) -> anyhow::Result<Vec<Row>> {
    let hrefs = trials.program.hrefs();
    let of = |(kind, need_mib): (&'static Kind, f64)| Submission {
        kind,
        body: body(kind, &hrefs),
        need_mib,
    };
    let submissions: Vec<_> = costliest(rows).into_iter().map(of).collect();
    if submissions.is_empty() {
        println!("No document was accepted: there are none to be sent together.");
        return Ok(Vec::new());
    }
    let submissions = Arc::new(submissions);
    let together = together(trials, &submissions).await?;
    let end = end(trials, &submissions).await?;
    Ok(vec![together, end])
}

async fn together(trials: &mut Trials, submissions: &Arc<Vec<Submission>>) -> anyhow::Result<Row> {
    let port = trials.program.port();
    let begun = trials.begin();
    let at = Instant::now();
    let mut sending = send(port, submissions);
    let mut answers = Vec::new();
    let mut ids = Vec::new();
    while let Some(answer) = sending.join_next().await {
        let (word, id) = answer?;
        answers.push(word);
        ids.extend(id);
    }
    let answered = at.elapsed();
    sleep(LENGTH.saturating_sub(answered)).await;
    let time = at.elapsed();
    cancel(port, ids).await;
    let need_mib = need_mib(submissions) + CALLERS_NEED_MIB;
    let mut measured = trials.end(begun, false, need_mib).await?;
    // The requests may end in their own time. No bound covers the cancellation of all at once.
    measured.busy = false;
    Ok(Row {
        name: format!("{TOGETHER} of the costliest at once"),
        bytes: bytes(submissions),
        answer: format!("{} in {:.1} s", counted(answers), answered.as_secs_f64()),
        end: names(submissions),
        time,
        broken: measured.broken_together(),
        measured,
    })
}

/// The bytes of all documents as sent, plus the largest need for each processor, because each may
/// process one.
#[allow(clippy::cast_precision_loss)] // Sizes and counts here are far below 2^52.
fn need_mib(submissions: &[Submission]) -> f64 {
    const MIB: f64 = 1_048_576.0;
    let most = submissions.iter().map(|of| of.need_mib);
    let most = most.fold(0.0, f64::max);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    bytes(submissions) as f64 / MIB + most * processors as f64
}

/// Sends SIGTERM while the documents are processed.
async fn end(trials: &mut Trials, submissions: &Arc<Vec<Submission>>) -> anyhow::Result<Row> {
    trials.anew().await?;
    let mut sending = send(trials.program.port(), submissions);
    // Once a quarter of them is accepted, or no further answer can come.
    let mut answers = Vec::new();
    let quarter = async {
        while answers.len() < TOGETHER / 4 {
            let Some(answer) = sending.join_next().await else {
                return;
            };
            answers.extend(answer.map(|(word, _)| word));
        }
    };
    let _ = tokio::time::timeout(QUARTER_WITHIN, quarter).await;
    trials.ordinary.pause(true);
    let within = GRACE + BEYOND_GRACE;
    let died = trials.program.ended();
    let ended = trials.program.terminate(within).await;
    let (time, word, broken) = match ended {
        _ if died.is_some() => (
            Duration::ZERO,
            died.unwrap_or_default(),
            vec!["it ended before".into()],
        ),
        Ok((time, how)) if how == "exit code 0" => (time, how, Vec::new()),
        Ok((time, how)) => {
            let broken = vec![format!("it ended with {how}")];
            (time, how, broken)
        }
        Err(time) => {
            let broken = vec![format!("it has not ended after {} s", within.as_secs())];
            (time, "runs on".into(), broken)
        }
    };
    sending.shutdown().await;
    Ok(Row {
        name: format!("SIGTERM beside {TOGETHER} of them"),
        bytes: bytes(submissions),
        answer: counted(answers),
        end: word,
        time,
        measured: crate::bounds::Measured::default(),
        broken,
    })
}

/// Sends all of them at once. Each gives its answer and the id of its request.
fn send(port: u16, submissions: &Arc<Vec<Submission>>) -> JoinSet<(String, Option<String>)> {
    let mut sending = JoinSet::new();
    for number in 0..TOGETHER {
        let submissions = submissions.clone();
        sending.spawn(async move {
            let Submission { kind, body, .. } = &submissions[number % submissions.len()];
            let request = http::post("/valuation", kind.headers, body);
            match http::send(port, HOSTILE, &request, ANSWERED_WITHIN).await {
                Ok(answer) => (answer.status.to_string(), request_id(&answer.body)),
                Err(error) => (error, None),
            }
        });
    }
    sending
}

async fn cancel(port: u16, ids: Vec<String>) {
    let why = br#"{"by":"hostile","reason":"it was enough"}"#;
    let mut cancelling = JoinSet::new();
    for id in ids {
        cancelling.spawn(async move {
            let headers = [("content-type", "application/json")];
            let request = http::post(&format!("/valuation/{id}/cancel"), &headers, why);
            http::send(port, HOSTILE, &request, Duration::from_secs(5)).await
        });
    }
    cancelling.join_all().await;
}

/// The number of each answer.
fn counted(answers: Vec<String>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for answer in answers {
        *counts.entry(answer).or_insert(0) += 1;
    }
    let words: Vec<_> = counts
        .iter()
        .map(|(word, count)| format!("{count} × {word}"))
        .collect();
    words.join(", ")
}

fn names(submissions: &[Submission]) -> String {
    let names: Vec<&str> = submissions.iter().map(|of| of.kind.name).collect();
    names.join(", ")
}

fn bytes(submissions: &[Submission]) -> usize {
    let each = |number: usize| submissions[number % submissions.len()].body.len();
    (0..TOGETHER).map(each).sum()
}
