//! Each request as one line: how far it is while it runs, where a terminal shows that, and how it
//! ended.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _, stdout};

use domain::request::{Event, RequestId};
use jiff::Timestamp;
use nats::{Commit, Connection, Follower};
use runtime::{Form, Shutdown, printable};

/// How many characters of a line say why a request failed.
const WHY_CHARS: usize = 120;

/// Prints the lines until the process is asked to end.
pub async fn print(connection: &Connection, shards: u8, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut follower = Follower::open(connection, shards).await?;
    let mut running = Running::default();
    let is_terminal = stdout().is_terminal();
    loop {
        let notice = tokio::select! {
            notice = follower.next() => notice?,
            () = shutdown.softly() => return Ok(()),
        };
        let Some(notice) = notice else {
            // Some commits were missed, an end perhaps. What runs is shown from its next commit on.
            running = Running::default();
            continue;
        };
        let Ok(commit) = notice.commit() else {
            continue;
        };
        let ended = running.take(&commit);
        let mut out = stdout().lock();
        let clear = if is_terminal { "\r\x1b[K" } else { "" };
        if let Some(line) = ended {
            let line = printable(&line, Form::Line { colours: false });
            writeln!(out, "{clear}{line}")?;
        }
        if is_terminal {
            write!(out, "{clear}{}", running.line())?;
            out.flush()?;
        }
    }
}

/// The requests that have not ended.
#[derive(Default)]
struct Running {
    requests: HashMap<RequestId, Progress>,
    last: Option<RequestId>,
}

/// How far a request is.
struct Progress {
    since: Timestamp,
    groups: usize,
    group: u32,
    tasks: u32,
    succeeded: u32,
    failed: u32,
}

impl Running {
    /// Takes in a commit. Returns the line of a request that ended with it.
    fn take(&mut self, commit: &Commit) -> Option<String> {
        let mut how = None;
        let progress = self.requests.entry(commit.request).or_insert(Progress {
            since: commit.at,
            groups: 0,
            group: 0,
            tasks: 0,
            succeeded: 0,
            failed: 0,
        });
        for event in &commit.events {
            match event {
                Event::Received(received) => progress.groups = received.groups.len(),
                Event::GroupStarted(started) => {
                    progress.group = started.group.get() + 1;
                    progress.tasks += started.tasks;
                }
                Event::TaskSucceeded(_) => progress.succeeded += 1,
                Event::TaskFailed(_) => progress.failed += 1,
                Event::Succeeded(_) => how = Some("succeeded".to_owned()),
                Event::Failed(failed) => {
                    let failure = &failed.failure;
                    let attempts = failure.tasks.iter().filter_map(|task| task.attempts.last());
                    let why = attempts.map(|attempt| &attempt.fault).next();
                    let (code, message) = match why {
                        Some(fault) => (&fault.code, &fault.message),
                        None => (&failure.code, &failure.message),
                    };
                    let why: String = message.chars().take(WHY_CHARS).collect();
                    how = Some(format!("failed: {code}: {why}"));
                }
                Event::Cancelled(_) => how = Some("cancelled".to_owned()),
                _ => {}
            }
        }
        let request = commit.request;
        let Some(how) = how else {
            self.last = Some(request);
            return None;
        };
        let progress = self.requests.remove(&request)?;
        let took = commit.at.duration_since(progress.since).as_millis();
        Some(format!(
            "{}  {request}  {} groups, {} tasks, {} failed attempts, {took} ms  {how}",
            commit.at.strftime("%H:%M:%S"),
            progress.groups,
            progress.succeeded,
            progress.failed,
        ))
    }

    /// The line about what runs.
    fn line(&self) -> String {
        let last = self
            .last
            .and_then(|last| Some((last, self.requests.get(&last)?)));
        match last {
            None => String::new(),
            Some((request, of)) => format!(
                "{} running; {request}: group {} of {}, {} of {} tasks, {} failed attempts",
                self.requests.len(),
                of.group,
                of.groups,
                of.succeeded,
                of.tasks,
                of.failed
            ),
        }
    }
}
