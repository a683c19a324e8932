//! Values that are secret, or URLs that may have credentials in them: where they are read, and what
//! is shown of them.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nats::{have_userinfo, shown_urls};
use secrecy::{ExposeSecret as _, SecretString};

use super::definition::{Definition, Part, Secrecy, Source, canonical};
use super::error::SettingsError;
use super::value::{Setting, Unusable};

/// The text that is shown in place of a secret.
pub const MASK: &str = "***";
/// The size of the largest file of a secret.
const FILE_MAX_BYTES: u64 = 64 * 1024;
/// The variable by which systemd names the folder of a service's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// The value of a secret setting.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl FromStr for Secret {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_empty = self.0.expose_secret().is_empty();
        f.write_str(if is_empty { "" } else { MASK })
    }
}

impl Setting<SecretString> for Secret {
    fn into_field(self) -> Result<SecretString, Unusable> {
        Ok(self.0)
    }
}

/// What may be shown of a value.
pub(super) fn shown(secrecy: Secrecy, value: &str) -> String {
    match secrecy {
        Secrecy::Secret if !value.is_empty() => MASK.to_owned(),
        Secrecy::Open | Secrecy::Secret => value.to_owned(),
        Secrecy::Url => shown_urls(value),
    }
}

/// The error for a secret on the command line, which every user of the machine can read.
pub(super) fn check_flag(definition: &Definition, value: &str) -> Result<(), SettingsError> {
    let exposed = match definition.secrecy {
        Secrecy::Open => false,
        Secrecy::Url => have_userinfo(value),
        Secrecy::Secret => true,
    };
    if exposed {
        return Err(SettingsError::OnCommandLine {
            name: definition.name,
        });
    }
    Ok(())
}

/// A secret variable that is no setting of Fanfold's own: given, in a file that is named, or among
/// the credentials of systemd.
pub(super) fn of_environment(
    name: &'static str,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Option<SecretString>, SettingsError> {
    let definition = Definition {
        part: Part::References,
        name,
        default: "",
        about: "",
        secrecy: Secrecy::Secret,
        canonical: canonical::<Secret>,
    };
    let found = match in_layer(&definition, Source::Environment, environment)? {
        None => of_systemd(&definition, environment)?,
        found => found,
    };
    Ok(found.map(|(value, _)| value.into()))
}

/// The value of a secret in one layer: given there, or in a file that is named there.
pub(super) fn in_layer(
    definition: &Definition,
    source: Source,
    of: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, Source)>, SettingsError> {
    let name = definition.name;
    let file = (definition.secrecy != Secrecy::Open).then(|| definition.file());
    let path = file.as_deref().and_then(&of);
    match (of(name), path) {
        (Some(_), Some(_)) => Err(SettingsError::Twice {
            name,
            source_name: source,
        }),
        (None, Some(path)) => {
            let value = read(Path::new(&path)).map_err(|reason| SettingsError::Value {
                name: definition.file(),
                value: path,
                source_name: source,
                reason,
            });
            value.map(|value| Some((value, Source::SecretFile)))
        }
        (value, None) => Ok(value.map(|value| (value, source))),
    }
}

/// The value of a secret among the credentials that systemd gave to this service.
pub(super) fn of_systemd(
    definition: &Definition,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, Source)>, SettingsError> {
    let Some(folder) = environment(CREDENTIALS_DIRECTORY).map(PathBuf::from) else {
        return Ok(None);
    };
    let path = folder.join(definition.key());
    if definition.secrecy == Secrecy::Open || !path.exists() {
        return Ok(None);
    }
    let value = read(&path).map_err(|reason| SettingsError::File {
        path: path.display().to_string(),
        reason,
    });
    value.map(|value| Some((value, Source::Credential)))
}

/// The secret in a file, without the end of its last line.
pub fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text);
    let bytes = read.map_err(|error| error.to_string())?;
    if bytes as u64 > FILE_MAX_BYTES {
        return Err(format!("it is larger than {FILE_MAX_BYTES} bytes"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("it is empty".into());
    }
    Ok(text.to_owned())
}

/// The secret of this name among the credentials that systemd gave to this service.
pub fn credential(name: &str) -> Result<String, String> {
    let folder = std::env::var_os(CREDENTIALS_DIRECTORY);
    let folder = folder.ok_or_else(|| format!("{CREDENTIALS_DIRECTORY} is not set"))?;
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err("a credential has a plain name".into());
    }
    read(&Path::new(&folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_as_a_mask_if_it_is_set() {
        assert_eq!(shown(Secrecy::Secret, "x"), MASK);
        assert_eq!(shown(Secrecy::Secret, ""), "");
        assert_eq!(shown(Secrecy::Url, "nats://a:b@h"), "nats://***@h");
    }

    #[test]
    fn the_end_of_the_last_line_of_a_file_is_no_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, expected) in [
            ("s3cret\n", Ok("s3cret")),
            ("s3cret\r\n", Ok("s3cret")),
            (" s3cret ", Ok(" s3cret ")),
            ("a\nb\n", Ok("a\nb")),
            ("\n", Err("it is empty")),
        ] {
            std::fs::write(&path, content).unwrap();
            let found = read(&path);
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
        std::fs::write(&path, vec![b'x'; 65_537]).unwrap();
        assert!(read(&path).unwrap_err().contains("larger than 65536"));
    }
}
