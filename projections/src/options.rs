//! How a client reaches Redis: the address, the credentials and TLS.

use std::path::PathBuf;

use redis::{ClientTlsConfig, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Error;

/// The address of Redis, and how the client proves who it is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// One URL, or for a cluster those of several nodes, separated by commas. They may have
    /// credentials.
    pub url: SecretString,
    /// The user of the access list, where none is in the URL.
    pub user: Option<String>,
    /// The password, where none is in the URL.
    pub password: Option<SecretString>,
    /// The file with the certificates of the authorities that the client trusts. Unset: those that
    /// the system trusts.
    pub ca: Option<PathBuf>,
    /// The files with the certificate and the key of the client.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What stands in front of every key, so that several installations can share a server.
    pub prefix: String,
}

impl From<&str> for Options {
    fn from(url: &str) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }
}

impl From<&Self> for Options {
    fn from(options: &Self) -> Self {
        options.clone()
    }
}

impl Options {
    fn urls(&self) -> impl Iterator<Item = &str> {
        self.url.expose_secret().split(',').map(str::trim)
    }

    /// The addresses without the credentials, for messages.
    pub(crate) fn place(&self) -> String {
        let behind = |url: &str| {
            let address = url.rsplit('@').next().unwrap_or(url);
            let address = address.split('?').next().unwrap_or(address);
            address.to_owned()
        };
        // A text without a scheme is no URL, but may be the rest of a password with a comma.
        if self.urls().any(|url| !url.contains("://")) {
            return behind(self.url.expose_secret());
        }
        self.urls().map(behind).collect::<Vec<_>>().join(",")
    }

    /// The servers, with the credentials.
    pub(crate) fn servers(&self) -> Result<Vec<ConnectionInfo>, Error> {
        self.urls().map(|url| self.server(url)).collect()
    }

    fn server(&self, url: &str) -> Result<ConnectionInfo, Error> {
        let found = url.into_connection_info()?;
        let is_encrypted = url.starts_with("rediss://");
        if !is_encrypted && (self.ca.is_some() || self.certificate.is_some()) {
            return Err(Error::Unavailable(
                "REDIS_CA and REDIS_CERT need a URL that begins with rediss://".into(),
            ));
        }
        let mut login = found.redis_settings().clone();
        if login.password().is_some() && self.password.is_some() {
            return Err(Error::Unavailable(
                "REDIS_URL has a password, and REDIS_PASSWORD is set besides: keep one of them"
                    .into(),
            ));
        }
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose_secret());
        }
        Ok(found.set_redis_settings(login))
    }

    /// The certificates, where some are set.
    pub(crate) fn certificates(&self) -> Result<Option<TlsCertificates>, Error> {
        let encrypted = self.urls().any(|url| url.starts_with("rediss://"));
        if !encrypted {
            return Ok(None);
        }
        // The first connection of the process chooses the provider. Another one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = |setting: &str, path: &PathBuf| {
            std::fs::read(path).map_err(|error| {
                Error::Unavailable(format!("{setting}='{}': {error}", path.display()))
            })
        };
        let root = self.ca.as_ref().map(|path| read("REDIS_CA", path));
        let own = self.certificate.as_ref().map(|(certificate, key)| {
            Ok::<_, Error>(ClientTlsConfig {
                client_cert: read("REDIS_CERT", certificate)?,
                client_key: read("REDIS_KEY", key)?,
            })
        });
        Ok(Some(TlsCertificates {
            client_tls: own.transpose()?,
            root_cert: root.transpose()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_redis_has_no_part_of_a_password() {
        for (url, place) in [
            ("redis://u:p@h:2/0", "h:2/0"),
            ("redis://u:p@h:2,redis://u:p@i:3", "h:2,i:3"),
            ("redis://:p,ass@h:2", "h:2"),
            (
                "redis+unix:///run/r.sock?pass=x",
                "redis+unix:///run/r.sock",
            ),
        ] {
            assert_eq!(Options::from(url).place(), place);
        }
    }
}
