//! Any `Accept`: the chosen type was offered and is acceptable.
#![no_main]

use api::fuzzing::choose;
use libfuzzer_sys::fuzz_target;

const OFFERS: [&str; 4] = [
    "application/json",
    "text/event-stream",
    "application/xml",
    "text/xml",
];

fuzz_target!(|bytes: &[u8]| {
    if let Some((chosen, weight)) = choose(bytes, &OFFERS) {
        assert!(OFFERS.contains(&chosen));
        assert!((1..=1_000).contains(&weight));
    }
});
