//! Real programs, made of `sh`.

use domain::request::{AttemptNumber, GroupIndex, TaskNumber};
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::*;
use crate::executor::{Executor, ExecutorConfig, Retry};

/// Longer than anything here takes; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// A limit that is meant to be reached.
const SHORT: Duration = Duration::from_millis(100);
const RESULT: &str = "<vnml><project><group><valuation/></group></project></vnml>";

fn task() -> Task {
    Task {
        request_id: "0190".to_owned(),
        task_type: "bonds".to_owned(),
        group: GroupIndex::new(2),
        task: TaskNumber::new(7),
        attempt: AttemptNumber::new(3),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        document: Bytes::from(RESULT),
    }
}

/// An executor that runs a script, with more settings.
fn script(script: &str, settings: &str) -> Executor {
    let toml = format!(
        "kind = 'command'\nprogram = 'sh'\ntell-answers = true\nargs = ['-c', '''{script}''']\n{settings}"
    );
    Executor::new(
        &toml::from_str::<ExecutorConfig>(&toml).unwrap(),
        10_485_760,
    )
    .unwrap()
}

async fn run_within(executor: &Executor, limit: Duration) -> Result<Bytes, Fault> {
    let attempt = async {
        executor
            .execute(&task(), limit, &CancellationToken::new())
            .await
    };
    timeout(PATIENCE, attempt).await.expect("the attempt ends")
}

async fn run(text: &str, settings: &str) -> Result<Bytes, Fault> {
    run_within(&script(text, settings), PATIENCE).await
}

/// A pipe with a name, for knowing when a script has started and when all of it is gone: a script
/// says so on it, and the pipe ends when the last process that has it open does.
struct Alive {
    directory: tempfile::TempDir,
    pipe: pipe::Receiver,
}

impl Alive {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alive");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let pipe = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        Self { directory, pipe }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("alive")
    }

    async fn says(&mut self, word: &str) {
        let mut said = vec![0; word.len()];
        let read = timeout(PATIENCE, self.pipe.read_exact(&mut said)).await;
        read.expect("the script says so").unwrap();
        assert_eq!(said, word.as_bytes());
    }

    /// Waits for the end of all that have the pipe open, and gives what else they said.
    async fn ends(mut self) -> String {
        let mut rest = String::new();
        let read = timeout(PATIENCE, self.pipe.read_to_string(&mut rest)).await;
        read.expect("no process is left").unwrap();
        rest
    }
}

/// A script that opens the pipe, says so, and goes on.
fn alive(path: &Path, then: &str) -> String {
    format!("exec 9>{}; printf up >&9; {then}", path.display())
}

#[tokio::test]
async fn the_program_reads_the_document_and_writes_the_result() {
    assert_eq!(run("cat", "").await, Ok(Bytes::from(RESULT)));
}

#[tokio::test]
async fn a_document_larger_than_a_pipe_is_read_and_written() {
    let big = RESULT.replace(
        "<valuation/>",
        &format!("<valuation>{}</valuation>", "x".repeat(1 << 20)),
    );
    let task = Task {
        document: Bytes::from(big.clone()),
        ..task()
    };
    let result = script("cat", "")
        .execute(&task, PATIENCE, &CancellationToken::new())
        .await;
    assert_eq!(result, Ok(Bytes::from(big)));
}

#[tokio::test]
async fn the_program_sees_its_task_and_no_variables_of_the_worker() {
    let echo = "read -r _; printf '<vnml><project><group><valuation>%s</valuation></group></project></vnml>' \
                \"$FANFOLD_REQUEST_ID $FANFOLD_TASK_TYPE $FANFOLD_GROUP $FANFOLD_TASK $FANFOLD_ATTEMPT ${TRACEPARENT%%-4*} $MINE ${CARGO_MANIFEST_DIR-unset} $(pwd)\"";
    let result = run(echo, "env = { MINE = 'set' }\ndirectory = '/'")
        .await
        .unwrap();
    let seen = String::from_utf8(result.to_vec()).unwrap();
    assert!(seen.contains(">0190 bonds 2 7 3 00 set unset /<"), "{seen}");
    let result = run(echo, "inherit-env = ['CARGO_MANIFEST_DIR']")
        .await
        .unwrap();
    let seen = String::from_utf8(result.to_vec()).unwrap();
    assert!(seen.contains(env!("CARGO_MANIFEST_DIR")), "{seen}");
}

