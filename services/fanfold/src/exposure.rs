//! Refuses starts that would put this process within reach of strangers, and says what is unsafe but
//! allowed.

use std::net::IpAddr;

use runtime::{Settings, Wrong, shown_urls};

use crate::command_line::Role;

/// A listener that this process is about to open.
struct Listening {
    setting: &'static str,
    host: IpAddr,
}

impl Listening {
    fn is_public(&self) -> bool {
        !self.host.to_canonical().is_loopback()
    }
}

/// The listeners of a role.
fn listeners(role: Role, settings: &Settings) -> Vec<Listening> {
    let api = role.includes(Role::Api) && settings.api.enable_http;
    let admin = role.includes(Role::Console) || settings.process.admin_port.is_some();
    let all = [
        (api, "HTTP_HOST", settings.api.http_host),
        (admin, "ADMIN_HOST", settings.process.admin_host),
    ];
    let all = all.into_iter().filter(|(listens, ..)| *listens);
    all.map(|(_, setting, host)| Listening { setting, host })
        .collect()
}

/// Refuses a listener that other machines reach, while nobody has to prove anything and the
/// operator has not said that this is meant.
pub fn check(role: Role, settings: &Settings) -> Result<(), Wrong> {
    let callers = &settings.callers;
    if callers.is_on() || callers.is_waived() {
        return Ok(());
    }
    let listeners = listeners(role, settings);
    match listeners.iter().find(|listening| listening.is_public()) {
        None => Ok(()),
        Some(Listening { setting, .. }) => Err(Wrong::new(
            setting,
            "other machines would reach this listener, and every caller may do everything: set \
             AUTH_KEYS_FILE or AUTH_ISSUER (docs/security.md), or say AUTH=none if that is meant",
        )),
    }
}

