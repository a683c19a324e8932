//! Documents, results and responses that are too large to be inline: an object store, addressed by
//! content.

mod object;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::object_store::{ObjectMetadata, ObjectStore};
use bytes::Bytes;
use domain::request::Payload;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::topology::PAYLOADS;
use crate::{Connection, Error};

/// The most bytes of an inline payload. A larger one goes to the object store.
pub const INLINE_MAX_BYTES: usize = 64 * 1024;
/// The most bytes of a payload once decompressed.
pub const STORED_MAX_BYTES: usize = 256 * 1024 * 1024;
/// How long a put or a get may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);
/// The age from which an object is written again when it is wanted again, so that it outlives the
/// new reference.
const REFRESH_AFTER: Duration = Duration::from_hours(24);

/// The object store.
#[derive(Clone)]
pub struct Payloads {
    connection: Connection,
    /// Limits how many payloads this role hashes and packs at once: as many as there are cores.
    aside: Arc<Semaphore>,
}

/// Bytes on their way to becoming a payload.
#[derive(Clone, Debug)]
pub enum Hashed {
    /// They go inline.
    Inline(Payload),
    /// They go to the object store under this hash.
    Large {
        /// In lower-case hex.
        sha256: String,
        /// The bytes.
        bytes: Bytes,
    },
}

impl Payloads {
    /// Accesses the object store over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            connection,
            aside: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Runs slow work outside the event loop.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.aside.clone().acquire_owned().await;
        let turn = turn.map_err(Error::unavailable)?;
        // The permit ends with the work, even if the caller has gone.
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.map_err(Error::unavailable)
    }

    async fn store(&self) -> Result<ObjectStore, Error> {
        let store = self.connection.jetstream.get_object_store(PAYLOADS).await;
        let call = format_args!("STREAM.INFO.OBJ_{PAYLOADS}");
        store.map_err(|error| self.connection.failed(call, error))
    }

    /// Makes the payload of these bytes: inline where they are small UTF-8, otherwise stored first.
    pub async fn place(&self, bytes: Bytes) -> Result<Payload, Error> {
        self.store_hashed(self.hash(bytes).await?).await
    }

    /// Makes the payload of these bytes and stores it, however small they are. This is for payloads
    /// of which many would not fit into one message together.
    pub async fn place_stored(&self, bytes: Bytes) -> Result<Payload, Error> {
        self.store_hashed(self.hash_large(bytes).await?).await
    }

    /// Does the part of [`Self::place`] that needs no broker, so that the caller can do something
    /// else meanwhile.
    pub async fn hash(&self, bytes: Bytes) -> Result<Hashed, Error> {
        if bytes.len() <= INLINE_MAX_BYTES
            && let Ok(text) = std::str::from_utf8(&bytes)
        {
            return Ok(Hashed::Inline(Payload::from(text)));
        }
        self.hash_large(bytes).await
    }

    async fn hash_large(&self, bytes: Bytes) -> Result<Hashed, Error> {
        let hashed = bytes.clone();
        let sha256 = Box::pin(self.aside(move || self::sha256(&hashed))).await?;
        Ok(Hashed::Large { sha256, bytes })
    }

    /// Does the rest of `place`: stores hashed bytes where they are large.
    pub async fn store_hashed(&self, hashed: Hashed) -> Result<Payload, Error> {
        match hashed {
            Hashed::Inline(payload) => Ok(payload),
            Hashed::Large { sha256, bytes } => Box::pin(self.put(sha256, bytes)).await,
        }
    }

    async fn put(&self, sha256: String, bytes: Bytes) -> Result<Payload, Error> {
        let payload = Payload::Stored {
            sha256: sha256.clone(),
            size: bytes.len() as u64,
        };
        let known = match object::metadata(&self.connection, &sha256).await {
            Err(denied @ Error::Denied(_)) => return Err(denied),
            known => known.ok().flatten(),
        };
        if let Some(found) = known {
            let young = found.modified.is_some_and(|at| {
                let age = i128::from(REFRESH_AFTER.as_secs()) * 1_000_000_000;
                jiff::Timestamp::now().as_nanosecond() - at.unix_timestamp_nanos() < age
            });
            if young {
                return Ok(payload);
            }
        }
        let packed = self.aside(move || zstd::bulk::compress(&bytes, 3)).await?;
        let packed = packed.map_err(|error| Error::corrupt("a new payload", error))?;
        let metadata = ObjectMetadata {
            name: sha256,
            ..ObjectMetadata::default()
        };
        let store = self.store().await?;
        let mut reader = Cursor::new(packed);
        tokio::time::timeout(TRANSFER_TIMEOUT, store.put(metadata, &mut reader))
            .await
            .map_err(|_| Error::Unavailable("storing a payload took too long".into()))?
            .map_err(|error| self.not_stored(error))?;
        Ok(payload)
    }

    /// The error of a payload that was not stored. The client publishes its parts, one by one.
    fn not_stored(&self, error: impl std::fmt::Display) -> Error {
        let purge = format!("{}.STREAM.PURGE.OBJ_{PAYLOADS}", self.connection.api);
        let subjects = [
            format!("$O.{PAYLOADS}.C"),
            format!("$O.{PAYLOADS}.M"),
            purge,
        ];
        let denied = subjects
            .iter()
            .map(|subject| self.connection.denied.error(subject, &error))
            .find(|error| matches!(error, Error::Denied(_)));
        denied.unwrap_or_else(|| Error::unavailable(error))
    }

    /// Fetches the bytes of a payload, and checks them against its address.
    pub async fn fetch(&self, payload: &Payload) -> Result<Vec<u8>, Error> {
        let (sha256, size) = match payload {
            Payload::Inline(text) => return Ok(text.as_bytes().to_vec()),
            Payload::Stored { sha256, size } => (sha256, *size),
        };
        let reading = Box::pin(object::read(&self.connection, sha256));
        let packed = tokio::time::timeout(TRANSFER_TIMEOUT, reading)
            .await
            .map_err(|_| Error::Unavailable("fetching a payload took too long".into()))??;
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        let unpack = move || {
            let bytes = zstd::bulk::decompress(&packed, room.min(STORED_MAX_BYTES))?;
            Ok::<_, std::io::Error>((self::sha256(&bytes), bytes))
        };
        let (found, bytes) = self
            .aside(unpack)
            .await?
            .map_err(|error| Error::corrupt(format!("payload {sha256}"), error))?;
        if found != *sha256 {
            return Err(Error::corrupt(
                format!("payload {sha256}"),
                "its bytes have another hash",
            ));
        }
        Ok(bytes)
    }
}

/// The SHA-256 of some bytes, in lower-case hex: the address under which the store has them.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a text that comes in pieces, in lower-case hex.
#[must_use]
pub fn sha256_of(pieces: impl FnOnce(&mut dyn FnMut(&str))) -> String {
    let mut hasher = Sha256::new();
    pieces(&mut |piece| hasher.update(piece));
    hex(&hasher.finalize())
}

/// The hash of a payload's bytes. A stored payload already has it.
#[must_use]
pub fn payload_sha256(payload: &Payload) -> String {
    match payload {
        Payload::Inline(text) => sha256(text.as_bytes()),
        Payload::Stored { sha256, .. } => sha256.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        hex.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    hex
}
