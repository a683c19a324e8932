//! `show`: the story of a request on one screen.

use std::fmt::Write as _;

use domain::request::{Status, TaskState};
use jiff::Timestamp;
use nats::Position;
use projections::GroupView;
use runtime::Settings;
use serde_json::json;

use crate::command::ShowArgs;
use crate::log::{self, Live};
use crate::output::{Paint, between, count, short, time, wrap};
use crate::source::Source;
use crate::story::Story;
use crate::timeline::{self, Entry};
use crate::{Error, Finding, follow, line, page};

/// The most lines of a timeline, unless it is wanted unfolded.
pub const TIMELINE_LINES: usize = 40;
/// The most groups shown one by one.
const GROUP_LINES: usize = 20;
/// The width of a bar.
const BAR: u32 = 20;

pub async fn run(args: &ShowArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.one.from.as_deref(), settings).await?;
    let commits = source.commits(args.one.id).await?;
    let story = Story::of(args.one.id, commits, args.at)?;
    let freshness = match source.live() {
        Some(live) => Some(Freshness::look(live, settings, &story).await),
        None => None,
    };
    if args.one.json {
        page::line(&as_json(&story, freshness.as_ref(), !args.unfolded))?;
    } else {
        let paint = Paint::of_stdout();
        let text = told(&story, freshness.as_ref(), args, paint);
        if args.follow {
            print!("{text}");
        } else {
            page::print(&text)?;
        }
    }
    if let (true, Some(live)) = (args.follow, source.live()) {
        return follow::request(live, story, args.one.json).await;
    }
    Ok(Finding::Fine)
}

/// How far the view is behind the log.
pub struct Freshness {
    /// The sequence that the view has seen; none where there is no view.
    pub view: Result<Option<u64>, String>,
    /// Where the projector stands.
    pub projector: Option<Position>,
}

impl Freshness {
    pub async fn look(live: &Live, settings: &Settings, story: &Story) -> Self {
        let shard = story.id.partition().shard(live.log.shards());
        let views = async {
            let views = log::views(settings)
                .await
                .map_err(|error| error.to_string())?;
            let view = views.get(story.id).await;
            view.map(|view| view.map(|view| view.seq))
                .map_err(|error| error.to_string())
        };
        let projector = live.connection.log_position(shard, "projector");
        let (view, projector) = futures::join!(views, projector);
        Self {
            view,
            projector: projector.ok(),
        }
    }

    fn told(&self, story: &Story) -> String {
        let log = story.commits.last().map_or(0, |commit| commit.sequence);
        let view = match &self.view {
            Err(reason) => format!("the view is not to be had ({})", short(reason, 80)),
            Ok(None) if story.view.status.is_terminal() => {
                "there is no view: it has expired, or Redis was emptied".into()
            }
            Ok(None) => "there is no view yet".into(),
            Ok(Some(seq)) if *seq >= log => format!("the view is as new as the log (at {seq})"),
            Ok(Some(seq)) => format!("the view is behind: at {seq}"),
        };
        let projector = self
            .projector
            .as_ref()
            .map_or_else(String::new, |position| {
                match position.pending + position.unacked {
                    0 => "; the projector has projected all there is".to_owned(),
                    behind => format!("; the projector is {} behind", count(behind, "commit")),
                }
            });
        format!("log at {log}; {view}{projector}")
    }
}

fn told(story: &Story, freshness: Option<&Freshness>, args: &ShowArgs, paint: Paint) -> String {
    let mut text = String::new();
    head(&mut text, story, paint);
    groups(&mut text, story, paint);
    let entries = timeline::entries(story.events(), !args.unfolded);
    timeline(&mut text, &entries, args.unfolded, paint);
    if let Some(freshness) = freshness {
        let _ = writeln!(text, "\n{}", paint.bold("freshness"));
        let _ = writeln!(text, "{}", wrap(&freshness.told(story), paint.width, "  "));
    }
    if story.later > 0 {
        let _ = writeln!(text, "\n  {}", count(story.later as u64, "later commit"));
    }
    let _ = writeln!(text, "\n{}", paint.bold("next"));
    for command in next(story) {
        let _ = writeln!(text, "  {command}");
    }
    text
}

fn head(text: &mut String, story: &Story, paint: Paint) {
    let view = &story.view;
    let now = Timestamp::now();
    let lasted = if view.status.is_terminal() {
        format!("after {}", between(view.received_at, story.last_at()))
    } else {
        format!("for {}", between(view.received_at, now))
    };
    let status = paint.status(view.status.as_str());
    let _ = writeln!(
        text,
        "{} {status} {lasted}",
        paint.bold(&format!("request {}", story.id))
    );
    let _ = writeln!(text, "{}\n", wrap(&story.cause(now), paint.width, "  "));
    let redrives = story.state.request().map_or(0, |request| request.redrives);
    let mut facts = format!(
        "received {} · {} · {}",
        time(view.received_at),
        count(u64::from(view.group_count), "group"),
        count(view.attempts, "attempt"),
    );
    if redrives > 0 {
        let _ = write!(facts, " · {}", count(redrives, "redrive"));
    }
    for (name, value) in &view.metadata {
        let _ = write!(facts, " · {name}={value}");
    }
    if let Some(key) = &view.idempotency_key {
        let _ = write!(facts, " · idempotency key {key}");
    }
    let _ = writeln!(text, "{}", wrap(&facts, paint.width, "  "));
}

