//! Fanfold: valuation requests over HTTP, fanned out to workers and folded back in over NATS
//! JetStream.

mod admin;
mod agreement;
mod build;
mod command_line;
mod config;
mod console;
mod data_folder;
mod dead_letters;
mod deployment;
mod document;
#[cfg(test)]
mod documented;
mod embedded;
mod exposure;
mod help;
mod keys;
mod operate;
mod ready;
mod remote;
mod rerun;
mod role_thread;
mod roles;
mod server_password;
mod topology;
mod up;

use std::process::ExitCode;

use command_line::{Command, CommandLine};
use runtime::{Form, Shutdown, printable, start_logs};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == worker::executor::CONFINED)
    {
        return become_program(arguments);
    }
    match run() {
        Ok(code) => code,
        // The reader of the output, such as `head`, has closed the pipe.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("fanfold: {error:#}");
            eprintln!("{}", printable(&text, Form::Lines { colours: false }));
            ExitCode::FAILURE
        }
    }
}

/// Becomes the program of an executor, within its limits. Returns only if that is not possible, with
/// the codes that shells have for it.
fn become_program(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let Err(error) = worker::executor::confined(arguments);
    eprintln!("the program could not be started: {error}");
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    ExitCode::from(if is_missing { 127 } else { 126 })
}

/// Keeps other processes of this user out of the memory and the environment of this one, which have
/// secrets. A program that an executor runs is such a process.
fn keep_secrets() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn run() -> anyhow::Result<ExitCode> {
    keep_secrets()?;
    let CommandLine { command, settings } = command_line::parse()?;
    let role = match command {
        Command::Config => return config::print(settings),
        Command::Bundle(path) => return console::open_bundle(&path, &settings),
        Command::Deployment(command) => return deployment::run(&command, &settings),
        Command::Document(command) => return document::run(&command, &settings),
        Command::Keys(command) => return keys::run(&command, &settings),
        Command::Operate(command) => return operate::run(&command, &settings),
        Command::Remote(command) => return remote::run(&command, &settings),
        Command::Replay(command) => return rerun::replay(&command, &settings),
        Command::Topology(command) => return topology::run(&command, &settings),
        Command::Completions(shell) => {
            command_line::completions(shell)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Help(words) => {
            command_line::print_help(&words)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Role(role) => role,
    };
    start_logs(&settings.process).map_err(|wrong| settings.wrong(wrong))?;
    exposure::check(role, &settings).map_err(|wrong| settings.wrong(wrong))?;
    // The largest result is a fact, and only the deployment knows it. The role checks it again.
    worker::check(&settings.task_types.clone().bounded(nats::STORED_MAX_BYTES))?;
    orchestrator::check(orchestrator::Config::of(&settings))
        .map_err(|wrong| settings.wrong(wrong))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        up::run(role, settings, shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}
