//! The operator's allow-list, and the targets of the URIs on it.

use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::FetchError;

/// The consent of an entry to addresses that are not public.
const PRIVATE: &str = "private:";

/// The URIs that may be fetched; none by default.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    buckets: Vec<(String, String)>,
    roots: Vec<PathBuf>,
    hosts: Vec<Host>,
}

/// An entry for a host.
#[derive(Clone, Debug)]
struct Host {
    /// The scheme, the host, the port and the path that a URL must have.
    url: Url,
    /// Whether its addresses need not be public.
    private: bool,
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
    Url {
        /// The URL.
        url: Url,
        /// Whether the addresses of the host need not be public.
        private: bool,
    },
}

impl Allowed {
    /// Parses a list of `s3://bucket[/prefix]`, `file:///root` and `https://host[:port][/path]`,
    /// separated by commas. An entry is the operator's consent to exactly what it says: `http://`
    /// to plain HTTP with that host, an IP address to that address, and `private:` in front of a
    /// host to addresses that are not public. Without it, the name of an allowed host could be
    /// pointed at the operator's own network by whoever runs its DNS.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut allowed = Self::default();
        for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            allowed
                .add(entry)
                .map_err(|reason| format!("{}: {reason}", runtime::shown_urls(entry)))?;
        }
        Ok(allowed)
    }

    fn add(&mut self, entry: &str) -> Result<(), String> {
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
        let (address, private) = match entry.strip_prefix(PRIVATE) {
            Some(address) => (address, true),
            None => (entry, false),
        };
        let url = Url::parse(address).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(format!("{}: URLs cannot be fetched", url.scheme()));
        }
        if has_secrets(&url) || url.query().is_some() || url.fragment().is_some() {
            return Err("https://host or https://host/path is expected".into());
        }
        let private = private || literal(&url).is_some();
        self.hosts.push(Host { url, private });
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
        let fits = |Host { url: known, .. }: &&Host| {
            known.scheme() == url.scheme()
                && known.host() == url.host()
                && known.port_or_known_default() == url.port_or_known_default()
                && is_under(url.path(), known.path())
        };
        let mut fitting = self.hosts.iter().filter(fits).peekable();
        if fitting.peek().is_none() {
            return Err(not_allowed("HREF_ALLOW has no such host and path"));
        }
        let private = fitting.any(|host| host.private);
        url.set_fragment(None);
        Ok(Target::Url { url, private })
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

/// The address of a host that is not a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

fn has_secrets(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}
