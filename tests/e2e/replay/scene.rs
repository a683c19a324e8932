//! Requests in every possible state, and the tool that runs on them.

use std::process::Stdio;

use domain::request::{Command, Event, RequestId, Rules, Sequence};
use harness::{Program, Reply, Valuer, World, result_of, until};
use nats::{Connection, Log, Options};

/// The output of a tool that ran to its end.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.out
    }

    /// The JSON objects of its output, one per line.
    #[track_caller]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line).expect(line);
        self.out.lines().map(parse).collect()
    }
}

pub struct Scene {
    pub world: World,
    pub valuer: Valuer,
    pub program: Program,
}

/// A document of two groups. The first has a valuation of each of these names.
pub fn document(names: &[&str]) -> String {
    let valuation = |name: &str| {
        format!(
            "<valuation name=\"{name}\"><market select=\"/vnml/project/market[1]\"/>\
             <analytics><price><amount/></price></analytics></valuation>"
        )
    };
    let first: String = names.iter().map(|name| valuation(name)).collect();
    format!(
        "<vnml><project><market name=\"m\"><rate>0.03</rate></market>\
         <group name=\"first\">{first}</group><group name=\"second\">{}</group></project></vnml>",
        valuation("ok")
    )
}

pub async fn value(call: harness::TaskCall) -> Reply {
    let named = |name: &str| call.document.contains(&format!("name=\"{name}\""));
    if named("hang") {
        std::future::pending::<()>().await;
    }
    if named("boom") || (named("mend") && call.attempt <= 3) {
        return Reply::Status(503, "no market for it".into());
    }
    if named("refuse") {
        return Reply::Status(422, "it cannot be valued".into());
    }
    if named("late") && call.attempt < 3 {
        return Reply::Status(503, "not yet".into());
    }
    Reply::Result(result_of(&call))
}

impl Scene {
    pub async fn start() -> Self {
        Self::in_world(World::start().await).await
    }

    pub async fn in_world(world: World) -> Self {
        let valuer = Valuer::start(value).await;
        let config = crate::telling(&world, &valuer);
        // What a test breaks stays broken until the test has seen it.
        let verifies_none = ("FANFOLD_TEST_VERIFY_REQUESTS_PER_HOUR", "0");
        let settings = [
            ("WORKER_NAME", "worker-1"),
            ("FANFOLD_CONFIG", &config),
            verifies_none,
        ];
        let program = crate::up(&world, &valuer, &settings).await;
        Self {
            world,
            valuer,
            program,
        }
    }

    /// Submits a document and waits until its request has this status, in the log and in the view.
    pub async fn request(&self, names: &[&str], status: &str) -> String {
        let client = self.program.client();
        let call = client
            .call(reqwest::Method::POST, "/valuation")
            .header("content-type", "application/xml")
            .header("x-desk", "rates")
            .body(document(names));
        let id = client.send(call).await.id();
        client.until_status(&id, status).await;
        id
    }

    pub async fn log(&self) -> Log {
        let options = Options::new(self.world.nats_url(), "test");
        Log::new(Connection::open(&options).await.unwrap(), 1)
    }

    /// Copies the events of a request, each changed, to a new request. No role may run meanwhile.
    pub async fn copy(&self, id: &str, mut change: impl FnMut(&mut Event)) -> String {
        let log = self.log().await;
        let new = RequestId::of_key("copy", id);
        let mut last = Sequence::NONE;
        for mut commit in log.read(id.parse().unwrap(), Sequence::NONE).await.unwrap() {
            commit.events.iter_mut().for_each(&mut change);
            last = log.append(new, last, &commit.events).await.unwrap();
        }
        new.to_string()
    }

    pub async fn command(&self, id: &str, command: Command) {
        let log = self.log().await;
        log.execute(id.parse().unwrap(), command).await.unwrap();
    }

