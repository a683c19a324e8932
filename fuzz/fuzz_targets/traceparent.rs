//! Any `traceparent`: an accepted one is written as it was read, and cannot inject a header.
#![no_main]

use domain::request::TraceParent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(traceparent) = text.parse::<TraceParent>() else {
        return;
    };
    let written = traceparent.as_str();
    assert!(written.len() <= 512, "it is kept with every message");
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(written.parse(), Ok(traceparent.clone()));
});
