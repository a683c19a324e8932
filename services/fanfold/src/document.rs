//! `fanfold document …`: what a document is and becomes, without any server.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use domain::document::{CapturedResources, Document, HydrationError, Limits};

/// The subcommands on documents.
#[derive(Subcommand)]
pub enum DocumentCommand {
    /// Looks at documents without any server
    #[command(subcommand)]
    Document(Tool),
}

/// The tools.
#[derive(Subcommand)]
pub enum Tool {
    /// Says whether a document would be accepted, and what it would become
    Check {
        /// The document; - for stdin
        file: PathBuf,
    },
    /// Prints the hydrated element; several are wrapped in <hydrated>
    Hydrate {
        /// The document; - for stdin
        file: PathBuf,
        /// What to hydrate: an XPath, or / for the whole document
        #[arg(long, default_value = "/", value_name = "XPATH")]
        target: String,
        #[command(flatten)]
        resources: ResourcesAt,
    },
    /// Prints the task documents of a group
    Tasks {
        /// The document; - for stdin
        file: PathBuf,
        /// The group, from 0
        #[arg(long, value_name = "G")]
        group: usize,
        /// Only this task, from 1
        #[arg(long, value_name = "N")]
        task: Option<u32>,
        /// Where the earlier groups' results are, as result-<g>-<n>.xml
        #[arg(long, value_name = "DIR")]
        results: Option<PathBuf>,
        #[command(flatten)]
        resources: ResourcesAt,
    },
}

/// Where what a document refers to is read from.
#[derive(Args)]
pub struct ResourcesAt {
    /// s3://bucket/X is read from DIR/X
    #[arg(long, value_name = "DIR")]
    resources: Option<PathBuf>,
}

pub fn run(DocumentCommand::Document(tool): &DocumentCommand) -> anyhow::Result<ExitCode> {
    match tool {
        Tool::Check { file } => check(&read(file)?),
        Tool::Hydrate {
            file,
            target,
            resources,
        } => {
            let document = read(file)?;
            let hydrated = resources.resolve(|known| document.hydrate(known, target))?;
            println!("{hydrated}");
        }
        Tool::Tasks {
            file,
            group,
            task,
            results,
            resources,
        } => tasks(read(file)?, *group, *task, results.as_deref(), resources)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Document> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
        bytes
    } else {
        std::fs::read(file).with_context(|| file.display().to_string())?
    };
    let accepted = Document::accept(&bytes, &Limits::default());
    accepted.with_context(|| format!("{} would not be accepted", file.display()))
}

fn check(document: &Document) {
    println!("accepted");
    println!("groups: {}", document.groups());
    for group in 0..document.groups() {
        let name = document.group_name(group).unwrap_or("-");
        let valuations = document.valuations(group);
        let tasks = match document.count_tasks(&CapturedResources::default(), group) {
            Ok(tasks) => format!("{tasks} tasks"),
            Err(HydrationError::Missing { .. }) => "tasks known when its references are".into(),
            Err(error) if group > 0 => {
                format!("tasks known when the groups before it are ({error})")
            }
            Err(error) => format!("would fail: {error}"),
        };
        println!("group {group} ({name}): {valuations} valuations, {tasks}");
    }
    let references = document.references();
    println!("references: {}", references.len());
    for uri in references {
        println!("  {uri}");
    }
}

fn tasks(
    mut document: Document,
    group: usize,
    task: Option<u32>,
    results: Option<&Path>,
    resources: &ResourcesAt,
) -> anyhow::Result<()> {
    if group >= document.groups() {
        bail!(
            "there is no group {group}: the document has {}",
            document.groups()
        );
    }
    for earlier in 0..group {
        let Some(results) = results else {
            bail!("group {group} may see the results of the groups before it: give --results DIR");
        };
        let found = earlier_results(results, earlier)?;
        let found = found.values().map(Vec::as_slice);
        document
            .put_results(earlier, found)
            .with_context(|| format!("the results of group {earlier}"))?;
    }
    let printed = resources.resolve(|known| {
        let count = u32::try_from(document.count_tasks(known, group)?).unwrap_or(u32::MAX);
        let numbers = task.map_or(1..=count, |task| task..=task);
        document
            .tasks(known, group, numbers)?
            .collect::<Result<Vec<_>, _>>()
    })?;
    if let (Some(task), true) = (task, printed.is_empty()) {
        bail!("group {group} has no task {task}");
    }
    for task in printed {
        println!("{}", String::from_utf8_lossy(&task.xml));
    }
    Ok(())
}

/// The results of a group by number, from `result-<g>-<n>.xml`.
fn earlier_results(folder: &Path, group: usize) -> anyhow::Result<BTreeMap<u32, Vec<u8>>> {
    let prefix = format!("result-{group}-");
    let mut found = BTreeMap::new();
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let number = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(".xml"))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number {
            found.insert(number, std::fs::read(&path)?);
        }
    }
    Ok(found)
}

impl ResourcesAt {
    /// Does something with what is referred to, read as it is asked for.
    fn resolve<T>(
        &self,
        work: impl Fn(&CapturedResources) -> Result<T, HydrationError>,
    ) -> anyhow::Result<T> {
        let mut known = CapturedResources::default();
        loop {
            match work(&known) {
                Err(HydrationError::Missing { uris }) => {
                    for uri in uris {
                        known.insert(&uri, &self.read(&uri)?)?;
                    }
                }
                done => return Ok(done?),
            }
        }
    }

    fn read(&self, uri: &str) -> anyhow::Result<Vec<u8>> {
        let key = uri
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'))
            .map(|(_, key)| key);
        let (Some(folder), Some(key)) = (&self.resources, key) else {
            bail!(
                "{uri} is not read here: give --resources DIR, from which s3://bucket/X is DIR/X"
            );
        };
        if key.split('/').any(|part| part == "..") {
            bail!("{uri} leads out of {}", folder.display());
        }
        let path = folder.join(key);
        std::fs::read(&path).with_context(|| format!("{uri}: {}", path.display()))
    }
}
