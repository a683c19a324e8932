//! A running program with its process group, its pipes, and its end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::Command;
use super::confine::THIS_PROGRAM;
use super::output::{Bounded, Tail};
use crate::executor::Task;

/// How long output is waited for once the program and its group are gone. Only a process that left
/// the group can still hold the pipes then, and what it writes is not the program's result.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

/// How a program's run ended by itself.
pub(super) enum Outcome {
    Exited(ExitStatus),
    /// It wrote more than it may, and is still running.
    TooBig,
}

pub(super) struct Process {
    child: Child,
    group: Group,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    result: Bounded,
    words: Tail,
}

impl Process {
    pub fn start(command: &Command, task: &Task) -> io::Result<Self> {
        let mut spawn = match &command.confinement {
            None => tokio::process::Command::new(&command.program),
            Some(confinement) => {
                let mut spawn = tokio::process::Command::new(THIS_PROGRAM);
                spawn.args(confinement.arguments()).arg(&command.program);
                spawn
            }
        };
        spawn
            .args(&command.args)
            .env_clear()
            .envs(&command.env)
            .env("FANFOLD_REQUEST_ID", &task.request_id)
            .env("FANFOLD_TASK_TYPE", &task.task_type)
            .env("FANFOLD_GROUP", task.group.to_string())
            .env("FANFOLD_TASK", task.task.to_string())
            .env("FANFOLD_ATTEMPT", task.attempt.to_string())
            .envs(
                task.traceparent
                    .iter()
                    .map(|parent| ("TRACEPARENT", parent)),
            )
            .envs(task.tracestate.iter().map(|state| ("TRACESTATE", state)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(directory) = &command.directory {
            spawn.current_dir(directory);
        }
        let mut child = spawn.spawn()?;
        Ok(Self {
            group: Group::led_by(&child),
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            result: Bounded::new(command.max_result_bytes),
            words: Tail::new(command.max_stderr_bytes),
        })
    }

    /// Feeds the program, takes what it writes, and waits for its end.
    ///
    /// The end of the program is the end of its group: what it left running is killed, so that
    /// nothing outlives the attempt and no one else holds the pipes open.
    pub async fn run(&mut self, document: Bytes) -> io::Result<Outcome> {
        let (child, group) = (&mut self.child, &mut self.group);
        let output = collect(
            &mut self.result,
            self.stdout.as_mut(),
            &mut self.words,
            self.stderr.as_mut(),
        );
        let fed = feed(self.stdin.take(), document);
        tokio::pin!(output, fed);
        let (mut collecting, mut feeding) = (true, true);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                within = &mut output, if collecting => {
                    if !within? {
                        return Ok(Outcome::TooBig);
                    }
                    collecting = false;
                }
                () = &mut fed, if feeding => feeding = false,
            }
        };
        group.kill_the_rest();
        if collecting
            && let Ok(within) = timeout(DRAIN, output).await
            && !within?
        {
            return Ok(Outcome::TooBig);
        }
        Ok(Outcome::Exited(status))
    }

    /// Whether the program may still run, or has left others running.
    pub fn is_running(&self) -> bool {
        self.group.0.is_some()
    }

    /// Asks the group to stop, and makes it stop when the grace is over.
    pub async fn stop(&mut self, grace: Duration) {
        self.group.signal(Signal::TERM);
        self.stdin = None;
        let child = &mut self.child;
        // The pipes are emptied meanwhile: a full one would keep the program from stopping, and
        // its last words are wanted. The result is not.
        let mut discarded = Tail::new(0);
        let ending = async {
            let output = async {
                tokio::join!(
                    drain(&mut discarded, self.stdout.as_mut()),
                    drain(&mut self.words, self.stderr.as_mut()),
                )
            };
            tokio::select! {
                _ = child.wait() => {}
                ((), ()) = output => { let _ = child.wait().await; }
            }
        };
        let _ = timeout(grace, ending).await;
        self.group.kill_the_rest();
        let _ = timeout(DRAIN, drain(&mut self.words, self.stderr.as_mut())).await;
        let _ = timeout(DRAIN, self.child.wait()).await;
    }

    pub fn take_result(&mut self) -> Bytes {
        self.result.bytes.split().freeze()
    }

    /// The tail of what the program wrote on its standard error.
    pub fn last_words(&self) -> String {
        self.words.text()
    }
}

/// Writes the document to a program, which may have no interest in all of it.
async fn feed(stdin: Option<ChildStdin>, document: Bytes) {
    if let Some(mut stdin) = stdin {
        // A program that reads no more has closed its end. Its exit code says whether that was
        // well, so the broken pipe says nothing new.
        let _ = stdin.write_all(&document).await;
    }
}

/// Takes both outputs to their end; false as soon as the result is too big.
async fn collect(
    result: &mut Bounded,
    stdout: Option<&mut ChildStdout>,
    words: &mut Tail,
    stderr: Option<&mut ChildStderr>,
) -> io::Result<bool> {
    let talk = drain(words, stderr);
    let answer = async {
        match stdout {
            Some(stdout) => result.fill(stdout).await,
            None => Ok(true),
        }
    };
    tokio::pin!(talk, answer);
    tokio::select! {
        within = &mut answer => {
            if matches!(within, Ok(true)) {
                talk.await;
            }
            within
        }
        () = &mut talk => answer.await,
    }
}

/// Reads a pipe to its end into a tail. A pipe that cannot be read has ended.
async fn drain(tail: &mut Tail, pipe: Option<&mut (impl tokio::io::AsyncRead + Unpin)>) {
    if let Some(pipe) = pipe {
        let _ = tail.fill(pipe).await;
    }
}

/// The process group of a program. All remaining processes are killed on drop.
///
/// A group keeps its number as long as one of its processes exists, and a child keeps its own until
/// it has been waited for. So the number is no longer used after the child was waited for and the
/// rest was killed.
struct Group(Option<Pid>);

impl Group {
    fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The only possible error is that no process is left, which is the goal.
            let _ = kill_process_group(group, signal);
        }
    }

    fn kill_the_rest(&mut self) {
        self.signal(Signal::KILL);
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill_the_rest();
    }
}
