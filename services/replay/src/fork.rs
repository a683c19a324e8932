//! `fork`: a new request that takes over what another one has, up to a point.

use std::collections::BTreeMap;

use domain::document::{Document, Limits, TaskDocument};
use domain::request::{
    Command, Event, Fork, Forked, GroupOutline, Payload, Received, Request, RequestId, TakenGroup,
    TaskSucceeded,
};
use jiff::Timestamp;
use nats::{ExecuteError, sha256_of};
use runtime::Settings;
use serde_json::json;
use uuid::Uuid;

use crate::command::ForkArgs;
use crate::derive::{Derivation, place};
use crate::log::Live;
use crate::output::count;
use crate::source::Source;
use crate::story::Story;
use crate::{Error, Finding, consent, page};

/// The most bytes of results that are taken over inline: all of it is one message.
const MAX_TAKEN_BYTES: u64 = 700 * 1024;
/// The header that says where a request comes from.
const ORIGIN: &str = "x-fanfold-forked-from";

pub async fn run(args: &ForkArgs, settings: &Settings) -> Result<Finding, Error> {
    let live = Live::open(settings).await?;
    let source = Source::Live(Box::new(live.clone()));
    let story = Story::of(args.id, source.commits(args.id).await?, Some(args.at))?;
    let origin = story
        .state
        .request()
        .ok_or_else(|| Error::NotFound(format!("request {} was not there yet", args.id)))?;
    let bytes = match &args.document {
        Some(file) => std::fs::read(file)
            .map_err(|error| Error::Usage(format!("{}: {error}", file.display())))?,
        None => source.payload(&origin.document).await?,
    };
    let document = Document::accept(&bytes, &Limits::accepted())
        .map_err(|refusal| Error::Usage(format!("the document is refused: {refusal}")))?;
    let groups = taken(&source, &story, origin, &bytes).await?;
    check_size(&groups)?;
    let results: usize = groups.iter().map(|group| group.results.len()).sum();
    let id = RequestId::new(Uuid::now_v7());
    let consent = consent::ask(&will(&story, id, &groups, results), &args.consent)?;
    let mut received = submission(&story, &document, live.payloads.place(bytes.into()).await?)?;
    received.submitter.clone_from(&consent.by);
    let command = Command::Fork(Box::new(Fork {
        received,
        forked: Forked {
            from: args.id,
            sequence: story.sequence(),
            by: consent.by,
            reason: consent.reason,
        },
        resources: origin.resources.clone(),
        groups,
        now: Timestamp::now(),
        rules: settings.deployment.rules(),
    }));
    let receipt = live
        .log
        .execute(id, command)
        .await
        .map_err(|error| match error {
            ExecuteError::Refused(rejection) => Error::Usage(rejection.to_string()),
            ExecuteError::Log(error) => error.into(),
        })?;
    if args.json {
        page::line(&json!({"requestId": id, "sequence": receipt.sequence, "results": results}))?;
    } else {
        page::print(&format!("{id}\n"))?;
    }
    Ok(Finding::Fine)
}

fn will(story: &Story, id: RequestId, groups: &[TakenGroup], results: usize) -> String {
    format!(
        "This submits a new request, {id}: a fork of {} at sequence {}. It takes over {} of {} \
         and goes on from there; the original stays as it is.",
        story.id,
        story.sequence(),
        count(results as u64, "result"),
        count(groups.len() as u64, "group"),
    )
}

fn submission(story: &Story, document: &Document, payload: Payload) -> Result<Received, Error> {
    let first = story
        .commits
        .iter()
        .flat_map(|commit| &commit.events)
        .next();
    let Some(Event::Received(original)) = first else {
        return Err(Error::Unreadable(
            "the log does not begin with `received`".into(),
        ));
    };
    let mut metadata = original.metadata.clone();
    metadata.insert(ORIGIN.into(), format!("{}@{}", story.id, story.sequence()));
    Ok(Received {
        document: payload,
        fingerprint: sha256_of(|take| document.canonical_pieces(take)),
        groups: outlines(document),
        metadata,
        submitter: original.submitter.clone(),
        // The trace and the key belong to the original.
        traceparent: None,
        idempotency_key: None,
    })
}

