//! Costly callers: connections that are slow, silent or many, or that request much.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bounds::CALLERS_NEED_MIB;
use crate::http::{self, HOSTILE, ORDINARY, connect, head, post};
use crate::table::Row;
use crate::trial::{Trials, request_id};

/// How long the callers hold their connections.
const LENGTH: Duration = Duration::from_secs(4);
const DRIPS_EVERY: Duration = Duration::from_millis(200);
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A kind of caller.
pub struct Callers {
    pub name: &'static str,
    pub about: &'static str,
    count: usize,
    /// The number of their addresses.
    addresses: usize,
    /// The request that each sends at once.
    request: fn(&There) -> Vec<u8>,
    /// Whether each then sends a byte now and then.
    drips: bool,
    /// Whether each reads its answer.
    reads: bool,
}

/// The requests that the callers ask about.
pub struct There {
    /// A request that runs for long.
    slow: String,
    /// A request that has ended, with a response of 5 MB.
    large: String,
}

const DEFAULT: Callers = Callers {
    name: "",
    about: "",
    count: 200,
    addresses: 1,
    request: |_| Vec::new(),
    drips: false,
    reads: true,
};

pub const ALL: &[Callers] = &[
    Callers {
        name: "slow heads",
        about: "200 connections, each with a byte of its head now and then.",
        request: |_| b"POST /valuation HTTP/1.1\r\nhost: a\r\nx-a: ".to_vec(),
        drips: true,
        ..DEFAULT
    },
    Callers {
        name: "slow bodies",
        about: "200 submissions, each with a byte of its body now and then.",
        request: |_| head("POST", "/valuation", &[], Some(100_000)),
        drips: true,
        ..DEFAULT
    },
    Callers {
        name: "slow bodies elsewhere",
        about: "200 calls of an operator's route, each with a byte of its body now and then.",
        request: |_| head("POST", "/dead-letters/discard", JSON, Some(100_000)),
        drips: true,
        ..DEFAULT
    },
    Callers {
        name: "large bodies not ended",
        about: "200 submissions of 10 MB, each of which stops before its end.",
        request: |_| {
            let mut request = head("POST", "/valuation", &[], Some(10_000_000));
            request.extend(std::iter::repeat_n(b' ', 9_000_000));
            request
        },
        ..DEFAULT
    },
    Callers {
        name: "zstd windows",
        about: "200 submissions of 1 KB, each with a window of 128 MiB, and none ended (V13).",
        request: |_| {
            let kind = hostile::KINDS
                .iter()
                .find(|kind| kind.name == "zstd-window");
            let packed = kind.map_or_else(Vec::new, |kind| (kind.body)());
            let zstd = [("content-encoding", "zstd")];
            let mut request = head("POST", "/valuation", &zstd, Some(packed.len()));
            request.extend_from_slice(&packed[..packed.len().saturating_sub(4)]);
            request
        },
        ..DEFAULT
    },
    Callers {
        name: "silent connections",
        about: "1,100 connections that say nothing (V14).",
        count: 1_100,
        ..DEFAULT
    },
    Callers {
        name: "silent connections from many addresses",
        about: "1,100 connections that say nothing, from 100 addresses.",
        count: 1_100,
        addresses: 100,
        ..DEFAULT
    },
    Callers {
        name: "event streams",
        about: "500 event streams of one request (V15).",
        count: 500,
        request: |there| {
            let stream = [("accept", "text/event-stream")];
            head(
                "GET",
                &format!("/valuation/{}/events", there.slow),
                &stream,
                None,
            )
        },
        ..DEFAULT
    },
    Callers {
        name: "waiters",
        about: "500 calls that wait for a request which is under way.",
        count: 500,
        request: |there| {
            let wait = [("prefer", "wait=60")];
            head(
                "GET",
                &format!("/valuation/{}/results", there.slow),
                &wait,
                None,
            )
        },
        ..DEFAULT
    },
    Callers {
        name: "answers not read",
        about: "200 calls for a response of 5 MB, none of which reads it.",
        request: |there| {
            head(
                "GET",
                &format!("/valuation/{}/results", there.large),
                &[],
                None,
            )
        },
        reads: false,
        ..DEFAULT
    },
    Callers {
        name: "task documents",
        about: "200 calls at once for a task document of 5 MB and its result.",
        request: |there| {
            head(
                "GET",
                &format!("/valuation/{}/tasks/0/1", there.large),
                &[],
                None,
            )
        },
        ..DEFAULT
    },
    Callers {
        name: "dry runs",
        about: "64 dry runs at once of what costs much (V5).",
        count: 64,
        request: |_| {
            let kind = hostile::KINDS
                .iter()
                .find(|kind| kind.name == "use-of-visits");
            post(
                "/valuation/check",
                &[],
                &kind.map_or_else(Vec::new, |kind| (kind.body)()),
            )
        },
        ..DEFAULT
    },
    Callers {
        name: "dry runs of many nodes",
        about: "64 dry runs at once of 1.9 million nodes each (V13).",
        count: 64,
        request: |_| {
            let kind = hostile::KINDS
                .iter()
                .find(|kind| kind.name == "gzip-of-nodes");
            let gzip = [("content-encoding", "gzip")];
            post(
                "/valuation/check",
                &gzip,
                &kind.map_or_else(Vec::new, |kind| (kind.body)()),
            )
        },
        ..DEFAULT
    },
    Callers {
        name: "pages",
        about: "200 calls at once for the longest page of requests.",
        request: |_| head("GET", "/valuations?limit=500&label=x-none:q", &[], None),
        ..DEFAULT
    },
    Callers {
        name: "dead letters",
        about: "200 calls at once for dead letters of which there are none (V23).",
        request: |_| head("GET", "/dead-letters?code=nothing", &[], None),
        ..DEFAULT
    },
    Callers {
        name: "large heads",
        about: "200 calls at once, each with a head of 60 KB of media types.",
        request: |there| {
            let accept = "a/b;q=0.1,".repeat(6_000);
            head(
                "GET",
                &format!("/valuation/{}/status", there.large),
                &[("accept", &accept)],
                None,
            )
        },
        ..DEFAULT
    },
];

