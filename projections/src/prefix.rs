//! What stands in front of every key, so that several installations can share a server.

use std::sync::Arc;

use redis::{Arg, Cmd, Pipeline};

/// What stands in front of every key of this process.
#[derive(Clone, Debug)]
pub(crate) struct Prefix(Arc<str>);

impl Prefix {
    pub fn new(prefix: &str) -> Self {
        Self(prefix.into())
    }

    /// A key or a pattern with the prefix.
    pub fn of(&self, key: &str) -> String {
        format!("{}{key}", self.0)
    }

    /// A key without the prefix; `None` for a key of another installation.
    pub fn without<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&*self.0)
    }

    /// The command with the prefix in front of its key; `None` if the command stays as it is.
    pub fn command(&self, command: &Cmd) -> Option<Cmd> {
        if self.0.is_empty() {
            return None;
        }
        let place = place_of_key(command)?;
        let mut with = Cmd::with_capacity(8, command.get_packed_command().len() + self.0.len());
        for (index, argument) in command.args_iter().enumerate() {
            match argument {
                Arg::Simple(bytes) if index == place => {
                    with.arg([self.0.as_bytes(), bytes].concat());
                }
                Arg::Simple(bytes) => {
                    with.arg(bytes);
                }
                // The cursor of a scan within a key.
                _ => {
                    with.arg(0);
                }
            }
        }
        Some(with)
    }

    /// The pipeline with the prefix in front of its keys; `None` if it stays as it is.
    pub fn pipeline(&self, pipeline: &Pipeline) -> Option<Pipeline> {
        if self.0.is_empty() {
            return None;
        }
        let mut with = Pipeline::with_capacity(pipeline.len());
        for command in pipeline.cmd_iter() {
            let prefixed = self.command(command);
            with.add_command(prefixed.unwrap_or_else(|| command.clone()));
        }
        Some(with)
    }
}

/// Where the one key of a command is; `None` for a command without a key. Every command of this
/// crate is about one key, because a cluster takes no others.
pub(crate) fn place_of_key(command: &Cmd) -> Option<usize> {
    match command.args_iter().next()? {
        Arg::Simple(b"PING" | b"SCRIPT" | b"CLUSTER" | b"SCAN" | b"INFO") => None,
        // The script and the number of keys come before the key.
        Arg::Simple(b"EVAL" | b"EVALSHA") => Some(3),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(command: &Cmd) -> String {
        String::from_utf8(command.get_packed_command()).unwrap()
    }

    #[test]
    fn the_prefix_is_in_front_of_the_key_and_nowhere_else() {
        let prefix = Prefix::new("a:");
        for (words, expected) in [
            (&["GET", "k"][..], &["GET", "a:k"][..]),
            (&["ZADD", "k", "1", "k"], &["ZADD", "a:k", "1", "k"]),
            (
                &["EVALSHA", "k", "1", "k", "k"],
                &["EVALSHA", "k", "1", "a:k", "k"],
            ),
        ] {
            let of = |words: &[&str]| {
                let mut command = Cmd::new();
                for word in words {
                    command.arg(*word);
                }
                command
            };
            let found = prefix.command(&of(words)).unwrap();
            assert_eq!(packed(&found), packed(&of(expected)));
        }
        let ping = redis::cmd("PING");
        assert!(prefix.command(&ping).is_none());
        let mut get = redis::cmd("GET");
        get.arg("k");
        assert!(Prefix::new("").command(&get).is_none());
    }

    #[test]
    fn a_key_of_another_installation_is_not_ours() {
        let prefix = Prefix::new("a:");
        assert_eq!(prefix.of("k"), "a:k");
        assert_eq!(prefix.without("a:k"), Some("k"));
        assert_eq!(prefix.without("b:k"), None);
    }
}
