//! The operator's allow-list, and the targets of the URIs on it.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::FetchError;

/// The URIs that may be fetched; none by default.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    buckets: Vec<(String, String)>,
    roots: Vec<PathBuf>,
    hosts: Vec<Url>,
}

/// The target of an allowed URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Candidate files, each with the root that must contain it. The first that exists counts.
    File(Vec<(PathBuf, PathBuf)>),
    /// An object of a bucket.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A URL of a host.
    Url(Url),
}

impl Allowed {
    /// Parses a list of `s3://bucket[/prefix]`, `file:///root` and `https://host[:port][/path]`,
    /// separated by commas. `plain` also allows `http://` hosts.
    pub fn parse(list: &str, plain: bool) -> Result<Self, String> {
        let mut allowed = Self::default();
        for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            allowed
                .add(entry, plain)
                .map_err(|reason| format!("{entry}: {reason}"))?;
        }
        Ok(allowed)
    }

    fn add(&mut self, entry: &str, plain: bool) -> Result<(), String> {
        if let Some(rest) = entry.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if !is_bucket(bucket) || prefix.split('/').any(is_dots) {
                return Err("s3://bucket or s3://bucket/prefix is expected".into());
            }
            self.buckets.push((bucket.into(), prefix.into()));
            return Ok(());
        }
        if let Some(path) = entry.strip_prefix("file://") {
            if !path.starts_with('/') {
                return Err("file:///root is expected, an absolute path".into());
            }
            self.roots.push(PathBuf::from(path));
            return Ok(());
        }
        let url = Url::parse(entry).map_err(|error| error.to_string())?;
        match url.scheme() {
            "https" => {}
            "http" if plain => {}
            "http" => return Err("http:// needs HREF_PLAIN_HTTP, which is for tests".into()),
            other => return Err(format!("{other}: is not fetched from")),
        }
        if has_secrets(&url) || url.query().is_some() || url.fragment().is_some() {
            return Err("https://host or https://host/path is expected".into());
        }
        self.hosts.push(url);
        Ok(())
    }

    /// The target of a URI, if it may be fetched.
    pub fn target(&self, uri: &str) -> Result<Target, FetchError> {
        if let Some(rest) = uri.strip_prefix("s3://") {
            return self.object(rest);
        }
        if let Some(rest) = uri.strip_prefix("file://") {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(not_allowed("a file:// URI names a path of this machine"));
            }
            let path = percent_decode_str(path).decode_utf8();
            let path = path.map_err(|_| not_allowed("its path is not UTF-8"))?;
            return self.file(&path);
        }
        match uri.split_once("://") {
            Some(_) => self.url(uri),
            None => self.file(uri),
        }
    }

    fn object(&self, rest: &str) -> Result<Target, FetchError> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if key.is_empty() || !is_bucket(bucket) || key.split('/').any(is_dots) {
            return Err(not_allowed("s3://bucket/key is expected"));
        }
        let fits = |(known, prefix): &(String, String)| known == bucket && is_under(key, prefix);
        if !self.buckets.iter().any(fits) {
            return Err(not_allowed("HREF_ALLOW has no such bucket and prefix"));
        }
        Ok(Target::Object {
            bucket: bucket.into(),
            key: key.into(),
        })
    }

    /// Resolves an absolute path under one of the roots, or a relative one in each root. The reader
    /// later checks on the file system whether the path stays there.
    fn file(&self, path: &str) -> Result<Target, FetchError> {
        if path.contains('\0') || self.roots.is_empty() {
            return Err(not_allowed("HREF_ALLOW has no file:// root for it"));
        }
        let roots = self.roots.iter();
        Ok(Target::File(
            roots.map(|root| (root.join(path), root.clone())).collect(),
        ))
    }

    fn url(&self, uri: &str) -> Result<Target, FetchError> {
        let mut url = Url::parse(uri).map_err(|error| not_allowed(&error.to_string()))?;
        if has_secrets(&url) {
            return Err(not_allowed("a URL with a user or password"));
        }
        let path = url.path().to_ascii_lowercase();
        if path.contains("%2f") || path.contains("%5c") || path.contains("%00") {
            return Err(not_allowed("a URL with an encoded slash or NUL"));
        }
        let fits = |known: &Url| {
            known.scheme() == url.scheme()
                && known.host() == url.host()
                && known.port_or_known_default() == url.port_or_known_default()
                && is_under(url.path(), known.path())
        };
        if !self.hosts.iter().any(fits) {
            return Err(not_allowed("HREF_ALLOW has no such host and path"));
        }
        url.set_fragment(None);
        Ok(Target::Url(url))
    }
}

fn not_allowed(reason: &str) -> FetchError {
    FetchError::NotAllowed(reason.into())
}

/// Whether a path is under a prefix. Only whole parts match: `team` allows `team/a`, but not
/// `team-b/a`.
fn is_under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_dots(part: &str) -> bool {
    matches!(part, "." | "..")
}

fn is_bucket(bucket: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    !bucket.is_empty() && bucket.bytes().all(plain) && !bucket.contains("..")
}

fn has_secrets(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}
