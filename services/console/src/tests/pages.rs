use domain::access::Role;

use super::world::{FAILED, PLAIN, RUNS, console, empty, get, get_as, send, with_role};
use axum::body::Body;
use axum::http::{Request, StatusCode};

/// The text of a page without its tags, as a person reads it.
fn read(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

#[tokio::test]
async fn the_page_of_a_failed_request_begins_with_why_and_links_its_evidence() {
    let console = console(&PLAIN);
    let page = get(&console, &format!("/console/requests/{FAILED}")).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = read(&page.text);
    assert!(text.contains("The request is failed"), "{text}");
    assert!(text.contains("on worker-b7 with exit-75"), "{text}");
    assert!(page.text.find("id=\"why\"") < page.text.find("id=\"groups\""));
    assert!(page.text.contains(&format!(
        "/console/requests/{FAILED}?tab=events&amp;event=3#e3"
    )));
    assert!(
        page.text
            .contains(&format!("fanfold redrive {FAILED} --reason"))
    );
}

#[tokio::test]
async fn every_page_of_a_request_says_the_same_as_a_command() {
    let console = console(&PLAIN);
    for (path, command) in [
        ("", "fanfold replay why ID --from incident.fanfold"),
        (
            "?tab=events",
            "fanfold replay show ID --unfolded --json --from incident.fanfold",
        ),
        (
            "?at=2",
            "fanfold replay show ID --at 2 --from incident.fanfold",
        ),
        (
            "/tasks/0/2",
            "fanfold replay task ID 0 2 --from incident.fanfold",
        ),
        (
            "/documents/submitted",
            "fanfold replay document ID submitted --from incident.fanfold",
        ),
        (
            "/groups/0",
            "fanfold replay show ID --unfolded --from incident.fanfold",
        ),
    ] {
        let page = get(&console, &format!("/console/requests/{FAILED}{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        let command = command.replace("ID", FAILED);
        assert!(page.text.contains(&command), "{path} lacks {command}");
    }
}

#[tokio::test]
async fn the_list_is_filtered_and_an_id_leads_to_its_request() {
    let console = console(&PLAIN);
    let all = get(&console, "/console/requests").await.text;
    assert!(all.contains(&FAILED[24..]) && all.contains(&RUNS[24..]));
    let failed = get(&console, "/console/requests?q=status:failed")
        .await
        .text;
    assert!(failed.contains(&FAILED[24..]) && !failed.contains(&RUNS[24..]));
    let by_worker = get(
        &console,
        "/console/requests?q=worker:worker-b7+since:90000d",
    )
    .await
    .text;
    assert!(by_worker.contains("Searched the log"), "{by_worker}");
    assert!(by_worker.contains(&RUNS[24..]));
    let one = get(&console, &format!("/console/requests?q={RUNS}")).await;
    assert_eq!(one.status, StatusCode::SEE_OTHER);
    assert_eq!(
        one.headers["location"],
        format!("/console/requests/{RUNS}").as_str()
    );
    let wrong = get(&console, "/console/requests?q=colour:red").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("is no term"));
}

#[tokio::test]
async fn nothing_there_and_not_found_are_different_words() {
    let empty = empty();
    let list = get(&empty, "/console/requests").await.text;
    assert!(list.contains("There are no requests yet"), "{list}");
    let filtered = get(&empty, "/console/requests?q=status:failed").await.text;
    assert!(filtered.contains("No request matches"), "{filtered}");
    let missing = get(&empty, &format!("/console/requests/{FAILED}")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let unclear = get(&empty, "/console/requests/x").await;
    assert_eq!(unclear.status, StatusCode::BAD_REQUEST);
    for path in ["/console/", "/console/failures", "/console/dead-letters"] {
        assert_eq!(get(&empty, path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(
        get(&empty, "/console/nowhere").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get(&empty, "/console/system").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn failures_of_the_same_cause_are_one_cluster() {
    let console = console(&PLAIN);
    let page = get(&console, "/console/failures").await.text;
    assert_eq!(page.matches("class=\"cluster\"").count(), 1, "{page}");
    assert!(read(&page).contains("… timed out after … ms"), "{page}");
}

#[tokio::test]
async fn somebody_who_may_see_own_requests_only_finds_no_others() {
    let console = console(&PLAIN);
    let path = format!("/console/requests/{FAILED}");
    let own = get_as(&console, with_role("mira", Role::Submit), &path).await;
    assert_eq!(own.status, StatusCode::OK);
    let other = with_role("jonas", Role::Submit);
    for page in [
        "",
        "/tasks/0/2",
        "/documents/submitted",
        "/documents/submitted/raw",
        "/groups/0",
    ] {
        let answer = get_as(&console, other.clone(), &format!("{path}{page}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{page}");
        assert!(!answer.text.contains("prices"), "{page}");
    }
}

#[tokio::test]
async fn a_bundle_offers_no_action_and_refuses_each() {
    let console = console(&PLAIN);
    let page = get(&console, &format!("/console/requests/{FAILED}"))
        .await
        .text;
    assert!(page.contains("A bundle is a file"), "{page}");
    for act in ["redrive", "cancel", "fork"] {
        let path = format!("/console/requests/{FAILED}/{act}");
        assert_eq!(
            get(&console, &path).await.status,
            StatusCode::CONFLICT,
            "{act}"
        );
        let call = Request::post(&path)
            .body(Body::from("reason=x&token=y"))
            .unwrap();
        assert_eq!(
            send(&console, call).await.status,
            StatusCode::CONFLICT,
            "{act}"
        );
    }
}

#[tokio::test]
async fn the_url_of_a_webhook_is_on_no_page() {
    let console = console(&PLAIN);
    for path in [
        "",
        "?tab=events&event=1",
        "?tab=audit",
        "?at=1",
        "?tab=tasks",
    ] {
        let page = get(&console, &format!("/console/requests/{FAILED}{path}")).await;
        assert!(!page.text.contains("canary"), "{path}");
    }
    for path in [
        "/console/requests",
        "/console/requests?q=event:received+since:90000d",
    ] {
        assert!(!get(&console, path).await.text.contains("canary"), "{path}");
    }
}

#[tokio::test]
async fn a_theme_is_kept_in_a_cookie_and_can_be_sent_in_an_address() {
    let console = empty();
    let page = get(&console, "/console/requests?theme=dark").await;
    assert!(page.text.contains("data-theme=\"dark\""));
    assert!(
        page.headers["set-cookie"]
            .to_str()
            .unwrap()
            .starts_with("fanfold-theme=dark;")
    );
    let call = Request::get("/console/requests").header("cookie", "a=b; fanfold-theme=light");
    let page = send(&console, call.body(Body::empty()).unwrap()).await;
    assert!(page.text.contains("data-theme=\"light\""));
    let call = Request::get("/console/requests").header("cookie", "fanfold-theme=\"><script>");
    let page = send(&console, call.body(Body::empty()).unwrap()).await;
    assert!(page.text.contains("data-theme=\"system\""));
}

#[tokio::test]
async fn files_have_the_hash_of_their_content_in_their_names_and_are_kept_forever() {
    let console = empty();
    let page = get(&console, "/console/requests").await.text;
    let assets = page
        .split('"')
        .filter(|part| part.starts_with("/console/assets/"));
    let mut count = 0;
    for path in assets {
        let file = get(&console, path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        let cache = file.headers["cache-control"].to_str().unwrap();
        assert!(cache.contains("immutable"), "{path}: {cache}");
        let hash = nats::sha256(file.text.as_bytes());
        assert!(path.contains(&hash[..12]), "{path}");
        count += 1;
    }
    assert!(count >= 4);
    assert_eq!(
        get(&console, "/console/assets/console-0.css").await.status,
        StatusCode::NOT_FOUND
    );
}
