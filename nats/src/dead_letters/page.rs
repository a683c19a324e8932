//! Reading the dead letters in pages.

use domain::access::Tenant;
use domain::request::RequestId;
use jiff::Timestamp;

use super::{DeadLetters, Kept, letter};
use crate::read::{self, Most};
use crate::topology::DEAD_LETTERS;
use crate::{Error, subject};

/// The most letters that one call to the broker fetches.
const FETCH: Most = Most {
    messages: 500,
    bytes: read::PAGE_BYTES,
};

/// A filter of dead letters. A field that is not set matches every letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The tenant.
    pub tenant: Option<Tenant>,
    /// The task type, or `unreadable`.
    pub task_type: Option<String>,
    /// The code of the last attempt.
    pub code: Option<String>,
    /// The request.
    pub request: Option<RequestId>,
    /// The earliest time at which a letter was stored.
    pub since: Option<Timestamp>,
}

/// A page of dead letters, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<Kept>,
    /// The number of letters that were examined.
    pub looked_at: usize,
    /// The sequence after which the next page begins; `None` on the last page.
    pub next: Option<u64>,
}

impl Filter {
    fn subject(&self) -> Result<String, Error> {
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let task_type = match self.task_type.as_deref() {
            None => "*",
            Some(named) if !named.is_empty() && named.chars().all(token) => named,
            Some(other) => return Err(Error::Refused(format!("'{other}' is no task type"))),
        };
        Ok(match self.request {
            Some(request) => format!("dead-letters.{task_type}.{request}.>"),
            None => format!("dead-letters.{task_type}.>"),
        })
    }

    /// Whether the letter belongs to the tenant of the filter.
    #[must_use]
    pub fn takes_tenant(&self, kept: &Kept) -> bool {
        let tenant = self.tenant.as_ref();
        tenant.is_none_or(|tenant| kept.tenant() == *tenant)
    }

    fn takes(&self, kept: &Kept) -> bool {
        self.takes_tenant(kept)
            && self.code.as_deref().is_none_or(|code| kept.code() == code)
            && self.since.is_none_or(|since| kept.at >= since)
    }
}

impl DeadLetters {
    /// Reads at most `limit` letters after the one at `after`; 0 means from the beginning.
    pub async fn page(&self, filter: &Filter, after: u64, limit: usize) -> Result<Page, Error> {
        let mut page = self.look(filter, after, limit).await?;
        while let Some(after) = page.next
            && page.letters.len() < limit
        {
            let more = self.look(filter, after, limit - page.letters.len()).await?;
            page.letters.extend(more.letters);
            page.looked_at += more.looked_at;
            page.next = more.next;
        }
        Ok(page)
    }

    /// Reads the letters that one call to the broker fetches. The page may be short although there
    /// are more letters.
    pub async fn look(&self, filter: &Filter, after: u64, limit: usize) -> Result<Page, Error> {
        let from = match filter.since {
            Some(since) if after == 0 => read::From::Time(since),
            _ => read::From::Sequence(after + 1),
        };
        let subject = filter.subject()?;
        let fetched = read::messages(&self.connection, DEAD_LETTERS, &subject, from, FETCH).await?;
        let mut page = Page::default();
        for message in &fetched.messages {
            let (subject, sequence, at) = read::place(message)?;
            let empty = async_nats::HeaderMap::new();
            let headers = message.headers.as_ref().unwrap_or(&empty);
            let place = letter::Place {
                subject,
                sequence,
                at,
            };
            page.looked_at += 1;
            page.next = Some(sequence);
            match letter::read(&place, headers, &message.payload) {
                Ok(kept) if filter.takes(&kept) => page.letters.push(kept),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "a dead letter cannot be read and is left out of the page");
                }
            }
            if page.letters.len() == limit {
                return Ok(page);
            }
        }
        page.next = page.next.filter(|_| fetched.more);
        Ok(page)
    }
}

/// The id of the letter at this subject. The id of a task's letter does not name the task type.
pub(crate) fn id_of(subject: &str) -> &str {
    let id = subject.strip_prefix("dead-letters.").unwrap_or(subject);
    if id.starts_with(letter::UNREADABLE) {
        return id;
    }
    id.split_once('.').map_or(id, |(_, id)| id)
}

/// The subject of the letter with this id; `None` where the text cannot be an id.
pub(super) fn subject_of(id: &str) -> Option<String> {
    let tokens: Vec<&str> = id.split('.').collect();
    match tokens.as_slice() {
        [request, group, task, run] if request.parse::<RequestId>().is_ok() => {
            let numbers = [group, task, run];
            let numbers = numbers.iter().all(|number| number.parse::<u32>().is_ok());
            numbers.then(|| format!("dead-letters.*.{id}"))
        }
        [letter::UNREADABLE, request, root, sequence] => {
            let known = *request == "none" || request.parse::<RequestId>().is_ok();
            let root = matches!(
                *root,
                "tasks" | "reports" | "requests" | "lifecycle" | "webhooks"
            );
            (known && root && sequence.parse::<u64>().is_ok())
                .then(|| format!("{}{id}", subject::DEAD_LETTERS))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "0199e0a1-2b3c-7d4e-8f50-617283940516";

    #[test]
    fn an_id_leads_to_its_subject_and_back() {
        for (id, subject) in [
            (
                format!("{REQUEST}.0.7.1"),
                format!("dead-letters.*.{REQUEST}.0.7.1"),
            ),
            (
                format!("unreadable.{REQUEST}.tasks.12"),
                format!("dead-letters.unreadable.{REQUEST}.tasks.12"),
            ),
            (
                format!("unreadable.{REQUEST}.lifecycle.9"),
                format!("dead-letters.unreadable.{REQUEST}.lifecycle.9"),
            ),
            (
                "unreadable.none.reports.3".to_owned(),
                "dead-letters.unreadable.none.reports.3".to_owned(),
            ),
        ] {
            assert_eq!(subject_of(&id).unwrap(), subject);
            assert_eq!(id_of(&subject), id);
        }
    }

    #[test]
    fn an_invalid_dead_letter_id_has_no_subject() {
        for id in [
            "",
            ">",
            "*.0.1.0",
            "unreadable.none.>.1",
            "unreadable.none.tasks.*",
            "a.b.c.d",
        ] {
            assert_eq!(subject_of(id), None, "{id}");
        }
    }

    #[test]
    fn an_invalid_task_type_cannot_widen_the_filter() {
        for task_type in [">", "*", "*.x", "", "a b"] {
            let filter = Filter {
                task_type: Some(task_type.into()),
                ..Filter::default()
            };
            assert!(filter.subject().is_err(), "{task_type}");
        }
    }
}
