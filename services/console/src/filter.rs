//! The filter of the list of requests, as one line of text: `status:failed label:x-desk=rates
//! since:2h`.

use std::fmt::Write as _;

use domain::request::{RequestId, Status};
use history::filter::Filter;
use history::listing::ListFilter;
use history::point::Ago;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::commands::quoted;

/// How far back the log is searched where the filter does not say it.
const SEARCHED: SignedDuration = SignedDuration::from_hours(1);

/// A parsed filter.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    status: Option<Status>,
    since: Option<(String, Ago)>,
    until: Option<(String, Ago)>,
    label: Option<(String, Option<String>)>,
    failure: Option<String>,
    /// The terms that only the log can answer, each with its name.
    of_log: Vec<(&'static str, String)>,
}

/// What a text asks for.
#[derive(Debug)]
pub enum Asked {
    /// One request.
    Request(RequestId),
    /// The requests of a filter.
    Filter(Box<RequestFilter>),
}

/// The names of the terms that only the log can answer.
const OF_LOG: [&str; 6] = ["type", "worker", "group", "fingerprint", "event", "code"];

/// Parses a text.
pub fn parse(text: &str) -> Result<Asked, String> {
    let mut filter = RequestFilter::default();
    let terms = terms(text)?;
    if let [one] = terms.as_slice()
        && let Ok(id) = one.parse()
    {
        return Ok(Asked::Request(id));
    }
    for term in terms {
        let (name, value) = term.split_once(':').ok_or_else(|| {
            format!("'{term}' is neither the id of a request nor a term such as status:failed")
        })?;
        filter.add(name, value)?;
    }
    Ok(Asked::Filter(Box::new(filter)))
}

/// The terms of a text. A value in quotes may have spaces.
fn terms(text: &str) -> Result<Vec<String>, String> {
    let (mut terms, mut term, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => terms.push(std::mem::take(&mut term)),
            c => term.push(c),
        }
    }
    terms.push(term);
    terms.retain(|term| !term.is_empty());
    if is_quoted {
        return Err("a quotation mark is missing".into());
    }
    Ok(terms)
}

impl RequestFilter {
    fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Err(format!("{name}: needs a value"));
        }
        match name {
            "status" => {
                let status = serde_json::from_value(Value::from(value));
                self.status = Some(status.map_err(|_| {
                    format!("'{value}' is none of received, running, succeeded, failed, cancelled")
                })?);
            }
            "since" => self.since = Some((value.to_owned(), value.parse()?)),
            "until" => self.until = Some((value.to_owned(), value.parse()?)),
            "failure" => self.failure = Some(value.to_owned()),
            "label" => {
                let (name, value) = match value.split_once(['=', ':']) {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (value, None),
                };
                self.label = Some((name.to_ascii_lowercase(), value));
            }
            name => {
                let known = OF_LOG.into_iter().find(|known| *known == name);
                let known = known.ok_or_else(|| {
                    format!(
                        "'{name}' is no term: status, since, until, label, failure, {} are",
                        OF_LOG.join(", ")
                    )
                })?;
                self.of_log.push((known, value.to_owned()));
            }
        }
        Ok(())
    }

    /// Whether only the log can answer.
    pub fn needs_log(&self) -> bool {
        !self.of_log.is_empty()
    }

    /// The status that it selects.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// The filter of the index.
    pub fn of_index(&self, now: Timestamp) -> ListFilter {
        let time = |ago: &Option<(String, Ago)>| ago.as_ref().map(|(_, ago)| ago.time(now));
        ListFilter {
            status: self.status,
            since: time(&self.since),
            until: time(&self.until),
            label: self.label.clone(),
            failure: self.failure.clone(),
        }
    }

    /// The filter of the log.
    pub fn of_log(&self) -> Filter {
        let all = |wanted: &str| {
            let found = self.of_log.iter().filter(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let label = self.label.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        });
        let mut code = all("code");
        code.extend(self.failure.clone());
        Filter {
            status: self.status.into_iter().collect(),
            event: all("event"),
            code,
            fingerprint: all("fingerprint"),
            worker: all("worker"),
            task_type: all("type"),
            group: all("group"),
            label: label.collect(),
            until: self.until.as_ref().map(|(_, until)| *until),
            // The tenant and the submitter follow from who looks.
            ..Filter::default()
        }
    }

    /// Since when the log is searched.
    pub fn searched_since(&self, now: Timestamp) -> Timestamp {
        let default = now.checked_sub(SEARCHED).unwrap_or(Timestamp::UNIX_EPOCH);
        self.since
            .as_ref()
            .map_or(default, |(_, ago)| ago.time(now))
    }

    /// The flags of `fanfold replay search` that select the same.
    pub fn flags(&self) -> String {
        let filter = self.of_log();
        let status = filter
            .status
            .iter()
            .map(|status| status.as_str().to_owned());
        let since = self.since.as_ref().map(|(text, _)| text.clone());
        let until = self.until.as_ref().map(|(text, _)| text.clone());
        let lists: [(&str, Vec<String>); 9] = [
            ("status", status.collect()),
            ("since", since.into_iter().collect()),
            ("until", until.into_iter().collect()),
            ("label", filter.label),
            ("code", filter.code),
            ("task-type", filter.task_type),
            ("worker", filter.worker),
            ("group", filter.group),
            ("fingerprint", filter.fingerprint),
        ];
        let mut flags = String::new();
        let events = [("event", filter.event)];
        for (name, values) in lists.into_iter().chain(events) {
            for value in values {
                // Writing to a String cannot fail.
                let _ = write!(flags, " --{name} {}", quoted(&value));
            }
        }
        flags
    }

    /// The query of `GET /valuations` that selects the same.
    pub fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(status) = self.status {
            query.append_pair("status", status.as_str());
        }
        for (name, value) in [("since", &self.since), ("until", &self.until)] {
            if let Some((text, _)) = value {
                query.append_pair(name, text);
            }
        }
        if let Some((name, value)) = &self.label {
            let value = value
                .as_ref()
                .map_or(String::new(), |value| format!(":{value}"));
            query.append_pair("label", &format!("{name}{value}"));
        }
        if let Some(code) = &self.failure {
            query.append_pair("failure", code);
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> RequestFilter {
        match parse(text) {
            Ok(Asked::Filter(filter)) => *filter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_filter_is_the_same_for_the_page_for_the_command_line_and_for_http() {
        let filter = filter(r#"status:failed label:"x-desk=a b" since:2h failure:tasks-failed"#);
        assert!(!filter.needs_log());
        assert_eq!(
            filter.flags(),
            " --status failed --since 2h --label 'x-desk=a b' --code tasks-failed"
        );
        assert_eq!(
            filter.query(),
            "status=failed&since=2h&label=x-desk%3Aa+b&failure=tasks-failed"
        );
    }

    #[test]
    fn terms_that_only_the_log_knows_are_searched_there() {
        let filter = filter("type:bond worker:w-1");
        assert!(filter.needs_log());
        assert_eq!(filter.of_log().task_type, ["bond"]);
        assert_eq!(filter.flags(), " --task-type bond --worker w-1");
    }

    #[test]
    fn an_id_alone_leads_to_its_request() {
        let id = "0199e0a1-2b3c-7d4e-8f50-617283940516";
        assert!(
            matches!(parse(&format!(" {id} ")), Ok(Asked::Request(found)) if found.to_string() == id)
        );
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (text, said) in [
            ("status:done", "none of received"),
            ("colour:red", "is no term"),
            ("failed", "neither the id"),
            ("label:\"x", "quotation mark"),
            ("since:soon", "no period"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
