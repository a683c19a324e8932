//! `fanfold document …`: checks, hydrates and splits documents without any server.

use domain::request::{GroupIndex, TaskNumber};
use std::collections::BTreeMap;
use std::io::{BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use domain::derivation::{Derivation, Halt};
use domain::document::{
    CapturedResources, Document, Effort, HydrationError, Limits, Preview, TaskDocument,
    TasksPreview,
};
use domain::request::Failure;
use runtime::{Form, Settings, printable};

/// The subcommands on documents.
#[derive(Subcommand)]
pub enum DocumentCommand {
    /// Check, hydrate and split documents without any server
    #[command(subcommand)]
    Document(Tool),
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Tool {
    /// Print whether a document would be accepted, and what it would become
    Check {
        /// The document; - for stdin
        file: PathBuf,
        /// Print what `POST /valuation/check` answers
        #[arg(long)]
        json: bool,
    },
    /// Print the hydrated elements, wrapped in <hydrated> if there are several
    Hydrate {
        /// The document; - for stdin
        file: PathBuf,
        /// XPath of the elements to hydrate; / is the whole document
        #[arg(long, default_value = "/", value_name = "XPATH")]
        target: String,
        #[command(flatten)]
        resources: ResourcesAt,
    },
    /// Print the task documents of a group
    Tasks {
        /// The document; - for stdin
        file: PathBuf,
        /// The group, from 0
        #[arg(long, value_name = "G")]
        group: u32,
        /// Only this task, from 1
        #[arg(long, value_name = "N")]
        task: Option<u32>,
        /// Folder with the results of earlier groups, named result-<g>-<n>.xml
        #[arg(long, value_name = "DIR")]
        results: Option<PathBuf>,
        #[command(flatten)]
        resources: ResourcesAt,
    },
}

/// The source of the resources that a document refers to.
#[derive(Args)]
pub struct ResourcesAt {
    /// Read `s3://bucket/X` from DIR/X
    #[arg(long, value_name = "DIR")]
    resources: Option<PathBuf>,
}

pub fn run(
    DocumentCommand::Document(tool): &DocumentCommand,
    settings: &Settings,
) -> anyhow::Result<ExitCode> {
    let printed = print(
        tool,
        settings,
        &mut BufWriter::new(std::io::stdout().lock()),
    );
    let cause = printed
        .as_ref()
        .map_err(|error| error.downcast_ref::<std::io::Error>());
    match cause {
        // The reader of the output has closed the pipe.
        Err(Some(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        _ => printed.map(|()| ExitCode::SUCCESS),
    }
}

fn print(tool: &Tool, settings: &Settings, out: &mut impl Write) -> anyhow::Result<()> {
    let read = |file: &Path| read(file, settings);
    match tool {
        Tool::Check { file, json } => {
            let preview = read(file)?.preview(Effort::Whole);
            let preview = preview.context("the document takes longer than it may")?;
            if *json {
                let text = serde_json::to_string_pretty(&preview)?;
                writeln!(out, "{}", printable(&text, Form::Json))?;
            } else {
                show(&preview, out)?;
            }
        }
        Tool::Hydrate {
            file,
            target,
            resources,
        } => {
            let document = read(file)?;
            let hydrated = resources.resolve(|known| document.hydrate(known, target))?;
            writeln!(out, "{hydrated}")?;
        }
        Tool::Tasks {
            file,
            group,
            task,
            results,
            resources,
        } => {
            let (group, task) = (GroupIndex::new(*group), task.map(TaskNumber::new));
            let made = tasks(read(file)?, group, task, results.as_deref(), resources)?;
            for task in made {
                writeln!(out, "{}", String::from_utf8_lossy(&task.xml))?;
            }
        }
    }
    Ok(out.flush()?)
}

fn read(file: &Path, settings: &Settings) -> anyhow::Result<Document> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
        bytes
    } else {
        std::fs::read(file).with_context(|| file.display().to_string())?
    };
    let limits = Limits {
        max_bytes: settings.api.payload_max_bytes,
        ..Limits::accepted()
    };
    let accepted = Document::accept(&bytes, &limits);
    accepted.with_context(|| format!("{} would not be accepted", file.display()))
}

/// Prints what a document would become. It may have characters that a terminal takes for commands.
fn show(preview: &Preview, out: &mut impl Write) -> std::io::Result<()> {
    let line = Form::Line { colours: false };
    let mut say = |text: String| writeln!(out, "{}", printable(&text, line));
    say("accepted".into())?;
    for warning in &preview.warnings {
        say(format!("warning: {warning}"))?;
    }
    say(format!("groups: {}", preview.groups.len()))?;
    for (index, group) in preview.groups.iter().enumerate() {
        let name = group.name.as_deref().unwrap_or("-");
        let tasks = match &group.tasks {
            TasksPreview::Ready { tasks } => format!("{tasks} tasks"),
            TasksPreview::NeedsResources => "tasks unknown until its references are fetched".into(),
            TasksPreview::NeedsResults => "tasks unknown until the groups before it end".into(),
            TasksPreview::Fails { code, message } => format!("would fail: {code}: {message}"),
        };
        let valuations = group.valuations;
        say(format!(
            "group {index} ({name}): {valuations} valuations, {tasks}"
        ))?;
    }
    say(format!("references: {}", preview.references.len()))?;
    for uri in &preview.references {
        say(format!("  {uri}"))?;
    }
    Ok(())
}

fn tasks(
    document: Document,
    group: GroupIndex,
    task: Option<TaskNumber>,
    results: Option<&Path>,
    resources: &ResourcesAt,
) -> anyhow::Result<Vec<TaskDocument>> {
    let groups = document.groups();
    if group.index() >= groups {
        bail!("there is no group {group}: the document has {groups}");
    }
    let mut derivation = Derivation::of(document);
    for earlier in GroupIndex::all().take(group.index()) {
        let Some(results) = results else {
            bail!("group {group} may see the results of the groups before it: give --results DIR");
        };
        let expected = resources.derive(&mut derivation, |derivation| {
            derivation.count(earlier, Effort::Whole)
        })?;
        let found = earlier_results(results, earlier)?;
        if let Some(missing) = TaskNumber::up_to(expected).find(|n| !found.contains_key(n)) {
            bail!(
                "result-{earlier}-{missing}.xml is not in {}",
                results.display()
            );
        }
        let found = TaskNumber::up_to(expected).filter_map(|n| found.get(&n));
        let found: Vec<_> = found.collect();
        let put = derivation.put_results(&found);
        put.map_err(|failure| failed(&failure))
            .with_context(|| format!("the results of group {earlier}"))?;
    }
    let printed = resources.derive(&mut derivation, |derivation| match task {
        Some(task) => derivation.tasks(group, [task], usize::MAX, Effort::Whole),
        None => derivation.all_tasks(group, Effort::Whole),
    })?;
    if let (Some(task), true) = (task, printed.is_empty()) {
        bail!("group {group} has no task {task}");
    }
    Ok(printed)
}

fn failed(failure: &Failure) -> anyhow::Error {
    anyhow!("{}", failure.message)
}

/// The results of a group by number, from `result-<g>-<n>.xml`.
fn earlier_results(
    folder: &Path,
    group: GroupIndex,
) -> anyhow::Result<BTreeMap<TaskNumber, Vec<u8>>> {
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
    /// Does some work with the resources, reading each one when the work asks for it.
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

    /// Derives something, reading each resource when the derivation asks for it.
    fn derive<T>(
        &self,
        derivation: &mut Derivation,
        work: impl Fn(&mut Derivation) -> Result<T, Halt>,
    ) -> anyhow::Result<T> {
        loop {
            match work(derivation) {
                Ok(done) => return Ok(done),
                Err(Halt::Fails(failure)) => return Err(failed(&failure)),
                Err(Halt::TakesLonger) => bail!("the document takes longer than it may"),
                Err(Halt::Capture(uris)) => {
                    for uri in uris {
                        let captured = derivation.capture(&uri, &self.read(&uri)?);
                        captured.map_err(|failure| failed(&failure))?;
                    }
                }
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
