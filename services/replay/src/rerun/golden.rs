//! `test`: a bundle as a golden case of the tree.

use std::path::Path;

use history::bundle::{self, Bundle};
use history::rerun::again;

use super::told::told;
use crate::command::TestArgs;
use crate::{Error, Finding, page};

/// Replays a golden case, and returns the differences.
pub async fn golden(case: &Path) -> Result<Option<String>, Error> {
    let bundle = Bundle::read(case)?;
    let outcome = again(bundle, None).await?;
    let fine = outcome.divergence.is_none() && outcome.others.is_empty();
    Ok((!fine).then(|| told(&outcome, "another build")))
}

/// Adds a bundle to the source tree, as plain lines that a review can read.
pub async fn test(args: &TestArgs) -> Result<Finding, Error> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.name.is_empty() || !args.name.chars().all(word) {
        return Err(Error::Usage(format!(
            "--name '{}': a-z, 0-9 and - only",
            args.name
        )));
    }
    let plain = bundle::unpack(&args.bundle)?;
    let bundle = Bundle::parse(&plain).map_err(history::Error::Unreadable)?;
    let outcome = again(bundle, None).await?;
    if outcome.divergence.is_some() || !outcome.others.is_empty() {
        page::print(&told(&outcome, "another build"))?;
        eprintln!("a golden case holds what this build decides: this one would fail");
        return Ok(Finding::Found);
    }
    let place = args.cases.join(format!("{}.jsonl", args.name));
    std::fs::create_dir_all(&args.cases)?;
    std::fs::write(&place, plain)?;
    eprintln!(
        "{}: `cargo test -p replay` decides it again from now on",
        place.display()
    );
    Ok(Finding::Fine)
}