#[tokio::test]
async fn a_program_that_does_not_read_is_fine() {
    let task = Task {
        document: Bytes::from("x".repeat(1 << 20)),
        ..task()
    };
    let executor = script(&format!("exec <&-; printf '{RESULT}'"), "");
    let result = executor
        .execute(&task, PATIENCE, &CancellationToken::new())
        .await;
    assert_eq!(result, Ok(Bytes::from(RESULT)));
}

#[tokio::test]
async fn the_exit_code_decides_on_another_attempt() {
    for (code, retry) in [
        (64, Retry::Never),
        (65, Retry::Never),
        (75, Retry::ByPolicy),
        (1, Retry::ByPolicy),
        (70, Retry::ByPolicy),
    ] {
        let fault = run(&format!("echo half; echo because >&2; exit {code}"), "")
            .await
            .unwrap_err();
        assert_eq!(fault.code, format!("exit-{code}"));
        assert_eq!(fault.retry, retry, "{code}");
        assert_eq!(fault.causes, ["because"]);
    }
}

#[tokio::test]
async fn callers_learn_neither_the_place_of_a_program_nor_what_it_says_unless_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("canary");
    let runs = |tells: bool| {
        let place = program.display();
        let toml = format!("kind = 'command'\nprogram = '{place}'\ntell-answers = {tells}");
        let executor = Executor::new(&toml::from_str(&toml).unwrap(), 10_485_760).unwrap();
        async move { format!("{:?}", run_within(&executor, PATIENCE).await.unwrap_err()) }
    };
    let missing = runs(false).await;
    assert!(!missing.contains("canary"), "{missing}");
    for end in [
        "exit 1",
        "exit 65",
        "exit 75",
        "kill -9 $$",
        "echo '<vnml/>'",
    ] {
        let script = format!("#!/bin/sh\necho canary >&2\n{end}\n");
        std::fs::write(&program, script).unwrap();
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, all).unwrap();
        let told = runs(false).await;
        assert!(!told.contains("canary"), "{end}: {told}");
        let told = runs(true).await;
        assert!(told.contains("causes: [\"canary\"]"), "{end}: {told}");
    }
}

#[tokio::test]
async fn death_by_a_signal_is_named() {
    let fault = run("kill -SEGV $$", "").await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("signal-11", Retry::ByPolicy)
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_not_tried_again() {
    for toml in [
        "kind = 'command'\nprogram = '/no/such/valuer'",
        "kind = 'command'\nprogram = 'sh'\ndirectory = '/no/such/place'",
    ] {
        let executor = Executor::new(&toml::from_str(toml).unwrap(), 10_485_760).unwrap();
        let fault = run_within(&executor, PATIENCE).await.unwrap_err();
        assert_eq!(
            (fault.code.as_str(), fault.retry),
            ("program-not-found", Retry::Never)
        );
    }
}

#[tokio::test]
async fn a_file_that_is_no_program_is_not_tried_again() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [0; 64]).unwrap();
    let path = file.into_temp_path();
    for mode in [0o644, 0o755] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let toml = format!("kind = 'command'\nprogram = '{}'", path.display());
        let executor = Executor::new(&toml::from_str(&toml).unwrap(), 10_485_760).unwrap();
        let fault = run_within(&executor, PATIENCE).await.unwrap_err();
        assert_eq!(
            (fault.code.as_str(), fault.retry),
            ("program-not-executable", Retry::Never)
        );
    }
}

#[tokio::test]
async fn a_program_that_answers_nonsense_is_not_tried_again() {
    let fault = run("echo '<vnml/>'; echo oops >&2", "").await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("result-invalid", Retry::Never)
    );
    assert_eq!(fault.causes, ["oops"]);
}

#[tokio::test]
async fn a_result_of_the_limit_is_taken_and_a_byte_more_stops_the_program() {
    let settings = format!("max-result-bytes = {}", RESULT.len());
    assert_eq!(run("cat", &settings).await, Ok(Bytes::from(RESULT)));
    let fault = run("cat; printf '\\n'", &settings).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("result-too-big", Retry::Never)
    );
    let fault = run("while :; do echo endless; done", &settings)
        .await
        .unwrap_err();
    assert_eq!(fault.code, "result-too-big");
}

