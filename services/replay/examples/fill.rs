//! Fills a log with valid commits, for measurements: `fill NATS_URL REQUESTS [TASKS]`.
//!
//! Each request has two groups of TASKS tasks (22 by default: 50 events in 6 commits). One in fifty
//! fails, with its dead letter. Nothing consumes the written messages, so use a server that serves
//! nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::document::{CapturedResources, Document, Effort, Limits};
use domain::request::{
    Attempt, AttemptNumber, Event, Failed, FailedTask, Failure, Fault, Given, GroupIndex,
    GroupOutline, GroupStarted, Next, Payload, Received, RequestId, Run, Sequence, Succeeded,
    TaskFailed, TaskId, TaskNumber, TaskSucceeded,
};
use jiff::{SignedDuration, Timestamp};
use nats::{Connection, DeadLetter, DeadLetters, Log, Options, Topology};
use tokio::task::JoinSet;
use uuid::Uuid;

/// How many requests are written at once.
const AT_ONCE: usize = 400;
/// One of this many requests fails.
const FAILS: u32 = 50;

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Form {
    document: String,
    fingerprint: String,
    response: String,
    tasks: u32,
    /// The hash of each task document, by group.
    hashes: [Vec<String>; 2],
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("say where NATS is")?;
    let requests: u32 = args.next().ok_or("say how many requests")?.parse()?;
    let tasks: u32 = args.next().map_or(Ok(22), |text| text.parse())?;
    let options = Options {
        request_timeout: Duration::from_mins(1),
        ..Options::new(url, "fill")
    };
    let connection = Connection::open(&options).await?;
    Topology::default().declare(&connection).await?;
    let log = Log::new(connection.clone(), 1);
    let form = Arc::new(form(tasks)?);
    let begun = Instant::now();
    let mut writing = JoinSet::new();
    let mut events = 0;
    for number in 0..requests {
        if writing.len() >= AT_ONCE {
            events += writing.join_next().await.ok_or("nothing is written")???;
        }
        let (log, letters, form) = (
            log.clone(),
            DeadLetters::new(connection.clone()),
            form.clone(),
        );
        writing.spawn(async move { request(&log, &letters, &form, number).await });
    }
    while let Some(written) = writing.join_next().await {
        events += written??;
    }
    println!(
        "{events} events of {requests} requests in {:?}",
        begun.elapsed()
    );
    Ok(())
}

fn form(tasks: u32) -> Result<Form, Error> {
    let valuation = "<valuation name=\"v\"><a/></valuation>";
    let group = |name: &str| {
        format!(
            "<group name=\"{name}\">{}</group>",
            valuation.repeat(tasks as usize)
        )
    };
    let document = format!(
        "<vnml><project>{}{}</project></vnml>",
        group("a"),
        group("b")
    );
    let parsed = Document::accept(document.as_bytes(), &Limits::default())?;
    Ok(Form {
        fingerprint: format!("{:x}", parsed.canonical().len()),
        response: document.clone(),
        hashes: [hashes(&parsed, 0, tasks)?, hashes(&parsed, 1, tasks)?],
        document,
        tasks,
    })
}

fn hashes(document: &Document, group: usize, tasks: u32) -> Result<Vec<String>, Error> {
    let nothing = CapturedResources::default();
    let made = document.tasks(
        &nothing,
        group,
        TaskNumber::up_to(tasks),
        usize::MAX,
        Effort::Whole,
    )?;
    Ok(made.iter().map(|task| nats::sha256(&task.xml)).collect())
}

/// Writes one request, commit by commit, and returns the number of its events.
async fn request(
    log: &Log,
    letters: &DeadLetters,
    form: &Form,
    number: u32,
) -> Result<usize, Error> {
    let id = RequestId::new(Uuid::now_v7());
    let mut last = Sequence::NONE;
    let mut written = 0;
    for events in commits(form, number, id) {
        for event in &events {
            if let Event::TaskFailed(failed) = event {
                letters.keep(letter(id, failed)).await?;
            }
        }
        last = log.append(id, last, &events).await?;
        written += events.len();
    }
    Ok(written)
}

