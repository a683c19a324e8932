use harness::{Answer, Client, Valuer, World};
use reqwest::{Method, StatusCode};

use crate::{document, up};

async fn post(client: &Client, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let call = client
        .call(Method::POST, path)
        .header("content-type", kind)
        .body(body);
    client.send(call).await
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, words: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["message"], body["detail"]);
    let message = body["message"].as_str().unwrap();
    assert!(message.contains(words), "'{words}' is not in '{message}'");
}

#[tokio::test]
async fn an_invalid_document_is_refused_with_reason_and_position_and_leaves_nothing_behind() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let long = "x".repeat(10 * 1024 * 1024 + 1);
    let bomb = "<!DOCTYPE v [<!ENTITY a \"b\">]><vnml><project/></vnml>";
    for (body, status, code, words) in [
        ("this is not XML", 400, "malformed-xml", "line 1"),
        ("<vnml><project>", 400, "malformed-xml", "line 1"),
        ("<vnml><project></vnml>", 400, "malformed-xml", "line 1"),
        ("<other/>", 400, "not-vnml", "<vnml> is expected"),
        ("<vnml/>", 400, "not-vnml", "no <project>"),
        (
            "<vnml><project/><project/></vnml>",
            400,
            "not-vnml",
            "more than one <project>",
        ),
        ("", 400, "empty-body", "empty"),
        (bomb, 400, "doctype", "DOCTYPE"),
        (long.as_str(), 413, "payload-too-large", "PAYLOAD_MAX_BYTES"),
    ] {
        let answer = post(&client, "/valuation", "application/xml", body.to_owned()).await;
        refused(&answer, status, code, words);
    }
    let requests = world
        .jetstream()
        .await
        .get_stream("REQUESTS_0")
        .await
        .unwrap();
    assert_eq!(requests.cached_info().state.messages, 0);
}

#[tokio::test]
async fn headers_and_parameters_of_a_submission_are_checked_as_well() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let good = document(1, 1);
    let answer = post(&client, "/valuation", "application/json", good.clone()).await;
    refused(&answer, 415, "unsupported-media-type", "application/xml");
    let answer = post(&client, "/valuation?sync=maybe", "text/xml", good.clone()).await;
    refused(&answer, 400, "invalid-sync", "Y or N");
    let answer = client.status("not-a-uuid").await;
    refused(&answer, 400, "invalid-id", "UUID");
    let answer = client.get("/valuations/and/more").await;
    refused(&answer, 404, "unknown-route", "no route");
    let answer = client.send(client.call(Method::DELETE, "/valuation")).await;
    refused(&answer, 405, "wrong-method", "DELETE");
    assert_eq!(answer.header("allow"), "POST");

    let exact = format!("{good}{}", " ".repeat(10 * 1024 * 1024 - good.len()));
    let answer = post(&client, "/valuation", "text/xml; charset=utf-8", exact).await;
    assert_eq!(
        answer.status,
        StatusCode::ACCEPTED,
        "the limit itself is let in"
    );
}
