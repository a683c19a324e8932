//! Request bodies. The API reads a body whole and decodes it. The route limits its size, a timeout
//! limits its time, and all bodies share a limited amount of memory.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::{Bytes, BytesMut};
use domain::document::mark_for;
use futures::StreamExt;

use crate::auth::Admitted;
use crate::http::coding::{Broken, Decoder};
use crate::http::media;
use crate::http::problem::{Problem, overloaded};
use crate::http::sharing::{Beyond, Caller, Part};
use crate::state::Api;
use crate::tenancy::{Exceeded, Held, no_bytes};

/// The maximum size of a JSON body.
const JSON_MAX_BYTES: usize = 64 * 1024;
/// The API trusts the announced length only after this many bytes of the body have arrived.
const ROOM_FROM_BYTES: usize = 64 * 1024;
/// How much larger an encoded body may be than its decoded form: one hundredth, plus this.
const PACKED_MORE_BYTES: usize = 4 * 1024;

/// A complete body, with its share of the memory for all bodies. Dropping the body frees the share.
pub struct Posted {
    pub bytes: Bytes,
    pub room: Room,
}

/// The memory that a body takes, of all callers and of its tenant's quota.
pub struct Room {
    part: Part,
    quota: Option<Held>,
}

impl Room {
    fn grow(&mut self, by: usize) -> Result<(), Refused> {
        self.part.grow(by).map_err(Refused::NoRoom)?;
        if let Some(quota) = &mut self.quota
            && !quota.grow(by)
        {
            return Err(Refused::NoQuota(no_bytes(quota)));
        }
        Ok(())
    }

    fn shrink(&mut self, by: usize) {
        self.part.shrink(by);
    }
}

/// The document of a submission.
pub struct PostedDocument(pub Posted);

/// The JSON body of a caller.
pub struct PostedJson(pub Posted);

impl FromRequest<Arc<Api>> for PostedDocument {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let charset = charset(request.headers())?;
        let limit = Limit {
            most: api.payload_max_bytes,
            of: "the document is larger than PAYLOAD_MAX_BYTES",
        };
        let posted = read(api, request, limit).await?;
        if posted.bytes.is_empty() {
            let message = "the body is empty: send a VNML document";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "empty-body", message));
        }
        let Posted { mut bytes, room } = posted;
        if let Some(charset) = charset {
            bytes = describing_itself(bytes, &charset)?;
        }
        Ok(Self(Posted { bytes, room }))
    }
}

impl FromRequest<Arc<Api>> for PostedJson {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let said = one_media_type(request.headers())?;
        if !request.body().is_end_stream() && !said.is_some_and(is_json) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let message = "send the body with Content-Type: application/json";
            return Err(Problem::new(status, "unsupported-media-type", message));
        }
        let limit = Limit {
            most: JSON_MAX_BYTES,
            of: "the body is larger than its limit",
        };
        read(api, request, limit).await.map(Self)
    }
}

/// The maximum size of a body, and the error for a larger one.
#[derive(Clone, Copy)]
struct Limit {
    most: usize,
    of: &'static str,
}

async fn read(api: &Api, request: Request, limit: Limit) -> Result<Posted, Problem> {
    let decoder = Decoder::of(request.headers())?;
    let caller = request.extensions().get().copied();
    let admitted = request.extensions().get::<Admitted>();
    let quotas = admitted.and_then(|admitted| api.quotas.of(&admitted.tenant()));
    let room = Room {
        part: api.bodies.nothing(caller.unwrap_or(Caller::NOBODY)),
        quota: quotas.and_then(|quotas| quotas.bytes()),
    };
    let body = Coming::new(room, decoder, limit.most);
    let read = body.read(request.into_body());
    let Ok(read) = tokio::time::timeout(api.body_timeout, read).await else {
        let message = format!("the body did not arrive within {:?}", api.body_timeout);
        let status = StatusCode::REQUEST_TIMEOUT;
        return Err(Problem::new(status, "body-too-slow", message));
    };
    read.map_err(|refused| refused.problem(limit))
}

/// Why the API refuses a body.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    TooLarge,
    NoRoom(Beyond),
    NoQuota(Exceeded),
    Broken(Broken),
    /// The connection broke off, or the framing is wrong.
    CutOff,
}

impl Refused {
    fn problem(&self, limit: Limit) -> Problem {
        match self {
            Self::TooLarge => {
                let message = format!("{}, {} bytes", limit.of, limit.most);
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                Problem::new(status, "payload-too-large", message)
            }
            Self::NoRoom(Beyond::All) => {
                overloaded("too many bodies are being received; send it again later")
            }
            Self::NoRoom(Beyond::Share) => overloaded(
                "too many bodies are being received from this address; send it again later",
            ),
            Self::NoQuota(exceeded) => (*exceeded).into(),
            Self::Broken(why) => unreadable(&why.to_string()),
            Self::CutOff => unreadable("it ended early"),
        }
    }
}

