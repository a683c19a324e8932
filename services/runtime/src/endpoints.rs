//! The addresses of the servers of `up`: a file in its data folder, which tools read.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Settings;

/// The name of the file in the data folder.
const FILE: &str = "servers.json";

/// The URLs of the servers that `up` started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// The URL of the NATS server.
    pub nats_url: Option<String>,
    /// The URL of the Redis server.
    pub redis_url: Option<String>,
}

impl Endpoints {
    fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Writes the file.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::write(Self::file(folder), serde_json::to_vec_pretty(self)?)
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

impl Settings {
    /// The NATS servers in the settings, or else the one that `up` started from this data folder.
    #[must_use]
    pub fn nats_or_embedded(&self) -> String {
        if !self.nats_url.is_empty() {
            return self.nats_url.clone();
        }
        let found = Endpoints::read(Path::new(&self.data_dir)).nats_url;
        found.unwrap_or_else(|| format!("nats://127.0.0.1:{}", self.nats_port))
    }

    /// The Redis in the settings, or else the one that `up` started from this data folder.
    #[must_use]
    pub fn redis_or_embedded(&self) -> String {
        if !self.redis_url.is_empty() {
            return self.redis_url.clone();
        }
        let found = Endpoints::read(Path::new(&self.data_dir)).redis_url;
        found.unwrap_or_else(|| format!("redis://127.0.0.1:{}", self.redis_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_finds_the_servers_through_the_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().display().to_string();
        let environment = |name: &str| (name == "DATA_DIR").then(|| data_dir.clone());
        let settings = Settings::load(None, environment, |_| None).unwrap();
        assert_eq!(settings.nats_or_embedded(), "nats://127.0.0.1:14222");
        let endpoints = Endpoints {
            nats_url: Some("nats://127.0.0.1:1".into()),
            redis_url: Some("redis://127.0.0.1:2".into()),
        };
        endpoints.write(folder.path()).unwrap();
        assert_eq!(settings.nats_or_embedded(), "nats://127.0.0.1:1");
        assert_eq!(settings.redis_or_embedded(), "redis://127.0.0.1:2");
        Endpoints::remove(folder.path()).unwrap();
        Endpoints::remove(folder.path()).unwrap();
        assert_eq!(settings.redis_or_embedded(), "redis://127.0.0.1:16379");
    }
}
