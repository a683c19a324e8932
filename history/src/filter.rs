//! A filter for events and requests.

use domain::access::{Subject, Tenant};
use domain::request::{Event, Recorded, Status};
use jiff::Timestamp;

use crate::point::Ago;
use crate::search::Found;

/// A filter for events and requests. An item matches a list if it matches any of its values.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Requests of these tenants
    pub tenant: Vec<Tenant>,
    /// Requests that this subject submitted
    pub submitter: Option<Subject>,
    /// Requests in this status: received, running, succeeded, failed, cancelled
    pub status: Vec<Status>,
    /// Events of this name, such as task-failed
    pub event: Vec<String>,
    /// Failures with this code, of a task or of the request
    pub code: Vec<String>,
    /// Requests that failed with this fingerprint
    pub fingerprint: Vec<String>,
    /// Attempts on this worker
    pub worker: Vec<String>,
    /// Tasks of this type
    pub task_type: Vec<String>,
    /// Groups of this name
    pub group: Vec<String>,
    /// Requests that were submitted with this x-* header
    pub label: Vec<String>,
    /// Only commits that were stored before this time
    pub until: Option<Ago>,
}

/// Whether any of the wanted values matches. An empty list matches everything.
fn any(wanted: &[String], mut is: impl FnMut(&str) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| is(wanted))
}

impl Filter {
    /// Whether the filter accepts a commit of this time.
    #[must_use]
    pub fn takes_time(&self, at: Timestamp, now: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until.time(now))
    }

    fn takes_tenant(&self, tenant: &Tenant) -> bool {
        self.tenant.is_empty() || self.tenant.contains(tenant)
    }

    fn takes_submitter(&self, submitter: Option<&str>) -> bool {
        let wanted = self.submitter.as_ref();
        wanted.is_none_or(|wanted| submitter == Some(wanted.as_str()))
    }

    /// Whether the filter accepts an event by its own content.
    #[must_use]
    pub fn takes_event(&self, recorded: &Recorded<Event>) -> bool {
        let event = &recorded.event;
        let (code, worker) = match event {
            Event::TaskFailed(e) => (Some(&e.attempt.fault.code), Some(&e.attempt.worker)),
            Event::TaskSucceeded(e) => (None, Some(&e.worker)),
            Event::Failed(e) => (Some(&e.failure.code), None),
            _ => (None, None),
        };
        let given = match event {
            Event::TaskFailed(e) => e.given.as_ref(),
            Event::TaskSucceeded(e) => e.given.as_ref(),
            _ => None,
        };
        let fingerprint = match event {
            Event::Failed(e) => Some(e.failure.fingerprint()),
            _ => None,
        };
        let submitter = match event {
            Event::Received(e) => Some(e.submitter.as_str()),
            _ => None,
        };
        self.takes_tenant(&recorded.tenant)
            && self.takes_submitter(submitter)
            && any(&self.event, |wanted| wanted == event.name())
            && any(&self.code, |wanted| code.is_some_and(|code| code == wanted))
            && any(&self.worker, |wanted| {
                worker.is_some_and(|worker| worker == wanted)
            })
            && any(&self.task_type, |wanted| {
                given.is_some_and(|given| given.task_type == wanted)
            })
            && any(&self.fingerprint, |wanted| {
                fingerprint.as_deref() == Some(wanted)
            })
            && (self.label.is_empty()
                || matches!(event, Event::Received(e)
                if any(&self.label, |label| labelled(label, |name| e.metadata.get(name)))))
            && (self.group.is_empty()
                || matches!(event, Event::GroupStarted(e)
                if any(&self.group, |name| e.name.as_deref() == Some(name))))
    }

    /// Whether the filter accepts a request.
    #[must_use]
    pub fn takes_request(&self, found: &Found) -> bool {
        self.takes_tenant(&found.tenant)
            && self.takes_submitter(found.submitter.as_deref())
            && (self.status.is_empty() || self.status.contains(&found.status))
            && any(&self.event, |event| found.events.contains(event))
            && any(&self.code, |code| found.codes.contains(code))
            && any(&self.worker, |worker| found.workers.contains(worker))
            && any(&self.task_type, |name| found.task_types.contains(name))
            && any(&self.group, |group| found.groups.contains(group))
            && any(&self.fingerprint, |wanted| {
                found.fingerprint.as_deref() == Some(wanted)
            })
            && any(&self.label, |label| {
                labelled(label, |name| found.metadata.get(name))
            })
    }
}

fn labelled<'a>(label: &str, value: impl Fn(&str) -> Option<&'a String>) -> bool {
    match label.split_once('=') {
        Some((name, wanted)) => value(&name.to_lowercase()).is_some_and(|value| value == wanted),
        None => value(&label.to_lowercase()).is_some(),
    }
}