/// What a document says of its groups.
pub fn outlines(document: &Document) -> Vec<GroupOutline> {
    (0..document.groups())
        .map(|group| GroupOutline {
            name: document.group_name(group).map(str::to_owned),
            valuations: u32::try_from(document.valuations(group)).unwrap_or(u32::MAX),
        })
        .collect()
}

/// The groups that are taken over: a result is, where its task's document is the same under the
/// new document. A group that lacks some is the last.
async fn taken(
    source: &Source,
    story: &Story,
    origin: &Request,
    bytes: &[u8],
) -> Result<Vec<TakenGroup>, Error> {
    let forked = Request {
        document: Payload::Inline(String::from_utf8_lossy(bytes).into()),
        ..origin.clone()
    };
    let results = results(story);
    let mut groups = Vec::new();
    let started = origin.completed.len() + usize::from(origin.group().is_some());
    for group in 0..started {
        let before = documents(source, origin, group).await?;
        let after = documents(source, &forked, group).await?;
        // Where a document cannot be made the new request fails in its own time and words.
        let (Some((_, before)), Some((name, after))) = (before, after) else {
            break;
        };
        let same = |task: &TaskSucceeded| {
            let index = task.task.wrapping_sub(1) as usize;
            before.get(index).map(|d| &d.xml) == after.get(index).map(|d| &d.xml)
                && after.get(index).is_some()
        };
        let own = results
            .range((group, 0)..=(group, u32::MAX))
            .map(|(_, task)| task);
        let taken: Vec<TaskSucceeded> = own.filter(|task| same(task)).cloned().collect();
        let complete = taken.len() == after.len();
        groups.push(TakenGroup {
            name,
            tasks: u32::try_from(after.len()).unwrap_or(u32::MAX),
            results: taken,
        });
        if !complete {
            break;
        }
    }
    Ok(groups)
}

/// The results of the tasks, by group and task.
fn results(story: &Story) -> BTreeMap<(usize, u32), TaskSucceeded> {
    let events = story.commits.iter().flat_map(|commit| &commit.events);
    events
        .filter_map(|event| match event {
            Event::TaskSucceeded(e) => Some(((e.group as usize, e.task), e.clone())),
            _ => None,
        })
        .collect()
}

type Made = Option<(Option<String>, Vec<TaskDocument>)>;

async fn documents(source: &Source, request: &Request, group: usize) -> Result<Made, Error> {
    let derived = Derivation::before_group(source, request, group).await?;
    let index = u32::try_from(group).unwrap_or(u32::MAX);
    Ok(derived.ok().and_then(|derived| {
        let tasks = derived.tasks(index, None).ok()?;
        (group < derived.groups()).then(|| (derived.group_name(group), tasks))
    }))
}

fn check_size(groups: &[TakenGroup]) -> Result<(), Error> {
    let results = groups.iter().flat_map(|group| &group.results);
    let bytes: u64 = results
        .map(|task| task.result.inline().map_or(100, |t| t.len() as u64))
        .sum();
    if bytes > MAX_TAKEN_BYTES {
        return Err(Error::Usage(format!(
            "it would take over {bytes} bytes of results, more than the {MAX_TAKEN_BYTES} that fit \
             into one commit: fork at an earlier point"
        )));
    }
    Ok(())
}

/// What a document is submitted as.
pub fn resubmitted(received: &Received, bytes: &[u8]) -> Result<Received, String> {
    let document = Document::accept(bytes, &Limits::accepted())
        .map_err(|refusal| format!("this build refuses the document: {refusal}"))?;
    Ok(Received {
        document: match &received.document {
            Payload::Inline(_) => place(bytes),
            stored @ Payload::Stored { .. } => stored.clone(),
        },
        fingerprint: sha256_of(|take| document.canonical_pieces(take)),
        groups: outlines(&document),
        ..received.clone()
    })
}