fn groups(text: &mut String, story: &Story, paint: Paint) {
    let groups = &story.view.groups;
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.bold("groups"));
    for (index, group) in groups.iter().enumerate().take(GROUP_LINES) {
        let _ = writeln!(text, "{}", group_line(index, group, story.last_at(), paint));
    }
    if groups.len() > GROUP_LINES {
        let _ = writeln!(text, "  … and {} more", groups.len() - GROUP_LINES);
    }
}

fn group_line(index: usize, group: &GroupView, last: Timestamp, paint: Paint) -> String {
    let share = |part: u32| (part * BAR).checked_div(group.expected).unwrap_or(0);
    let (done, failed) = (share(group.completed), share(group.failed));
    let failed = if group.failed > 0 { failed.max(1) } else { 0 };
    let done = done.min(BAR - failed);
    let of = |times: u32, with: &str| with.repeat(times as usize);
    let bar = format!(
        "{}{}{}",
        paint.green(&of(done, "█")),
        paint.red(&of(failed, "▒")),
        paint.dim(&of(BAR - done - failed, "░"))
    );
    let name = short(group.name.as_deref().unwrap_or("-"), 16);
    let took = group.started_at.map_or_else(String::new, |started| {
        format!(
            " · {}",
            between(started, group.completed_at.unwrap_or(last))
        )
    });
    let given_up = match group.failed {
        0 => String::new(),
        failed => format!(" · {failed} given up"),
    };
    format!(
        "  {index:>3} {name:<16} {bar} {:>5}/{:<5} {}{given_up}{took}",
        group.completed,
        group.expected,
        paint.status(group.status.as_str()),
    )
}

fn timeline(text: &mut String, entries: &[Entry], all: bool, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.bold("timeline"));
    let skipped = if all {
        0
    } else {
        entries.len().saturating_sub(TIMELINE_LINES)
    };
    let mut before = None;
    for (number, entry) in entries.iter().enumerate() {
        let since = timeline::delta(before, entry.at);
        before = Some(entry.at);
        // The first lines say how it began, the last how it ended: the middle can go.
        let hidden = (TIMELINE_LINES / 2..TIMELINE_LINES / 2 + skipped).contains(&number);
        if skipped > 0 && number == TIMELINE_LINES / 2 {
            let _ = writeln!(text, "  … {skipped} lines; --unfolded has all");
        }
        if !hidden {
            let _ = writeln!(text, "{}", entry_line(entry, &since, paint));
        }
    }
}

/// One line of the timeline.
pub fn entry_line(entry: &Entry, since: &str, paint: Paint) -> String {
    let times = if entry.times > 1 {
        format!(" ×{}", entry.times)
    } else {
        String::new()
    };
    let name = format!("{}{times}", entry.name);
    let coloured = match entry.name {
        "task-failed" | "failed" | "group-timed-out" => paint.red(&name),
        "succeeded" | "group-completed" => paint.green(&name),
        _ => name.clone(),
    };
    let pad = " ".repeat(22_usize.saturating_sub(name.chars().count()));
    let room = paint.width.saturating_sub(50).max(30);
    let told = short(&entry.text, room.max(90));
    format!("{:>8} {since:>14}  {coloured}{pad} {told}", entry.sequence)
}

/// The commands one would want next.
fn next(story: &Story) -> Vec<String> {
    let id = story.id;
    let mut commands = Vec::new();
    if !story.view.status.is_terminal() {
        commands.push(format!("fanfold replay show {id} --follow"));
    }
    commands.push(format!("fanfold replay why {id}"));
    let group = story.state.request().and_then(|request| request.group());
    let task = group.and_then(|group| {
        let mut tasks = group.numbered();
        tasks.find(|(_, task)| !matches!(task, TaskState::Succeeded(_)))
    });
    if let (Some(group), Some((task, _))) = (group, task) {
        commands.push(format!("fanfold replay task {id} {} {task}", group.index));
    }
    if story.view.status == Status::Failed {
        commands.push(format!("fanfold redrive {id} --reason …"));
        let at = story.sequence();
        commands.push(format!(
            "fanfold replay fork {id} --at {at} --document FILE --reason …"
        ));
        commands.push(format!("fanfold replay export {id} -o {id}.fanfold"));
    }
    commands
}

fn as_json(story: &Story, freshness: Option<&Freshness>, fold: bool) -> serde_json::Value {
    let timeline: Vec<_> = timeline::entries(story.events(), fold)
        .iter()
        .map(line::of_entry)
        .collect();
    json!({
        "requestId": story.id,
        "status": story.view.status,
        "cause": story.cause(Timestamp::now()),
        "view": story.view,
        "sequence": story.sequence(),
        "laterCommits": story.later,
        "viewSequence": freshness.and_then(|f| f.view.as_ref().ok().copied().flatten()),
        "timeline": timeline,
    })
}
