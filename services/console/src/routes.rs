//! The routes, each with the action that it needs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use domain::access::{Action, Tenant};
use maud::html;

use crate::frame::{self, Page};
use crate::trouble::Trouble;
use crate::visit::{TENANT, THEME, Theme, Visit};
use crate::{Console, action, assets, live, page, request};

/// The policy of every page: only files of this server, no text that becomes code, no foreign
/// frame, and no text that becomes markup.
pub const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types fragment",
);
/// How long a browser keeps the theme, in seconds.
const THEME_SECONDS: u32 = 31_536_000;

/// A route of the console.
pub struct Route {
    /// The path.
    pub path: &'static str,
    /// The action that a visitor must be allowed to take; none for what everybody may load.
    pub action: Option<Action>,
    /// The route itself.
    pub route: MethodRouter,
}

/// Every route.
#[must_use]
pub fn routes(console: &Arc<Console>) -> Vec<Route> {
    let of = |path, action, route: MethodRouter<Arc<Console>>| Route {
        path,
        action,
        route: route.with_state(console.clone()),
    };
    vec![
        of("/console", None, get(home)),
        of(
            "/console/",
            Some(Action::Inspect),
            get(page::overview::show),
        ),
        of("/console/assets/{name}", None, get(assets::serve)),
        of("/console/changes", Some(Action::Read), get(live::follow)),
        of(
            "/console/requests",
            Some(Action::Read),
            get(page::requests::show),
        ),
        of(
            "/console/requests/{id}",
            Some(Action::Read),
            get(request::show),
        ),
        of(
            "/console/requests/{id}/documents/{name}",
            Some(Action::Read),
            get(request::document::show),
        ),
        of(
            "/console/requests/{id}/documents/{name}/raw",
            Some(Action::Read),
            get(request::document::raw),
        ),
        of(
            "/console/requests/{id}/groups/{group}",
            Some(Action::Read),
            get(request::group::show),
        ),
        of(
            "/console/requests/{id}/groups/{group}/heat.png",
            Some(Action::Read),
            get(request::group::picture),
        ),
        of(
            "/console/requests/{id}/groups/{group}/zoom/{rows}/{from}/{to}",
            Some(Action::Read),
            get(request::group::zoom),
        ),
        of(
            "/console/requests/{id}/tasks/{group}/{task}",
            Some(Action::Read),
            get(request::task::show),
        ),
        of(
            "/console/requests/{id}/fork",
            Some(Action::Operate),
            get(action::ask_fork).post(action::act_fork),
        ),
        of(
            "/console/requests/{id}/{act}",
            Some(Action::Operate),
            get(action::ask_request).post(action::act_request),
        ),
        of(
            "/console/dead-letters/{id}/discard",
            Some(Action::Operate),
            get(action::ask_letter).post(action::act_letter),
        ),
        of(
            "/console/failures",
            Some(Action::Inspect),
            get(page::failures::show),
        ),
        of(
            "/console/dead-letters",
            Some(Action::Inspect),
            get(page::dead_letters::show),
        ),
        of(
            "/console/dead-letters/{id}",
            Some(Action::Inspect),
            get(page::dead_letters::show_one),
        ),
        of(
            "/console/system",
            Some(Action::Administer),
            get(page::system::show),
        ),
        of("/console/sign-in", None, get(sign_in).post(action::sign_in)),
        of("/console/sign-out", None, post(action::sign_out)),
        of("/console/{*rest}", None, get(unknown)),
    ]
}

async fn home() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, "/console/")]).into_response()
}

async fn sign_in(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    console.answer(&visit, Ok(action::sign_in_page(&visit, None)))
}

async fn unknown(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let path = visit.uri.path();
    console.trouble(
        &visit,
        &Trouble::NotFound(format!("there is no page {path}")),
    )
}

/// The page that says that a visitor may not see a page.
#[must_use]
pub fn refused(console: &Console, parts: &Parts, status: StatusCode, reason: &str) -> Response {
    let visit = Visit::of(parts);
    let mut response = if status == StatusCode::UNAUTHORIZED {
        console.answer(&visit, Ok(action::sign_in_page(&visit, Some(reason))))
    } else {
        console.trouble(&visit, &Trouble::NotAllowed(reason.to_owned()))
    };
    *response.status_mut() = status;
    response
}

impl Console {
    /// The answer with a page, or with the page that says why there is none.
    pub(crate) fn answer(&self, visit: &Visit, page: Result<Page, Trouble>) -> Response {
        match page {
            Ok(page) => self.written(visit, StatusCode::OK, &page),
            Err(trouble) => self.trouble(visit, &trouble),
        }
    }

    /// The page that says why there is none.
    pub(crate) fn trouble(&self, visit: &Visit, trouble: &Trouble) -> Response {
        let page = Page {
            part: None,
            title: trouble.title().to_owned(),
            body: html! {
                section.trouble {
                    h1 { (trouble.title()) }
                    p.reason { (trouble.reason()) }
                    p { (trouble.advice()) }
                }
            },
            commands: Vec::new(),
        };
        self.written(visit, trouble.status(), &page)
    }

    fn written(&self, visit: &Visit, status: StatusCode, page: &Page) -> Response {
        let html = frame::document(&self.origin, visit, page);
        let mut response = axum::response::Html(html.into_string()).into_response();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        let own = HeaderValue::from_static("same-origin");
        headers.insert(
            HeaderName::from_static("cross-origin-opener-policy"),
            own.clone(),
        );
        headers.insert(HeaderName::from_static("cross-origin-resource-policy"), own);
        if status == StatusCode::OK
            && let Some(Ok(tenant)) = visit.fields.get("tenant").map(str::parse::<Tenant>)
        {
            let cookie = format!("{TENANT}={tenant}; Path=/console; SameSite=Strict");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.append(SET_COOKIE, cookie);
            }
        }
        if let Some(theme) = visit.fields.get("theme").and_then(Theme::of) {
            let cookie = format!(
                "{THEME}={}; Path=/console; Max-Age={THEME_SECONDS}; SameSite=Lax",
                theme.name()
            );
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.append(SET_COOKIE, cookie);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world;

    #[test]
    fn the_page_about_the_console_lists_every_route_with_its_action() {
        let page = include_str!("../../../docs/console.md");
        let console = world::empty();
        let routes = routes(&console);
        for Route { path, action, .. } in &routes {
            let action = action.map_or("none", Action::name);
            let row = format!("| `{path}` | {action} |");
            assert!(page.contains(&row), "docs/console.md lacks {row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `/console"));
        assert_eq!(rows.count(), routes.len());
    }
}
