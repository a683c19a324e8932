//! Servers with a user for each role, and the roles as processes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_nats::ConnectOptions;
use harness::{Collector, Program, Receiver, Reply, Valuer, World, result_of};

/// The users, each with the password `pw`.
pub const USERS: [&str; 8] = [
    "api",
    "orchestrator",
    "worker",
    "projector",
    "webhooks",
    "tracer",
    "operator",
    "topology",
];
/// The roles, which have an admin listener.
pub const ROLES: [&str; 6] = [
    "orchestrator",
    "worker",
    "projector",
    "webhooks",
    "tracer",
    "api",
];
/// Those that have a user at Redis too.
pub const AT_REDIS: [&str; 3] = ["api", "projector", "operator"];
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub struct Scene {
    // The programs print the end of their logs before the folder of the world is gone.
    pub roles: BTreeMap<&'static str, Program>,
    pub world: World,
    pub valuer: Valuer,
    pub receiver: Receiver,
    pub collector: Collector,
    config: PathBuf,
}

/// The output of `fanfold topology permissions` for one server.
pub async fn printed(role: &str, server: &str) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .args(["topology", "permissions", "--role", role, "--only", server])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The part of the configuration of NATS that has the users.
pub fn users(permissions: &BTreeMap<&str, String>) -> String {
    let users = permissions
        .iter()
        .map(|(user, all)| format!("{{ user: {user}, password: pw\n{all}\n}}\n"));
    format!(
        "accounts {{\nSYS {{ users: [ {{ user: sys, password: pw }} ] }}\n\
         FANFOLD {{ jetstream: enabled, users: [\n{{ user: harness, password: harness }}\n{}] }}\n\
         }}\nsystem_account: SYS\nno_auth_user: harness\n",
        users.collect::<String>()
    )
}

pub async fn permissions() -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::new();
    for user in USERS {
        all.insert(user, printed(user, "nats").await);
    }
    all
}

impl Scene {
    pub async fn start() -> Self {
        let world = World::own_configured(&users(&permissions().await)).await;
        for user in AT_REDIS {
            let rules = printed(user, "redis").await;
            allow(&world, user, rules.split_whitespace()).await;
        }
        let valuer = valuer().await;
        let config = config(&world, &valuer);
        let mut scene = Self {
            world,
            roles: BTreeMap::new(),
            valuer,
            receiver: Receiver::start(&[503]).await,
            collector: Collector::start().await,
            config,
        };
        scene
            .fanfold("topology", &["topology", "apply", "--webhooks", "--traces"])
            .await
            .unwrap();
        scene
            .fanfold("topology", &["topology", "check", "--webhooks", "--traces"])
            .await
            .unwrap();
        for role in ROLES {
            let settings = scene.settings(role);
            let settings: Vec<(&str, &str)> = settings
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let program =
                Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &scene.world, &settings).await;
            scene.roles.insert(role, program);
        }
        scene
    }

    fn settings(&self, user: &str) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("NATS_USER", user.to_owned()),
            ("NATS_PASSWORD", "pw".to_owned()),
            ("TOPOLOGY", "check".to_owned()),
            ("FANFOLD_CONFIG", self.config.display().to_string()),
            ("WEBHOOK_SECRET", SECRET.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.url()),
            ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
            ("FANFOLD_TEST_RETRY_DELAY_MS", "20".to_owned()),
            ("FANFOLD_TEST_WEBHOOK_RETRY_DELAY_MS", "20".to_owned()),
            ("FANFOLD_TEST_RECONCILE_INTERVAL_MS", "1000".to_owned()),
        ];
        if AT_REDIS.contains(&user) {
            all.push(("REDIS_USER", user.to_owned()));
            all.push(("REDIS_PASSWORD", "pw".to_owned()));
        }
        all
    }

    /// Runs a subcommand as a user. An error has what it said.
    pub async fn fanfold(&self, user: &str, args: &[&str]) -> Result<String, String> {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"))
            .args(args)
            .envs(self.settings(user))
            .env("NATS_URL", self.world.nats_url())
            .env("REDIS_URL", self.world.redis_url())
            .env("USER", "tester")
            .output()
            .await
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(out)
        } else {
            Err(format!("{args:?} as {user}: {}{out}{said}", output.status))
        }
    }

    /// Has NATS read other permissions.
    pub async fn reload(&self, all: &BTreeMap<&str, String>) {
        let file = self.world.folder().join("nats/nats-server.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        let begin = text.find("accounts {").unwrap();
        std::fs::write(&file, format!("{}{}", &text[..begin], users(all))).unwrap();
        // A signal would be ignored where the tests were started with `nohup`.
        let options = ConnectOptions::with_user_and_password("sys".into(), "pw".into());
        let system = options.connect(self.world.nats_url()).await.unwrap();
        let reload = format!("$SYS.REQ.SERVER.{}.RELOAD", system.server_info().server_id);
        let answer = system.request(reload, "".into()).await.unwrap();
        let said = String::from_utf8_lossy(&answer.payload).into_owned();
        assert!(!said.contains("\"error\""), "{said}");
    }

    /// What NATS and Redis have denied.
    pub async fn denials(&self) -> Vec<String> {
        let log = self.world.folder().join("nats/nats-server.log");
        let log = std::fs::read_to_string(log).unwrap();
        let violations = log.lines().filter(|line| line.contains("iolation"));
        let mut all: Vec<String> = violations.map(str::to_owned).collect();
        let mut redis = self.world.redis().await;
        let denied: Vec<redis::Value> = redis::cmd("ACL")
            .arg("LOG")
            .query_async(&mut redis)
            .await
            .unwrap();
        all.extend(denied.iter().map(|entry| format!("{entry:?}")));
        all
    }
}

/// Gives a user of Redis these rules and no others.
pub async fn allow(world: &World, user: &str, rules: impl Iterator<Item = &str>) {
    let mut redis = world.redis().await;
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg(user).arg("reset").arg("on");
    command.arg(">pw");
    for rule in rules {
        command.arg(rule);
    }
    let _: String = command.query_async(&mut redis).await.unwrap();
}

/// A service that refuses tasks with `bad` in their document at their first attempt.
async fn valuer() -> Valuer {
    Valuer::start(|call| async move {
        if call.document.contains("bad-") && call.attempt == 1 {
            Reply::Status(400, "it is bad".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await
}

fn config(world: &World, valuer: &Valuer) -> PathBuf {
    let file = world.folder().join("fanfold.toml");
    let text = format!(
        "[[task-types]]\nname = 'default'\n[task-types.executor]\nkind = 'http'\nurl = '{}'\n",
        valuer.url()
    );
    std::fs::write(&file, text).unwrap();
    file
}
