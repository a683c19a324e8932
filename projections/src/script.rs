//! The guarded writes: each one script on one key, so that it is atomic on a single server and
//! on a cluster alike, and writes nothing older than what is there.

use redis::Script;

use crate::Connection;

/// All of them.
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
    /// Makes those that write views known to Redis: on a cluster, to each of its nodes, of which
    /// one that is away holds none of the scripts up. What is still unknown shows at its next use.
    pub async fn load(&self, connection: &mut Connection) {
        for script in [&self.hash, &self.groups, &self.json, &self.once] {
            if let Err(error) = script.load_async(connection).await {
                tracing::debug!(%error, "a script is not known to every node");
            }
        }
    }
}

/// A hash with its sequence in `seq`. ARGV: sequence, expiry (Unix seconds, 0 for none), then
/// the other fields and values.
pub(crate) const PUT_HASH: &str = r"
local seen = redis.call('HGET', KEYS[1], 'seq')
if seen and tonumber(seen) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'seq', ARGV[1], unpack(ARGV, 3))
if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2]) end
return 1
";

/// Some fields of the hash of a request's groups. ARGV: the sequence of the view, its expiry, then
/// fields and values; every value is a JSON array that begins with the sequence of its group.
///
/// The guard is for each group, not for the hash, since no write has all groups. A writer leaves
/// out what it has written before; where Redis was set back meanwhile, what it left out is not
/// there. With one guard for the hash its write would make the hash look new, and the writes of
/// the projector that builds the views again, whose sequences are between, would be taken for
/// old. Group by group the newest stays whatever the order in which writers come, be it one that
/// was replaced or one that does everything again. A field of the same sequence says the same.
///
/// What is true of the whole hash, its expiry, goes by `seq`, which is that of the newest view
/// that was written: who comes late with the end of an earlier run lets nothing expire.
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

/// A JSON string with its sequence in `seq`. ARGV: sequence, expiry, JSON; without JSON the key
/// goes.
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

/// A value that is the same whenever it is written. ARGV: value, expiry.
pub(crate) const PUT_ONCE: &str = r"
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[2] ~= '0' then redis.call('EXPIREAT', KEYS[1], ARGV[2]) end
return 1
";

/// A checkpoint, which only grows, and only from where it is expected to be. ARGV: the least it
/// must be, the sequence. Gives what was there, 0 for nothing.
pub(crate) const ADVANCE: &str = r"
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
if seen >= tonumber(ARGV[1]) and tonumber(ARGV[2]) > seen then
  redis.call('SET', KEYS[1], ARGV[2])
end
return seen
";
