use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::Error;
use crate::error::io;

/// The range in which a free port is sought. By default the kernel gives none of these ports to an
/// outgoing connection. So no connection takes the port before its server listens, or while its
/// server restarts.
const SOUGHT: Range<u16> = 15_000..32_000;
/// How many ports are tried.
const TRIES: u16 = 200;

/// A loopback port without a listener.
pub fn free_port() -> Result<u16, Error> {
    let span = u64::from(SOUGHT.end - SOUGHT.start);
    for _ in 0..TRIES {
        let chance = RandomState::new().build_hasher().finish() % span;
        let port = SOUGHT.start + u16::try_from(chance).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("a free port"))?;
    let address = listener.local_addr().map_err(io("a free port"))?;
    Ok(address.port())
}

/// The loopback port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This port; an error if it is in use.
    Fixed(u16),
    /// This port, or a free one if it is in use. 0 is always a free one.
    Usual(u16),
}

impl Port {
    /// The number of a port without a listener.
    pub(crate) fn choose(self, program: &'static str) -> Result<u16, Error> {
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        match self {
            Self::Fixed(port) | Self::Usual(port) if port != 0 && is_free(port) => Ok(port),
            Self::Fixed(port) => Err(Error::PortInUse { program, port }),
            Self::Usual(_) => free_port(),
        }
    }
}
