//! The groups of a request: a hash with a field for each group, by its index, and `seq`, which is
//! the sequence of the newest view that was written.

mod field;

use std::collections::{BTreeMap, HashMap};

use domain::request::{GroupIndex, RequestId};
use redis::{Pipeline, Script};

use self::field::{decode, encode, facts};
use super::Part;
use crate::check::Differences;
use crate::read::{Answers, Draft};
use crate::view::{GroupView, View};
use crate::write::{Change, Write};
use crate::{Error, key};

pub(crate) struct Groups;

/// How many groups one script writes. More than its `unpack` takes would fail the script, and no
/// script may stop Redis for long.
const GROUPS_AT_ONCE: usize = 1_000;

/// Writes some fields of the hash of a request's groups. ARGV: the sequence of the view, its
/// expiry, then fields and values. Every value is a JSON array that begins with the sequence of its
/// group.
///
/// The guard is for each group and not for the hash, because no write has all groups. A writer
/// leaves out the groups that it has written before. Where Redis was set back meanwhile, those
/// groups are missing. With one guard for the hash, the write would make the hash look new. A
/// projector that builds the views again has sequences in between, and its writes would be taken
/// for old. Group by group, the newest stays whatever the order of the writers, be it one that was
/// replaced or one that does everything again. A field of the same sequence has the same content.
///
/// The expiry belongs to the whole hash and goes by `seq`, which is the sequence of the newest view
/// that was written. A writer that comes late with the end of an earlier run lets nothing expire.
const PUT_GROUPS: &str = r"
local fields = {}
for i = 3, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
local old = redis.call('HMGET', KEYS[1], 'seq', unpack(fields))
local function seq(value) return tonumber(string.match(value or '', '^%[?(%d+)')) or 0 end
local set = {}
local newest = seq(old[1]) <= tonumber(ARGV[1])
if newest then set = {'seq', ARGV[1]} end
for i, field in ipairs(fields) do
  local value = ARGV[2 * i + 2]
  if seq(old[i + 1]) <= seq(value) then
    set[#set + 1] = field
    set[#set + 1] = value
  end
end
if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
if newest then
  if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2])
  elseif old[1] then redis.call('PERSIST', KEYS[1]) end
end
return 1
";

fn key(id: RequestId) -> String {
    format!("{}{id}:groups", key::STATE)
}

impl Part for Groups {
    fn key(&self, id: RequestId) -> Option<String> {
        Some(key(id))
    }

    fn script(&self) -> &'static str {
        PUT_GROUPS
    }

    /// Writes the groups that changed. The end of a request gives the key its expiry, and a redrive
    /// removes the expiry. Both happen even where no group changed.
    fn write(&self, change: &Change<'_>, script: &Script, writes: &mut Vec<Write>) {
        let view = change.view;
        let all = GroupIndex::all().zip(&view.groups);
        let changed: Vec<_> = all
            .filter(|(_, group)| group.seq > change.written)
            .collect();
        let lasts_otherwise = view.status.is_terminal() || view.redriven;
        if view.groups.is_empty() || (changed.is_empty() && !lasts_otherwise) {
            return;
        }
        let write = || {
            let write = Write::new(script, key(view.request_id));
            write.with(view.seq.get()).with(change.expiry)
        };
        if changed.is_empty() {
            writes.push(write());
        }
        for groups in changed.chunks(GROUPS_AT_ONCE) {
            let fields = groups
                .iter()
                .map(|(index, group)| (index.get(), encode(group)));
            writes.push(write().with_fields(fields));
        }
    }

    fn ask(&self, key: String, ask: &mut Pipeline) {
        ask.hgetall(key);
    }

    /// Reads the groups in their order. A view has all of them.
    fn read(&self, draft: &mut Draft, answers: &mut Answers) -> Result<bool, Error> {
        let view = &mut draft.view;
        let fields: HashMap<String, String> = answers.take()?;
        for index in 0..view.group_count {
            let Some(field) = fields.get(&index.to_string()) else {
                return Ok(false);
            };
            let group = decode(field).map_err(|reason| Error::Corrupt {
                key: key(view.request_id),
                reason: format!("{index}: {reason}"),
            });
            view.groups.push(group?);
        }
        Ok(true)
    }

    /// Compares the groups. The sequence beside the groups is that of the last view that was
    /// written with a changed group: no less than any group's, and no more than the view's.
    fn compare(
        &self,
        view: &View,
        answers: &mut Answers,
        found: &mut Differences,
    ) -> Result<(), Error> {
        let mut fields: BTreeMap<String, String> = answers.take()?;
        if fields.is_empty() && !view.groups.is_empty() {
            found.missing();
            return Ok(());
        }
        let seq = fields.remove("seq");
        let newest = view.groups.iter().map(|group| group.seq).max();
        let parsed = seq.as_ref().and_then(|seq| seq.parse().ok());
        if parsed.is_none_or(|seq| seq > view.seq || Some(seq) < newest) && newest.is_some() {
            found.one("seq", Some(&view.seq.to_string()), seq.as_deref());
        }
        for (index, group) in GroupIndex::all().zip(&view.groups) {
            let field = fields.remove(&index.to_string());
            compare_one(index, group, field.as_deref(), found);
        }
        found.unexpected(fields);
        Ok(())
    }

    /// An earlier version had a key for each group.
    fn superseded(&self) -> Option<&'static str> {
        Some("group:")
    }
}

fn compare_one(index: GroupIndex, group: &GroupView, field: Option<&str>, found: &mut Differences) {
    let Some(read) = field.and_then(|field| decode(field).ok()) else {
        return found.one(&index.to_string(), Some(&encode(group)), field);
    };
    let facts = facts(group).into_iter().zip(facts(&read));
    for ((name, expected), (_, read)) in facts.filter(|(expected, read)| expected != read) {
        let name = format!("{name} of group {index}");
        found.one(&name, expected.as_deref(), read.as_deref());
    }
}