    pub async fn cancelled(&self) -> String {
        let id = self.request(&["hang"], "running").await;
        let (by, reason) = ("ann".into(), "not needed any more".into());
        self.command(
            &id,
            Command::Cancel {
                by,
                on_behalf_of: None,
                reason,
            },
        )
        .await;
        self.program.client().until_status(&id, "cancelled").await;
        id
    }

    pub async fn redriven(&self) -> String {
        let id = self.request(&["mend"], "failed").await;
        let redrive = Command::Redrive {
            by: "ann".into(),
            on_behalf_of: None,
            reason: "the market is back".into(),
            now: jiff::Timestamp::now(),
            rules: Rules {
                group_timeout: std::time::Duration::from_mins(15),
                fail_fast: false,
            },
            only: None,
        };
        self.command(&id, redrive).await;
        self.program.client().until_status(&id, "succeeded").await;
        id
    }

    /// A request with a task that is neither queued nor reported.
    pub async fn stuck(&self) -> String {
        let id = self.request(&["ok", "hang"], "running").await;
        self.settled(&id, 1).await;
        let tasks = self
            .world
            .jetstream()
            .await
            .get_stream("TASKS")
            .await
            .unwrap();
        let filter = format!("tasks.*.*.{id}.>");
        tasks.purge().filter(filter).await.unwrap();
        id
    }

    /// Waits until this many attempts of a request have ended.
    pub async fn settled(&self, id: &str, attempts: u64) {
        let client = self.program.client();
        until("the attempts have ended", || async {
            client.status(id).await.json()["attempts"] == attempts
        })
        .await;
    }

    pub async fn replay(&self, args: &[&str]) -> Ran {
        self.replay_with(args, &[]).await
    }

    pub async fn replay_with(&self, args: &[&str], settings: &[(&str, &str)]) -> Ran {
        let ran = command(&self.world, args)
            .envs(settings.iter().copied())
            .output()
            .await
            .unwrap();
        Ran {
            code: ran.status.code().unwrap_or(-1),
            out: String::from_utf8(ran.stdout).unwrap(),
            err: String::from_utf8(ran.stderr).unwrap(),
        }
    }

    /// The consumers of the log, in order.
    pub async fn consumers(&self) -> Vec<String> {
        use futures::TryStreamExt as _;
        let log = self
            .world
            .jetstream()
            .await
            .get_stream("REQUESTS_0")
            .await
            .unwrap();
        let mut names: Vec<String> = log.consumer_names().try_collect().await.unwrap();
        names.sort();
        names
    }
}

/// The command of the tool, not started yet.
pub fn command(world: &World, args: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"));
    command
        .arg("replay")
        .args(args)
        .env("NATS_URL", world.nats_url())
        .env("REDIS_URL", world.redis_url())
        // So wide that no line is wrapped or cut at a position that depends on a duration.
        .env("COLUMNS", "1000")
        .env("USER", "tester")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Asserts the output of the tool, without the parts that differ from run to run.
macro_rules! assert_told {
    ($name:expr, $told:expr) => {{
        let told = $told;
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            snapshot_path => "../snapshots",
            filters => vec![
                (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
                (r"[0-9a-f]{64}", "<sha256>"),
                (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
                (r"\d\d:\d\d:\d\d\.\d{3}", "<clock>"),
                (r" *\+?\b\d+(\.\d+)? (ms|s)\b", " <took>"),
                (r"http://127\.0\.0\.1:\d+", "<url>"),
                (r"(?m)^ +\d+ +<(clock|took)>", "  <seq> <$1>"),
                (r"(?m)^  log at .*$", "  <freshness>"),
                (r"(consumer [a-z0-9-]+): .*", "$1: <position>"),
                (r"(log|at|TASKS) \d+", "$1 <n>"),
                (r"\d+ (tasks|commits|events)/s", "<rate>"),
                (r"reports?\.\d+\.|timers\.\d+\.", "<partition>."),
                (r"\d+ events/s", "<rate>"),
            ],
        }, { insta::assert_snapshot!($name, told) });
    }};
}
pub(crate) use assert_told;
