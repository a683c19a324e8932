//! Secrets stay where they belong: in every place where one could come out, a canary is looked for.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;

use harness::{Client, Program, World, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::document;

/// A user of this machine with no rights, for a test that runs as root.
const NOBODY: u32 = 65_534;
const CANARY: &str = "canary7Q";
/// The canary in base64, as the key of webhooks wants it.
const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5N1FjYW5hcnk3UWNhbmFyeTdR";

/// Everything that knows a canary.
fn secrets(world: &World) -> Vec<(String, String)> {
    let password = world.folder().join("password");
    fs::write(&password, format!("{CANARY}pw\n")).unwrap();
    [
        ("NATS_USER", "ann"),
        ("NATS_PASSWORD_FILE", password.to_str().unwrap()),
        ("WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("WEBHOOK_URL", "https://hooks.example.com/told?key=canary7Q"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "canary7Qaws"),
        ("AWS_SESSION_TOKEN", "canary7Qsession"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn world() -> World {
    let accounts = format!(
        "accounts: {{ HARNESS: {{ users: [ {{ user: harness, password: harness }} ] }}, \
         FANFOLD: {{ jetstream: enabled, users: [ {{ user: ann, password: \"{CANARY}pw\" }} ] }} \
         }}\nno_auth_user: harness\n"
    );
    World::own_configured(&accounts).await
}

/// A process of the program, which nobody else helps, as a user without rights where that is
/// possible.
fn spawn(args: &[&str], settings: &[(String, String)], log: &Path, folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    command
        .args(args)
        .envs(settings.iter().cloned())
        .env("NO_COLOR", "1")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.spawn().unwrap()
}

/// Every message that a request leaves in the log, the feed and the dead letters.
async fn stored(world: &World) -> Vec<String> {
    let login =
        async_nats::ConnectOptions::with_user_and_password("ann".into(), format!("{CANARY}pw"));
    let client = login.connect(world.nats_url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let mut all = Vec::new();
    for name in ["REQUESTS_0", "LIFECYCLE", "DEAD_LETTERS"] {
        let stream = jetstream.get_stream(name).await.unwrap();
        let last = stream.cached_info().state.last_sequence;
        assert!(last > 0, "{name} is empty");
        for sequence in 1..=last {
            // A dead letter is replaced once the orchestrator has completed it.
            let Ok(message) = stream.get_raw_message(sequence).await else {
                continue;
            };
            let body = String::from_utf8_lossy(&message.payload).into_owned();
            all.push(format!("{body} {:?}", message.headers));
        }
    }
    all
}

fn clean(place: &str, text: &str) {
    let encoded = WEBHOOK_SECRET.trim_start_matches("whsec_");
    for canary in [CANARY, encoded] {
        assert!(!text.contains(canary), "{place}: {text}");
    }
}

/// Starts the program with values that it cannot use, and looks at what it says.
async fn no_failing_start_tells_one(world: &World, settings: &[(String, String)], folder: &Path) {
    for (wrong, value) in [
        ("WEBHOOK_SECRET", "canary7Q"),
        ("NATS_CREDS", "canary7Q"),
        ("NATS_URL", "nats://canary7Q@127.0.0.1:1"),
        ("REDIS_URL", "redis://:canary7Q@127.0.0.1:1"),
        ("EXECUTOR", "http://canary7Q:canary7Q@h/?canary7Q"),
        ("EXECUTOR", "https://[h/?canary7Q"),
    ] {
        let mut failing = settings.to_vec();
        failing.retain(|(name, _)| name != "FANFOLD_CONFIG" && name != "HTTP_PORT");
        if wrong.starts_with("NATS") {
            failing.retain(|(name, _)| !name.starts_with("NATS_"));
        }
        failing.push(("HTTP_PORT".into(), "0".into()));
        failing.push((wrong.into(), value.into()));
        let log = world.folder().join("failing.log");
        let mut failing = spawn(&["up"], &failing, &log, folder);
        let said = || fs::read_to_string(&log).unwrap();
        if wrong == "REDIS_URL" {
            // Requests go on without Redis, so the process begins and says so.
            until("the process begins", async || {
                said().contains("without Redis")
            })
            .await;
            failing.kill().await.unwrap();
        } else {
            let ended = tokio::time::timeout(harness::LIMIT, failing.wait()).await;
            assert!(!ended.unwrap().unwrap().success(), "{wrong}={value}");
        }
        clean(wrong, &said());
    }
}

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    let world = world().await;
    let port = servers::free_port().unwrap();
    let mut settings = secrets(&world);
    // The program of an executor looks for what its parent knows.
    let file = "[[task-types]]\nname = 'default'\nretry = { attempts = 1 }\n\
        [task-types.executor]\nkind = 'command'\nprogram = '/bin/sh'\ntell-answers = true\n\
        args = ['-c', '(cat /proc/$PPID/environ /proc/$PPID/cmdline; env) >&2; exit 65']\n\
        env = { LICENCE = { file = 'licence' } }\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("licence"), "granted\n").unwrap();
    let config = folder.path().join("fanfold.toml");
    fs::write(&config, file).unwrap();
    for (path, mode) in [
        (folder.path(), 0o755),
        (&config, 0o644),
        (world.folder(), 0o755),
        (&world.folder().join("password"), 0o644),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    settings.extend(
        [
            ("NATS_URL", world.nats_url()),
            ("REDIS_URL", world.redis_url()),
            ("HTTP_PORT", port.to_string().as_str()),
            ("ADMIN_PORT", "0"),
            ("RUST_LOG", "trace"),
            ("FANFOLD_CONFIG", config.to_str().unwrap()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let log = world.folder().join("up.log");
    let up = spawn(&["up"], &settings, &log, folder.path());
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    until("it is ready", || client.ready()).await;

    let environ = format!("/proc/{}/environ", up.id().unwrap());
    let owner = fs::metadata(environ).unwrap().uid();
    assert_eq!(
        owner, 0,
        "other processes of the user can read the environment"
    );

    let id = client.submit(&document(1, 1), "").await.id();
    let failed = client.until_status(&id, "failed").await.to_string();
    for path in [
        format!("/valuation/{id}/events"),
        format!("/valuation/{id}/tasks"),
        "/valuations".into(),
        "/dead-letters".into(),
        "/readyz".into(),
    ] {
        clean(&path, &client.get(&path).await.body);
    }
    clean("status", &failed);
    let tasks = client
        .get(&format!("/valuation/{id}/tasks?attempts=all"))
        .await
        .body;
    let seen = format!("{failed}{tasks}");
    assert!(
        seen.contains("LICENCE=granted"),
        "the program has not looked: {seen}"
    );

    let bundle = world.folder().join("bundle.fanfold");
    let bundle = bundle.to_str().unwrap();
    for args in [
        &["config"][..],
        &["replay", "show", &id],
        &["dead-letters", "list", "--json"],
        &["replay", "export", &id, "-o", bundle],
    ] {
        let mut told = Command::new(env!("CARGO_BIN_EXE_fanfold"));
        told.args(args)
            .envs(settings.iter().cloned())
            .current_dir(folder.path());
        let told = told.output().await.unwrap();
        let text = [told.stdout, told.stderr].concat();
        clean(&args.join(" "), &String::from_utf8_lossy(&text));
    }
    let mode = fs::metadata(bundle).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let exported = zstd::decode_all(File::open(bundle).unwrap()).unwrap();
    let exported = String::from_utf8(exported).unwrap();
    assert!(exported.contains("LICENCE=granted"), "{exported}");
    clean("a bundle", &exported);
    no_failing_start_tells_one(&world, &settings, folder.path()).await;
    let streams = stored(&world).await;
    assert!(streams.len() > 3, "the streams were not read");
    for message in streams {
        clean("a stream", &message);
    }
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("TRACE"), "nothing was traced");
    clean("the log at trace", &logged);
    drop(up);
}

#[tokio::test]
async fn a_program_runs_within_its_limits_and_gains_no_privileges() {
    let world = World::start().await;
    let user = if rustix::process::geteuid().is_root() {
        "user = '65534:65534'\n"
    } else {
        ""
    };
    let file = format!(
        "[[task-types]]\nname = 'default'\nretry = {{ attempts = 1 }}\n\
         [task-types.executor]\nkind = 'command'\nprogram = '/bin/sh'\ntell-answers = true\n\
         args = ['-c', '(ulimit -n; ulimit -t; ulimit -v; grep NoNewPrivs /proc/self/status; \
         id -u) >&2; exit 65']\nno-new-privileges = true\n{user}\
         limits = {{ files = 71, cpu-seconds = 72, memory-bytes = 1073741824 }}\n"
    );
    let config = world.folder().join("fanfold.toml");
    fs::write(&config, file).unwrap();
    fs::set_permissions(world.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let settings = [("FANFOLD_CONFIG", config.to_str().unwrap())];
    let program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let failed = client.until_status(&id, "failed").await.to_string();
    let tasks = client.get(&format!("/valuation/{id}/tasks")).await.body;
    let said = format!("{failed}{tasks}");
    for part in ["exit-65", "71\\n72\\n1048576\\nNoNewPrivs:\\t1"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    if !user.is_empty() {
        assert!(said.contains("NoNewPrivs:\\t1\\n65534"), "{said}");
    }
}

#[tokio::test]
async fn the_servers_of_up_want_a_password_and_their_files_are_for_the_owner() {
    let world = World::own().await;
    let data = world.folder().join("data");
    let settings = [
        ("NATS_URL", ""),
        ("REDIS_URL", ""),
        ("FANFOLD_TEST_NATS_PORT", "0"),
        ("FANFOLD_TEST_REDIS_PORT", "0"),
        ("DATA_DIR", data.to_str().unwrap()),
        ("EXECUTOR", "echo"),
    ];
    let mut program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", &world, &settings).await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for folder in ["", "nats", "redis"] {
        assert_eq!(mode(&data.join(folder)), 0o700, "{folder}");
    }
    for file in [
        "servers.json",
        "server-password",
        "nats/nats-server.conf",
        "nats/nats-server.log",
        "redis/redis.conf",
        "redis/redis-server.log",
    ] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let found = fs::read(data.join("servers.json")).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
    let address = |name: &str| {
        let url = found[name].as_str().unwrap();
        url.rsplit_once('@').expect("a login").1.to_owned()
    };
    let mut redis = TcpStream::connect(address("redis_url")).await.unwrap();
    redis.write_all(b"FLUSHALL\r\n").await.unwrap();
    let mut answer = [0; 7];
    redis.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"-NOAUTH");
    let stranger = async_nats::connect(address("nats_url")).await;
    assert!(stranger.is_err(), "anybody can log in");
    let password = fs::read_to_string(data.join("server-password")).unwrap();
    for pid in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(pid.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!line.contains(&password), "{line}");
    }
    assert!(!program.log().contains(&password));
    // The tools of the same user find the servers, and the next start keeps the password.
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    let show = Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .args(["replay", "show", &id])
        .envs(settings)
        .output();
    let show = show.await.unwrap();
    assert!(
        show.status.success(),
        "{}",
        String::from_utf8_lossy(&show.stderr)
    );
    program.kill().await;
    program.restart().await;
    let again = fs::read_to_string(data.join("server-password")).unwrap();
    assert_eq!(again, password);
    // Its servers would outlive it otherwise.
    assert!(program.stop().await.success());
}