/// What these settings allow though it is unsafe, in words.
pub fn unsafe_settings(role: Role, settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    let listeners = listeners(role, settings);
    if settings.callers.is_waived() {
        said.push("AUTH=none: callers are not told apart, and each may do everything".to_owned());
    }
    let public: Vec<&Listening> = listeners.iter().filter(|l| l.is_public()).collect();
    let encrypted = !settings.api.http_tls_cert.is_empty();
    for Listening { setting, host } in public.iter().filter(|_| !encrypted) {
        said.push(format!(
            "{setting}={host}: other machines reach this listener, and what they send is not \
             encrypted unless a proxy in front does it (HTTP_TLS_CERT)"
        ));
    }
    if settings.webhooks.webhook_allow_private {
        said.push(
            "WEBHOOK_ALLOW_PRIVATE=true: callers can have webhooks sent to plain http and to \
             machines of this network"
                .to_owned(),
        );
    }
    for place in settings.references.href_allow.split(',').map(str::trim) {
        let why = match place {
            _ if place.starts_with("private:") => "documents can refer to machines of this network",
            _ if place.starts_with("http://") => "documents are fetched without encryption",
            _ => continue,
        };
        said.push(format!("HREF_ALLOW has {}: {why}", shown_urls(place)));
    }
    let runs_programs = settings.task_types.iter().any(worker::runs_a_program);
    if role.includes(Role::Worker) && runs_programs && !public.is_empty() {
        said.push(
            "a task type runs a program on the documents of callers in the process that other \
             machines reach: run the worker apart"
                .to_owned(),
        );
    }
    // The worker apart has another user, or no such files.
    let mut types = settings.task_types.iter();
    if role == Role::Up && types.any(worker::runs_a_program_as_itself) {
        said.push(
            "a task type runs a program as the user of this process, which can read the password of \
             its servers in DATA_DIR and AUTH_KEYS_FILE: give the executor a `user`"
                .to_owned(),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &str)]) -> Settings {
        let find = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::load(None, find, |_| None).unwrap()
    }

    #[test]
    fn a_listener_that_other_machines_reach_needs_proof_or_the_words_auth_none() {
        let refused = |role, set: &[(&str, &str)]| check(role, &settings(set)).err();
        for host in ["0.0.0.0", "::", "192.168.1.7", "::ffff:10.0.0.1"] {
            let wrong = refused(Role::Up, &[("HTTP_HOST", host)]).unwrap();
            assert_eq!(wrong.name, "HTTP_HOST");
            assert!(wrong.reason.contains("AUTH=none"), "{wrong}");
            let waived = [("HTTP_HOST", host), ("AUTH", "none")];
            assert_eq!(refused(Role::Up, &waived), None);
            let proven = [("HTTP_HOST", host), ("AUTH_KEYS_FILE", "keys")];
            assert_eq!(refused(Role::Up, &proven), None);
        }
        for host in ["127.0.0.1", "::1", "127.7.7.7", "::ffff:127.0.0.1"] {
            assert_eq!(refused(Role::Up, &[("HTTP_HOST", host)]), None);
        }
    }

    #[test]
    fn the_admin_listener_is_under_the_same_rule_and_a_listener_that_is_not_there_is_not() {
        let refused = |role, set: &[(&str, &str)]| check(role, &settings(set)).err();
        let admin = [("ADMIN_HOST", "0.0.0.0"), ("ADMIN_PORT", "0")];
        assert_eq!(refused(Role::Worker, &admin).unwrap().name, "ADMIN_HOST");
        assert_eq!(refused(Role::Up, &admin[..1]).unwrap().name, "ADMIN_HOST");
        // A worker without ADMIN_PORT has no listener.
        assert_eq!(refused(Role::Worker, &admin[..1]), None);
        assert_eq!(refused(Role::Worker, &[("HTTP_HOST", "0.0.0.0")]), None);
        let off = [("HTTP_HOST", "0.0.0.0"), ("ENABLE_HTTP", "false")];
        assert_eq!(refused(Role::Up, &off), None);
    }

    #[test]
    fn what_is_unsafe_but_allowed_is_said() {
        let said = |set: &[(&str, &str)]| unsafe_settings(Role::Up, &settings(set)).join("\n");
        assert_eq!(said(&[]), "");
        let all = said(&[
            ("AUTH", "none"),
            ("HTTP_HOST", "0.0.0.0"),
            ("WEBHOOK_ALLOW_PRIVATE", "true"),
            (
                "HREF_ALLOW",
                "http://a.example/x,private:https://b.example,s3://c",
            ),
            ("EXECUTOR", "command:/bin/cat"),
        ]);
        for part in [
            "AUTH=none",
            "HTTP_HOST=0.0.0.0",
            "WEBHOOK_ALLOW_PRIVATE",
            "HREF_ALLOW has http://a.example/x",
            "HREF_ALLOW has private:https://b.example",
            "runs a program",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert_eq!(all.lines().count(), 7, "{all}");
        let encrypted = said(&[
            ("HTTP_HOST", "0.0.0.0"),
            ("AUTH_KEYS_FILE", "keys"),
            ("HTTP_TLS_CERT", "cert.pem"),
            ("HTTP_TLS_KEY", "key.pem"),
        ]);
        assert_eq!(encrypted, "");
        let alone = said(&[("EXECUTOR", "command:/bin/cat")]);
        assert!(alone.contains("give the executor a `user`"), "{alone}");
        assert_eq!(
            alone.lines().count(),
            1,
            "on loopback it is no stranger's program"
        );
        let worker = settings(&[("EXECUTOR", "command:/bin/cat")]);
        assert!(unsafe_settings(Role::Worker, &worker).is_empty());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanfold.toml");
        let of = "[[task-types]]\nname = 'default'\n[task-types.executor]\nkind = 'command'\n\
                  program = 'cat'\nuser = 'nobody'\n";
        std::fs::write(&file, of).unwrap();
        let confined = Settings::load(Some(&file), |_| None, |_| None).unwrap();
        assert!(unsafe_settings(Role::Up, &confined).is_empty());
    }
}
