use super::world::{FAILED, PLAIN, console, get};
use axum::http::StatusCode;

#[tokio::test]
async fn every_page_of_a_request_can_be_seen_as_it_was() {
    let console = console(&PLAIN);
    let path = format!("/console/requests/{FAILED}");
    let then = get(&console, &format!("{path}?at=2")).await.text;
    assert!(then.contains("The request is running"), "{then}");
    assert!(then.contains("As it was at 2"), "{then}");
    assert!(then.contains("Actions are off"), "{then}");
    // The track has a tick for every commit, and the next failure is the third one.
    assert_eq!(then.matches("class=\"hit\"").count(), 3);
    assert!(
        then.contains(&format!("rel=\"failure\" href=\"{path}?at=3\"")),
        "{then}"
    );
    // The tabs stay at the point.
    assert!(
        then.contains(&format!("{path}?at=2&amp;tab=tasks")),
        "{then}"
    );
    let task = get(&console, &format!("{path}/tasks/0/2?at=2")).await.text;
    assert!(task.contains("No attempt has ended yet"), "{task}");
    let now = get(&console, &format!("{path}/tasks/0/2")).await.text;
    assert!(now.contains("exit-75"), "{now}");
}

#[tokio::test]
async fn a_step_shows_what_it_changed() {
    let console = console(&PLAIN);
    let path = format!("/console/requests/{FAILED}");
    let step = get(&console, &format!("{path}?at=3")).await.text;
    assert!(step.contains("What this step changed"), "{step}");
    assert!(step.contains("task-failed"), "{step}");
    assert!(step.contains("phase.Failed"), "{step}");
}

#[tokio::test]
async fn a_point_before_the_beginning_is_not_found_and_one_that_is_no_point_is_said() {
    let console = console(&PLAIN);
    let path = format!("/console/requests/{FAILED}");
    assert_eq!(
        get(&console, &format!("{path}?at=0")).await.status,
        StatusCode::NOT_FOUND
    );
    let wrong = get(&console, &format!("{path}?at=soon")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("is no point"), "{}", wrong.text);
}
