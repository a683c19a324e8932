//! Requests with everything that belongs to them, as the lines of a bundle.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;

use domain::access::Tenant;
use domain::request::{Event, Payload, RequestId};

use crate::bundle::{self, Bundle, Header, Line, Rules, StoredCommit, StoredPayload, StoredTask};
use crate::redact::Redaction;
use crate::source::Source;
use crate::{Error, documents};

/// The length of the key of pseudonyms.
const KEY_BYTES: usize = 32;

/// The lines of a bundle of these requests. With `redacted`, what documents and people say is
/// masked.
pub async fn lines(
    source: &Source,
    ids: &[RequestId],
    redacted: bool,
    rules: Rules,
) -> Result<Vec<Line>, Error> {
    let mut lines = vec![Line::Bundle(Header::new(redacted, rules))];
    let key = redacted.then(random_key).transpose()?;
    for id in ids {
        let redaction = key.clone().map(Redaction::new);
        request(source, *id, redaction, &mut lines).await?;
    }
    with_tasks(lines, redacted).await
}

/// The key of the pseudonyms of one bundle. Nobody keeps it.
fn random_key() -> Result<Vec<u8>, Error> {
    let mut key = vec![0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

async fn request(
    source: &Source,
    id: RequestId,
    mut redaction: Option<Redaction>,
    lines: &mut Vec<Line>,
) -> Result<(), Error> {
    let commits = source.commits(id).await?;
    let mut known = HashSet::new();
    let mut payloads = Vec::new();
    for payload in commits
        .iter()
        .flat_map(|commit| &commit.events)
        .flat_map(Event::payloads)
    {
        if let Payload::Stored { sha256, .. } = payload
            && known.insert(sha256.clone())
        {
            payloads.push((sha256, source.payload(payload).await?));
        }
    }
    // What an expression names in one document may be in another one.
    if let Some(redaction) = &mut redaction {
        let all = commits.iter().flat_map(|commit| &commit.events);
        for payload in all.flat_map(Event::payloads) {
            if let Payload::Inline(text) = payload {
                redaction.learn(text);
            }
        }
        for (_, bytes) in &payloads {
            redaction.learn(&String::from_utf8_lossy(bytes));
        }
    }
    let redaction = redaction.as_ref();
    for (sha256, bytes) in payloads {
        lines.push(Line::Payload(stored(sha256, bytes, redaction)));
    }
    dead_letters(source, id, redaction.is_some(), lines).await?;
    for mut commit in commits.clone() {
        if let Some(redaction) = redaction {
            let events = commit.events.iter_mut();
            events.for_each(|event| redaction.event(event));
            commit.tenant = Tenant::default();
            commit.traceparent = None;
        }
        lines.push(Line::Commit(StoredCommit {
            request: commit.request,
            sequence: commit.sequence,
            previous: commit.previous,
            at: commit.at,
            tenant: commit.tenant,
            traceparent: commit.traceparent,
            events: commit.events,
        }));
    }
    Ok(())
}

fn stored(sha256: &str, bytes: Vec<u8>, redaction: Option<&Redaction>) -> StoredPayload {
    let (text, hex) = match (String::from_utf8(bytes), redaction) {
        (Ok(text), Some(redaction)) => (Some(redaction.xml(&text)), None),
        (Ok(text), None) => (Some(text), None),
        // Nothing of a document in another encoding can be masked.
        (Err(_), Some(_)) => (Some(String::new()), None),
        (Err(error), None) => {
            let bytes = error.into_bytes();
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (None, Some(hex.concat()))
        }
    };
    StoredPayload {
        sha256: sha256.to_owned(),
        text,
        hex,
    }
}

/// Adds the dead letters. A masked document proves nothing, because no worker received it.
async fn dead_letters(
    source: &Source,
    id: RequestId,
    redacted: bool,
    lines: &mut Vec<Line>,
) -> Result<(), Error> {
    if let (Some(live), false) = (source.live(), redacted) {
        let letters = live.connection.dead_letters_of(id).await?;
        lines.extend(letters.into_iter().map(Line::DeadLetter));
    }
    Ok(())
}

/// Adds the hashes of the task documents, as this build makes them.
async fn with_tasks(mut lines: Vec<Line>, redacted: bool) -> Result<Vec<Line>, Error> {
    let packed = bundle::pack(&lines, false)?;
    let bundle = Bundle::parse(&packed).map_err(Error::Unreadable)?;
    let ids = bundle.requests();
    let source = Source::Bundle(Box::new(bundle));
    for id in ids {
        let commits = source.commits(id).await?;
        let made = documents::made(&source, &commits).await;
        // A masked document may no longer make tasks: an expression may compare what is masked.
        if redacted && made.is_err() {
            continue;
        }
        for (task, sha256) in made? {
            lines.push(Line::Task(StoredTask { task, sha256 }));
        }
    }
    Ok(lines)
}
