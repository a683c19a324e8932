//! Runs the kinds of documents, one after the other.

use std::time::{Duration, Instant};

use hostile::{HREFS, Kind};
use tokio::time::sleep;

use crate::bounds::NEED;
use crate::http::{self, HOSTILE};
use crate::table::Row;
use crate::trial::{Trials, request_id};

/// How long to wait for the answer to a submission.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// How long a request may take before it is cancelled.
const ENDED_WITHIN: Duration = Duration::from_secs(6);

/// Sends one kind of document and follows its request to the end, or cancels it.
pub async fn run(trials: &mut Trials, kind: &Kind) -> anyhow::Result<Row> {
    let body = body(kind, &trials.program.hrefs());
    let need_mib = need_mib(kind, &body);
    let port = trials.program.port();
    let begun = trials.begin();
    let at = Instant::now();
    let request = http::post("/valuation", kind.headers, &body);
    let answer = http::send(port, HOSTILE, &request, ANSWERED_WITHIN).await;
    let answered = at.elapsed();
    let mut refused = false;
    let mut request = None;
    let (answer, end) = match answer {
        Ok(answer) if answer.status == 202 => match request_id(&answer.body) {
            Some(id) => {
                let (end, was_refused) = follow(port, &id, at).await;
                refused = was_refused;
                request = Some(id);
                ("202".to_owned(), end)
            }
            None => ("202 without an id".to_owned(), "–".into()),
        },
        Ok(answer) => {
            refused = (400..500).contains(&answer.status);
            let code = code(&answer.body).unwrap_or_default();
            (format!("{} {code}", answer.status), "–".into())
        }
        Err(error) => (error, "–".into()),
    };
    let answer = format!("{answer} in {:.2} s", answered.as_secs_f64());
    let time = at.elapsed();
    let tasks = match &request {
        Some(id) => Tasks::of(port, id).await,
        None => Tasks::default(),
    };
    let need_mib = need_mib + tasks.need_mib();
    let mut measured = trials.end(begun, refused, need_mib).await?;
    measured.tasks = tasks.ended;
    Ok(Row {
        name: kind.name.into(),
        bytes: body.len(),
        answer,
        end,
        time,
        broken: measured.broken(),
        measured,
    })
}

/// The body of a kind, with a location that the program may fetch from.
pub fn body(kind: &Kind, hrefs: &str) -> Vec<u8> {
    let body = (kind.body)();
    match std::str::from_utf8(&body) {
        Ok(text) if text.contains(HREFS) => text.replace(HREFS, hrefs).into_bytes(),
        _ => body,
    }
}

/// A document's own need of memory. The need of a compressed document is unknown, but no accepted
/// document is larger than the limit after decompression.
#[allow(clippy::cast_precision_loss)] // Sizes here are far below 2^52.
fn need_mib(kind: &Kind, body: &[u8]) -> f64 {
    const MIB: f64 = 1_048_576.0;
    let packed = kind
        .headers
        .iter()
        .any(|(name, _)| *name == "content-encoding");
    if packed {
        10.0 * NEED
    } else {
        body.len() as f64 * NEED / MIB
    }
}

/// The outcomes of a request's tasks.
#[derive(Default)]
struct Tasks {
    ended: u32,
    /// The approximate bytes of all results, extrapolated from the first page.
    result_bytes: u64,
}

impl Tasks {
    async fn of(port: u16, id: &str) -> Self {
        let get = async |path: String| -> serde_json::Value {
            let answer = http::get(port, HOSTILE, &path, ANSWERED_WITHIN).await;
            let body = answer.map_or_else(|_| Vec::new(), |answer| answer.body);
            serde_json::from_slice(&body).unwrap_or_default()
        };
        let each = |list: &serde_json::Value, name: &str| -> u64 {
            let numbers = list.as_array().into_iter().flatten();
            numbers.filter_map(|one| one.get(name)?.as_u64()).sum()
        };
        let status = get(format!("/valuation/{id}/status")).await;
        let ended = each(&status["groups"], "completed") + each(&status["groups"], "failed");
        let page = get(format!("/valuation/{id}/tasks?limit=1000")).await;
        let listed = page["tasks"].as_array().map_or(0, Vec::len) as u64;
        let bytes = each(&page["tasks"], "resultBytes");
        Self {
            ended: u32::try_from(ended).unwrap_or(u32::MAX),
            result_bytes: bytes * ended.max(listed) / listed.max(1),
        }
    }

    #[allow(clippy::cast_precision_loss)] // Sizes here are far below 2^52.
    fn need_mib(&self) -> f64 {
        self.result_bytes as f64 * NEED / 1_048_576.0
    }
}

/// Follows a request. Returns how it ended, and whether it was refused after all.
async fn follow(port: u16, id: &str, since: Instant) -> (String, bool) {
    let mut pause = Duration::from_millis(30);
    while since.elapsed() < ENDED_WITHIN {
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
        let path = format!("/valuation/{id}/status");
        let status = match http::get(port, HOSTILE, &path, ANSWERED_WITHIN).await {
            Ok(status) => status,
            Err(error) if error.contains("refused") => return (error, false),
            Err(_) => continue,
        };
        let Some(end) = ended(&status.body) else {
            continue;
        };
        let refused = ["hydration-", "document-"]
            .iter()
            .any(|of| end.contains(of));
        return (end, refused);
    }
    let why = br#"{"by":"hostile","reason":"it takes too long"}"#;
    let path = format!("/valuation/{id}/cancel");
    let request = http::post(&path, &[("content-type", "application/json")], why);
    let cancelled = http::send(port, HOSTILE, &request, ANSWERED_WITHIN).await;
    let cancelled = cancelled.map_or_else(|error| error, |answer| answer.status.to_string());
    (
        format!(
            "not ended in {} s; cancel: {cancelled}",
            ENDED_WITHIN.as_secs()
        ),
        false,
    )
}

/// How a request ended, with its code; `None` while it runs.
fn ended(status: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(status).ok()?;
    let word = body.get("status")?.as_str()?;
    if !["succeeded", "failed", "cancelled"].contains(&word) {
        return None;
    }
    let code = code(status).unwrap_or_default();
    Some(format!("{word} {code}").trim_end().to_owned())
}

/// The code of a problem, or of a failure in a status.
fn code(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let at = ["/code", "/failure/code", "/failure/failure/code"];
    let code = at.iter().find_map(|at| body.pointer(at)?.as_str());
    code.map(str::to_owned)
}
