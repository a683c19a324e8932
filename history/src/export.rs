//! Requests with everything that belongs to them, as the lines of a bundle.

use std::collections::HashSet;

use domain::request::{Event, Payload, RequestId};

use crate::bundle::{self, Bundle, Header, Line, Rules, StoredCommit, StoredPayload, StoredTask};
use crate::source::Source;
use crate::{Error, documents, redact};

/// The lines of a bundle of these requests. With `redacted`, the text of documents, results and
/// headers is masked.
pub async fn lines(
    source: &Source,
    ids: &[RequestId],
    redacted: bool,
    rules: Rules,
) -> Result<Vec<Line>, Error> {
    let mut lines = vec![Line::Bundle(Header::new(redacted, rules))];
    for id in ids {
        request(source, *id, redacted, &mut lines).await?;
    }
    with_tasks(lines).await
}

async fn request(
    source: &Source,
    id: RequestId,
    redacted: bool,
    lines: &mut Vec<Line>,
) -> Result<(), Error> {
    let commits = source.commits(id).await?;
    let mut known = HashSet::new();
    for payload in commits
        .iter()
        .flat_map(|commit| &commit.events)
        .flat_map(Event::payloads)
    {
        if let Payload::Stored { sha256, .. } = payload
            && known.insert(sha256.clone())
        {
            let bytes = source.payload(payload).await?;
            lines.push(Line::Payload(stored(sha256, bytes, redacted)));
        }
    }
    dead_letters(source, id, redacted, lines).await?;
    for mut commit in commits {
        if redacted {
            commit.events.iter_mut().for_each(redact::event);
            commit.traceparent = None;
        }
        lines.push(Line::Commit(StoredCommit {
            request: commit.request,
            sequence: commit.sequence,
            previous: commit.previous,
            at: commit.at,
            traceparent: commit.traceparent,
            events: commit.events,
        }));
    }
    Ok(())
}

fn stored(sha256: &str, bytes: Vec<u8>, redacted: bool) -> StoredPayload {
    let (text, hex) = match String::from_utf8(bytes) {
        Ok(text) if redacted => (Some(redact::xml(&text)), None),
        Ok(text) => (Some(text), None),
        Err(error) => {
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
async fn with_tasks(mut lines: Vec<Line>) -> Result<Vec<Line>, Error> {
    let packed = bundle::pack(&lines, false)?;
    let bundle = Bundle::parse(&packed).map_err(Error::Unreadable)?;
    let ids = bundle.requests();
    let source = Source::Bundle(Box::new(bundle));
    for id in ids {
        let commits = source.commits(id).await?;
        for (task, sha256) in documents::made(&source, &commits).await? {
            lines.push(Line::Task(StoredTask { task, sha256 }));
        }
    }
    Ok(lines)
}