fn commits(form: &Form, number: u32, id: RequestId) -> Vec<Vec<Event>> {
    let half = form.tasks / 2;
    let fails = number.is_multiple_of(FAILS);
    let last_of_a = form.tasks - u32::from(fails);
    let mut commits = vec![vec![received(form)], vec![started(0, form.tasks)]];
    commits.push((1..=half).map(|task| succeeded(form, 0, task)).collect());
    let mut second: Vec<Event> = (half + 1..=last_of_a)
        .map(|task| succeeded(form, 0, task))
        .collect();
    if fails {
        second.extend(failed(form, id, form.tasks));
        commits.push(second);
        return commits;
    }
    second.push(Event::GroupCompleted {
        group: GroupIndex::FIRST,
    });
    second.push(started(1, form.tasks));
    commits.push(second);
    commits.push((1..=half).map(|task| succeeded(form, 1, task)).collect());
    let mut third: Vec<Event> = (half + 1..=form.tasks)
        .map(|task| succeeded(form, 1, task))
        .collect();
    third.push(Event::GroupCompleted {
        group: GroupIndex::new(1),
    });
    let response = Payload::from(form.response.as_str());
    third.push(Event::Succeeded(Succeeded { response }));
    commits.push(third);
    commits
}

fn received(form: &Form) -> Event {
    let outline = |name: &str| GroupOutline {
        name: Some(name.to_owned()),
        valuations: form.tasks,
    };
    Event::Received(Box::new(Received {
        document: Payload::from(form.document.as_str()),
        fingerprint: form.fingerprint.clone(),
        groups: vec![outline("a"), outline("b")],
        metadata: [("x-desk".to_owned(), "rates".to_owned())].into(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "fill".into(),
        idempotency_key: None,
    }))
}

fn started(group: u32, tasks: u32) -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::new(group),
        name: Some(["a", "b"][group as usize].to_owned()),
        tasks,
        deadline: Timestamp::now() + SignedDuration::from_mins(15),
    })
}

fn given(form: &Form, group: u32, task: u32) -> Given {
    Given {
        task_type: "default".into(),
        sha256: Some(form.hashes[group as usize][task as usize - 1].clone()),
    }
}

fn succeeded(form: &Form, group: u32, task: u32) -> Event {
    let result =
        "<vnml><project><group><valuation name=\"v\"><a>1</a></valuation></group></project></vnml>";
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: AttemptNumber::FIRST,
        worker: "worker-1".into(),
        started_at: Timestamp::now(),
        duration_ms: u64::from(task) * 3,
        given: Some(given(form, group, task)),
        result: Payload::from(result),
    })
}

fn failed(form: &Form, id: RequestId, task: u32) -> [Event; 2] {
    let attempt = Attempt {
        attempt: AttemptNumber::FIRST,
        worker: "worker-1".into(),
        started_at: Timestamp::now(),
        duration_ms: 5,
        fault: Fault {
            code: "exit-65".into(),
            message: "the program refused the task".into(),
            causes: Vec::new(),
        },
    };
    let letter = format!("{id}.0.{task}.0");
    let failure = Failure {
        code: "tasks-failed".into(),
        message: "1 task of group 0 failed".into(),
        group: Some(GroupIndex::FIRST),
        tasks: vec![FailedTask {
            task: TaskNumber::new(task),
            attempts: vec![attempt.clone()],
            dead_letter: Some(letter.clone()),
        }],
        redrive_may_help: true,
        ..Failure::default()
    };
    [
        Event::TaskFailed(TaskFailed {
            group: GroupIndex::FIRST,
            task: TaskNumber::new(task),
            attempt,
            given: Some(given(form, 0, task)),
            next: Next::DeadLetter(letter),
        }),
        Event::Failed(Failed { failure }),
    ]
}

fn letter(request: RequestId, failed: &TaskFailed) -> DeadLetter {
    DeadLetter {
        task: TaskId {
            request,
            group: failed.group,
            task: failed.task,
        },
        run: Run::FIRST,
        task_type: "default".into(),
        tenant: domain::access::Tenant::default(),
        document: Payload::from("<vnml/>"),
        attempts: vec![failed.attempt.clone()],
        sequence: None,
        truncated: false,
        exhausted: false,
    }
}
