use harness::{Client, Reply, Valuer, World, result_of, until};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{document, up};

async fn submit(client: &Client, desk: &str, tasks: usize) -> String {
    let call = client.call(Method::POST, "/valuation");
    let call = call
        .header("content-type", "application/xml")
        .header("x-desk", desk);
    client.send(call.body(document(1, tasks))).await.id()
}

fn ids(page: &Value) -> Vec<String> {
    let valuations = page["valuations"].as_array().unwrap();
    let id = |listed: &Value| listed["requestId"].as_str().unwrap().to_owned();
    valuations.iter().map(id).collect()
}

/// Reads every page of a list, one after the other.
async fn pages(client: &Client, query: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/valuations?{query}{cursor}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let page = page.json();
        all.extend(ids(&page));
        let Some(next) = page["next"].as_str() else {
            return all;
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn requests_are_listed_newest_first_and_filtered_with_redis_and_without() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 3 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    // Several shards still give one list.
    let program = up(&world, &valuer, &[("SHARDS", "4")]).await;
    let client = program.client();
    let mut newest_first = Vec::new();
    for n in 0..12 {
        let desk = if n % 2 == 0 { "rates" } else { "credit" };
        let tasks = if n % 3 == 0 { 3 } else { 2 };
        newest_first.insert(0, submit(&client, desk, tasks).await);
        // The list is complete at once, however far the projector is.
        assert_eq!(pages(&client, "").await, newest_first);
    }
    for (n, id) in newest_first.iter().rev().enumerate() {
        let wanted = if n % 3 == 0 { "failed" } else { "succeeded" };
        client.until_status(id, wanted).await;
    }
    let picked = |keep: &dyn Fn(usize) -> bool| -> Vec<String> {
        let numbered = newest_first.iter().enumerate();
        let kept = numbered.filter(|(place, _)| keep(11 - place));
        kept.map(|(_, id)| id.clone()).collect()
    };
    for flushed in [false, true] {
        if flushed {
            world.flush_redis().await;
        }
        assert_eq!(pages(&client, "limit=5").await, newest_first);
        assert_eq!(
            pages(&client, "status=failed").await,
            picked(&|n| n % 3 == 0)
        );
        assert_eq!(
            pages(&client, "label=x-desk:rates&limit=2").await,
            picked(&|n| n % 2 == 0)
        );
        assert_eq!(pages(&client, "label=x-desk").await, newest_first);
        assert_eq!(
            pages(&client, "failure=tasks-failed").await,
            picked(&|n| n % 3 == 0)
        );
        assert_eq!(pages(&client, "failure=other").await, Vec::<String>::new());
        let sixth = client.status(&newest_first[5]).await.json();
        let at = sixth["receivedAt"].as_str().unwrap();
        assert_eq!(
            pages(&client, &format!("since={at}")).await,
            newest_first[..=5]
        );
        assert_eq!(
            pages(&client, &format!("until={at}")).await,
            newest_first[6..]
        );
    }
    for wrong in [
        "status=x",
        "limit=0",
        "limit=501",
        "cursor=x",
        "since=yesterday",
    ] {
        let refused = client.get(&format!("/valuations?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn pages_stay_as_they_are_while_requests_arrive() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let mut newest_first = Vec::new();
    for _ in 0..9 {
        newest_first.insert(0, submit(&client, "a", 1).await);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client
            .get(&format!("/valuations?limit=2{cursor}"))
            .await
            .json();
        seen.extend(ids(&page));
        submit(&client, "b", 1).await;
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, newest_first);
}

#[tokio::test]
async fn the_list_is_whole_while_redis_is_away() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let first = submit(&client, "a", 1).await;
    client.until_status(&first, "succeeded").await;
    world.kill_redis().await;
    let second = submit(&client, "a", 1).await;
    assert_eq!(pages(&client, "").await, [second.clone(), first.clone()]);
    world.restart_redis_empty().await;
    until("the index is there again", || async {
        let mut redis = world.redis().await;
        let key = "index:requests:0";
        let count: Result<usize, _> = redis::cmd("ZCARD").arg(key).query_async(&mut redis).await;
        count.is_ok_and(|count| count == 2)
    })
    .await;
    assert_eq!(pages(&client, "").await, [second, first]);
}