fn unreadable(why: &str) -> Problem {
    let message = format!("the body could not be read: {why}");
    Problem::new(StatusCode::BAD_REQUEST, "body-unreadable", message)
}

/// A body that is still arriving.
struct Coming {
    decoder: Option<Decoder>,
    bytes: BytesMut,
    room: Room,
    most: usize,
    /// The bytes that have arrived, before decoding.
    came: usize,
    /// The memory that the decoder holds, in bytes.
    holds: usize,
}

impl Coming {
    fn new(room: Room, decoder: Option<Decoder>, most: usize) -> Self {
        Self {
            decoder,
            bytes: BytesMut::new(),
            room,
            most,
            came: 0,
            holds: 0,
        }
    }

    /// Reads the body whole. When the API refuses a body, the code that closes the connection reads
    /// the rest.
    async fn read(mut self, body: Body) -> Result<Posted, Refused> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(self.most);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                tracing::debug!(%error, "a request body ended early");
                Refused::CutOff
            })?;
            self.came += chunk.len();
            self.take_in(&chunk, announced).await?;
        }
        self.finish()
    }

    async fn take_in(&mut self, chunk: &[u8], announced: usize) -> Result<(), Refused> {
        if self.decoder.is_some() {
            if self.came > self.most + self.most / 100 + PACKED_MORE_BYTES {
                return Err(Refused::TooLarge);
            }
            return self.decode(chunk).await;
        }
        // Once some of the body has arrived, reserve memory for its announced length in one step.
        if self.came > ROOM_FROM_BYTES && announced <= self.most {
            self.bytes
                .reserve(chunk.len().max(announced.saturating_sub(self.bytes.len())));
        }
        self.keep(chunk)
    }

    /// Decodes a chunk one slice at a time, so that other tasks can run between two slices.
    async fn decode(&mut self, mut chunk: &[u8]) -> Result<(), Refused> {
        let (mut out, mut more) = (Vec::new(), false);
        while let Some(decoder) = &mut self.decoder
            && (more || !chunk.is_empty())
        {
            let slice = decoder.decode(chunk, &mut out).map_err(Refused::Broken)?;
            let grown = slice.holds.saturating_sub(self.holds);
            self.room.grow(grown)?;
            self.holds += grown;
            chunk = &chunk[slice.taken..];
            more = slice.more;
            self.keep(&out)?;
            out.clear();
            if more || !chunk.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(Refused::TooLarge);
        }
        self.room.grow(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self) -> Result<Posted, Refused> {
        // An empty body is empty in any coding.
        if let Some(mut decoder) = self.decoder.take().filter(|_| self.came > 0) {
            let mut out = Vec::new();
            decoder.finish(&mut out).map_err(Refused::Broken)?;
            self.keep(&out)?;
        }
        self.room.shrink(self.holds);
        Ok(Posted {
            bytes: self.bytes.freeze(),
            room: self.room,
        })
    }
}

/// The `charset` of a document's media type, if it has one.
fn charset(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let given = one_media_type(headers)?
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    if !is_xml(essence.trim()) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!("Content-Type is '{given}': send application/xml or text/xml"),
        ));
    }
    let named = media::parameters(parameters);
    let mut named = named.filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let charset = named.next().map(|(_, value)| value);
    if let (Some(first), Some((_, second))) = (&charset, named.next()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "encoding",
            format!("the media type says charset={first} and charset={second}"),
        ));
    }
    Ok(charset)
}

/// The media type of a body. Of two, a proxy in front could have looked at the other one.
fn one_media_type(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Problem> {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let first = all.next();
    if all.next().is_some() {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let message = "Content-Type is given more than once";
        return Err(Problem::new(status, "unsupported-media-type", message));
    }
    Ok(first)
}

/// Whether a media type is JSON. The page of another site cannot send it without asking first.
fn is_json(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Whether a media type is XML: `application/xml`, `text/xml`, and every type with the suffix
/// `+xml` (RFC 7303, section 4.2).
fn is_xml(essence: &str) -> bool {
    let essence = essence.to_ascii_lowercase();
    let suffixed = essence.strip_suffix("+xml").is_some_and(|rest| {
        rest.split_once('/')
            .is_some_and(|(_, name)| !name.is_empty())
    });
    matches!(essence.as_str(), "application/xml" | "text/xml") || suffixed
}

/// A document that states its own encoding, because the log stores no media type.
fn describing_itself(bytes: Bytes, charset: &str) -> Result<Bytes, Problem> {
    let Some(mark) = mark_for(&bytes, charset)? else {
        return Ok(bytes);
    };
    let mut marked = BytesMut::with_capacity(mark.len() + bytes.len());
    marked.extend_from_slice(&mark);
    marked.extend_from_slice(&bytes);
    Ok(marked.freeze())
}

#[cfg(test)]
mod tests;
