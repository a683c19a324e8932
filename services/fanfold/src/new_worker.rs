//! `fanfold new worker`: a folder with a worker that runs at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};

/// The command that makes something new.
#[derive(Subcommand)]
pub enum NewCommand {
    /// Write a worker in Python or TypeScript, with its library
    #[command(subcommand)]
    New(New),
}

/// What can be made.
#[derive(Subcommand)]
pub enum New {
    /// Write a worker, its library, a request to try it with, and how to run it
    #[command(after_help = "Example:\n  fanfold new worker python --type bond")]
    Worker {
        /// The language
        language: Language,
        /// The folder to make [default: worker]
        folder: Option<PathBuf>,
        /// The task type of the worker
        #[arg(long = "type", default_value = "default", value_name = "TYPE")]
        task_type: String,
    },
}

/// A language that there is a library for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Language {
    /// Python 3.10 or newer.
    Python,
    /// TypeScript on Node 20 or newer.
    Typescript,
}

/// The folders and files of a worker: the path, and the content.
type Files = &'static [(&'static str, &'static str)];

macro_rules! client {
    ($file:literal) => {
        include_str!(concat!("../../../clients/", $file))
    };
}

const PYTHON: Files = &[
    ("worker.py", include_str!("../templates/python/worker.py")),
    (
        "requirements.txt",
        include_str!("../templates/python/requirements.txt"),
    ),
    ("fanfold/__init__.py", client!("python/fanfold/__init__.py")),
    ("fanfold/client.py", client!("python/fanfold/client.py")),
    ("fanfold/types.py", client!("python/fanfold/types.py")),
    ("fanfold/py.typed", ""),
    (
        "fanfold/worker/__init__.py",
        client!("python/fanfold/worker/__init__.py"),
    ),
    (
        "fanfold/worker/attempt.py",
        client!("python/fanfold/worker/attempt.py"),
    ),
    (
        "fanfold/worker/broker.py",
        client!("python/fanfold/worker/broker.py"),
    ),
    (
        "fanfold/worker/lease.py",
        client!("python/fanfold/worker/lease.py"),
    ),
    (
        "fanfold/worker/outcome.py",
        client!("python/fanfold/worker/outcome.py"),
    ),
    (
        "fanfold/worker/pool.py",
        client!("python/fanfold/worker/pool.py"),
    ),
];

const TYPESCRIPT: Files = &[
    (
        "worker.ts",
        include_str!("../templates/typescript/worker.ts"),
    ),
    (
        "package.json",
        include_str!("../templates/typescript/package.json"),
    ),
    (
        "tsconfig.json",
        include_str!("../templates/typescript/tsconfig.json"),
    ),
    ("fanfold/fanfold.ts", client!("typescript/fanfold.ts")),
    ("fanfold/types.ts", client!("typescript/types.ts")),
    (
        "fanfold/worker/attempt.ts",
        client!("typescript/worker/attempt.ts"),
    ),
    (
        "fanfold/worker/broker.ts",
        client!("typescript/worker/broker.ts"),
    ),
    (
        "fanfold/worker/index.ts",
        client!("typescript/worker/index.ts"),
    ),
    (
        "fanfold/worker/lease.ts",
        client!("typescript/worker/lease.ts"),
    ),
    (
        "fanfold/worker/outcome.ts",
        client!("typescript/worker/outcome.ts"),
    ),
    (
        "fanfold/worker/pool.ts",
        client!("typescript/worker/pool.ts"),
    ),
];

const README: &str = include_str!("../templates/README.md");
const REQUEST: &str = include_str!("../templates/request.xml");

impl Language {
    fn files(self) -> Files {
        match self {
            Self::Python => PYTHON,
            Self::Typescript => TYPESCRIPT,
        }
    }

