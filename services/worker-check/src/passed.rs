//! What passed at the broker, in the words of the protocol.

use bytes::Bytes;
use nats::Overheard;
use tokio::time::Instant;

/// One message that the check looks at.
#[derive(Clone, Debug)]
pub struct Passed {
    pub at: Instant,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// The broker gave a task of a request to the worker.
    Delivered { request: String, of: Delivery },
    /// The worker answered a delivery. `asks` says that it wants the broker's answer to that.
    Answered {
        of: Delivery,
        answer: Answer,
        asks: bool,
    },
    /// The worker published a report.
    Reported {
        request: String,
        reply: Option<String>,
        again: bool,
        body: Bytes,
    },
    /// The worker published a dead letter. `fenced` says that it replaces none.
    Lettered { request: String, fenced: bool },
    /// Something went to this subject; where that is a reply subject, the broker has answered.
    Other { subject: String },
}

/// A delivery: the sequence of the task in its queue, and how often the task was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    pub sequence: u64,
    pub delivered: u64,
}

/// The answer to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ack,
    /// With this delay in nanoseconds.
    Nak(u64),
    Term,
    /// A sign of life.
    Progress,
    /// Something that the broker does not know.
    Unknown(String),
}

impl Answer {
    /// How the protocol writes it.
    pub fn word(&self) -> String {
        match self {
            Self::Ack => "+ACK".into(),
            Self::Nak(0) => "-NAK".into(),
            Self::Nak(delay) => format!("-NAK with a delay of {} ms", delay / 1_000_000),
            Self::Term => "+TERM".into(),
            Self::Progress => "+WPI".into(),
            Self::Unknown(text) => format!("'{text}'"),
        }
    }

    fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let delay = |text: &str| {
            let delay: serde_json::Value = serde_json::from_str(text).ok()?;
            delay["delay"].as_u64()
        };
        match text.trim() {
            "" | "+ACK" => Self::Ack,
            "+TERM" => Self::Term,
            "+WPI" => Self::Progress,
            text if text.starts_with("+TERM ") => Self::Term,
            text => match text.strip_prefix("-NAK") {
                Some(rest) => Self::Nak(delay(rest.trim()).unwrap_or(0)),
                None => Self::Unknown(text.chars().take(40).collect()),
            },
        }
    }
}

/// The delivery that a subject for acks names: its last tokens, of which newer servers have more.
fn delivery(subject: &str) -> Option<Delivery> {
    let tokens: Vec<&str> = subject.split('.').collect();
    let ["$JS", "ACK", ..] = tokens[..] else {
        return None;
    };
    let at = if tokens.len() > 9 { 6 } else { 4 };
    Some(Delivery {
        delivered: tokens.get(at)?.parse().ok()?,
        sequence: tokens.get(at + 1)?.parse().ok()?,
    })
}

impl From<Overheard> for Passed {
    fn from(heard: Overheard) -> Self {
        let token = |at: usize| {
            heard
                .subject
                .split('.')
                .nth(at)
                .unwrap_or_default()
                .to_owned()
        };
        let given = heard.reply.as_deref().and_then(delivery);
        let what = match (given, delivery(&heard.subject), token(0).as_str()) {
            (Some(of), _, "tasks") => What::Delivered {
                request: token(3),
                of,
            },
            (_, Some(of), _) => What::Answered {
                of,
                answer: Answer::parse(&heard.body),
                asks: heard.reply.is_some(),
            },
            (_, _, "reports") => What::Reported {
                request: token(2),
                reply: heard.reply.clone(),
                again: heard.header("Fanfold-Again").is_some(),
                body: heard.body.clone(),
            },
            (_, _, "dead-letters") => What::Lettered {
                request: token(2),
                fenced: heard.header("Nats-Expected-Last-Subject-Sequence") == Some("0"),
            },
            _ => What::Other {
                subject: heard.subject.clone(),
            },
        };
        Self { at: heard.at, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_in_every_form_that_the_broker_takes() {
        for (body, answer) in [
            ("+ACK", Answer::Ack),
            ("", Answer::Ack),
            ("+WPI", Answer::Progress),
            ("+TERM", Answer::Term),
            ("+TERM no curve", Answer::Term),
            ("-NAK", Answer::Nak(0)),
            ("-NAK {\"delay\": 1000000}", Answer::Nak(1_000_000)),
            ("OK", Answer::Unknown("OK".into())),
        ] {
            assert_eq!(Answer::parse(body.as_bytes()), answer, "{body}");
        }
    }

    #[test]
    fn a_delivery_is_read_from_the_subjects_of_older_and_newer_servers() {
        let of = Some(Delivery {
            sequence: 7,
            delivered: 2,
        });
        let older = "$JS.ACK.TASKS.worker-bond.2.7.3.1796042217301411855.0";
        let newer = "$JS.ACK._.hash.TASKS.worker-bond.2.7.3.1796042217301411855.0.token";
        assert_eq!(delivery(older), of);
        assert_eq!(delivery(newer), of);
        assert_eq!(delivery("$JS.API.INFO"), None);
    }
}
