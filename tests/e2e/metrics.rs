//! What a process tells Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Answer, Client, Program, Receiver, Reply, Signal, Valuer, World, result_of, until};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{document, up};

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
/// The task types of the loaded process.
const TYPES: usize = 10;

/// The samples of a scrape, by series.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    };
    lines.filter_map(sample).collect()
}

/// The sum over all series of a metric whose labels have all of these texts.
fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let all = samples(text);
    let of = |series: &str| {
        let rest = series.strip_prefix(name)?;
        let fits = rest.is_empty() || rest.starts_with('{');
        (fits && labels.iter().all(|label| rest.contains(label))).then_some(())
    };
    all.iter()
        .filter(|(series, _)| of(series).is_some())
        .map(|(_, value)| value)
        .sum()
}

async fn scrape(admin: &Client) -> String {
    let told = admin.get("/metrics").await;
    assert_eq!(told.status, StatusCode::OK);
    told.body
}

/// A settings file with ten task types, each for the valuations of one name.
fn ten_types(world: &World, valuer: &Valuer) -> String {
    let mut text = String::new();
    for number in 1..TYPES {
        let _ = write!(
            text,
            "[[task-types]]\nname = 't{number}'\nmatches = ['v{number}']\n\
             [task-types.executor]\nkind = 'http'\nurl = '{}'\n",
            valuer.url()
        );
    }
    let file = world.folder().join("ten.toml");
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// A document with a valuation of every task type in each of two groups.
fn mixed() -> String {
    let mut valuations = String::new();
    for number in 0..TYPES {
        let _ = write!(
            valuations,
            "<valuation name=\"v{number}\"><market select=\"/vnml/project/market[1]\"/>\
             <analytics><price><amount/></price></analytics></valuation>"
        );
    }
    format!(
        "<vnml><project><market name=\"m\"><rate>0.03</rate></market>\
         <group name=\"a\">{valuations}</group><group name=\"b\">{valuations}</group>\
         </project></vnml>"
    )
}

/// Every kind of call, and some tasks that fail at first.
async fn load(client: &Client) {
    for _ in 0..10 {
        let id = client.submit(&mixed(), "").await.id();
        client.until_status(&id, "succeeded").await;
        assert_eq!(client.results(&id).await.status, 200);
    }
    let waited = client.submit(&document(1, 2), "sync=Y").await;
    assert_eq!(waited.status, 200, "{}", waited.body);
    let refused = client.submit("<no", "").await;
    assert_eq!(refused.status, 400);
    assert_eq!(client.get("/nowhere").await.status, 404);
    let traced = client.call(Method::POST, "/valuation");
    let traced = traced
        .header("content-type", "application/xml")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .body(document(1, 1));
    let id = client.send(traced).await.id();
    client.until_status(&id, "succeeded").await;
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A valuer whose every first attempt of task 3 fails.
async fn valuer() -> Valuer {
    Valuer::start(|call| async move {
        if call.task == 3 && call.attempt == 1 {
            Reply::Status(503, "busy".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await
}

async fn loaded(world: &World, valuer: &Valuer, more: &[(&str, &str)]) -> Program {
    let config = ten_types(world, valuer);
    let mut settings = vec![("FANFOLD_CONFIG", config.as_str())];
    settings.extend(more);
    up(world, valuer, &settings).await
}

#[tokio::test]
async fn a_loaded_up_tells_what_it_did_and_what_is_in_few_series() {
    let world = World::start().await;
    let valuer = valuer().await;
    let program = up(&world, &valuer, &[]).await;
    let admin = program.admin();
    until("the broker was asked", || async {
        sum(
            &scrape(&admin).await,
            "fanfold_sampled_timestamp_seconds",
            &[],
        ) > 0.5
    })
    .await;
    let idle = samples(&scrape(&admin).await).len();
    assert!(idle < 400, "{idle} series of an idle process");
    drop((program, world));

    let world = World::start().await;
    let program = loaded(&world, &valuer, &[]).await;
    let (client, admin) = (program.client(), program.admin());
    load(&client).await;
    until("the holder tells that nothing is open", || async {
        let told = scrape(&admin).await;
        sum(&told, "fanfold_requests_open", &["shard=\"0\""]) < 0.5
            && sum(&told, "fanfold_view_delay_seconds_count", &[]) > 20.0
    })
    .await;
    let told = scrape(&admin).await;
    let is = |name: &str, labels: &[&str], value: f64| {
        let found = sum(&told, name, labels);
        assert!(
            (found - value).abs() < 0.5,
            "{name}{labels:?} is {found}, not {value}:\n{told}"
        );
    };
    is("fanfold_submissions_total", &["accepted"], 12.0);
    is("fanfold_submissions_total", &["refused"], 1.0);
    is("fanfold_requests_total", &["received"], 12.0);
    is("fanfold_requests_total", &["succeeded"], 12.0);
    is(
        "fanfold_request_duration_seconds_count",
        &["succeeded"],
        12.0,
    );
    is("fanfold_group_duration_seconds_count", &[], 22.0);
    is("fanfold_http_held_seconds_count", &["wait"], 1.0);
    let posted = ["POST", "http_route=\"/valuation\"", "\"202\""];
    is("http_server_request_duration_seconds_count", &posted, 11.0);
    is(
        "http_server_request_duration_seconds_count",
        &["http_route=\"\"", "\"404\""],
        1.0,
    );
    is("http_server_active_requests", &[], 0.0);
    is("fanfold_task_attempts_total", &["succeeded"], 203.0);
    is("fanfold_task_attempts_total", &["again"], 20.0);
    is("fanfold_task_faults_total", &["http-503"], 20.0);
    is(
        "fanfold_task_attempts_total",
        &["\"t9\"", "succeeded"],
        20.0,
    );
    is("fanfold_worker_slots_max", &["default"], 64.0);
    is("fanfold_pinned", &["orchestrator"], 1.0);
    is("fanfold_projector_pinned", &[], 1.0);
    is("fanfold_views_level", &[], 1.0);
    is("fanfold_admission_share_ratio", &[], 1.0);
    is("fanfold_dependency_up", &["nats"], 5.0);
    is("fanfold_dependency_up", &["redis"], 2.0);
    is("fanfold_build_info", &["role=\"up\""], 1.0);
    is("fanfold_verify_findings_total", &[], 0.0);
    assert!(
        sum(&told, "fanfold_store_bytes", &["REQUESTS_0"]) > 0.0,
        "{told}"
    );
    assert!(
        sum(&told, "fanfold_consumer_waiting_pulls", &["worker-t9"]) > 0.0,
        "{told}"
    );
    assert!(sum(&told, "process_cpu_seconds_total", &[]) > 0.0);
    let uses = sum(&told, "jemalloc_allocated_bytes", &[]);
    assert_eq!(uses > 0.0, cfg!(feature = "jemalloc"), "{uses}");
    let series = samples(&told).len();
    assert!(series < 1_500, "{series} series under load");
    assert!(told.len() < 150_000, "{} bytes", told.len());
    println!("{idle} series idle, {series} loaded, {} bytes", told.len());
    let mut times = Vec::new();
    for _ in 0..20 {
        times.push(sum(
            &scrape(&admin).await,
            "fanfold_scrape_duration_seconds",
            &[],
        ));
    }
    let best = times.iter().copied().fold(f64::MAX, f64::min);
    println!("a scrape takes {:.2} ms", best * 1e3);
    assert!(best < 0.005, "a scrape takes {best} s");
}

async fn in_format(admin: &Client, accept: &str) -> Answer {
    let asked = admin.call(Method::GET, "/metrics").header("accept", accept);
    admin.send(asked).await
}

#[tokio::test]
async fn the_format_is_the_one_that_the_scraper_asks_for_and_only_openmetrics_has_traces() {
    let world = World::start().await;
    let valuer = valuer().await;
    let program = up(&world, &valuer, &[]).await;
    load(&program.client()).await;
    let admin = program.admin();
    let told = in_format(&admin, OPEN_METRICS).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(told.header("content-type"), kind);
    assert!(told.body.ends_with("# EOF\n"), "{}", told.body);
    let exemplar = format!("# {{trace_id=\"{TRACE}\"}}");
    let with = |name: &str| {
        let mut lines = told.body.lines().filter(|line| line.starts_with(name));
        lines.any(|line| line.contains(&exemplar))
    };
    assert!(
        with("fanfold_request_duration_seconds_bucket"),
        "{}",
        told.body
    );
    assert!(
        with("fanfold_task_attempt_duration_seconds_bucket"),
        "{}",
        told.body
    );
    for accept in ["text/plain;version=0.0.4", "*/*"] {
        let told = in_format(&admin, accept).await;
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(told.header("content-type"), kind);
        assert!(!told.body.contains(TRACE) && !told.body.contains("# EOF"));
    }
}

#[tokio::test]
async fn a_scrape_answers_within_a_second_while_the_broker_and_redis_say_nothing_or_are_gone() {
    let mut world = World::own().await;
    let valuer = valuer().await;
    let program = up(&world, &valuer, &[]).await;
    load(&program.client()).await;
    let admin = program.admin();
    let before = sum(
        &scrape(&admin).await,
        "fanfold_requests_total",
        &["received"],
    );
    // Whoever asks a suspended server waits for its answer.
    let (nats, redis) = world.pids();
    let signal = |signal| {
        for pid in [nats, redis] {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
        }
    };
    signal(Signal::STOP);
    let quick = async || {
        let begun = Instant::now();
        let told = scrape(&admin).await;
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        told
    };
    for _ in 0..3 {
        quick().await;
    }
    signal(Signal::CONT);
    world.kill_nats().await;
    world.kill_redis().await;
    let told = quick().await;
    let now = sum(&told, "fanfold_requests_total", &["received"]);
    assert!((before - now).abs() < 0.5, "{before} {now}");
    until("the metrics say that the broker is away", || async {
        sum(&scrape(&admin).await, "fanfold_dependency_up", &["nats"]) < 0.5
    })
    .await;
}

#[tokio::test]
async fn only_the_holder_of_a_shard_tells_what_is_and_another_takes_over() {
    let world = World::start().await;
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let settings = [("TAKEOVER_AFTER_MS", "1000"), ("ACK_WAIT_MS", "2000")];
    let start = || Program::start(binary, "orchestrator", &world, &settings);
    let mut both = vec![start().await, start().await];
    for program in &both {
        let admin = program.admin();
        until("it is ready", || admin.ready()).await;
    }
    let told = async |all: &[Program]| {
        let mut told = Vec::new();
        for program in all {
            let text = scrape(&program.admin()).await;
            let open = text.contains("fanfold_requests_open{");
            let stores = text.contains("fanfold_store_bytes{");
            told.push((sum(&text, "fanfold_pinned", &[]) > 0.5, open, stores));
        }
        told
    };
    let api = Program::start(binary, "api", &world, &settings).await;
    api.client().submit(&document(1, 1), "").await.id();
    let (yes, no) = ((true, true, true), (false, false, false));
    until("one of them tells, and knows the request", || async {
        let mut open = 0.0;
        for program in &both {
            let text = scrape(&program.admin()).await;
            open += sum(&text, "fanfold_requests_open", &[]);
        }
        let mut told = told(&both).await;
        told.sort_unstable();
        told == [no, yes] && open > 0.5
    })
    .await;
    let holder = told(&both).await.iter().position(|told| *told == yes);
    both.swap_remove(holder.unwrap()).kill().await;
    until("the other one tells", || async {
        told(&both).await == [yes]
    })
    .await;
    // The figures of a shard are looked at every five seconds.
    let admin = both[0].admin();
    until("it knows the request", || async {
        sum(&scrape(&admin).await, "fanfold_requests_open", &[]) > 0.5
    })
    .await;
}

/// The queries of the dashboards, each with the title of its panel, as Grafana asks them.
fn panels() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana");
    let mut all = Vec::new();
    for name in ["service", "on-call", "capacity"] {
        let text = std::fs::read_to_string(folder.join(format!("fanfold-{name}.json")));
        let board: Value = serde_json::from_str(&text.unwrap()).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().unwrap();
                let query = query.replace("$__rate_interval", "1m");
                let query = query.replace("$__range", "5m").replace("$job", ".*");
                let query = query.replace("$task_type", ".*");
                all.push((format!("{name}: {}", panel["title"]), query));
            }
        }
    }
    all
}

/// A real Prometheus with the rules of this repository, evaluated every second.
struct Prometheus {
    url: String,
    _child: tokio::process::Child,
}

impl Prometheus {
    fn start(folder: &Path, target: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in ["alerts.yaml", "service-levels.yaml"] {
            let rules = root.join("deploy/prometheus/rules").join(name);
            let rules = std::fs::read_to_string(rules).unwrap();
            let rules = rules.replace("interval: 30s", "interval: 1s");
            std::fs::write(folder.join(name), rules).unwrap();
        }
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [alerts.yaml, service-levels.yaml]\n\
             scrape_configs:\n  - job_name: fanfold\n    static_configs: [{{ targets: ['{target}'] }}]\n"
        );
        std::fs::write(folder.join("prometheus.yaml"), config).unwrap();
        let own = root.join(".tools/bin/prometheus");
        let program = if own.exists() {
            own
        } else {
            "prometheus".into()
        };
        let port = servers::free_port().unwrap();
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let child = tokio::process::Command::new(program)
            .arg("--config.file=prometheus.yaml")
            .arg("--storage.tsdb.path=prometheus-data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}: run `make tools`"));
        Self {
            url: format!("http://127.0.0.1:{port}"),
            _child: child,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.url)).await;
        match answer {
            Ok(answer) => {
                let text = answer.text().await.unwrap_or_default();
                serde_json::from_str(&text).unwrap_or_default()
            }
            Err(_) => Value::Null,
        }
    }

    /// Whether a query has a value now.
    async fn has_value(&self, query: &str) -> bool {
        let at = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&at, [("query", query)]).unwrap();
        let answer = self.get(&url.as_str()[self.url.len()..]).await;
        let series = answer["data"]["result"].as_array();
        series.is_some_and(|series| series.iter().any(|one| one["value"][1] != "NaN"))
    }

    /// The queries of the dashboards that have no value yet, with the titles of their panels.
    async fn panels_without_value(&self) -> Vec<(String, String)> {
        let mut without = Vec::new();
        for (title, query) in panels() {
            if !self.has_value(&query).await {
                without.push((title, query));
            }
        }
        without
    }

    /// The recorded rules that have no value yet.
    async fn without_value(&self) -> Vec<String> {
        let rules = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../deploy/prometheus/rules/service-levels.yaml"),
        );
        let rules = rules.unwrap();
        let recorded = rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- record: "));
        let mut without = Vec::new();
        for name in recorded {
            if !self.has_value(name).await {
                without.push(name.to_owned());
            }
        }
        without
    }
}

