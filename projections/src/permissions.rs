//! What each process may do at Redis, as rules of Redis's access list, and whether Redis allows it.

use futures::future::join_all;
use redis::{Cmd, RedisResult, Value};

use crate::error::is_denied;
use crate::{Store, key};

/// A process that has a user of its own at Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The role `api`, which reads views.
    Api,
    /// The role `projector`, which writes them.
    Projector,
    /// The commands of people, such as `replay verify` and `replay rebuild`.
    Operator,
}

use Actor::{Api, Operator, Projector};

/// A key whose type fits no other command than those of strings.
const TEXT: &str = key::PROBE;
/// A key that does not exist.
const NONE: &str = "state:probe:none";

/// Each command with who uses it, and a use of it that changes nothing.
const COMMANDS: &[(&[Actor], &[&str])] = &[
    (&[Api, Projector, Operator], &["PING"]),
    (&[Api, Projector, Operator], &["SETEX", TEXT, "60", "1"]),
    (&[Api, Projector, Operator], &["EXISTS", NONE]),
    (&[Api, Projector, Operator], &["GET", NONE]),
    (&[Api, Projector, Operator], &["HGET", NONE, "a"]),
    (&[Api, Projector, Operator], &["HGETALL", NONE]),
    (&[Api, Projector, Operator], &["HVALS", NONE]),
    (&[Projector, Operator], &["HMGET", NONE, "a"]),
    (&[Api, Projector, Operator], &["SMEMBERS", NONE]),
    (&[Api], &["ZREVRANGEBYSCORE", NONE, "1", "0"]),
    (&[Api, Projector, Operator], &["SADD", TEXT, "a"]),
    (&[Api, Projector, Operator], &["EXPIRE", NONE, "1"]),
    (&[Projector, Operator], &["SET", TEXT, "1", "EX", "60"]),
    (&[Projector, Operator], &["DEL", NONE]),
    (&[Projector, Operator], &["HSET", TEXT, "a", "1"]),
    (&[Projector, Operator], &["EXPIREAT", NONE, "1"]),
    (&[Projector, Operator], &["PERSIST", NONE]),
    (&[Projector, Operator], &["TTL", NONE]),
    (&[Projector, Operator], &["ZADD", TEXT, "1", "a"]),
    (&[Projector, Operator], &["ZREM", NONE, "a"]),
    (&[Projector, Operator], &["ZSCORE", NONE, "a"]),
    (&[Projector], &["ZRANGEBYSCORE", NONE, "0", "1"]),
    (&[Projector], &["HSETNX", TEXT, "a", "1"]),
    (&[Projector, Operator], &["HDEL", NONE, "a"]),
    (&[Projector], &["SPOP", NONE, "1"]),
    (&[Projector, Operator], &["EVALSHA", UNKNOWN, "0"]),
    (&[Projector, Operator], &["SCRIPT", "LOAD", "return 1"]),
    (&[Operator], &["SCAN", "0", "MATCH", NONE]),
    (&[Operator], &["SSCAN", NONE, "0"]),
    (&[Operator], &["UNLINK", NONE]),
    (&[Operator], &["CLUSTER", "SLOTS"]),
];

/// The hash of no script.
const UNKNOWN: &str = "0000000000000000000000000000000000000000";

/// The commands of which the second word is a part of the name.
const OF_TWO_WORDS: [&str; 2] = ["SCRIPT", "CLUSTER"];

/// Keys with who uses them, and whether it only reads them.
const KEYS: &[(&[Actor], bool, &str)] = &[
    (&[Api], true, "state:*"),
    (&[Api], true, "cache:*"),
    (&[Api], true, "request:idempotency:*"),
    (&[Api], true, "index:*"),
    (&[Api], false, "state:probe*"),
    (&[Api], false, "state:projector:doubts:*"),
    (&[Projector, Operator], false, "state:*"),
    (&[Projector, Operator], false, "cache:*"),
    (&[Projector, Operator], false, "request:idempotency:*"),
    (&[Projector, Operator], false, "index:*"),
    (&[Operator], false, "rebuild:*"),
];

fn name(command: &[&str]) -> String {
    let words = match command {
        [first, second, ..] if OF_TWO_WORDS.contains(first) => format!("{first}|{second}"),
        [first, ..] => (*first).to_owned(),
        [] => String::new(),
    };
    words.to_lowercase()
}

fn commands(actor: Actor) -> impl Iterator<Item = &'static [&'static str]> {
    let own = COMMANDS.iter().filter(move |(who, _)| who.contains(&actor));
    own.map(|(_, command)| *command)
}

fn keys(actor: Actor) -> impl Iterator<Item = (bool, &'static str)> {
    let own = KEYS.iter().filter(move |(who, ..)| who.contains(&actor));
    own.map(|(_, reads, pattern)| (*reads, *pattern))
}

/// The rules of a user in Redis's access list, with this prefix before every key, such as
/// `~state:*` and `+hget`.
#[must_use]
pub fn rules(actor: Actor, prefix: &str) -> Vec<String> {
    let keys = keys(actor).map(|(reads, pattern)| {
        let access = if reads { "%R" } else { "" };
        format!("{access}~{prefix}{pattern}")
    });
    let commands = commands(actor).map(|command| format!("+{}", name(command)));
    keys.chain(commands).collect()
}

impl Store {
    /// The rules that Redis does not grant to this user, of those that `actor` needs. Asks for each
    /// with a command that changes nothing.
    pub async fn lacking(&self, actor: Actor) -> Vec<String> {
        let prefix = self.connection.prefix();
        let of_commands = commands(actor).map(|command| {
            let mut ask = redis::cmd(command[0]);
            for word in &command[1..] {
                ask.arg(*word);
            }
            (format!("+{}", name(command)), ask)
        });
        let of_keys = keys(actor).map(|(reads, pattern)| {
            // There is no such key, so a command that writes changes nothing either.
            let key = pattern.replace('*', "none");
            let mut ask = redis::cmd(if reads { "EXISTS" } else { "EXPIRE" });
            ask.arg(key);
            if !reads {
                ask.arg(1);
            }
            (format!("~{}", prefix.of(pattern)), ask)
        });
        let asked = of_commands.chain(of_keys).map(|(rule, ask)| async move {
            let denied = self.denies(ask).await;
            denied.then_some(rule)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn denies(&self, ask: Cmd) -> bool {
        let answer: RedisResult<Value> = ask.query_async(&mut self.connection()).await;
        answer.is_err_and(|error| is_denied(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_writes_no_view_and_every_key_has_the_prefix() {
        let api = rules(Api, "blue:");
        assert!(api.contains(&"%R~blue:cache:*".to_owned()), "{api:?}");
        for command in ["+evalsha", "+del", "+hset"] {
            assert!(!api.iter().any(|rule| rule == command), "{command}");
        }
        let projector = rules(Projector, "");
        assert!(projector.contains(&"~cache:*".to_owned()));
        assert!(projector.contains(&"+script|load".to_owned()));
    }
}
