//! What a visitor sees of the tenants: a request of `red` that failed, and one of `blue` that runs.

use std::sync::Arc;

use axum::http::StatusCode;

use super::world::{FAILED, PLAIN, RUNS, Texts, console_of, get_as, with_grants};
use crate::Console;

/// The pages that look at many requests.
const MANY: [&str; 5] = [
    "/console/",
    "/console/requests",
    "/console/requests?q=event:received+since:90000d",
    "/console/failures?since=7d",
    "/console/dead-letters",
];

fn two_tenants() -> Arc<Console> {
    let red = Texts {
        tenant: "red",
        ..PLAIN
    };
    let blue = Texts {
        tenant: "blue",
        worker: "worker-of-blue",
        submitter: "bo",
        ..PLAIN
    };
    console_of(&red, &blue)
}

fn names(text: &str, request: &str) -> bool {
    text.contains(&request[24..])
}

#[tokio::test]
async fn a_request_of_another_tenant_is_on_no_page_and_its_own_pages_are_as_if_it_never_was() {
    let console = two_tenants();
    let nowhere = RUNS.replace("0517", "0599");
    for role in ["submit", "read", "operate", "admin"] {
        let visitor = with_grants("mira", &[&format!("red:{role}")]);
        for page in MANY {
            let text = get_as(&console, visitor.clone(), page).await.text;
            assert!(!names(&text, RUNS), "{role} {page}");
            assert!(!text.contains("worker-of-blue"), "{role} {page}");
        }
        for page in [
            "",
            "?at=1",
            "?tab=events",
            "/tasks/0/1",
            "/documents/submitted",
            "/documents/submitted/raw",
            "/groups/0",
            "/groups/0/heat.png",
            "/fork",
            "/cancel",
            "/redrive",
        ] {
            let path = |id: &str| format!("/console/requests/{id}{page}");
            let theirs = get_as(&console, visitor.clone(), &path(RUNS)).await;
            let nobodys = get_as(&console, visitor.clone(), &path(&nowhere)).await;
            assert_eq!(theirs.status, nobodys.status, "{role} {page}");
            assert_ne!(theirs.status, StatusCode::OK, "{role} {page}");
            let told = theirs.text.replace(RUNS, &nowhere);
            assert_eq!(told, nobodys.text, "{role} {page}");
        }
        let own = format!("/console/requests/{FAILED}");
        let own = get_as(&console, visitor.clone(), &own).await;
        assert_eq!(own.status, StatusCode::OK, "{role}");
    }
}

#[tokio::test]
async fn whoever_has_a_role_of_the_system_sees_all_tenants_or_the_one_that_the_address_names() {
    let console = two_tenants();
    let system = with_grants("root", &["system:read"]);
    for page in &MANY[1..3] {
        let text = get_as(&console, system.clone(), page).await.text;
        assert!(names(&text, FAILED) && names(&text, RUNS), "{page}");
        let mark = if page.contains('?') { '&' } else { '?' };
        let one = format!("{page}{mark}tenant=blue");
        let text = get_as(&console, system.clone(), &one).await.text;
        assert!(!names(&text, FAILED) && names(&text, RUNS), "{one}");
    }
    let failures = get_as(&console, system, "/console/failures?since=7d&tenant=blue").await;
    assert!(
        failures.text.contains("No attempt failed"),
        "{}",
        failures.text
    );
}

#[tokio::test]
async fn a_visitor_of_several_tenants_sees_one_at_a_time_and_chooses_it() {
    let console = two_tenants();
    let both = with_grants("mira", &["red:read", "blue:operate"]);
    let list = "/console/requests";
    let first = get_as(&console, both.clone(), list).await;
    assert!(!names(&first.text, FAILED) && names(&first.text, RUNS));
    assert!(
        first.text.contains("aria-label=\"Tenant\""),
        "{}",
        first.text
    );
    let red = get_as(&console, both.clone(), &format!("{list}?tenant=red")).await;
    assert!(names(&red.text, FAILED) && !names(&red.text, RUNS));
    let cookie = red.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("fanfold-tenant=red;"), "{cookie}");
    // The pages of one request need no choice. The roles are those of its tenant.
    for (id, page, status) in [
        (FAILED, "", StatusCode::OK),
        (RUNS, "", StatusCode::OK),
        (FAILED, "/cancel", StatusCode::FORBIDDEN),
    ] {
        let path = format!("/console/requests/{id}{page}");
        let answer = get_as(&console, both.clone(), &path).await;
        assert_eq!(answer.status, status, "{path}");
    }
    for (named, status) in [
        ("green", StatusCode::FORBIDDEN),
        ("No%20Name", StatusCode::BAD_REQUEST),
    ] {
        let path = format!("{list}?tenant={named}");
        let answer = get_as(&console, both.clone(), &path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.headers.contains_key("set-cookie"), "{path}");
    }
}

#[tokio::test]
async fn a_search_of_the_log_shows_a_submitter_only_its_own_requests() {
    let console = two_tenants();
    let path = "/console/requests?q=event:received+since:90000d";
    for (who, sees) in [("mira", true), ("somebody-else", false)] {
        let submitter = with_grants(who, &["red:submit"]);
        let text = get_as(&console, submitter, path).await.text;
        assert_eq!(names(&text, FAILED), sees, "{who}");
    }
}
