//! How this process reaches NATS and Redis, from the settings.

use std::path::PathBuf;

use nats::{Access, Actor, Creates, Login};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{ConnectionsConfig, NoServer, TopologyMode, Wrong};

/// The longest prefix of the keys in Redis.
const PREFIX_MAX_CHARS: usize = 64;

impl ConnectionsConfig {
    /// The NATS of the settings, or else the one that `up` started from this data folder. `name` is
    /// the name of the connection. `actor` decides what the process may create, and where it gets
    /// its answers.
    pub fn nats(&self, name: impl Into<String>, actor: Actor) -> Result<nats::Options, NoServer> {
        let url = self.nats_or_embedded()?;
        let access = if self.nats_url.is_some() {
            self.access().of(actor)
        } else {
            Access::default()
        };
        Ok(nats::Options {
            access,
            creates: self.creates(actor),
            ..nats::Options::new(url.expose_secret(), name)
        })
    }

    /// The Redis of the settings, or else the one that `up` started from this data folder.
    pub fn redis(&self) -> Result<projections::Options, NoServer> {
        Ok(projections::Options {
            url: self.redis_or_embedded()?,
            user: set(&self.redis_user),
            password: self.redis_password.clone(),
            ca: set(&self.redis_ca).map(PathBuf::from),
            certificate: pair(&self.redis_cert, &self.redis_key),
            prefix: self.redis_prefix.clone(),
        })
    }

    /// What a process of this actor may create at the broker.
    fn creates(&self, actor: Actor) -> Creates {
        match (self.topology, actor) {
            (TopologyMode::Apply, _) => Creates::All,
            (TopologyMode::Check, Actor::Orchestrator) => Creates::Queues,
            (TopologyMode::Check, _) => Creates::Nothing,
        }
    }

