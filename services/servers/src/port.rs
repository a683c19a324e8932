use std::net::{Ipv4Addr, TcpListener};

use crate::Error;
use crate::error::io;

/// A loopback port that nobody listens on now.
pub fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("a free port"))?;
    let address = listener.local_addr().map_err(io("a free port"))?;
    Ok(address.port())
}

/// The loopback port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one; an error where it is taken.
    Fixed(u16),
    /// This one, or a free one where it is taken. 0 is always a free one.
    Usual(u16),
}

impl Port {
    /// The number of a port that nobody listens on now.
    pub(crate) fn choose(self, program: &'static str) -> Result<u16, Error> {
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        match self {
            Self::Fixed(port) | Self::Usual(port) if port != 0 && is_free(port) => Ok(port),
            Self::Fixed(port) => Err(Error::PortInUse { program, port }),
            Self::Usual(_) => free_port(),
        }
    }
}
