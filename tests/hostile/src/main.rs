//! `make hostile`: the real program under every kind of cost, with an ordinary caller whose answers
//! must stay right. See `docs/hostile.md`.

mod bounds;
mod callers;
mod documents;
mod http;
mod ordinary;
mod program;
mod table;
mod together;
mod trial;
mod usage;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use hostile::KINDS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use program::Program;
use table::Row;
use trial::Trials;

/// The time limit of all trials. Trials that did not run by then are listed.
const LENGTH: Duration = Duration::from_secs(570);
/// The part of the time that is reserved for the documents together and for the end.
const LAST: Duration = Duration::from_secs(45);
/// The part of the time that is reserved for the callers as well.
const CALLERS: Duration = Duration::from_secs(100);

#[derive(Parser)]
#[command(about = "Documents and callers that cost, against a real `up`")]
struct Arguments {
    /// Path of the program
    #[arg(long, default_value = "target/release/fanfold")]
    binary: PathBuf,
    /// Run only kinds with one of these texts in the name
    only: Vec<String>,
    /// Memory at which the program is killed, in MiB
    #[arg(long, default_value_t = 3_072)]
    memory: u64,
    /// Keep the data and the log of the program, and print their folder
    #[arg(long)]
    keep: bool,
    /// List the kinds
    #[arg(long)]
    list: bool,
    /// Write the documents into a folder instead of sending them
    #[arg(long)]
    write: Option<PathBuf>,
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &arguments.write {
        std::fs::create_dir_all(folder)?;
        for kind in KINDS.iter().filter(|kind| arguments.wants(kind.name)) {
            std::fs::write(folder.join(kind.name), (kind.body)())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Hostile callers have many connections.
    let most = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, all)?;
    let binary = std::path::absolute(&arguments.binary)?;
    let mut folder = tempfile::tempdir()?;
    folder.disable_cleanup(arguments.keep);
    if arguments.keep {
        println!("Its data are in {}.", folder.path().display());
    }
    let begun = Instant::now();
    let program = Program::start(&binary, folder.path(), arguments.memory).await?;
    let mut trials = Trials::new(program).await?;
    let mut rows = Vec::new();
    let all = all_of_them(&mut trials, &arguments, begun, &mut rows).await;
    println!("\n{}", table::of(&rows));
    let broken = rows.iter().filter(|row| !row.broken.is_empty()).count();
    println!(
        "{} tried in {:.0} s, {broken} broke a bound.",
        rows.len(),
        begun.elapsed().as_secs_f64()
    );
    // Print the measurements so far in any case.
    let missed = all?;
    if !missed.is_empty() {
        println!(
            "Not tried, for there was no time left: {}.",
            missed.join(", ")
        );
    }
    let held = broken == 0 && missed.is_empty();
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn list() {
    for kind in KINDS {
        println!("{:24} {}", kind.name, kind.about);
    }
    for callers in callers::ALL {
        println!("{:24} {}", callers.name, callers.about);
    }
}

/// Runs every trial that there is time for. Returns the names of the others.
async fn all_of_them(
    trials: &mut Trials,
    arguments: &Arguments,
    begun: Instant,
    rows: &mut Vec<Row>,
) -> anyhow::Result<Vec<&'static str>> {
    let mut missed = Vec::new();
    let done = |rows: &mut Vec<Row>, row: Row| {
        print!("{}", table::line(&row));
        rows.push(row);
    };
    for kind in KINDS.iter().filter(|kind| arguments.wants(kind.name)) {
        if begun.elapsed() + LAST + CALLERS > LENGTH {
            missed.push(kind.name);
            continue;
        }
        let row = documents::run(trials, kind).await?;
        done(rows, row);
    }
    for callers in callers::ALL
        .iter()
        .filter(|callers| arguments.wants(callers.name))
    {
        if begun.elapsed() + LAST > LENGTH {
            missed.push(callers.name);
            continue;
        }
        let row = callers::run(trials, callers).await?;
        done(rows, row);
    }
    for row in together::run(trials, rows).await? {
        done(rows, row);
    }
    Ok(missed)
}