    /// The file with the model, how what it needs is installed, and how it runs.
    fn words(self) -> [(&'static str, &'static str); 3] {
        let of = match self {
            Self::Python => [
                "worker.py",
                "python3 -m venv venv && venv/bin/pip install -r requirements.txt",
                "venv/bin/python worker.py",
            ],
            Self::Typescript => ["worker.ts", "npm install", "node --import tsx worker.ts"],
        };
        [("WORKER-FILE", of[0]), ("INSTALL", of[1]), ("RUN", of[2])]
    }
}

/// The task types of a Fanfold that leaves this one to the worker.
fn types(task_type: &str) -> String {
    let default = "[[task-types]]\nname = \"default\"\n";
    let external = "executor = { kind = \"external\" } # the tasks wait for this worker\n";
    if task_type == "default" {
        format!("{default}{external}")
    } else {
        format!(
            "{default}\n[[task-types]]\nname = \"{task_type}\"\nmatches = [\"{task_type}*\"]\n{external}"
        )
    }
}

pub fn run(command: &NewCommand) -> anyhow::Result<ExitCode> {
    let NewCommand::New(New::Worker {
        language,
        folder,
        task_type,
    }) = command;
    let folder = folder.clone().unwrap_or_else(|| PathBuf::from("worker"));
    // A wrong name would be refused by every role.
    runtime::task_type_name(task_type).map_err(anyhow::Error::msg)?;
    if folder.exists() {
        bail!("{} is there already: name another folder", folder.display());
    }
    let mut readme = README.to_owned();
    for (word, text) in language.words() {
        readme = readme.replace(word, text);
    }
    let own = [
        ("README.md", readme),
        ("request.xml", REQUEST.to_owned()),
        ("types.toml", types(task_type)),
    ];
    for (name, text) in own {
        write(&folder.join(name), &text.replace("TASK-TYPE", task_type))?;
    }
    for (name, text) in language.files() {
        write(&folder.join(name), &text.replace("TASK-TYPE", task_type))?;
    }
    println!(
        "wrote {}: its README.md says how to run it",
        folder.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let about = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(about)?;
    }
    std::fs::write(path, text).with_context(about)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files below a folder that a worker needs.
    fn sources(folder: &str, ends: &[&str]) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients");
        let entries = root.join(folder).read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| ends.iter().any(|end| name.ends_with(end)))
            .collect()
    }

    #[test]
    fn every_file_of_the_libraries_is_written() {
        for (files, folder, ends, into) in [
            (PYTHON, "python/fanfold", &[".py", ".typed"][..], "fanfold"),
            (PYTHON, "python/fanfold/worker", &[".py"], "fanfold/worker"),
            (TYPESCRIPT, "typescript/worker", &[".ts"], "fanfold/worker"),
        ] {
            for name in sources(folder, ends) {
                let path = format!("{into}/{name}");
                assert!(files.iter().any(|(of, _)| *of == path), "{path}");
            }
        }
    }

    #[test]
    fn a_worker_is_at_most_25_lines() {
        for files in [PYTHON, TYPESCRIPT] {
            let (name, worker) = files[0];
            assert!(worker.lines().count() <= 25, "{name}");
        }
    }

    #[test]
    fn the_packages_are_those_of_the_libraries() {
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients");
        let read = |name: &str| std::fs::read_to_string(clients.join(name)).unwrap();
        let (project, package) = (
            read("python/pyproject.toml"),
            read("typescript/package.json"),
        );
        let of = |files: Files, name: &str| files.iter().find(|(of, _)| *of == name).unwrap().1;
        for line in of(PYTHON, "requirements.txt").lines() {
            assert!(project.contains(line), "{line}");
        }
        let pinned = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.contains("\": \""));
            let lines = lines.filter(|line| !line.contains("\"fanfold-"));
            lines
                .map(|line| line.trim().trim_end_matches(',').to_owned())
                .collect()
        };
        for line in pinned(of(TYPESCRIPT, "package.json")) {
            let is_own = ["start", "check", "version", "type"];
            let known = package.contains(&line) || is_own.iter().any(|own| line.contains(own));
            assert!(known, "{line}");
        }
    }
}
