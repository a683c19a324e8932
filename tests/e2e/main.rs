//! End to end: the real program, its HTTP API, real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod failure;
mod golden;
mod life;
mod replay;
mod sync;

use harness::{Program, Valuer, World};

/// The program with every role, and a service that values its tasks.
async fn up(world: &World, valuer: &Valuer, settings: &[(&str, &str)]) -> Program {
    let mut all = vec![("EXECUTOR", valuer.url()), ("RETRY_DELAY_MS", "20")];
    all.extend(settings);
    Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", world, &all).await
}

/// A document of so many groups with so many valuations each.
fn document(groups: usize, tasks: usize) -> String {
    let valuation = "<valuation name=\"v\"><market select=\"/vnml/project/market[1]\"/>\
                     <analytics><price><amount/></price></analytics></valuation>";
    let groups: String = (0..groups)
        .map(|group| {
            format!(
                "<group name=\"g{group}\">{}</group>",
                valuation.repeat(tasks)
            )
        })
        .collect();
    format!("<vnml><project><market name=\"m\"><rate>0.03</rate></market>{groups}</project></vnml>")
}
