//! The guarded writes. Each is one script on one key, so that it is atomic on a single server and
//! on a cluster alike. No script overwrites newer data. A view whose content needs a guard of its
//! own has it in its file.

use redis::Script;

use crate::error::is_denied;
use crate::{Connection, Error, Kind};

/// All scripts.
pub(crate) struct Scripts {
    of_views: Vec<Script>,
    pub advance: Script,
    pub remove_due: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            of_views: Kind::all()
                .map(|kind| Script::new(kind.part().script()))
                .collect(),
            advance: Script::new(ADVANCE),
            remove_due: Script::new(REMOVE_DUE),
        }
    }
}

impl Scripts {
    /// The script that writes a view.
    pub fn of(&self, kind: Kind) -> &Script {
        &self.of_views[kind as usize]
    }

    /// Loads the scripts that write views into Redis: on a cluster, into each node. A node that is
    /// away holds up none of the scripts; a user who may not load any is an error. A script that is still unknown shows at its next use.
    pub async fn load(&self, connection: &mut Connection) -> Result<(), Error> {
        let mut loaded = Vec::new();
        for script in &self.of_views {
            if loaded.contains(&script.get_hash()) {
                continue;
            }
            loaded.push(script.get_hash());
            if let Err(error) = script.load_async(connection).await {
                if is_denied(&error) {
                    return Err(error.into());
                }
                tracing::debug!(%error, "could not load a script on every Redis node");
            }
        }
        Ok(())
    }
}

/// Writes a hash with its sequence in `seq`. ARGV: sequence, expiry (Unix seconds, 0 for none),
/// then the other fields and values.
pub(crate) const PUT_HASH: &str = r"
local seen = redis.call('HGET', KEYS[1], 'seq')
if seen and tonumber(seen) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'seq', ARGV[1], unpack(ARGV, 3))
if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2]) end
return 1
";

/// Writes a JSON string with its sequence in `seq`. ARGV: sequence, expiry, JSON. Without JSON, the
/// script deletes the key.
pub(crate) const PUT_JSON: &str = r"
local old = redis.call('GET', KEYS[1])
if old then
  local ok, seen = pcall(function() return cjson.decode(old)['seq'] end)
  if ok and seen and seen > tonumber(ARGV[1]) then return 0 end
end
if ARGV[3] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[3])
if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2]) end
return 1
";

/// Writes a value that is the same in every write. ARGV: value, expiry.
pub(crate) const PUT_ONCE: &str = r"
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2]) end
return 1
";

/// Advances a checkpoint, which only grows, and only from where it is expected to be. ARGV: the
/// least value that it must have, the sequence. Returns the value before, 0 for none.
const ADVANCE: &str = r"
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
if seen >= tonumber(ARGV[1]) and tonumber(ARGV[2]) > seen then
  redis.call('SET', KEYS[1], ARGV[2])
end
return seen
";

/// Removes members of a sorted set that are still due. ARGV: the members, then the time.
const REMOVE_DUE: &str = r"
local removed = 0
for i = 1, #ARGV - 1 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[#ARGV]) then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return removed
";
