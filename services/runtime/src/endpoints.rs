//! The addresses of the servers of `up`: a file in its data folder, which tools read.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::ConnectionsConfig;

/// The name of the file in the data folder.
const FILE: &str = "servers.json";

/// The URLs of the servers that `up` started, with their passwords.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// The URL of the NATS server.
    pub nats_url: Option<String>,
    /// The URL of the Redis server.
    pub redis_url: Option<String>,
}

/// No server is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} is not set, and no `fanfold up` runs here (there is no {}): set {name}, or set DATA_DIR \
     to the folder of the `up` that runs",
    file.display()
)]
pub struct NoServer {
    /// The setting with the address.
    name: &'static str,
    /// The file that would have the address.
    file: PathBuf,
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}

impl Endpoints {
    fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Writes the file.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        // The URLs have passwords. A file that is there may have another mode.
        Self::remove(folder)?;
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600);
        let mut file = file.open(Self::file(folder))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)
    }

    /// Removes the file, because the servers are about to stop.
    pub fn remove(folder: &Path) -> io::Result<()> {
        match std::fs::remove_file(Self::file(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// The content of the file; empty if it cannot be read.
    fn read(folder: &Path) -> Self {
        let text = std::fs::read(Self::file(folder)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

impl ConnectionsConfig {
    /// The NATS servers in the settings, or else the one that `up` started from this data folder.
    pub(crate) fn nats_or_embedded(&self) -> Result<SecretString, NoServer> {
        self.or_embedded("NATS_URL", self.nats_url.as_ref(), |found| found.nats_url)
    }

    /// The Redis in the settings, or else the one that `up` started from this data folder.
    pub(crate) fn redis_or_embedded(&self) -> Result<SecretString, NoServer> {
        self.or_embedded("REDIS_URL", self.redis_url.as_ref(), |found| {
            found.redis_url
        })
    }

    fn or_embedded(
        &self,
        name: &'static str,
        set: Option<&SecretString>,
        of: impl Fn(Endpoints) -> Option<String>,
    ) -> Result<SecretString, NoServer> {
        if let Some(set) = set {
            return Ok(set.clone());
        }
        let folder = Path::new(&self.data_dir);
        of(Endpoints::read(folder))
            .map(SecretString::from)
            .ok_or_else(|| NoServer {
                name,
                file: Endpoints::file(folder),
            })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::Settings;

    #[test]
    fn a_tool_finds_the_servers_through_the_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().display().to_string();
        let environment = |name: &str| (name == "DATA_DIR").then(|| data_dir.clone());
        let settings = Settings::load(None, environment, |_| None).unwrap();
        let servers = settings.connections;
        let said = servers.nats_or_embedded().unwrap_err().to_string();
        assert!(said.starts_with("NATS_URL is not set"), "{said}");
        assert!(said.contains("servers.json"), "{said}");
        let endpoints = Endpoints {
            nats_url: Some("nats://127.0.0.1:1".into()),
            redis_url: Some("redis://127.0.0.1:2".into()),
        };
        endpoints.write(folder.path()).unwrap();
        let found = servers.nats_or_embedded().unwrap();
        assert_eq!(found.expose_secret(), "nats://127.0.0.1:1");
        let found = servers.redis_or_embedded().unwrap();
        assert_eq!(found.expose_secret(), "redis://127.0.0.1:2");
        Endpoints::remove(folder.path()).unwrap();
        Endpoints::remove(folder.path()).unwrap();
        assert!(servers.redis_or_embedded().is_err());
    }
}
