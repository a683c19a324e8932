//! Any `Idempotency-Key`: an accepted key is printable ASCII of a bounded length, and is the same
//! key in quotes.
#![no_main]

use api::fuzzing::idempotency_key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(key) = idempotency_key(bytes) else {
        return;
    };
    assert!((1..=255).contains(&key.len()));
    assert!(key.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
    assert_eq!(idempotency_key(quoted.as_bytes()), Some(key));
});
