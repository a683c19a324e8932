//! `export`: requests with everything that belongs to them, in one file.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use history::bundle::{self, Line, Rules};
use history::source::Source;
use history::{export, search};
use jiff::Timestamp;
use nats::sha256;
use runtime::Settings;

use crate::command::ExportArgs;
use crate::output::count;
use crate::{Error, Finding, open};

pub async fn run(args: &ExportArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::Live(Box::new(open::live(settings).await?));
    let ids = if let Some(id) = args.id {
        vec![id]
    } else {
        let since = args.since.map(|since| since.time(Timestamp::now()));
        let found = search::find(&source, &args.filter.filter(), since, args.limit).await?;
        found.iter().map(|found| found.request_id).collect()
    };
    if ids.is_empty() {
        return Err(Error::not_found("no request matches"));
    }
    let rules = Rules {
        fail_fast: settings.deployment.fail_fast,
    };
    let lines = export::lines(&source, &ids, args.redact, rules).await?;
    let packed = bundle::pack(&lines, true)?;
    write_private(&args.output, &packed)?;
    let commits = lines.iter().filter(|line| matches!(line, Line::Commit(_)));
    eprintln!(
        "{}: {} in {}, {} bytes, sha256 {}",
        args.output.display(),
        count(ids.len() as u64, "request"),
        count(commits.count() as u64, "commit"),
        packed.len(),
        sha256(&packed)
    );
    Ok(Finding::Fine)
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    // The mode above holds for a new file only. A terminal or a pipe keeps its own.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    file.write_all(content)
}
