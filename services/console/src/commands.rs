//! The commands that say the same as a page.

use domain::access::Tenant;

/// A command for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What kind of command it is: `fanfold` or `curl`.
    pub kind: &'static str,
    /// The command.
    pub line: String,
}

/// A command of the program itself.
pub fn cli(line: impl Into<String>) -> Shown {
    let line = line.into();
    Shown {
        kind: "fanfold",
        line,
    }
}

/// A call of the API.
pub fn curl(line: impl Into<String>) -> Shown {
    let line = line.into();
    Shown { kind: "curl", line }
}

/// A word as a POSIX shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The flag that selects a tenant, with a space before it; nothing where no tenant is selected.
pub fn tenant_flag(tenant: Option<&Tenant>) -> String {
    // Where nobody uses tenants, the flag would only be in the way.
    let named = tenant.and_then(Tenant::named);
    named.map_or_else(String::new, |name| format!(" --tenant {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_stranger_stays_one_word_of_the_shell() {
        assert_eq!(quoted("x-desk=rates"), "x-desk=rates");
        assert_eq!(quoted("a'; rm -rf ~"), r"'a'\''; rm -rf ~'");
        assert_eq!(quoted(""), "''");
    }
}
