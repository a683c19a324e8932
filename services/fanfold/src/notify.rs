//! Tells systemd how this process is, where it was started as a unit of `Type=notify`: that it is
//! ready, that its loops turn, and that it stops.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use metrics::Pulses;
use runtime::Shutdown;

/// How often the loops are looked at where systemd has no watchdog.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many signs of life systemd gets within the time that it waits for one.
const SIGNS_OF_LIFE: u32 = 3;

/// The line to systemd, if there is one.
pub struct Notify {
    socket: Option<UnixDatagram>,
    /// How long systemd waits for a sign of life.
    watchdog: Option<Duration>,
}

impl Notify {
    /// The line that the environment names.
    pub fn of_environment() -> Self {
        let path = std::env::var("NOTIFY_SOCKET").ok();
        let micros = std::env::var("WATCHDOG_USEC").ok();
        let micros = micros.and_then(|micros| micros.parse().ok());
        Self {
            socket: path.and_then(|path| connect(&path)),
            watchdog: micros.map(Duration::from_micros),
        }
    }

    fn say(&self, what: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(what.as_bytes())
        {
            tracing::debug!(%error, what, "systemd was not told");
        }
    }

    /// Says that this process is ready, and then again and again that it lives, until it stops. Where
    /// a loop does not turn, it says nothing, and systemd starts the process again.
    pub async fn run(self, pulses: Pulses, shutdown: Shutdown) {
        if self.socket.is_none() {
            return shutdown.softly().await;
        }
        self.say("READY=1");
        let every = self.watchdog.map_or(LOOK_EVERY, |w| w / SIGNS_OF_LIFE);
        while shutdown.pause(every).await {
            if pulses.silent().is_empty() {
                self.say("WATCHDOG=1");
            }
        }
        self.say("STOPPING=1");
    }
}

fn connect(path: &str) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    let connected = match path.strip_prefix('@') {
        Some(name) => connect_abstract(&socket, name),
        None => socket.connect(path),
    };
    if let Err(error) = connected {
        tracing::warn!(%error, path, "the socket of systemd cannot be used");
        return None;
    }
    Some(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.connect_addr(&address)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_socket: &UnixDatagram, name: &str) -> std::io::Result<()> {
    Err(std::io::Error::other(format!(
        "this system has no socket @{name}"
    )))
}
