//! Signing in with a key: the browser keeps the id of a session, and this process keeps the key.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Console;
use crate::fields::Fields;
use crate::frame::Page;
use crate::trouble::Trouble;
use crate::visit::{Visit, cookie};

/// The cookie with the id of the session.
const SESSION: &str = "fanfold-session";
/// How long a session lasts.
const LASTS: Duration = Duration::from_hours(12);
/// How many sessions there may be. The oldest one ends for a further one.
const SESSIONS_MAX: usize = 1_000;
/// How many random bytes an id has.
const ID_BYTES: usize = 32;
/// The longest key or token that a form may have, in bytes.
const CREDENTIAL_MAX_BYTES: usize = 16 * 1024;
/// The page after signing in, where none is named.
const HOME: &str = "/console/";

/// The sessions of this process. They end with it.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Session>>);

struct Session {
    /// The value of the header that the calls of the session have.
    authorization: HeaderValue,
    began: Instant,
}

impl Sessions {
    /// Begins a session with a credential. Whether it is good, each call finds out.
    fn begin(&self, credential: &str) -> Option<String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {credential}")).ok()?;
        authorization.set_sensitive(true);
        let mut random = [0; ID_BYTES];
        SystemRandom::new().fill(&mut random).ok()?;
        let mut id = String::new();
        for byte in random {
            // Writing to a String cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.began.elapsed() < LASTS);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.began);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        let began = Instant::now();
        sessions.insert(
            id.clone(),
            Session {
                authorization,
                began,
            },
        );
        Some(id)
    }

    fn authorization(&self, id: &str) -> Option<HeaderValue> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(id)?;
        (session.began.elapsed() < LASTS).then(|| session.authorization.clone())
    }

    fn end(&self, id: &str) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(id);
    }
}

/// Gives the calls of a session their credential.
pub async fn session(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if !headers.contains_key(AUTHORIZATION)
        && let Some(id) = cookie(headers, SESSION)
        && let Some(authorization) = console.sessions.authorization(id)
    {
        request.headers_mut().insert(AUTHORIZATION, authorization);
    }
    next.run(request).await
}

/// The page that asks for a key.
pub fn page(visit: &Visit, reason: Option<&str>) -> Page {
    let path = visit
        .uri
        .path_and_query()
        .map_or(HOME, |path| path.as_str());
    let back = visit.fields.get("back").filter(|back| is_own(back));
    Page {
        part: None,
        title: "Sign in".into(),
        body: form(back.unwrap_or(path), reason),
        commands: Vec::new(),
    }
}

fn form(back: &str, reason: Option<&str>) -> Markup {
    html! {
        section.ask {
            h1 { "Sign in" }
            @if let Some(reason) = reason { p.gap { (reason) } }
            form.action method="post" action="/console/sign-in" {
                input type="hidden" name="back" value=(back);
                label for="key" { "A key of AUTH_KEYS_FILE (ff_…), or a token of the issuer" }
                input #key type="password" name="key" required autocomplete="current-password";
                p.buttons { button.do type="submit" { "Sign in" } }
            }
            p.faint { "A browser with a client certificate needs no key. The key stays in this process: the browser keeps the id of a session of at most 12 hours, which other sites cannot send." }
            p { "Did you come from a link of another site, and are signed in? " a href=(back) { "Open the page" } "." }
        }
    }
}

/// Whether an address is a page of the console.
fn is_own(path: &str) -> bool {
    path.starts_with(HOME) && !path.contains(['\\', '\r', '\n'])
}

/// Begins a session.
pub async fn sign_in(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    visit: Visit,
    body: Bytes,
) -> Response {
    if !is_same_site(&headers) {
        let reason = "the form is not of this console".to_owned();
        return console.trouble(&visit, &Trouble::NotAllowed(reason));
    }
    let fields = Fields::parse(&body);
    let key = fields.get("key").unwrap_or_default();
    let back = fields.get("back").filter(|back| is_own(back));
    let session = (key.len() <= CREDENTIAL_MAX_BYTES).then(|| console.sessions.begin(key));
    let Some(id) = session.flatten() else {
        let reason = "this cannot be a key".to_owned();
        return console.trouble(&visit, &Trouble::Unclear(reason));
    };
    let cookie = format!("{SESSION}={id}; Max-Age={}", LASTS.as_secs());
    moved(&console, back.unwrap_or(HOME), &cookie)
}

/// Ends the session.
pub async fn sign_out(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    if is_same_site(&headers)
        && let Some(id) = cookie(&headers, SESSION)
    {
        console.sessions.end(id);
    }
    moved(
        &console,
        "/console/sign-in",
        &format!("{SESSION}=; Max-Age=0"),
    )
}

/// Leads to a page, and sets a cookie that scripts cannot read and other sites cannot send.
fn moved(console: &Console, to: &str, cookie: &str) -> Response {
    let api = console.origin.api().unwrap_or_default();
    let secure = if api.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!("{cookie}; Path=/console; HttpOnly; SameSite=Strict{secure}");
    let headers = [(LOCATION, to.to_owned()), (SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Whether a form is of this server, as the browser describes it.
fn is_same_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_own_site = site.is_none_or(|site| site == b"same-origin");
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority = origin.map(|origin| origin.split_once("://").map(|(_, own)| own));
    is_own_site && authority.is_none_or(|authority| authority.is_some() && authority == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_gives_its_calls_the_credential_until_it_ends() {
        let sessions = Sessions::default();
        let id = sessions.begin("ff_secret").unwrap();
        assert_eq!(id.len(), 2 * ID_BYTES);
        assert_eq!(sessions.authorization(&id).unwrap(), "Bearer ff_secret");
        assert_eq!(sessions.authorization("x"), None);
        sessions.end(&id);
        assert_eq!(sessions.authorization(&id), None);
        assert_eq!(sessions.begin("a\nb"), None);
    }

    #[test]
    fn there_are_never_more_sessions_than_the_limit() {
        let sessions = Sessions::default();
        let first = sessions.begin("ff_1").unwrap();
        for _ in 0..SESSIONS_MAX {
            sessions.begin("ff_2").unwrap();
        }
        assert_eq!(sessions.authorization(&first), None);
    }

    #[test]
    fn only_a_form_of_this_server_signs_in_and_leads_only_into_the_console() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            headers
        };
        let own = ("host", "localhost:8081");
        assert!(is_same_site(&headers(&[own])));
        assert!(is_same_site(&headers(&[
            own,
            ("origin", "http://localhost:8081")
        ])));
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
        ] {
            assert!(
                !is_same_site(&headers(&[own, (name, value)])),
                "{name}: {value}"
            );
        }
        assert!(is_own("/console/requests?q=x"));
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/consolex",
            "/console/\\x",
        ] {
            assert!(!is_own(foreign), "{foreign}");
        }
    }
}
