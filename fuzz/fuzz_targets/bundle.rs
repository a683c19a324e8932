//! Any bundle is read or refused. Other bytes are read as a payload in hex.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if history::fuzzing::bundle(bytes) == Some(true) {
        // A complete bundle is incomplete without the last byte before its final newline.
        let cut = bytes.trim_ascii_end();
        assert_ne!(history::fuzzing::bundle(&cut[..cut.len() - 1]), Some(true));
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    let digits = text.len();
    if let Some(bytes) = history::fuzzing::hex(text) {
        assert_eq!(bytes.len(), digits / 2);
    }
});
