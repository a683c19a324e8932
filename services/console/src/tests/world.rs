//! A console of a bundle that tests make up.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use domain::access::{Grant, Principal, Role, Subject, Tenant};
use domain::request::{
    Attempt, AttemptNumber, Event, FailedTask, Failure, Fault, Given, GroupIndex, GroupOutline,
    GroupStarted, Next, Payload, Received, Sequence, TaskFailed, TaskNumber, TaskSucceeded,
};
use history::bundle::{Bundle, Header, Line, Rules, StoredCommit, pack};
use jiff::Timestamp;
use runtime::Shutdown;
use tower::ServiceExt as _;

use crate::{Console, Origin, Questions, Route, routes};

/// A request of two tasks: one succeeded, and one was given up.
pub const FAILED: &str = "0199e0a1-2b3c-7d4e-8f50-617283940516";
/// A request that runs.
pub const RUNS: &str = "0199e0a1-2b3c-7d4e-8f50-617283940517";

/// The texts of strangers in a request.
pub struct Texts<'a> {
    pub group: &'a str,
    pub label: &'a str,
    pub message: &'a str,
    pub cause: &'a str,
    pub worker: &'a str,
    pub document: &'a str,
    pub submitter: &'a str,
    pub tenant: &'a str,
}

pub const PLAIN: Texts<'static> = Texts {
    group: "prices",
    label: "rates",
    message: "the program ended with exit code 75",
    cause: "pricer-b7:7001 timed out after 2000 ms",
    worker: "worker-b7",
    document: DOCUMENT,
    submitter: "mira",
    tenant: "default",
};

/// A document of one group with two valuations.
pub const DOCUMENT: &str = "<vnml>\n<project>\n<group name=\"prices\">\n<valuation name=\"one\"/>\n<valuation name=\"two\"/>\n</group>\n</project>\n</vnml>";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_795_000_000_000 + millis).unwrap()
}

fn fault(texts: &Texts) -> Fault {
    Fault {
        code: "exit-75".into(),
        message: texts.message.into(),
        causes: vec![texts.cause.into()],
    }
}

fn given() -> Given {
    Given {
        task_type: "bond".into(),
        sha256: None,
    }
}

fn attempt(texts: &Texts) -> Attempt {
    Attempt {
        attempt: AttemptNumber::new(1),
        worker: texts.worker.into(),
        started_at: at(20),
        duration_ms: 130,
        fault: fault(texts),
    }
}

fn begun(texts: &Texts) -> Vec<Event> {
    let group = Some(texts.group.to_owned());
    let labels = [
        ("x-desk", texts.label),
        ("x-callback", "https://hooks/?key=canary"),
    ];
    let metadata = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    vec![
        Event::Received(Box::new(Received {
            document: Payload::from(texts.document),
            fingerprint: "f".into(),
            groups: vec![GroupOutline {
                name: group.clone(),
                valuations: 2,
            }],
            metadata: BTreeMap::from(metadata),
            traceparent: None,
            submitter: texts.submitter.into(),
            tenant: texts.tenant.parse().unwrap(),
            idempotency_key: None,
        })),
        Event::GroupStarted(GroupStarted {
            group: GroupIndex::FIRST,
            name: group,
            tasks: 2,
            deadline: at(900_000),
        }),
    ]
}

fn succeeded(texts: &Texts) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::FIRST,
        task: TaskNumber::new(1),
        attempt: AttemptNumber::new(1),
        worker: texts.worker.into(),
        started_at: at(20),
        duration_ms: 40,
        given: Some(given()),
        result: Payload::from(texts.document),
    })
}

fn given_up(texts: &Texts) -> Vec<Event> {
    let failure = Failure {
        code: "tasks-failed".into(),
        message: "1 task of group 0 failed".into(),
        group: Some(GroupIndex::FIRST),
        tasks: vec![FailedTask {
            task: TaskNumber::new(2),
            attempts: vec![attempt(texts)],
            dead_letter: Some("letter".into()),
        }],
        redrive_may_help: true,
        ..Failure::default()
    };
    vec![
        Event::TaskFailed(TaskFailed {
            group: GroupIndex::FIRST,
            task: TaskNumber::new(2),
            attempt: attempt(texts),
            given: Some(given()),
            next: Next::DeadLetter("letter".into()),
        }),
        Event::Failed(domain::request::Failed { failure }),
    ]
}

fn commits(id: &str, texts: &Texts, ends: bool) -> Vec<StoredCommit> {
    let mut all = vec![(0, begun(texts)), (80, vec![succeeded(texts)])];
    if ends {
        all.push((200, given_up(texts)));
    }
    let mut previous = Sequence::NONE;
    let of = |(number, (millis, events)): (u64, (i64, Vec<Event>))| {
        let sequence = Sequence::new(number);
        let commit = StoredCommit {
            request: id.parse().unwrap(),
            sequence,
            previous,
            at: at(millis),
            tenant: texts.tenant.parse().unwrap(),
            traceparent: None,
            events,
        };
        previous = sequence;
        commit
    };
    (1..).zip(all).map(of).collect()
}

/// A console of a request that failed and one that runs.
pub fn console(texts: &Texts) -> Arc<Console> {
    console_of(texts, texts)
}

/// A console of a request that failed and one that runs, each with texts of its own.
pub fn console_of(of_failed: &Texts, of_runs: &Texts) -> Arc<Console> {
    let mut lines = vec![Line::Bundle(Header::new(false, Rules { fail_fast: false }))];
    let failed = commits(FAILED, of_failed, true);
    let runs = commits(RUNS, of_runs, false);
    lines.extend(failed.into_iter().chain(runs).map(Line::Commit));
    of_lines(&lines)
}

/// A console of a bundle without requests.
pub fn empty() -> Arc<Console> {
    of_lines(&[Line::Bundle(Header::new(false, Rules { fail_fast: false }))])
}

fn of_lines(lines: &[Line]) -> Arc<Console> {
    let bundle = Bundle::parse(&pack(lines, false).unwrap()).unwrap();
    let origin = Origin::Bundle {
        file: "incident.fanfold".into(),
        redacted: false,
        damage: None,
    };
    let console = Console::new(Questions::bundle(bundle), origin, Shutdown::new());
    Arc::new(console.unwrap())
}

/// The answer to a call.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// Somebody with this role.
pub fn with_role(name: &str, role: Role) -> Principal {
    let tenant = Some(Tenant::default());
    Principal::new(name.parse().unwrap(), [Grant { tenant, role }])
}

/// Somebody with these roles, each as `tenant:role`.
pub fn with_grants(name: &str, grants: &[&str]) -> Principal {
    let grants = grants.iter().map(|grant| grant.parse().unwrap());
    Principal::new(name.parse().unwrap(), grants)
}

/// Calls a page as the operator of the machine.
pub async fn get(console: &Arc<Console>, path: &str) -> Answer {
    get_as(console, Principal::admin(Subject::anonymous()), path).await
}

/// Calls a page as somebody.
pub async fn get_as(console: &Arc<Console>, who: Principal, path: &str) -> Answer {
    let call = Request::get(path).extension(Arc::new(who));
    send(console, call.body(Body::empty()).unwrap()).await
}

/// Sends a call without the gates, which the program puts in front of the routes.
pub async fn send(console: &Arc<Console>, call: Request<Body>) -> Answer {
    let all = routes(console).into_iter();
    let router = all.fold(Router::new(), |router, Route { path, route, .. }| {
        router.route(path, route)
    });
    let response = router.oneshot(call).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer {
        status,
        headers,
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}
