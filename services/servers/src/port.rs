use std::net::{Ipv4Addr, TcpListener};

use crate::Error;
use crate::error::io;

/// A loopback port that nobody listens on now.
pub fn free_port() -> Result<u16, Error> {
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
