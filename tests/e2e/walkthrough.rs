//! The walkthrough of `docs/failures.md`, run as it stands there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::{Client, Program, World};
use serde_json::Value;
use tokio::process::Command;

const FOLDER: &str = "/tmp/demo";

/// The fenced blocks of the section.
fn blocks() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/failures.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## An example\n").unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.map(str::to_owned).collect()
}

/// The commands of a transcript, each with the output that the page shows.
fn steps(transcript: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in transcript.trim_start_matches('\n').lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push((command.to_owned(), String::new()));
        } else if let Some((_, shown)) = steps.last_mut() {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    steps
}

/// An output without what differs from run to run: ids, times, durations and workers.
fn alike(output: &str, ids: &[&str], folder: &str) -> String {
    let mut text = output.replace(folder, FOLDER);
    for id in ids {
        text = text.replace(id, "ID");
    }
    if let Ok(mut json) = serde_json::from_str::<Value>(&text) {
        erase(&mut json);
        return json.to_string();
    }
    let word = |word: &str| {
        if word.starts_with("20") && word.ends_with('Z') {
            "TIME".to_owned()
        } else {
            word.to_owned()
        }
    };
    // Two tasks that run at once end in either order.
    let words = |line: &str| {
        line.split_whitespace()
            .map(word)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<String> = text.lines().map(words).collect();
    lines.sort();
    lines.join("\n")
}

fn erase(json: &mut Value) {
    const VARY: [&str; 7] = [
        "durationMs",
        "failedAt",
        "keptAt",
        "seq",
        "sequence",
        "startedAt",
        "worker",
    ];
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                if VARY.contains(&name.as_str()) {
                    *value = Value::Null;
                } else {
                    erase(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(erase),
        _ => {}
    }
}

async fn submit(client: &Client, folder: &Path) -> String {
    let document = fs::read_to_string(folder.join("request.xml")).unwrap();
    client.submit(&document, "").await.id()
}

#[tokio::test]
async fn the_walkthrough_of_a_failure_shows_what_happens() {
    let blocks = blocks();
    let [price, transcript] = &blocks[..] else {
        panic!("a program and a transcript: {}", blocks.len())
    };
    let world = World::start().await;
    let folder = world.folder().join("demo");
    let place = folder.to_str().unwrap();
    fs::create_dir(&folder).unwrap();
    let program = folder.join("price.sh");
    let price = price.trim_start_matches("sh\n").replace(FOLDER, place);
    fs::write(&program, price).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let types = format!(
        "[[task-types]]\nname = \"bond\"\nmatches = [\"bond*\"]\n\
         executor = {{ kind = \"command\", program = \"{place}/price.sh\", tell-answers = true }}\n\
         retry = {{ attempts = 2 }}\n"
    );
    fs::write(folder.join("fanfold.toml"), types).unwrap();
    let valuation = |n| {
        format!(
            "<valuation name=\"bond-{n}\"><analytics><price><amount/></price></analytics></valuation>"
        )
    };
    let (one, two) = (valuation(1), valuation(2));
    let document =
        format!("<vnml><project><group name=\"bonds\">{one}{two}</group></project></vnml>");
    fs::write(folder.join("request.xml"), document).unwrap();
    let config = folder.join("fanfold.toml");
    let settings = [("FANFOLD_CONFIG", config.to_str().unwrap())];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let up = Program::start(binary, "up", &world, &settings).await;
    let client = up.client();

    let steps = steps(transcript);
    let id_of = |text: &str| {
        text.split('/')
            .find(|part| part.len() == 36)
            .map(str::to_owned)
    };
    let shown = steps
        .iter()
        .find_map(|(command, _)| id_of(command))
        .unwrap();
    let (mut id, mut ran) = (String::new(), 0);
    let bin = Path::new(binary).parent().unwrap().to_str().unwrap();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    for (command, expected) in &steps {
        // The last two commands are about a second request, which failed too.
        let other = command
            .split_whitespace()
            .find(|word| word.len() == 36 && *word != shown);
        let ids = if let Some(other) = other {
            if command.starts_with("fanfold redrive") {
                fs::remove_file(folder.join("curve.csv")).unwrap();
                id = submit(&client, &folder).await;
                client.until_status(&id, "failed").await;
                fs::write(folder.join("curve.csv"), "").unwrap();
            } else {
                client.until_status(&id, "succeeded").await;
            }
            [other.to_owned(), id.clone()]
        } else {
            [shown.clone(), id.clone()]
        };
        let line = command.replace(&ids[0], &ids[1]);
        let output = Command::new("bash")
            .args(["-c", &line])
            .current_dir(&folder)
            .env("U", client.base())
            .env("NATS_URL", world.nats_url())
            .env("REDIS_URL", world.redis_url())
            .env("PATH", &path)
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        if id.is_empty() {
            let accepted: Value = serde_json::from_str(&said).unwrap();
            id = accepted["requestId"].as_str().unwrap().to_owned();
            client.until_status(&id, "failed").await;
        } else if line.contains("the curve was delivered\",\"by") {
            client.until_status(&id, "succeeded").await;
        }
        let both = [&*ids[0], &*ids[1], &*id].map(str::to_owned);
        let both: Vec<&str> = both
            .iter()
            .map(String::as_str)
            .filter(|id| !id.is_empty())
            .collect();
        let (said, expected) = (alike(&said, &both, place), alike(expected, &both, place));
        assert_eq!(said, expected, "{line}");
        ran += 1;
    }
    assert!(ran >= 10, "only {ran} commands were found");
}