#[tokio::test]
async fn a_real_prometheus_has_a_value_for_every_rule_and_panel_and_only_the_watchdog_fires() {
    let world = World::start().await;
    let (valuer, receiver) = (valuer().await, Receiver::start(&[]).await);
    let webhooks = [
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let program = loaded(&world, &valuer, &webhooks).await;
    let target = program.admin().base().replace("http://", "");
    let prometheus = Prometheus::start(world.folder(), &target);
    let client = program.client();
    let loading = async {
        loop {
            load(&client).await;
            let told = client.call(Method::POST, "/valuation");
            let told = told.header("content-type", "application/xml");
            let told = told.header("x-callback", receiver.url());
            // No market is where the valuation looks for one.
            let failing = mixed().replace("market[1]", "nothing");
            let id = client.send(told.body(failing)).await.id();
            client.until_status(&id, "failed").await;
        }
    };
    let watching = async {
        until("every recorded rule has a value", || async {
            let without = prometheus.without_value().await;
            without.is_empty()
        })
        .await;
        let alerts = prometheus.get("/api/v1/alerts").await;
        until("every panel has a value", || async {
            let without = prometheus.panels_without_value().await;
            if !without.is_empty() {
                println!("{without:#?}");
            }
            without.is_empty()
        })
        .await;
        alerts
    };
    let alerts = tokio::select! {
        alerts = watching => alerts,
        () = loading => unreachable!(),
    };
    let alerts = alerts["data"]["alerts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let firing: Vec<_> = firing
        .map(|alert| alert["labels"]["alertname"].clone())
        .collect();
    assert_eq!(firing, ["FanfoldWatchdog"], "{alerts:?}");
    let targets = prometheus.get("/api/v1/targets").await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!(target["health"], "up", "{targets}");
}
