//! Tests that the messages of the largest accepted requests fit and are read back: commits, events
//! of the feed and dead letters, whatever texts are in them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::access::Tenant;
use domain::feed::CloudEvent;
use domain::request::{
    Advance, Attempt, AttemptNumber, CAUSES_MAX, CODE_MAX_BYTES, Command, Decision, Event,
    FAILED_TASKS_MAX, Fault, Given, GroupIndex, GroupOutline, NAME_MAX_BYTES, Next, Outcome,
    Payload, Received, Report, RequestId, Resource, ResourcesCaptured, Rules, Run, Sequence, State,
    Steps, TEXT_MAX_BYTES, TaskId, TaskNumber, Then, Verdict, decide, evolve, json_bytes,
};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::size::{BODY_MAX_BYTES, of_headers};
use crate::{DeadLetter, INLINE_MAX_BYTES, commit, feed, reports, subject};

/// The groups of the largest document, and the bytes of all their names.
const GROUPS: usize = 10_000;
const NAMES_BYTES: usize = 256 * 1024;
/// The tasks of the largest group.
const TASKS: u32 = 1_000_000;
/// The most bytes of a submission's metadata.
const METADATA_BYTES: usize = 64 * 1024;
/// The orchestrator's limits on a round: the bytes that it captures inline, and the bytes and the
/// number of the reports that it takes at once.
const ROUND_INLINE_BYTES: usize = 256 * 1024;
const REPORTS_BYTES: usize = 512 * 1024;
const REPORTS: usize = 500;

/// Makes texts of one kind, each different from the last. Some compress badly, and some must be
/// escaped.
#[derive(Clone, Debug)]
struct Texts {
    alphabet: Vec<char>,
    last: u64,
}

fn texts() -> impl Strategy<Value = Texts> {
    let alphabets = prop_oneof![
        Just((' '..='~').collect::<Vec<char>>()),
        Just(vec!['"', '\\', 'a']),
        Just(('\u{1}'..='\u{1f}').collect()),
        Just(('\u{80}'..='\u{7ff}').collect()),
        Just(('\u{10000}'..='\u{1ffff}').collect()),
        Just((' '..='\u{2fff}').collect()),
    ];
    (alphabets, any::<u64>()).prop_map(|(alphabet, last)| Texts { alphabet, last })
}

impl Texts {
    fn next(&mut self) -> usize {
        self.last = self
            .last
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.last >> 33).unwrap()
    }

    /// Makes a text of at most this many bytes.
    fn of(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes);
        loop {
            let index = self.next() % self.alphabet.len();
            let char = self.alphabet[index];
            if text.len() + char.len_utf8() > bytes {
                return text;
            }
            text.push(char);
        }
    }

    fn fault(&mut self, causes: usize) -> Fault {
        Fault {
            code: self.of(CODE_MAX_BYTES),
            message: self.of(TEXT_MAX_BYTES),
            causes: (0..causes).map(|_| self.of(TEXT_MAX_BYTES)).collect(),
        }
    }

    fn attempt(&mut self, attempt: u32) -> Attempt {
        Attempt {
            attempt: AttemptNumber::new(attempt),
            worker: self.of(NAME_MAX_BYTES),
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: u64::MAX,
            fault: self.fault(CAUSES_MAX),
        }
    }

    fn outcome(&mut self, task: u32, verdict: Verdict) -> Report {
        Report::Outcome(Outcome {
            group: GroupIndex::FIRST,
            task: TaskNumber::new(task),
            run: Some(Run::FIRST),
            attempt: AttemptNumber::FIRST,
            worker: self.of(NAME_MAX_BYTES),
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: u64::MAX,
            given: Some(Given {
                task_type: self.of(NAME_MAX_BYTES),
                sha256: Some("0".repeat(64)),
            }),
            checked: true,
            exhausted: false,
            verdict,
        })
    }

    /// Makes as many reports as one round takes, of tasks that were given up.
    fn given_up(&mut self) -> Vec<Report> {
        self.taken_in(|texts| Verdict::Failed {
            fault: texts.fault(CAUSES_MAX),
            next: Next::DeadLetter(texts.of(NAME_MAX_BYTES)),
        })
    }

    /// Makes as many reports as one round takes, of tasks that succeeded.
    fn succeeded(&mut self) -> Vec<Report> {
        self.taken_in(|texts| Verdict::Succeeded(texts.inline()))
    }

    fn taken_in(&mut self, mut verdict: impl FnMut(&mut Self) -> Verdict) -> Vec<Report> {
        let mut all = Vec::new();
        let mut bytes = 0;
        for task in 1.. {
            let verdict = verdict(self);
            let report = self.outcome(task, verdict);
            bytes += reports::encode(&report).unwrap().len() + 64;
            if bytes > REPORTS_BYTES || all.len() == REPORTS {
                break;
            }
            all.push(report);
        }
        all
    }

    fn inline(&mut self) -> Payload {
        Payload::from(self.of(INLINE_MAX_BYTES).as_str())
    }

    fn received(&mut self) -> Received {
        let name = NAMES_BYTES / GROUPS;
        let mut metadata = BTreeMap::new();
        let mut bytes = 0;
        while bytes < METADATA_BYTES - 1_024 {
            let (name, value) = (self.of(64), self.of(900));
            bytes += name.len() + value.len();
            metadata.insert(name, value);
        }
        Received {
            document: self.inline(),
            fingerprint: "0".repeat(64),
            groups: (0..GROUPS)
                .map(|_| GroupOutline {
                    name: Some(self.of(name)),
                    valuations: u32::MAX,
                })
                .collect(),
            metadata,
            tenant: longest_tenant(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
                .parse()
                .ok(),
            tracestate: format!("a={}", "x".repeat(510)).parse().ok(),
            submitter: self.of(TEXT_MAX_BYTES),
            idempotency_key: Some(self.of(NAME_MAX_BYTES)),
        }
    }

    fn captured(&mut self) -> Event {
        let mut inline = 0;
        let resource = |_| {
            let text = self.of(20_000);
            let bytes = json_bytes(&text);
            let content = if inline + bytes > ROUND_INLINE_BYTES {
                Payload::Stored {
                    sha256: "0".repeat(64),
                    size: u64::MAX,
                }
            } else {
                inline += bytes;
                Payload::from(text.as_str())
            };
            // A text that is not a URI is never a reference, and a URI has no characters to be
            // escaped.
            let uri = self.of(2_048).replace(char::is_control, "%01");
            Resource {
                uri,
                sha256: Some("0".repeat(64)),
                content,
            }
        };
        let resources = (0..100).map(resource).collect();
        Event::ResourcesCaptured(ResourcesCaptured { resources })
    }
}