#[tokio::test]
async fn only_the_end_of_the_error_output_is_kept() {
    let fault = run(
        "i=0; while [ $i -lt 3000 ]; do echo \"line $i of a long story\" >&2; i=$((i+1)); done; exit 1",
        "",
    )
    .await
    .unwrap_err();
    let words = fault.causes.last().unwrap();
    assert!(words.ends_with("line 2999 of a long story"), "{words}");
    assert!(words.len() <= MAX_CAUSE_BYTES && words.len() > MAX_CAUSE_BYTES - 64);
    let fault = run("echo 'a long story' >&2; exit 1", "max-stderr-bytes = 6").await;
    assert_eq!(fault.unwrap_err().causes, ["story"]);
}

#[tokio::test]
async fn an_attempt_over_its_limit_is_stopped_with_all_its_processes() {
    let mut pipe = Alive::new();
    let text = alive(
        &pipe.path(),
        "echo working >&2; sleep 1000 & sleep 1000; exit 0",
    );
    let fault = run_within(&script(&text, ""), SHORT * 5).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("task-timed-out", Retry::ByPolicy)
    );
    assert_eq!(fault.causes, ["working"]);
    pipe.says("up").await;
    assert_eq!(pipe.ends().await, "");
}

#[tokio::test]
async fn a_program_may_write_during_its_grace_period() {
    let pipe = Alive::new();
    let text = alive(
        &pipe.path(),
        "trap 'echo tidied >&2; printf bye >&9; exit 0' TERM; while :; do sleep 1000 & wait; done",
    );
    let executor = script(&text, "grace-ms = 20000");
    let fault = run_within(&executor, SHORT * 5).await.unwrap_err();
    assert_eq!(fault.code, "task-timed-out");
    assert_eq!(fault.causes, ["tidied"]);
    assert_eq!(pipe.ends().await, "upbye");
}

#[tokio::test]
async fn a_program_that_will_not_stop_is_killed_after_its_grace() {
    let pipe = Alive::new();
    let text = alive(&pipe.path(), "trap '' TERM; while :; do sleep 1000; done");
    let executor = script(&text, "grace-ms = 50");
    let fault = run_within(&executor, SHORT * 5).await.unwrap_err();
    assert_eq!(fault.code, "task-timed-out");
    assert_eq!(pipe.ends().await, "up");
}

#[tokio::test]
async fn a_cancelled_attempt_is_stopped() {
    let mut pipe = Alive::new();
    let executor = script(&alive(&pipe.path(), "sleep 1000 & wait"), "");
    let cancelled = CancellationToken::new();
    let task = task();
    let cancel = async {
        pipe.says("up").await;
        cancelled.cancel();
    };
    let (result, ()) = tokio::join!(executor.execute(&task, PATIENCE, &cancelled), cancel);
    let fault = result.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("task-cancelled", Retry::Never)
    );
    assert_eq!(pipe.ends().await, "");
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_process() {
    let mut pipe = Alive::new();
    let executor = script(&alive(&pipe.path(), "sleep 1000 & sleep 1000 & wait"), "");
    let (task, cancelled) = (task(), CancellationToken::new());
    tokio::select! {
        result = executor.execute(&task, PATIENCE, &cancelled) => panic!("it ended: {result:?}"),
        () = pipe.says("up") => {}
    }
    assert_eq!(pipe.ends().await, "");
}

#[tokio::test]
async fn processes_that_a_program_leaves_behind_end_with_it() {
    let pipe = Alive::new();
    let text = alive(&pipe.path(), &format!("sleep 1000 & printf '{RESULT}'"));
    assert_eq!(run(&text, "").await, Ok(Bytes::from(RESULT)));
    assert_eq!(pipe.ends().await, "up");
}

#[tokio::test]
async fn a_process_that_left_the_group_with_the_output_open_delays_nothing() {
    // Its child leaves the group, and lives until the test drops the other end of what it reads.
    const LEAVING: &str = "pipe R, W; \
        if (!fork) { close R; setpgrp; close W; exec \"cat\", $ARGV[0] } \
        close W; <R>; print $ARGV[1]";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hold");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let hold = std::fs::File::options().read(true).write(true).open(&path);
    let text = format!("exec perl -e \"$LEAVING\" {} '{RESULT}'", path.display());
    let started = std::time::Instant::now();
    let result = run(&text, &format!("env.LEAVING = '''{LEAVING}'''")).await;
    assert_eq!(result, Ok(Bytes::from(RESULT)));
    assert!(
        started.elapsed() >= process::DRAIN,
        "the output was held open"
    );
    drop(hold);
}