/// Runs one kind of caller after the other, each against a program that has both requests.
pub async fn run(trials: &mut Trials, callers: &Callers) -> anyhow::Result<Row> {
    let port = trials.program.port();
    let there = if let Ok(there) = there(port).await {
        there
    } else {
        trials.anew().await?;
        there(port).await?
    };
    let request = Arc::new((callers.request)(&there));
    let begun = trials.begin();
    let at = Instant::now();
    let mut connections = JoinSet::new();
    for number in 0..callers.count {
        let (request, drips, reads) = (request.clone(), callers.drips, callers.reads);
        let from = address(number % callers.addresses);
        connections
            .spawn(async move { hold(port, from, &request, drips, reads, at + LENGTH).await });
    }
    let mut counts = BTreeMap::new();
    while let Some(met) = connections.join_next().await {
        *counts.entry(met?).or_insert(0) += 1;
    }
    let words: Vec<_> = counts
        .iter()
        .map(|(met, count)| format!("{count} × {met}"))
        .collect();
    let time = at.elapsed();
    let measured = trials.end(begun, false, CALLERS_NEED_MIB).await?;
    for id in [&there.slow, &there.large] {
        let why = br#"{"by":"hostile","reason":"it was enough"}"#;
        let request = post(&format!("/valuation/{id}/cancel"), JSON, why);
        // The large request has ended, and the program may have ended as well.
        let _ = http::send(port, ORDINARY, &request, LENGTH).await;
    }
    Ok(Row {
        name: callers.name.into(),
        bytes: request.len() * callers.count,
        answer: words.join(", "),
        end: "–".into(),
        time,
        broken: measured.broken(),
        measured,
    })
}

/// The address of a hostile caller, by its number.
fn address(number: usize) -> Ipv4Addr {
    let [_, b, c, d] = HOSTILE.octets();
    Ipv4Addr::new(
        127,
        b,
        c,
        d.saturating_add(u8::try_from(number).unwrap_or(0)),
    )
}

/// Opens one connection and holds it. Returns the outcome.
async fn hold(
    port: u16,
    from: Ipv4Addr,
    request: &[u8],
    drips: bool,
    reads: bool,
    until: Instant,
) -> String {
    let left = || until.saturating_duration_since(Instant::now());
    let mut stream = match timeout(left(), connect(port, from)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return format!("not connected: {}", error.kind()),
        Err(_) => return "not connected in time".into(),
    };
    let (mut reading, mut writing) = stream.split();
    let read = async {
        let mut start = Vec::new();
        let mut piece = vec![0; 64 * 1_024];
        if !reads {
            return std::future::pending().await;
        }
        loop {
            match reading.read(&mut piece).await {
                Ok(0) | Err(_) => return status(&start).unwrap_or_else(|| "closed".into()),
                Ok(count) if start.len() < 16 => start.extend_from_slice(&piece[..count.min(16)]),
                Ok(_) => {}
            }
        }
    };
    let write = async {
        // The server may refuse the rest of the request. Reading the answer shows the refusal.
        let _ = writing.write_all(request).await;
        while drips && writing.write_all(b"a").await.is_ok() {
            sleep(DRIPS_EVERY).await;
        }
        std::future::pending::<String>().await
    };
    let met = async {
        tokio::select! { met = read => met, met = write => met }
    };
    timeout(left(), met).await.unwrap_or_else(|_| "held".into())
}

fn status(start: &[u8]) -> Option<String> {
    std::str::from_utf8(start)
        .ok()?
        .get(9..12)
        .map(str::to_owned)
}

async fn there(port: u16) -> anyhow::Result<There> {
    let slow = "<vnml><project><group><valuation name='slow'/></group></project></vnml>";
    let text = "t".repeat(5_000_000);
    let large = format!(
        "<vnml><project><group><valuation name='echo'><t>{text}</t></valuation></group></project></vnml>"
    );
    Ok(There {
        slow: submitted(port, "/valuation", slow).await?,
        large: submitted(port, "/valuation", &large).await?,
    })
}

async fn submitted(port: u16, path: &str, document: &str) -> anyhow::Result<String> {
    let request = post(path, &[], document.as_bytes());
    let answer = http::send(port, ORDINARY, &request, LENGTH).await;
    let answer = answer.map_err(anyhow::Error::msg)?;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    request_id(&answer.body).ok_or_else(|| anyhow::anyhow!("{}: {said}", answer.status))
}