fn rules() -> Rules {
    Rules {
        group_timeout: Duration::from_mins(15),
        fail_fast: false,
    }
}

fn advance(reports: Vec<Report>, steps: Option<Steps>) -> Command {
    Command::Advance(Advance {
        reports,
        steps,
        now: Timestamp::UNIX_EPOCH,
        rules: rules(),
    })
}

fn redrive(texts: &mut Texts) -> Command {
    Command::Redrive {
        by: texts.of(2 * TEXT_MAX_BYTES),
        on_behalf_of: None,
        reason: texts.of(2 * TEXT_MAX_BYTES),
        now: Timestamp::UNIX_EPOCH,
        rules: rules(),
        only: None,
    }
}

fn longest_tenant() -> Tenant {
    "t".repeat(63).parse().unwrap()
}

fn decided(state: &State, command: Command) -> Vec<Event> {
    match decide(state, command) {
        Ok(Decision::Events(events)) => events,
        undecided => panic!("{undecided:?}"),
    }
}

fn after(state: State, events: &[Event]) -> State {
    events.iter().fold(state, evolve)
}

/// A request in whose first group this many tasks run.
fn running(tasks: u32) -> State {
    let received = Received {
        document: "<vnml/>".into(),
        fingerprint: "f".into(),
        groups: Vec::new(),
        metadata: BTreeMap::new(),
        tenant: longest_tenant(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: None,
    };
    let state = after(State::Absent, &[Event::Received(Box::new(received))]);
    let tasks = NonZeroU32::new(tasks).unwrap();
    let steps = Steps {
        from: GroupIndex::FIRST,
        empty: Vec::new(),
        then: Then::Group { name: None, tasks },
    };
    let events = decided(&state, advance(Vec::new(), Some(steps)));
    after(state, &events)
}

/// Checks that the commit is written, is small enough and is read back. Checks that every event of
/// the feed is small enough, too, and keeps its data.
fn fits(events: &[Event]) -> Result<(), TestCaseError> {
    let request = RequestId::of_key("a", "b");
    let encoded = match commit::encode(events, Sequence::new(7).into(), &longest_tenant(), None) {
        Ok(encoded) => encoded,
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    let bytes = of_headers(&encoded.headers) + encoded.body.len();
    prop_assert!(bytes <= BODY_MAX_BYTES, "{bytes}");
    let (at, log) = (Timestamp::UNIX_EPOCH, subject::log(request));
    let back = commit::decode(&log, Sequence::new(8), at, &encoded.headers, &encoded.body);
    let back = back.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(back.events == events, "another commit is read back");
    for recorded in back.borrowed() {
        let message = feed::message(&recorded).unwrap();
        let bytes = of_headers(&message.headers) + message.body.len();
        prop_assert!(bytes <= BODY_MAX_BYTES, "{bytes} in the feed");
        let told: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let data = serde_json::to_value(CloudEvent::of(&recorded).data).unwrap();
        prop_assert!(told == data, "an event is told without its data");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_largest_submission_fits(mut texts in texts()) {
        fits(&decided(&State::Absent, Command::Submit(Box::new(texts.received()))))?;
    }

    #[test]
    fn the_resources_of_the_largest_capture_fit(mut texts in texts()) {
        fits(&[texts.captured()])?;
    }

    #[test]
    fn a_million_tasks_that_time_out_fit_and_so_does_their_redrive(mut texts in texts()) {
        let mut state = running(TASKS);
        // These reports bring the recorded history of the first tasks to its bounds.
        for _ in 0..2 {
            let events = decided(&state, advance(texts.given_up(), None));
            fits(&events)?;
            state = after(state, &events);
        }
        let mut reports = texts.given_up();
        for (report, task) in reports.iter_mut().zip(500..) {
            if let Report::Outcome(outcome) = report {
                outcome.task = TaskNumber::new(task);
            }
        }
        let running = state.request().unwrap().running().unwrap();
        let (group, deadline) = (running.index, running.deadline);
        reports.push(Report::GroupTimedOut { group, deadline });
        let events = decided(&state, advance(reports, None));
        fits(&events)?;
        let state = after(state, &events);
        let Some(Event::Failed(failed)) = events.last() else {
            return Err(TestCaseError::fail("it did not fail"));
        };
        prop_assert_eq!(failed.failure.task_count, Some(TASKS));
        prop_assert_eq!(failed.failure.tasks.len(), FAILED_TASKS_MAX);
        let events = decided(&state, redrive(&mut texts));
        fits(&events)?;
        let state = after(state, &events);
        prop_assert_eq!(state.request().unwrap().running().unwrap().pending().count(), 1_000_000);
    }

    #[test]
    fn a_group_whose_tasks_all_fail_at_once_fits(mut texts in texts()) {
        let reports = texts.given_up();
        let state = running(u32::try_from(reports.len()).unwrap());
        let events = decided(&state, advance(reports, None));
        prop_assert!(events.last().is_some_and(Event::is_terminal));
        fits(&events)?;
        let cancelled = Command::Cancel {
            by: texts.of(2 * TEXT_MAX_BYTES), on_behalf_of: None,
            reason: texts.of(2 * TEXT_MAX_BYTES),
        };
        fits(&decided(&state, cancelled))?;
    }

    #[test]
    fn the_last_results_of_a_group_with_thousands_of_empty_groups_and_a_response_fit(
        mut texts in texts(),
    ) {
        let reports = texts.succeeded();
        let state = running(u32::try_from(reports.len()).unwrap());
        let name = NAMES_BYTES / GROUPS;
        let empty = (1..GROUPS).map(|_| Some(texts.of(name))).collect();
        let then = Then::Response(texts.inline());
        let steps = Steps { from: GroupIndex::new(1), empty, then };
        let events = decided(&state, advance(reports, Some(steps)));
        prop_assert!(events.last().is_some_and(Event::is_terminal));
        fits(&events)?;
    }

    #[test]
    fn the_largest_dead_letter_fits(mut texts in texts(), attempts in 1_u32..200) {
        let letter = DeadLetter {
            task: TaskId { request: RequestId::of_key("a", "b"), group: GroupIndex::FIRST, task: TaskNumber::FIRST },
            run: Run::new(u32::MAX),
            task_type: texts.of(NAME_MAX_BYTES),
            tenant: longest_tenant(),
            document: texts.inline(),
            attempts: (0..attempts).map(|number| texts.attempt(number)).collect(),
            sequence: Some(Sequence::new(u64::MAX)),
            truncated: false,
            exhausted: false,
        };
        let fitted = letter.clone().with_last_attempts();
        let (headers, body) = crate::dead_letters::encode(&fitted).unwrap();
        prop_assert!(of_headers(&headers) + body.len() <= BODY_MAX_BYTES);
        let back: DeadLetter = crate::packed::unpack(&headers, &body).unwrap();
        prop_assert_eq!(&back, &fitted);
        prop_assert_eq!(back.attempts.last().map(|a| a.attempt), Some(AttemptNumber::new(attempts - 1)));
    }
}
