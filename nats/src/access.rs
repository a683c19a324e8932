//! How a client proves who it is, and how it knows the broker: credentials, TLS, the domain of
//! JetStream and the prefix of inboxes.

use std::path::{Path, PathBuf};

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Actor, Error};

/// The prefix of the subjects of JetStream's API, where no domain is set.
const API: &str = "$JS.API";

/// The credentials of a client.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Those in the URL of the broker, or none.
    #[default]
    OfUrl,
    /// A user and a password.
    User(String, SecretString),
    /// A token.
    Token(SecretString),
    /// The seed of an `NKey`.
    Nkey(SecretString),
    /// A JWT with the seed of its `NKey`, in the form of a `.creds` file.
    Creds(SecretString),
}

/// How a client reaches a broker that not everybody may reach.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The credentials.
    pub login: Login,
    /// The file with the certificates of the authorities that the client trusts. Unset: those that
    /// the system trusts.
    pub ca: Option<PathBuf>,
    /// The files with the certificate and the key of the client.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether the handshake of TLS comes before the greeting of the broker.
    pub tls_first: bool,
    /// The domain of JetStream.
    pub domain: Option<String>,
    /// The prefix of the subjects on which the client receives answers.
    pub inbox_prefix: Option<String>,
}

impl Access {
    /// This access, with an inbox of the actor's own where no other is set. No user then needs to
    /// hear the answers of another.
    #[must_use]
    pub fn of(mut self, actor: Actor) -> Self {
        let own = || format!("_INBOX_{}", actor.name());
        self.inbox_prefix.get_or_insert_with(own);
        self
    }

    /// The prefix of the subjects of JetStream's API.
    pub(crate) fn api(&self) -> String {
        let domain = self.domain.as_deref();
        domain.map_or_else(|| API.to_owned(), |domain| format!("$JS.{domain}.API"))
    }

    /// Adds all this to the options of a client of these servers. A client with certificates never
    /// speaks to a broker without TLS.
    pub(crate) fn apply(
        &self,
        options: ConnectOptions,
        servers: &[ServerAddr],
    ) -> Result<ConnectOptions, Error> {
        let mut options = self.logged_in(options, servers)?;
        if let Some(ca) = &self.ca {
            is_pem("NATS_CA", ca, "CERTIFICATE-----")?;
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let Some((certificate, key)) = &self.certificate {
            is_pem("NATS_CERT", certificate, "CERTIFICATE-----")?;
            is_pem("NATS_KEY", key, "PRIVATE KEY-----")?;
            let (certificate, key) = (certificate.clone(), key.clone());
            options = options
                .add_client_certificate(certificate, key)
                .require_tls(true);
        }
        if self.tls_first {
            options = options.require_tls(true).tls_first();
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        Ok(options)
    }

    fn logged_in(
        &self,
        options: ConnectOptions,
        servers: &[ServerAddr],
    ) -> Result<ConnectOptions, Error> {
        let of_url = of_all(servers)?;
        let login = match (&self.login, &of_url) {
            (Login::OfUrl, of_url) => of_url,
            (login, Login::OfUrl) => login,
            _ => {
                return Err(Error::Unsuitable(
                    "NATS_URL has credentials, and others are set besides: keep one of them".into(),
                ));
            }
        };
        Ok(match login {
            Login::OfUrl => options,
            Login::User(user, password) => {
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
            Login::Token(token) => options.token(token.expose_secret().to_owned()),
            Login::Nkey(seed) => options.nkey(seed_of(seed.expose_secret())?.to_owned()),
            Login::Creds(creds) => options.credentials(creds.expose_secret()).map_err(|_| {
                let message = "NATS_CREDS has no JWT with the seed of its NKey, as `nsc` writes it";
                Error::Unsuitable(message.into())
            })?,
        })
    }
}

/// The seed in a text that may have other lines around it.
fn seed_of(text: &str) -> Result<&str, Error> {
    let mut lines = text.lines().map(str::trim);
    let seed = lines.find(|line| line.starts_with('S') && line.len() >= 58);
    seed.ok_or_else(|| {
        let message = "NATS_NKEY has no seed of an NKey, which begins with SU";
        Error::Unsuitable(message.into())
    })
}

/// Checks that a file can be read and has what it should have, before the broker is asked.
fn is_pem(setting: &str, path: &Path, what: &str) -> Result<(), Error> {
    let wrong = |reason: String| {
        let path = path.display();
        Err(Error::Unsuitable(format!("{setting}='{path}': {reason}")))
    };
    match std::fs::read_to_string(path) {
        Err(error) => wrong(error.to_string()),
        Ok(text) if !text.contains(what) => wrong("it is not in PEM form".into()),
        Ok(_) => Ok(()),
    }
}

/// The credentials in the URLs of these servers. Each URL may have `user:password@` or `token@`,
/// with percent-encoded characters. All URLs that have some must have the same, because the client
/// has one identity on every server.
fn of_all(servers: &[ServerAddr]) -> Result<Login, Error> {
    let mut found: Option<(String, Option<String>)> = None;
    for server in servers {
        let own = of(server)?;
        if found.is_some() && own.is_some() && found != own {
            return Err(Error::Unsuitable(
                "the servers of NATS_URL have different credentials: give every URL the same ones"
                    .into(),
            ));
        }
        found = found.or(own);
    }
    Ok(match found {
        None => Login::OfUrl,
        Some((user, Some(password))) => Login::User(user, password.into()),
        Some((token, None)) => Login::Token(token.into()),
    })
}

/// The user, which is a token where there is no password, and the password.
fn of(server: &ServerAddr) -> Result<Option<(String, Option<String>)>, Error> {
    let Some(user) = server.username() else {
        return Ok(None);
    };
    let password = server.password().map(decoded).transpose()?;
    Ok(Some((decoded(user)?, password)))
}

fn decoded(text: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    let invalid = |_| {
        let message = "the credentials of NATS_URL are not UTF-8 after percent-decoding";
        Error::Unsuitable(message.into())
    };
    decoded.map(std::borrow::Cow::into_owned).map_err(invalid)
}
