//! One group, as its field of the hash stores it.

use domain::request::Sequence;
use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::view::{GroupStatus, GroupView};

/// A group as its field of the hash stores it: a JSON array. The guard of the write reads the
/// sequence at the front of the array. The elements are sequence, tasks, completed tasks, tasks
/// given up, a letter for the status, start, end, name. Times are nanoseconds, and the end counts
/// from the start. Redis packs a small hash tightly as long as none of its values is longer than 64
/// bytes.
#[derive(Serialize, Deserialize)]
struct StoredGroup<'a>(
    Sequence,
    u32,
    u32,
    u32,
    char,
    Option<i128>,
    Option<i128>,
    #[serde(borrow)] Option<Cow<'a, str>>,
);

/// Encodes the field of a group.
pub(super) fn encode(group: &GroupView) -> String {
    let started = group.started_at.map(Timestamp::as_nanosecond);
    let completed = group.completed_at.map(Timestamp::as_nanosecond);
    let stored = StoredGroup(
        group.seq,
        group.expected,
        group.completed,
        group.failed,
        letter(group.status),
        started,
        completed.map(|at| at - started.unwrap_or(0)),
        group.name.as_deref().map(Cow::from),
    );
    // No part of the array can fail to serialize.
    serde_json::to_string(&stored).unwrap_or_default()
}

/// Decodes the group in a field.
pub(super) fn decode(field: &str) -> Result<GroupView, String> {
    let StoredGroup(seq, expected, completed, failed, letter, started, took, name) =
        serde_json::from_str(field).map_err(|error| error.to_string())?;
    let ended = match took {
        Some(took) => Some(
            took.checked_add(started.unwrap_or(0))
                .ok_or("no such time")?,
        ),
        None => None,
    };
    Ok(GroupView {
        name: name.map(Cow::into_owned),
        expected,
        completed,
        failed,
        status: status(letter).ok_or_else(|| format!("{letter} is no status"))?,
        started_at: time(started)?,
        completed_at: time(ended)?,
        seq,
    })
}

fn time(nanoseconds: Option<i128>) -> Result<Option<Timestamp>, String> {
    let time = nanoseconds.map(Timestamp::from_nanosecond).transpose();
    time.map_err(|error| error.to_string())
}

const fn letter(status: GroupStatus) -> char {
    match status {
        GroupStatus::Waiting => 'w',
        GroupStatus::Running => 'r',
        GroupStatus::Completed => 'c',
        GroupStatus::Failed => 'f',
        GroupStatus::Cancelled => 'x',
    }
}

fn status(by_letter: char) -> Option<GroupStatus> {
    let all = [
        GroupStatus::Waiting,
        GroupStatus::Running,
        GroupStatus::Completed,
        GroupStatus::Failed,
        GroupStatus::Cancelled,
    ];
    all.into_iter().find(|status| letter(*status) == by_letter)
}

/// The facts of a group, by name, for the comparison of two groups.
pub(super) fn facts(group: &GroupView) -> [(&'static str, Option<String>); 8] {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    [
        ("seq", Some(group.seq.to_string())),
        ("expected", Some(group.expected.to_string())),
        ("completed", Some(group.completed.to_string())),
        ("failed", Some(group.failed.to_string())),
        ("status", Some(group.status.as_str().into())),
        ("name", group.name.clone()),
        ("startedAt", time(group.started_at)),
        ("completedAt", time(group.completed_at)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanoseconds: i128) -> Timestamp {
        Timestamp::from_nanosecond(nanoseconds).unwrap()
    }

    fn ended() -> GroupView {
        GroupView {
            name: Some("g1".into()),
            expected: 2,
            completed: 2,
            failed: 0,
            status: GroupStatus::Completed,
            started_at: Some(at(1_790_000_000_123_456_789)),
            completed_at: Some(at(1_790_000_000_223_456_789)),
            seq: Sequence::new(12_345_678),
        }
    }

    #[test]
    fn any_group_is_read_back_from_its_field() {
        let all = [
            GroupStatus::Waiting,
            GroupStatus::Running,
            GroupStatus::Completed,
            GroupStatus::Failed,
            GroupStatus::Cancelled,
        ];
        let times = [
            None,
            Some(at(0)),
            Some(Timestamp::MIN),
            Some(Timestamp::MAX),
        ];
        let names = [None, Some("a \"quoted\" \u{1f600} name\n".to_owned())];
        for status in all {
            for started_at in times {
                for completed_at in times {
                    for name in names.clone() {
                        let given = GroupView {
                            name,
                            status,
                            started_at,
                            completed_at,
                            seq: Sequence::new(u64::MAX),
                            ..ended()
                        };
                        let field = encode(&given);
                        assert_eq!(decode(&field), Ok(given), "{field}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_field_of_a_usual_group_is_small_enough_to_be_packed() {
        let field = encode(&ended());
        assert_eq!(
            field,
            r#"[12345678,2,2,0,"c",1790000000123456789,100000000,"g1"]"#
        );
        assert!(field.len() <= 64);
    }

    #[test]
    fn an_invalid_group_field_is_refused() {
        for field in [
            "",
            "{}",
            "[1]",
            r#"[1,2,2,0,"q",null,null,null]"#,
            "nothing",
        ] {
            assert!(decode(field).is_err(), "{field}");
        }
    }
}
