//! What is shown of URLs that may have credentials in them: those of NATS, and of everything else
//! that is configured.

/// The text that is shown in place of a secret.
const MASK: &str = "***";

/// One URL of a list, or a text without a scheme.
struct Piece<'t> {
    /// The scheme with its `://`, or nothing.
    scheme: &'t str,
    rest: &'t str,
}

/// The URLs of a list. A comma ends a URL only where a scheme follows, because a password may have
/// one too.
fn pieces(urls: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let commas = urls.match_indices(',').map(|(at, _)| at);
    for end in commas.chain([urls.len()]) {
        let is_end = end == urls.len() || scheme(urls[end + 1..].trim_start()) > 0;
        if is_end {
            let (scheme, rest) = urls[start..end].split_at(
                // The spaces in front of a scheme belong to it.
                leading(&urls[start..end]),
            );
            pieces.push(Piece { scheme, rest });
            start = (end + 1).min(urls.len());
        }
    }
    pieces
}

/// The length of the scheme at the beginning, with the spaces in front of it.
fn leading(text: &str) -> usize {
    let trimmed = text.trim_start();
    match scheme(trimmed) {
        0 => 0,
        length => text.len() - trimmed.len() + length,
    }
}

/// The length of the scheme at the beginning, with its `://`; 0 where there is none.
fn scheme(text: &str) -> usize {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':');
    match text.find("://") {
        Some(at) if at > 0 && text[..at].chars().all(is_of_scheme) => at + 3,
        _ => 0,
    }
}

impl Piece<'_> {
    /// Whether it is no URL at all, but words.
    fn is_words(&self) -> bool {
        self.scheme.is_empty() && (self.rest.contains(' ') || self.rest.starts_with("command:"))
    }

    /// Where the host and what stands before it ends.
    fn authority_end(&self) -> usize {
        let end = self.rest.find(['/', '?', '#']);
        end.unwrap_or(self.rest.len())
    }

    fn has_userinfo(&self) -> bool {
        !self.is_words() && self.rest[..self.authority_end()].contains('@')
    }

    /// Without its user, password, query and fragment. Where an `@` stands behind the host, it may
    /// as well end a password that has a `/` or a `?`, so nothing of the URL is shown.
    fn shown(&self) -> String {
        let Self { scheme, rest } = self;
        if self.is_words() {
            return (*rest).to_owned();
        }
        let authority = self.authority_end();
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let query = if end < rest.len() {
            format!("{}{MASK}", &rest[end..=end])
        } else {
            String::new()
        };
        match rest.rfind('@') {
            None => format!("{scheme}{}{query}", &rest[..end]),
            Some(at) if at < authority => format!("{scheme}{MASK}{}{query}", &rest[at..end]),
            Some(_) => format!("{scheme}{MASK}"),
        }
    }
}

/// URLs, separated by commas, without their users, passwords, queries and fragments.
#[must_use]
pub fn shown_urls(urls: &str) -> String {
    let shown = pieces(urls).iter().map(Piece::shown).collect::<Vec<_>>();
    shown.join(",")
}

/// Whether one of these URLs has a user or a password.
#[must_use]
pub fn have_userinfo(urls: &str) -> bool {
    pieces(urls).iter().any(Piece::has_userinfo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_credentials() {
        for (url, expected) in [
            ("nats://a:b@h:1,tls://c@i:2", "nats://***@h:1,tls://***@i:2"),
            ("nats://h:1, tls://c@i:2", "nats://h:1, tls://***@i:2"),
            ("token@h:1,h:2", "***@h:1,h:2"),
            ("redis://:p,ass@h:2", "redis://***@h:2"),
            ("redis://u:1,2@h:2,i:3", "redis://***@h:2,i:3"),
            ("redis://u:p@a@h:2/0", "redis://***@h:2/0"),
            ("redis://u:1/2@h:2", "redis://***"),
            ("redis://u:1?2@h:2", "redis://***"),
            (
                "redis+unix:///run/r.sock?pass=x&user=y",
                "redis+unix:///run/r.sock?***",
            ),
            ("https://h/price?api_key=k1", "https://h/price?***"),
            ("https://h/price?api_key=k@1", "https://***"),
            ("https://h/price#k1", "https://h/price#***"),
            (
                "private:https://u:p,w@h/x,s3://b",
                "private:https://***@h/x,s3://b",
            ),
            ("command:mail a@b", "command:mail a@b"),
            ("reference", "reference"),
            ("", ""),
        ] {
            assert_eq!(shown_urls(url), expected);
        }
    }

    #[test]
    fn only_the_user_and_the_password_of_a_url_are_credentials() {
        assert!(have_userinfo("nats://h:1,nats://a:b@h:1"));
        assert!(have_userinfo("https://u:p,w@h"));
        assert!(have_userinfo("token@h:1"));
        assert!(!have_userinfo("http://h/price?to=a@b"));
        assert!(!have_userinfo("command:mail a@b"));
        assert!(!have_userinfo("command:/opt/p@2/price"));
    }
}
