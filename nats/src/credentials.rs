//! The credentials in the URLs of the broker. The client library does not read them there.

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;

use crate::Error;

/// The credentials of a client.
#[derive(Clone, PartialEq, Eq)]
enum Credentials {
    User(String, String),
    Token(String),
}

/// Adds the credentials of these servers to the options. Each URL may have `user:password@` or
/// `token@`, with percent-encoded characters. All URLs that have some must have the same, because
/// the client has one identity on every server.
pub(crate) fn with_credentials(
    options: ConnectOptions,
    servers: &[ServerAddr],
) -> Result<ConnectOptions, Error> {
    let mut found = None;
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
        None => options,
        Some(Credentials::User(user, password)) => options.user_and_password(user, password),
        Some(Credentials::Token(token)) => options.token(token),
    })
}

fn of(server: &ServerAddr) -> Result<Option<Credentials>, Error> {
    let Some(user) = server.username() else {
        return Ok(None);
    };
    let user = decoded(user)?;
    Ok(Some(match server.password() {
        Some(password) => Credentials::User(user, decoded(password)?),
        None => Credentials::Token(user),
    }))
}

fn decoded(text: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    let invalid = |_| {
        let message = "the credentials of NATS_URL are not UTF-8 after percent-decoding";
        Error::Unsuitable(message.into())
    };
    decoded.map(std::borrow::Cow::into_owned).map_err(invalid)
}
