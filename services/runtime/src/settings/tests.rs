use secrecy::ExposeSecret as _;

use super::*;

fn load(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, SettingsError> {
    let pick = |pairs: &[(&str, &str)], name: &str| {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let path = std::env::temp_dir().join(format!("fanfold-{}.toml", uuid::Uuid::now_v7()));
    std::fs::write(&path, file).unwrap();
    let loaded = Settings::load(Some(&path), |n| pick(environment, n), |n| pick(flags, n));
    std::fs::remove_file(path).unwrap();
    loaded
}

#[test]
fn a_flag_overrides_the_environment_and_the_environment_overrides_the_file() {
    let file = "http_port = 1\nmax_task_attempts = 5\nworker_concurrency = 7";
    let environment = [("HTTP_PORT", "2"), ("MAX_TASK_ATTEMPTS", "6")];
    let settings = load(file, &environment, &[("HTTP_PORT", "3")]).unwrap();
    assert_eq!(settings.api.http_port, 3);
    assert_eq!(settings.worker.max_task_attempts, 6);
    assert_eq!(settings.worker.worker_concurrency, 7);
    assert_eq!(settings.deployment.group_timeout, Duration::from_mins(15));
}

#[test]
fn an_invalid_value_is_named_with_its_source() {
    let error = load("", &[("HTTP_PORT", "eighty")], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "HTTP_PORT='eighty' (environment): expected a whole number within its range"
    );
    let error = load("shards = 65", &[], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "SHARDS='65' (file): it must be at most 64"
    );
}

#[test]
fn no_two_task_types_have_one_name() {
    let file =
        |second: &str| format!("[[task-types]]\nname = 'bonds'\n[[task-types]]\nname = '{second}'");
    load(&file("loans"), &[], &[]).unwrap();
    let error = load(&file("bonds"), &[], &[]).unwrap_err().to_string();
    assert!(
        error.contains("bonds: there are two of this name"),
        "{error}"
    );
}

#[test]
fn no_request_may_outlive_the_log() {
    // A first start: nothing is stored.
    let start = |set: &[(&str, &str)]| {
        let adopted = load("", set, &[]).and_then(|own| own.adopt(&Facts::new(), true));
        adopted.map(|_| ()).map_err(|error| error.to_string())
    };
    let age = ("LOG_MAX_AGE_SECONDS", "3600");
    let error = start(&[age]).unwrap_err();
    assert!(error.starts_with("REQUEST_TIMEOUT_MS='"), "{error}");
    assert!(error.contains("60s shorter"), "{error}");
    let too_long = ("REQUEST_TIMEOUT_MS", "3540001");
    let shorter = ("REQUEST_TIMEOUT_MS", "3540000");
    let error = start(&[age, shorter]).unwrap_err();
    assert!(error.starts_with("REQUEST_TTL_SECONDS='"), "{error}");
    assert!(load("", &[age, too_long, ("REQUEST_TTL_SECONDS", "1")], &[]).is_err());
    start(&[age, shorter, ("REQUEST_TTL_SECONDS", "3600")]).unwrap();
    start(&[("LOG_MAX_AGE_SECONDS", "0")]).unwrap();
}

#[test]
fn a_fact_is_compared_with_those_of_the_deployment_and_not_with_defaults() {
    let month = "log_max_age_seconds = '30d'\nrequest_timeout_ms = '20d'";
    let stored = load(month, &[], &[]).unwrap().facts(true);
    for own in ["request_timeout_ms = '20d'", "log_max_age_seconds = '30d'"] {
        let own = load(own, &[], &[]).unwrap();
        own.adopt(&stored, true).unwrap();
    }
    let own = load("request_timeout_ms = '20d'", &[], &[]).unwrap();
    let error = own.adopt(&Facts::new(), true).unwrap_err().to_string();
    assert!(
        error.starts_with("REQUEST_TIMEOUT_MS='20d' (file)"),
        "{error}"
    );
}

#[test]
fn no_document_is_accepted_that_is_too_large_to_read_again() {
    let most = nats::STORED_MAX_BYTES;
    assert_eq!(most, 256 << 20, "it stands in the setting's text");
    let of_responses = domain::document::Limits::default().max_assembled_bytes;
    assert_eq!(of_responses, most, "a response is read again too");
    for key in ["payload_max_bytes", "result_max_bytes"] {
        let load_with = |bytes: usize| load(&format!("{key} = {bytes}"), &[], &[]);
        let settings = load_with(most).unwrap();
        assert!(
            [
                settings.api.payload_max_bytes,
                settings.deployment.result_max_bytes
            ]
            .contains(&most)
        );
        let error = load_with(most + 1).unwrap_err().to_string();
        assert!(error.ends_with("it must be at most 256 MiB"), "{error}");
    }
}

#[test]
fn durations_and_sizes_have_units_and_zero_is_refused_where_it_makes_no_sense() {
    let environment = [("GROUP_TIMEOUT_MS", "90s"), ("PAYLOAD_MAX_BYTES", "2 MiB")];
    let settings = load("task_lease_ms = '1m'", &environment, &[]).unwrap();
    assert_eq!(settings.deployment.group_timeout, Duration::from_secs(90));
    assert_eq!(settings.api.payload_max_bytes, 2 << 20);
    assert_eq!(settings.deployment.task_lease, Duration::from_mins(1));
    for (name, value, reason) in [
        ("SHARDS", "0", "it must be greater than zero"),
        ("ACK_WAIT_MS", "0s", "it must be greater than zero"),
        ("ACK_WAIT_MS", "soon", "expected a duration such as"),
        ("HREF_TOTAL_MAX_BYTES", "10 MB/s", "expected a size such as"),
        ("FAIL_FAST", "yes", "expected true or false"),
        ("LOG_FORMAT", "xml", "expected text or json"),
        ("HTTP_HOST", "nonsense", "invalid IP address syntax"),
    ] {
        let error = load("", &[(name, value)], &[]).unwrap_err().to_string();
        let start = format!("{name}='{value}' (environment): {reason}");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn a_removed_setting_is_refused_with_its_replacement() {
    for (name, instead) in [
        ("HEALTH_PORT", "set ADMIN_PORT"),
        ("NATS_PORT", "servers.json in DATA_DIR"),
        ("S3_SECRET_ACCESS_KEY", "set AWS_SECRET_ACCESS_KEY"),
        ("HREF_PLAIN_HTTP", "an http:// entry in HREF_ALLOW"),
        ("HREF_PRIVATE_ADDRESSES", "write private:https://host"),
        ("TASK_TIMEOUT_MS", "set time-limit-ms"),
        ("SUBMISSIONS_MAX", "the fixed value 1000"),
        ("HREF_TIMEOUT_MS", "the fixed value 10s"),
    ] {
        let in_file = format!("{} = '1'", name.to_lowercase());
        for loaded in [
            load("", &[(name, "1")], &[]),
            load(&in_file, &[], &[]),
            load("", &[], &[(name, "1")]),
        ] {
            let said = loaded.unwrap_err().to_string();
            let start = format!("{name} was removed: ");
            assert!(said.starts_with(&start) && said.contains(instead), "{said}");
        }
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(Settings::removed_flag(&flag).is_some(), "{flag}");
    }
    assert!(Settings::removed_flag("--http-port").is_none());
    let set = load("", &[("ADMIN_PORT", "0")], &[]).unwrap();
    assert_eq!(set.process.admin_port, Some(0));
}

#[test]
fn there_are_at_most_forty_settings_beside_those_of_connections_and_no_limit_is_one_of_them() {
    let settings = Settings::definitions();
    let connections = settings.iter().filter(|d| d.part == Part::Connections);
    assert!(connections.count() <= 22, "{}", settings.len());
    let others = settings.iter().filter(|d| d.part != Part::Connections);
    assert!(others.count() <= 51, "{}", settings.len());
    for limit in Settings::limits() {
        assert!(settings.iter().all(|setting| setting.name != limit.name));
        assert!((limit.canonical)(limit.default).is_ok(), "{}", limit.name);
    }
}

#[test]
fn settings_about_callers_that_contradict_or_lack_each_other_are_refused() {
    let issuer = ("AUTH_ISSUER", "https://issuer.example");
    let audience = ("AUTH_AUDIENCE", "fanfold");
    let (certificate, key) = (("HTTP_TLS_CERT", "c"), ("HTTP_TLS_KEY", "k"));
    let client_ca = ("HTTP_CLIENT_CA", "a");
    for (set, why) in [
        (
            &[("AUTH", "no")][..],
            "AUTH='no' (environment): expected none",
        ),
        (&[("AUTH", "none"), ("AUTH_KEYS_FILE", "k")], "AUTH='none'"),
        (&[("AUTH", "none"), issuer, audience], "AUTH='none'"),
        (&[issuer], "AUTH_AUDIENCE=''"),
        (&[audience], "AUTH_AUDIENCE='fanfold'"),
        (&[("AUTH_JWKS_URL", "https://x.example")], "AUTH_JWKS_URL="),
        (
            &[("AUTH_ISSUER", "http://issuer.example"), audience],
            "https://",
        ),
        (&[("AUTH_ISSUER", "issuer"), audience], "https://"),
        (&[("ALLOWED_HOSTS", "*.example")], "ALLOWED_HOSTS="),
        (&[("ALLOWED_HOSTS", "a.example,x:8080")], "ALLOWED_HOSTS="),
        (&[("ALLOWED_HOSTS", "[::2]:8080")], "ALLOWED_HOSTS="),
        (
            &[certificate],
            "set HTTP_TLS_CERT and HTTP_TLS_KEY together",
        ),
        (
            &[client_ca, ("AUTH_KEYS_FILE", "k")],
            "it needs HTTP_TLS_CERT",
        ),
        (
            &[certificate, key, client_ca, issuer, audience],
            "AUTH_KEYS_FILE says",
        ),
    ] {
        let error = load("", set, &[]).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let loopback = ("AUTH_ISSUER", "http://127.0.0.1:9000");
    assert!(
        load("", &[loopback, audience], &[])
            .unwrap()
            .callers
            .is_on()
    );
    assert!(
        load("", &[("AUTH_KEYS_FILE", "k")], &[])
            .unwrap()
            .callers
            .is_on()
    );
    assert!(!load("", &[("AUTH", "none")], &[]).unwrap().callers.is_on());
}

#[test]
fn only_a_build_for_tests_can_replace_a_limit() {
    let set = [("FANFOLD_TEST_SUBMISSIONS_MAX", "3")];
    let expected = if cfg!(feature = "testing") { 3 } else { 1_000 };
    let settings = load("", &set, &[]).unwrap();
    assert_eq!(settings.api.submissions_max, expected);
}

#[test]
fn a_task_type_takes_missing_fields_from_the_entry_default() {
    let file = "max_task_attempts = 7\n\
        [[task-types]]\nname = 'bonds'\nretry = { initial_ms = 3 }\n\
        [[task-types]]\nname = 'default'\ntime-limit-ms = 250\nconcurrency = 2\n\
        executor = { kind = 'noop' }\nretry = { initial_ms = 20, attempts = 5 }\n\
        [[task-types]]\nname = 'loans'\nexecutor = { kind = 'echo' }\ntime-limit-ms = 9";
    let types = load(file, &[], &[]).unwrap().task_types;
    let of = |name: &str| types.get(name).unwrap().clone();
    let (bonds, loans, default) = (of("bonds"), of("loans"), of("default"));
    let millis = Duration::from_millis;
    assert_eq!(default.time_limit, millis(250));
    assert_eq!((default.concurrency, default.retry.attempts), (2, 5));
    assert_eq!((bonds.time_limit, bonds.concurrency), (millis(250), 2));
    assert_eq!((bonds.retry.attempts, bonds.retry.initial_ms), (5, 3));
    assert_eq!(bonds.executor, default.executor);
    assert_eq!((loans.time_limit, loans.retry.initial_ms), (millis(9), 20));
    assert_ne!(loans.executor, default.executor);
    assert_eq!(types.names(), ["bonds", "loans", "default"]);
    let bare = load("[[task-types]]\nname = 'bonds'", &[], &[]).unwrap();
    let bonds = bare.task_types.get("bonds").unwrap().clone();
    assert_eq!(
        (bonds.time_limit, bonds.retry.attempts),
        (millis(60_000), 3)
    );
}

#[test]
fn the_credentials_for_s3_are_those_of_every_aws_tool_and_stay_out_of_logs() {
    let set = [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "xyzzy"),
    ];
    let settings = load("", &set, &[]).unwrap();
    assert_eq!(settings.aws.secret_access_key.expose_secret(), "xyzzy");
    assert_eq!(settings.aws.shown("AWS_SECRET_ACCESS_KEY"), MASK);
    assert_eq!(settings.aws.region, "us-east-1");
    assert!(!format!("{settings:?}").contains("xyzzy"));
}

#[test]
fn a_fact_that_nobody_set_is_that_of_the_deployment() {
    let stored = load("task_lease_ms = '45s'\nshards = 4", &[], &[]).unwrap();
    let stored = stored.facts(true);
    assert_eq!(stored["TASK_LEASE_MS"], "45s");
    assert_eq!(stored["LOG_MAX_AGE_SECONDS"], "7d");
    assert_eq!(stored[TASK_TYPES], "default");
    let own = load("", &[("SHARDS", "4")], &[]).unwrap();
    let adopted = own.adopt(&stored, true).unwrap();
    assert_eq!(adopted.deployment.task_lease, Duration::from_secs(45));
    assert_eq!(adopted.facts(true), stored);
    let source = |name: &str| {
        let mut definitions = Settings::definitions().iter();
        let definition = definitions.find(|d| d.name == name).unwrap();
        adopted.source(definition)
    };
    assert_eq!(source("TASK_LEASE_MS"), Source::Deployment);
    assert_eq!(source("SHARDS"), Source::Environment);
    // The same value in other words is no difference.
    let own = load("task_lease_ms = '45000ms'", &[], &[("SHARDS", "4")]).unwrap();
    own.adopt(&stored, true).unwrap();
}

#[test]
fn a_fact_that_differs_is_named_with_both_values_and_the_command() {
    let stored = load("", &[], &[]).unwrap().facts(true);
    let file = "tasks_max_bytes = '1 MiB'\n[[task-types]]\nname = 'bonds'";
    let own = load(file, &[("TASK_LEASE_MS", "45000")], &[]).unwrap();
    let said = own.adopt(&stored, false).unwrap_err().to_string();
    for part in [
        "TASK_LEASE_MS='45s' (environment), but the deployment has TASK_LEASE_MS='30s'",
        "`fanfold deployment set TASK_LEASE_MS=45s --reason TEXT`",
        "`fanfold deployment set TASKS_MAX_BYTES='1 MiB' --reason TEXT`",
        "TASK_TYPES='bonds,default' (file), but the deployment has TASK_TYPES='default'",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn task_type_names_are_compared_only_by_roles_that_define_them() {
    let file = "[[task-types]]\nname = 'bonds'";
    let stored = load(file, &[], &[]).unwrap().facts(true);
    let bare = load("", &[], &[]).unwrap();
    assert!(bare.adopt(&stored, true).is_err());
    let adopted = bare.adopt(&stored, false).unwrap();
    assert_eq!(adopted.task_types.names(), ["bonds", "default"]);
    assert!(!bare.facts(false).contains_key(TASK_TYPES));
}

#[test]
fn facts_are_changed_to_values_that_are_good_at_a_start() {
    let stored = load("", &[], &[]).unwrap().facts(true);
    let change = |changes: &[&str]| {
        let changes: Vec<String> = changes.iter().map(|&c| c.to_owned()).collect();
        changed_facts(&stored, &changes).map_err(|error| error.to_string())
    };
    let changed = change(&["task_lease_ms=45000", "TASK_TYPES=loans,bonds,default"]).unwrap();
    assert_eq!(changed["TASK_LEASE_MS"], "45s");
    assert_eq!(changed[TASK_TYPES], "bonds,default,loans");
    for (wrong, reason) in [
        ("TASK_LEASE_MS", "expected NAME=VALUE"),
        ("HTTP_PORT=1", "where NAME is SHARDS, "),
        ("SHARDS=65", "it must be at most 64"),
        ("ACK_WAIT_MS=soon", "expected a duration"),
        ("LOG_MAX_AGE_SECONDS=1h", "REQUEST_TIMEOUT_MS="),
        ("TASK_TYPES=bonds", "is always there"),
        ("TASK_TYPES=Bonds,default", "must be 1 to 64 of"),
    ] {
        let said = change(&[wrong]).unwrap_err();
        assert!(said.contains(reason), "{wrong}: {said}");
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    let error = load("http_prot = 1", &[], &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no setting 'http_prot'")
    );
}

#[test]
fn a_variable_by_which_kubernetes_describes_a_service_is_no_setting() {
    load("", &[("REDIS_PORT", "tcp://10.0.0.7:6379")], &[]).unwrap();
    let error = load("", &[("REDIS_PORT", "6379")], &[]).unwrap_err();
    assert!(
        error.to_string().contains("REDIS_PORT was removed"),
        "{error}"
    );
}

#[test]
fn every_secret_may_be_in_the_environment_in_a_file_or_a_credential_of_systemd() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    for secret in Settings::definitions() {
        if secret.secrecy == Secrecy::Open {
            continue;
        }
        // NATS_URL and REDIS_URL make the others settings of a server that is known.
        let of = |settings: &Settings| settings.origins.origin(secret.name).0.to_owned();
        let path = folder.path().join(secret.key());
        let value = match secret.name {
            "AUTH_ISSUER" | "AUTH_JWKS_URL" => "https://canary",
            "EXECUTOR" => "command:canary",
            _ => "canary",
        };
        std::fs::write(&path, format!("{value}\n")).unwrap();
        let named = path.display().to_string();
        let file = secret.file();
        let partners = [
            ("NATS_URL", "nats://h"),
            ("REDIS_URL", "redis://h"),
            ("NATS_USER", "ann"),
            ("NATS_PASSWORD", "x"),
        ];
        let issuer = [("AUTH_ISSUER", "https://h"), ("AUTH_AUDIENCE", "fanfold")];
        let needed = match secret.name {
            "NATS_PASSWORD" => &partners[..3],
            "AUTH_ISSUER" => &issuer[1..],
            "AUTH_JWKS_URL" => &issuer,
            "NATS_TOKEN" | "NATS_NKEY" | "NATS_CREDS" | "REDIS_PASSWORD" => &partners[..2],
            _ => &[],
        };
        let with = |more: &[(&str, &str)]| {
            let all: Vec<(&str, &str)> = needed.iter().chain(more).copied().collect();
            load("", &all, &[])
        };
        let loaded = with(&[(secret.name, value)]).unwrap();
        assert_eq!(of(&loaded), value);
        let loaded = with(&[(&file, &named)]).unwrap();
        assert_eq!(of(&loaded), value);
        assert_eq!(loaded.source(secret), Source::SecretFile);
        let loaded = with(&[("CREDENTIALS_DIRECTORY", &directory)]).unwrap();
        assert_eq!(of(&loaded), value, "{}", secret.name);
        assert_eq!(loaded.source(secret), Source::Credential);
        let shown = format!("{loaded:?} {}", loaded.wrong(Wrong::new(secret.name, "x")));
        assert_eq!(
            shown.contains("canary"),
            secret.secrecy == Secrecy::Url,
            "{shown}"
        );
        let both = with(&[(secret.name, value), (&file, &named)]).unwrap_err();
        assert!(both.to_string().contains("are both set"), "{both}");
        let missing = with(&[(&file, "/no/such/file")]).unwrap_err().to_string();
        assert!(
            missing.starts_with(&format!("{file}='/no/such/file'")),
            "{missing}"
        );
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_user_or_a_password_is_refused_where_nobody_would_send_it_and_is_not_repeated() {
    for (name, value) in [
        ("AUTH_ISSUER", "https://ann:canary@h"),
        ("AUTH_ISSUER", "https://ann:x,canary@h"),
        ("AUTH_JWKS_URL", "https://ann:canary@h/keys"),
        ("HREF_ALLOW", "s3://b,private:https://ann:canary@h/x"),
        ("HREF_ALLOW", "https://ann:x,canary@h/x"),
        ("S3_ENDPOINT", "https://ann:canary@h"),
        ("EXECUTOR", "http://ann:canary@h/"),
        ("EXECUTOR", "htp://ann:canary@h/"),
        ("EXECUTOR", "comand:price --password canary"),
    ] {
        let mut set = vec![(name, value)];
        if name.starts_with("AUTH_") {
            set.push(("AUTH_AUDIENCE", "fanfold"));
        }
        if name == "AUTH_JWKS_URL" {
            set.push(("AUTH_ISSUER", "https://h"));
        }
        let said = load("", &set, &[]).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{name}='")), "{said}");
        assert!(!said.contains("canary") && said.contains("***"), "{said}");
    }
}

#[test]
fn no_secret_is_taken_from_the_command_line() {
    for (name, value) in [
        ("WEBHOOK_SECRET", "whsec_canary"),
        ("NATS_URL", "nats://ann:canary@h"),
    ] {
        let said = load("", &[], &[(name, value)]).unwrap_err().to_string();
        assert!(said.contains("every user of this machine"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
    load("", &[], &[("NATS_URL", "nats://h:4222")]).unwrap();
    let flag = Settings::removed_flag("--webhook-secret").unwrap();
    assert!(flag.to_string().contains("--webhook-secret-file"), "{flag}");
}

#[test]
fn a_duration_that_ends_after_the_time_of_the_broker_is_refused() {
    for name in [
        "GROUP_TIMEOUT_MS",
        "LOG_MAX_AGE_SECONDS",
        "SHUTDOWN_GRACE_MS",
    ] {
        let said = load("", &[(name, "36501d")], &[]).unwrap_err().to_string();
        assert!(
            said.contains(name) && said.contains("at most 36500d"),
            "{said}"
        );
    }
    let longest = [("LOG_MAX_AGE_SECONDS", "36500d")];
    let settings = load("", &longest, &[]).unwrap();
    let end = jiff::Timestamp::now() + settings.deployment.log_max_age;
    assert!(i64::try_from(end.as_nanosecond()).is_ok(), "{end}");
}

#[test]
fn a_drain_that_the_shutdown_would_cut_short_is_refused() {
    let set = [("SHUTDOWN_GRACE_MS", "1s"), ("DRAIN_DELAY_MS", "2s")];
    let said = load("", &set, &[]).unwrap_err().to_string();
    assert!(
        said.contains("DRAIN_DELAY_MS") && said.contains("SHUTDOWN_GRACE_MS (1s)"),
        "{said}"
    );
    load("", &[("SHUTDOWN_GRACE_MS", "0")], &[]).unwrap();
}

#[test]
fn a_task_type_without_time_or_places_is_refused() {
    for (field, said) in [
        (
            "time-limit-ms = 0",
            "bonds: time-limit-ms must be at least 1",
        ),
        ("concurrency = 0", "bonds: concurrency must be at least 1"),
    ] {
        let file = format!("[[task-types]]\nname = 'bonds'\n{field}");
        let error = load(&file, &[], &[]).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
