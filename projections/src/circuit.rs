//! Remembering for a moment that Redis is away, so that no caller waits for what nobody answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Arg, Cmd, ErrorKind, RedisError, RedisResult};

use crate::prefix::place_of_key;

/// How long Redis counts as away after it has not answered. One call after that tries again.
pub(crate) const AWAY: Duration = Duration::from_secs(1);
/// How long the answer to such a try may take.
pub(crate) const TRY_TIMEOUT: Duration = Duration::from_millis(300);
/// Into how many parts the slots of a cluster are divided. A node that is away closes the parts
/// with its slots, and leaves the others open.
const PARTS: u16 = 16;
/// The number of slots of a cluster.
const SLOTS: u16 = 16_384;

/// What a caller may do.
pub(crate) enum Way {
    /// Ask.
    Open,
    /// Try with a short question first.
    Try,
}

/// The circuits of a connection: one for a single server, one for each part of a cluster's slots.
pub(crate) struct Circuits(Vec<Circuit>);

impl Circuits {
    pub fn of_server() -> Self {
        Self(vec![Circuit::default()])
    }

    pub fn of_cluster() -> Self {
        Self((0..PARTS).map(|_| Circuit::default()).collect())
    }

    /// The circuit of a key.
    pub fn of(&self, key: Option<&[u8]>) -> Option<&Circuit> {
        if self.0.len() == 1 {
            return self.0.first();
        }
        self.0.get(usize::from(slot(key?) / (SLOTS / PARTS)))
    }
}

/// Whether a server answers.
#[derive(Default)]
pub(crate) struct Circuit(Mutex<Option<Away>>);

/// A server that has not answered.
struct Away {
    until: Instant,
    reason: String,
}

impl Circuit {
    /// The way that a call may take, or the error of a server that is away.
    pub fn admit(&self) -> RedisResult<Way> {
        let mut state = self.state();
        let Some(away) = state.as_mut() else {
            return Ok(Way::Open);
        };
        let now = Instant::now();
        if now < away.until {
            let reason = format!("it is away: {}", away.reason);
            return Err(RedisError::from((ErrorKind::Io, "not asked", reason)));
        }
        away.until = now + AWAY;
        Ok(Way::Try)
    }

    /// Notes how a call ended. An error that a server sent is an answer.
    pub fn note<T>(&self, ended: &RedisResult<T>) {
        let away = match ended {
            Err(error) if is_away(error) => Some(Away {
                until: Instant::now() + AWAY,
                reason: error.to_string(),
            }),
            _ => None,
        };
        let mut state = self.state();
        if state.is_some() || away.is_some() {
            *state = away;
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Away>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error says that nobody answered.
fn is_away(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::ClusterConnectionNotFound
}

/// The key of a command that Fanfold sends, with the prefix that stands in front of it by now.
pub(crate) fn key_of(command: &Cmd) -> Option<&[u8]> {
    match command.args_iter().nth(place_of_key(command)?)? {
        Arg::Simple(key) => Some(key),
        _ => None,
    }
}

/// The slot of a key in a cluster: its CRC-16 (XMODEM). Neither a key of Fanfold nor a
/// prefix has a hash tag.
fn slot(key: &[u8]) -> u16 {
    let crc = key.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_answer() -> RedisResult<()> {
        Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
    }

    #[test]
    fn a_server_that_did_not_answer_is_not_asked_for_a_moment_and_then_tried() {
        let circuit = Circuit::default();
        assert!(matches!(circuit.admit(), Ok(Way::Open)));
        circuit.note(&no_answer());
        let refused = circuit.admit().err().unwrap();
        assert!(refused.to_string().contains("away"), "{refused}");
        if let Some(away) = circuit.state().as_mut() {
            away.until = Instant::now();
        }
        assert!(matches!(circuit.admit(), Ok(Way::Try)));
        assert!(
            circuit.admit().is_err(),
            "one call tries, the others do not wait"
        );
        circuit.note(&Ok(()));
        assert!(matches!(circuit.admit(), Ok(Way::Open)));
    }

    #[test]
    fn an_error_that_the_server_sent_is_an_answer() {
        let circuit = Circuit::default();
        let kind = ErrorKind::Server(redis::ServerErrorKind::ReadOnly);
        circuit.note::<()>(&Err((kind, "READONLY").into()));
        assert!(matches!(circuit.admit(), Ok(Way::Open)));
    }

    #[test]
    fn a_node_of_a_cluster_that_is_away_closes_its_slots_only() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12_182);
        let circuits = Circuits::of_cluster();
        let circuit = |key: &'static [u8]| circuits.of(Some(key)).unwrap();
        circuit(b"foo").note(&no_answer());
        assert!(circuit(b"foo").admit().is_err());
        assert!(circuit(b"bar").admit().is_ok());
    }

    #[test]
    fn the_key_of_a_command_is_found() {
        let mut script = redis::cmd("EVALSHA");
        script.arg("hash").arg(1).arg("key").arg("argument");
        assert_eq!(key_of(&script), Some(&b"key"[..]));
        let mut read = redis::cmd("HGETALL");
        read.arg("key");
        assert_eq!(key_of(&read), Some(&b"key"[..]));
        assert_eq!(key_of(&redis::cmd("PING")), None);
    }
}
