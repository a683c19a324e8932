//! Any cursor of the API: an accepted cursor names the same position after it is written and read
//! again.
#![no_main]

use api::fuzzing::cursors;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for (kind, written) in cursors(text).into_iter().enumerate() {
        if let Some(written) = written {
            assert_eq!(cursors(&written)[kind].as_ref(), Some(&written));
        }
    }
});
