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
fn a_flag_goes_over_the_environment_which_goes_over_the_file() {
    let file = "http_port = 1\nmax_task_attempts = 5\nworker_concurrency = 7";
    let environment = [("HTTP_PORT", "2"), ("MAX_TASK_ATTEMPTS", "6")];
    let settings = load(file, &environment, &[("HTTP_PORT", "3")]).unwrap();
    assert_eq!(settings.http_port, 3);
    assert_eq!(settings.max_task_attempts, 6);
    assert_eq!(settings.worker_concurrency, 7);
    assert_eq!(settings.group_timeout, Duration::from_mins(15));
}

#[test]
fn a_bad_value_names_itself_and_who_set_it() {
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
    let error = load("", &[("LOG_MAX_AGE_SECONDS", "3600")], &[]).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("REQUEST_TIMEOUT_MS='"), "{error}");
    assert!(error.contains("60s shorter"), "{error}");
    let too_long = ("REQUEST_TIMEOUT_MS", "3540001");
    let shorter = ("REQUEST_TIMEOUT_MS", "3540000");
    let age = ("LOG_MAX_AGE_SECONDS", "3600");
    let error = load("", &[age, shorter], &[]).unwrap_err().to_string();
    assert!(error.starts_with("REQUEST_TTL_SECONDS='"), "{error}");
    assert!(load("", &[age, too_long, ("REQUEST_TTL_SECONDS", "1")], &[]).is_err());
    load("", &[age, shorter, ("REQUEST_TTL_SECONDS", "3600")], &[]).unwrap();
    load("", &[("LOG_MAX_AGE_SECONDS", "0")], &[]).unwrap();
}

#[test]
fn no_document_is_accepted_that_is_larger_than_what_can_be_read_again() {
    let most = nats::STORED_MAX_BYTES;
    assert_eq!(most, 256 << 20, "it stands in the setting's text");
    let of_responses = domain::document::Limits::default().max_assembled_bytes;
    assert_eq!(of_responses, most, "a response is read again too");
    for key in ["payload_max_bytes", "result_max_bytes"] {
        let load_with = |bytes: usize| load(&format!("{key} = {bytes}"), &[], &[]);
        let settings = load_with(most).unwrap();
        assert!([settings.payload_max_bytes, settings.result_max_bytes].contains(&most));
        let error = load_with(most + 1).unwrap_err().to_string();
        assert!(error.ends_with("it must be at most 256 MiB"), "{error}");
    }
}

#[test]
fn durations_and_sizes_have_units_and_zero_is_refused_where_it_makes_no_sense() {
    let environment = [("GROUP_TIMEOUT_MS", "90s"), ("PAYLOAD_MAX_BYTES", "2 MiB")];
    let settings = load("task_lease_ms = '1m'", &environment, &[]).unwrap();
    assert_eq!(settings.group_timeout, Duration::from_secs(90));
    assert_eq!(settings.payload_max_bytes, 2 << 20);
    assert_eq!(settings.task_lease, Duration::from_mins(1));
    for (name, value, reason) in [
        ("SHARDS", "0", "it must be greater than zero"),
        ("ACK_WAIT_MS", "0s", "it must be greater than zero"),
        ("ACK_WAIT_MS", "soon", "expected a duration such as"),
        ("HREF_MAX_BYTES", "10 MB/s", "expected a size such as"),
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
fn a_setting_that_was_removed_is_refused_with_what_to_do_instead() {
    let said = load("", &[("HEALTH_PORT", "9090")], &[]).unwrap_err();
    assert!(said.to_string().contains("set ADMIN_PORT"), "{said}");
    let said = load("health_port = 9090", &[], &[]).unwrap_err();
    assert!(said.to_string().contains("set ADMIN_PORT"), "{said}");
    assert_eq!(load("", &[], &[]).unwrap().admin_port, None);
    let set = load("", &[("ADMIN_PORT", "0")], &[]).unwrap();
    assert_eq!(set.admin_port, Some(0));
}

#[test]
fn a_setting_nobody_knows_is_refused() {
    let error = load("http_prot = 1", &[], &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no setting 'http_prot'")
    );
}
