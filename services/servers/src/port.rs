use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::Error;
use crate::error::io;

/// The ports among which a free one is sought. The kernel gives none of them to an outgoing
/// connection, so that no connection takes the port before its server listens, or while its server
/// restarts.
const SOUGHT: Range<u16> = 15_000..32_000;
/// How many ports are tried.
const TRIES: u16 = 200;

/// A loopback port that nobody listens on now.
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

/// This port, or a free one for 0.
pub fn port_or_free(port: u16) -> Result<u16, Error> {
    if port == 0 { free_port() } else { Ok(port) }
}

pub(crate) fn check_free(
    program: &'static str,
    port: u16,
    setting: &'static str,
) -> Result<(), Error> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::PortInUse {
            program,
            port,
            setting,
        }),
    }
}
