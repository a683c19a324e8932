//! The guarded writes. Each is one script on one key, so that it is atomic on a single server and
//! on a cluster alike. No script overwrites newer data.

use redis::Script;

use crate::Connection;

/// All scripts.
pub(crate) struct Scripts {
    pub hash: Script,
    pub groups: Script,
    pub json: Script,
    pub once: Script,
    pub advance: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            hash: Script::new(PUT_HASH),
            groups: Script::new(PUT_GROUPS),
            json: Script::new(PUT_JSON),
            once: Script::new(PUT_ONCE),
            advance: Script::new(ADVANCE),
        }
    }
}

impl Scripts {
    /// Loads the scripts that write views into Redis: on a cluster, into each node. A node that is
    /// away holds up none of the scripts. A script that is still unknown shows at its next use.
    pub async fn load(&self, connection: &mut Connection) {
        for script in [&self.hash, &self.groups, &self.json, &self.once] {
            if let Err(error) = script.load_async(connection).await {
                tracing::debug!(%error, "a script is not known to every node");
            }
        }
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
pub(crate) const PUT_GROUPS: &str = r"
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
pub(crate) const ADVANCE: &str = r"
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
if seen >= tonumber(ARGV[1]) and tonumber(ARGV[2]) > seen then
  redis.call('SET', KEYS[1], ARGV[2])
end
return seen
";
