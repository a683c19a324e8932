//! Feeding a derivation from what is recorded. A replay fetches nothing.

use domain::FailureCode;
use domain::derivation::{Derivation, Halt, Lack};
use domain::request::{Failure, Payload, Request};
use nats::{INLINE_MAX_BYTES, sha256};

use crate::Error;
use crate::source::Source;

/// Why a document cannot be taken further.
#[derive(Debug)]
pub enum Stop {
    /// The request fails.
    Fails(Box<Failure>),
    /// The request needs resources that were never captured. Their fetch failed, and a replay does
    /// not repeat it.
    NotCaptured(Vec<String>),
}

impl Stop {
    /// The reason in plain words.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Fails(failure) => format!("{}: {}", failure.code, failure.message),
            Self::NotCaptured(uris) => format!("{} was not captured", uris.join(", ")),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fails(Box::new(failure))
    }
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Fails(failure) => Self::Fails(failure),
            Halt::Capture(uris) => Self::NotCaptured(uris),
            // A replay allows all the work that a document may cost.
            Halt::TakesLonger => Self::from(Failure {
                code: FailureCode::HydrationTooCostly.into(),
                message: "the document takes more work than it may".into(),
                ..Failure::default()
            }),
        }
    }
}

/// The derivation of a request with the results of the groups before `group` in place. The inner
/// error says why the request stops.
pub async fn before_group(
    source: &Source,
    request: &Request,
    group: usize,
) -> Result<Result<Derivation, Stop>, Error> {
    let bytes = source.payload(&request.document).await?;
    let mut derivation = match Derivation::accept(&bytes) {
        Ok(derivation) => derivation,
        Err(failure) => return Ok(Err(failure.into())),
    };
    let fed = feed(source, &mut derivation, request, group).await?;
    Ok(fed.map(|()| derivation).map_err(Stop::from))
}

/// Gives a derivation what it lacks, up to the results of this many groups.
pub async fn feed(
    source: &Source,
    derivation: &mut Derivation,
    request: &Request,
    groups: usize,
) -> Result<Result<(), Failure>, Error> {
    let completed = request.completed.get(..groups);
    let completed = completed.unwrap_or(&request.completed);
    while let Some(lack) = derivation.lacks(&request.resources, completed) {
        let fed = match lack {
            Lack::Resource(resource) => {
                let bytes = source.payload(&resource.content).await?;
                derivation.capture(&resource.uri, &bytes)
            }
            Lack::Results(results) => {
                let results = payloads(source, results).await?;
                derivation.put_results(&results)
            }
        };
        if let Err(failure) = fed {
            return Ok(Err(failure));
        }
    }
    Ok(Ok(()))
}

/// The bytes of these payloads.
pub async fn payloads(source: &Source, payloads: &[Payload]) -> Result<Vec<Vec<u8>>, Error> {
    let mut bytes = Vec::with_capacity(payloads.len());
    for payload in payloads {
        bytes.push(source.payload(payload).await?);
    }
    Ok(bytes)
}

/// A payload as the orchestrator places it, without storing it.
#[must_use]
pub fn place(bytes: &[u8]) -> Payload {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= INLINE_MAX_BYTES => Payload::from(text),
        _ => Payload::Stored {
            sha256: sha256(bytes),
            size: bytes.len() as u64,
        },
    }
}
