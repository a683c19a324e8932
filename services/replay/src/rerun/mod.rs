//! `run`: replays a bundle with this build, without any server. `test`: turns a bundle into a
//! golden case.

mod golden;
mod told;

use history::bundle::Bundle;
use history::execute::Executor;
use history::rerun::{again, execute};
use history::source::Source;
use runtime::{Settings, Source as Origin};

use crate::command::RunArgs;
use crate::{Error, Finding, page};
pub use golden::{golden, test};
use told::{as_json, told};

pub async fn run(
    args: &RunArgs,
    settings: &Settings,
    executor: &dyn Executor,
) -> Result<Finding, Error> {
    let bundle = Bundle::read(&args.bundle)?;
    let fail_fast = is_set(settings, "FAIL_FAST").then_some(settings.deployment.fail_fast);
    let program = bundle.header.program.clone();
    let mut outcome = again(bundle, fail_fast).await?;
    if args.execute {
        let source = Source::Bundle(Box::new(Bundle::read(&args.bundle)?));
        execute(&source, executor, &mut outcome).await?;
    }
    let fine = outcome.divergence.is_none() && outcome.others.is_empty();
    if args.json {
        page::line(&as_json(&outcome))?;
    } else {
        page::print(&told(&outcome, &program))?;
    }
    Ok(if fine { Finding::Fine } else { Finding::Found })
}

fn is_set(settings: &Settings, name: &str) -> bool {
    let mut definitions = Settings::definitions().iter();
    definitions
        .find(|definition| definition.name == name)
        .is_some_and(|definition| settings.source(definition) != Origin::Default)
}
