//! The password of the servers that `up` starts: made at the first start, and kept in the data folder
//! for the next one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use servers::write_private;

/// The user of the servers.
pub const USER: &str = "fanfold";
/// The file in the data folder.
const FILE: &str = "server-password";
/// How many random bytes it has.
const BYTES: usize = 32;

/// The password of the servers of this data folder.
pub fn of(folder: &Path) -> anyhow::Result<SecretString> {
    let path = folder.join(FILE);
    if let Ok(found) = std::fs::read_to_string(&path)
        && found.len() == 2 * BYTES
        && found.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(found.into());
    }
    let mut random = [0; BYTES];
    let mut source = File::open("/dev/urandom").context("no random numbers")?;
    source
        .read_exact(&mut random)
        .context("no random numbers")?;
    let digits: Vec<String> = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let password = digits.concat();
    let about = || format!("the password of the servers, {}", path.display());
    write_private(&path, password.as_bytes()).with_context(about)?;
    Ok(password.into())
}

/// A URL of a server with the user and the password in it.
pub fn with_login(url: &str, user: &str, password: &SecretString) -> String {
    let login = format!("://{user}:{}@", password.expose_secret());
    url.replacen("://", &login, 1)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_data_folder_keeps_its_password_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let first = of(folder.path()).unwrap();
        let again = of(folder.path()).unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        let file = folder.path().join(FILE).metadata().unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        let other = of(other.path()).unwrap();
        assert_ne!(first.expose_secret(), other.expose_secret());
        let url = with_login("nats://127.0.0.1:1", "a", &"b".into());
        assert_eq!(url, "nats://a:b@127.0.0.1:1");
    }
}
