//! The health of nats-server, as it reports it on its monitoring port. After a write error, such as
//! that of a full disk, it stores nothing more until it is restarted.

use std::path::PathBuf;
use std::time::Duration;

use runtime::Disk;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the server may take to report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of a report that are read.
const REPORT_MAX_BYTES: u64 = 16 * 1024;
/// After this many bad reports in a row, the server is restarted.
const BAD_MAX: u32 = 3;
/// After this many missing reports in a row, the server is restarted. A busy machine may delay a
/// few of them.
const MISSING_MAX: u32 = 30;

/// The reports of one server.
#[derive(Debug)]
pub(crate) struct Health {
    port: u16,
    folder: PathBuf,
    bad: u32,
    missing: u32,
    is_told: bool,
}

impl Health {
    /// The health of the server with this monitoring port and data folder.
    pub fn new(port: u16, folder: PathBuf) -> Self {
        Self {
            port,
            folder,
            bad: 0,
            missing: 0,
            is_told: false,
        }
    }

    /// Reads one report. Returns why the server must be restarted now, if it must. A server whose
    /// disk is full is left alone until there is room, because it could not start.
    pub async fn look(&mut self) -> Option<String> {
        let reason = self.why().await?;
        let full = self.is_disk_full();
        if !self.is_told {
            self.is_told = true;
            tracing::error!(
                reason,
                full,
                "nats-server cannot work; it is restarted once its disk has room"
            );
        }
        if full {
            return None;
        }
        *self = Self::new(self.port, std::mem::take(&mut self.folder));
        Some(reason)
    }

    /// Whether the server could not start, for lack of room on its disk.
    pub fn is_disk_full(&self) -> bool {
        Disk::of(&self.folder).is_ok_and(Disk::is_full)
    }

    async fn why(&mut self) -> Option<String> {
        match tokio::time::timeout(REPORT_TIMEOUT, report(self.port)).await {
            Ok(Ok(report))
                if report.starts_with("HTTP/1.1 200") || report.starts_with("HTTP/1.0 200") =>
            {
                (self.bad, self.missing, self.is_told) = (0, 0, false);
                None
            }
            Ok(Ok(report)) => {
                (self.bad, self.missing) = (self.bad + 1, 0);
                let body = report.lines().last().unwrap_or_default();
                (self.bad >= BAD_MAX).then(|| body.to_owned())
            }
            Ok(Err(_)) | Err(_) => {
                self.missing += 1;
                let silent = self.missing >= MISSING_MAX;
                silent.then(|| "it does not report its health".to_owned())
            }
        }
    }
}

async fn report(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /healthz HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n")
        .await?;
    let mut report = String::new();
    stream
        .take(REPORT_MAX_BYTES)
        .read_to_string(&mut report)
        .await?;
    Ok(report)
}
