//! The forms of HTTP: bodies, media types, problems, preferences, connections and fair shares.

pub mod body;
pub mod call_log;
pub mod coding;
pub mod conditional;
pub mod connections;
pub mod headers;
pub mod held_answer;
pub mod idempotency;
pub mod input;
pub mod line;
pub mod linger;
pub mod measured;
pub mod media;
pub mod metadata;
pub mod openapi;
pub mod openapi_3_0;
pub mod preference;
pub mod problem;
pub mod query;
pub mod serve;
pub mod sharing;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod xml;
