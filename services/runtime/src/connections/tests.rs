use nats::{Actor, Login};

use crate::Settings;

fn load(set: &[(&str, &str)]) -> Result<Settings, String> {
    let environment = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::load(None, environment, |_| None).map_err(|error| error.to_string())
}

const NATS: (&str, &str) = ("NATS_URL", "nats://h:1");
const REDIS: (&str, &str) = ("REDIS_URL", "redis://h:1");

#[test]
fn contradictory_settings_of_a_connection_are_refused() {
    for (set, reason) in [
        (&[NATS, ("NATS_USER", "a")][..], "NATS_PASSWORD together"),
        (&[NATS, ("NATS_PASSWORD", "b")], "NATS_PASSWORD together"),
        (
            &[NATS, ("NATS_TOKEN", "a"), ("NATS_NKEY", "b")],
            "NATS_TOKEN and NATS_NKEY both",
        ),
        (
            &[("NATS_URL", "nats://t0ken@h:1"), ("NATS_CREDS", "c")],
            "NATS_URL and NATS_CREDS both",
        ),
        (&[("NATS_TOKEN", "a")], "NATS_URL, which is not set"),
        (&[("REDIS_PASSWORD", "a")], "REDIS_URL, which is not set"),
        (&[NATS, ("NATS_CERT", "a")], "NATS_CERT and NATS_KEY"),
        (&[NATS, ("NATS_INBOX_PREFIX", "a.*")], "NATS_INBOX_PREFIX"),
        (&[NATS, ("NATS_DOMAIN", "a.b")], "NATS_DOMAIN"),
        (&[REDIS, ("REDIS_USER", "a")], "REDIS_PASSWORD too"),
        (&[REDIS, ("REDIS_CA", "a")], "rediss://"),
        (&[REDIS, ("REDIS_PREFIX", "a*")], "REDIS_PREFIX"),
        (
            &[("REDIS_URL", "redis://:p@h"), ("REDIS_PASSWORD", "q")],
            "keep one",
        ),
    ] {
        let said = load(set).unwrap_err();
        assert!(said.contains(reason), "{set:?}: {said}");
        assert!(!said.contains("t0ken"), "{said}");
    }
}

#[test]
fn the_settings_of_a_connection_become_its_options() {
    let settings = load(&[
        NATS,
        ("NATS_USER", "a"),
        ("NATS_PASSWORD", "b"),
        ("NATS_CA", "/ca"),
        ("NATS_INBOX_PREFIX", "_INBOX_api"),
        ("REDIS_URL", "rediss://h:1"),
        ("REDIS_USER", "c"),
        ("REDIS_PASSWORD", "d"),
        ("REDIS_PREFIX", "x:"),
    ])
    .unwrap();
    let nats = settings.connections.nats("tests", Actor::Worker).unwrap();
    assert!(matches!(nats.access.login, Login::User(user, _) if user == "a"));
    assert_eq!(nats.access.ca.unwrap().to_str(), Some("/ca"));
    assert_eq!(nats.access.inbox_prefix.as_deref(), Some("_INBOX_api"));
    let redis = settings.connections.redis().unwrap();
    assert_eq!(redis.user.as_deref(), Some("c"));
    assert_eq!(redis.prefix, "x:");
}