    /// How this process proves who it is, and how it knows the broker.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            login: self.login(),
            ca: set(&self.nats_ca).map(PathBuf::from),
            certificate: pair(&self.nats_cert, &self.nats_key),
            tls_first: self.nats_tls_first,
            domain: set(&self.nats_domain),
            inbox_prefix: set(&self.nats_inbox_prefix),
        }
    }

    fn login(&self) -> Login {
        match (
            &self.nats_creds,
            &self.nats_nkey,
            &self.nats_token,
            &self.nats_password,
        ) {
            (Some(creds), ..) => Login::Creds(creds.clone()),
            (_, Some(seed), ..) => Login::Nkey(seed.clone()),
            (_, _, Some(token), _) => Login::Token(token.clone()),
            (.., Some(password)) => Login::User(self.nats_user.clone(), password.clone()),
            _ => Login::OfUrl,
        }
    }

    /// Refuses settings that contradict each other, and names one of them.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        self.check_nats_login()?;
        self.check_servers()?;
        for (name, other, certificate, key) in [
            ("NATS_CERT", "NATS_KEY", &self.nats_cert, &self.nats_key),
            ("REDIS_CERT", "REDIS_KEY", &self.redis_cert, &self.redis_key),
        ] {
            if certificate.is_empty() != key.is_empty() {
                return Err(Wrong::new(name, format!("set {name} and {other} together")));
            }
        }
        let is_subject = |text: &str| text.split('.').all(is_token);
        if !self.nats_inbox_prefix.is_empty() && !is_subject(&self.nats_inbox_prefix) {
            let reason = "expected letters, digits, - and _, in parts between dots";
            return Err(Wrong::new("NATS_INBOX_PREFIX", reason));
        }
        if !self.nats_domain.is_empty() && !is_token(&self.nats_domain) {
            let reason = "expected letters, digits, - and _";
            return Err(Wrong::new("NATS_DOMAIN", reason));
        }
        // In a pattern or a hash tag these characters would have a meaning.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
        let prefix = &self.redis_prefix;
        if !prefix.chars().all(is_plain) || prefix.len() > PREFIX_MAX_CHARS {
            let reason = "expected at most 64 letters, digits and - _ . : /";
            return Err(Wrong::new("REDIS_PREFIX", reason));
        }
        Ok(())
    }

    fn check_nats_login(&self) -> Result<(), Wrong> {
        if self.nats_user.is_empty() != self.nats_password.is_none() {
            let reason = "set NATS_USER and NATS_PASSWORD together";
            return Err(Wrong::new("NATS_USER", reason));
        }
        let of_url = self.nats_url.as_ref().is_some_and(has_login);
        let logins = [
            ("NATS_URL", of_url),
            ("NATS_USER", !self.nats_user.is_empty()),
            ("NATS_TOKEN", self.nats_token.is_some()),
            ("NATS_NKEY", self.nats_nkey.is_some()),
            ("NATS_CREDS", self.nats_creds.is_some()),
        ];
        let mut set = logins.iter().filter(|(_, is_set)| *is_set);
        match (set.next(), set.next()) {
            (Some((first, _)), Some((second, _))) => {
                let reason =
                    format!("{first} and {second} both have credentials: keep one of them");
                Err(Wrong::new(second, reason))
            }
            _ => Ok(()),
        }
    }

    /// Refuses settings for a server that `up` starts, which has credentials of its own.
    fn check_servers(&self) -> Result<(), Wrong> {
        let nats = [
            ("NATS_USER", !self.nats_user.is_empty()),
            ("NATS_TOKEN", self.nats_token.is_some()),
            ("NATS_NKEY", self.nats_nkey.is_some()),
            ("NATS_CREDS", self.nats_creds.is_some()),
            ("NATS_CA", !self.nats_ca.is_empty()),
            ("NATS_CERT", !self.nats_cert.is_empty()),
            ("NATS_TLS_FIRST", self.nats_tls_first),
            ("NATS_DOMAIN", !self.nats_domain.is_empty()),
        ];
        let redis = [
            ("REDIS_USER", !self.redis_user.is_empty()),
            ("REDIS_PASSWORD", self.redis_password.is_some()),
            ("REDIS_CA", !self.redis_ca.is_empty()),
            ("REDIS_CERT", !self.redis_cert.is_empty()),
            ("REDIS_PREFIX", !self.redis_prefix.is_empty()),
        ];
        let without = |url: &Option<SecretString>, settings: &[(&'static str, bool)]| {
            let mut set = settings.iter().filter(|(_, is_set)| *is_set);
            set.next().filter(|_| url.is_none()).map(|(name, _)| *name)
        };
        for (url, found) in [
            ("NATS_URL", without(&self.nats_url, &nats)),
            ("REDIS_URL", without(&self.redis_url, &redis)),
        ] {
            if let Some(name) = found {
                let reason = format!("it is for the server of {url}, which is not set");
                return Err(Wrong::new(name, reason));
            }
        }
        if !self.redis_user.is_empty() && self.redis_password.is_none() {
            return Err(Wrong::new("REDIS_USER", "set REDIS_PASSWORD too"));
        }
        let encrypted = |url: &SecretString| url.expose_secret().starts_with("rediss://");
        let has_files = !self.redis_ca.is_empty() || !self.redis_cert.is_empty();
        if has_files && !self.redis_url.as_ref().is_some_and(encrypted) {
            let reason = "certificates need a REDIS_URL that begins with rediss://";
            return Err(Wrong::new("REDIS_URL", reason));
        }
        if self.redis_password.is_some() && self.redis_url.as_ref().is_some_and(has_login) {
            let reason = "REDIS_URL has credentials too: keep one of them";
            return Err(Wrong::new("REDIS_PASSWORD", reason));
        }
        Ok(())
    }
}

fn set(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn pair(certificate: &str, key: &str) -> Option<(PathBuf, PathBuf)> {
    Some((set(certificate)?.into(), set(key)?.into()))
}

fn has_login(url: &SecretString) -> bool {
    url.expose_secret().contains('@')
}

fn is_token(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
