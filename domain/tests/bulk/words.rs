//! The vocabulary of the stories.

use domain::bulk::{
    Action, Actor, Asking, Became, Cancelled, Command, Drafted, Event, ItemNumber, Outcome,
    Outlook, Paused, Plan, Started, Stopped, Told, Would,
};
use domain::request::{Payload, Run};

pub fn anna() -> Actor {
    Actor {
        by: "anna".into(),
        on_behalf_of: None,
    }
}

pub fn draft_of(selected: u32) -> Box<Drafted> {
    Box::new(Drafted {
        tenant: domain::access::Tenant::default(),
        action: Action::Redrive,
        selected,
        selection: Payload::from("{\"items\":[]}"),
        filter: "{}".into(),
        outlook: (0..selected).map(|_| Would::Act).collect::<Outlook>(),
        actor: anna(),
        reason: "the pricer is back".into(),
    })
}

pub fn drafted(selected: u32) -> Event {
    Event::Drafted(draft_of(selected))
}

/// A plan without a canary and without an end.
pub fn plan() -> Plan {
    Plan {
        canary: 0,
        per_second: 1_000,
        stop_after_failures: None,
    }
}

pub fn start(plan: Plan) -> Command {
    Command::Start {
        plan,
        actor: anna(),
    }
}

pub fn started(plan: Plan) -> Event {
    Event::Started(Started {
        plan,
        actor: anna(),
    })
}

pub fn asking(items: impl IntoIterator<Item = ItemNumber>) -> Event {
    Event::Asking(Asking {
        items: items.into_iter().collect(),
    })
}

pub fn outcomes(all: impl IntoIterator<Item = (ItemNumber, Became)>) -> Vec<Outcome> {
    all.into_iter()
        .map(|(item, became)| Outcome { item, became })
        .collect()
}

pub fn told(all: impl IntoIterator<Item = (ItemNumber, Became)>) -> Event {
    Event::Told(Told {
        outcomes: outcomes(all),
    })
}

/// The items went on so, and this many may be asked for.
pub fn advance(all: impl IntoIterator<Item = (ItemNumber, Became)>, room: u32) -> Command {
    Command::Advance {
        outcomes: outcomes(all),
        room,
    }
}

pub fn go_on(room: u32) -> Command {
    advance([], room)
}

pub fn runs() -> Became {
    Became::Running(Run::FIRST.next())
}

pub fn failed() -> Became {
    Became::Failed("tasks-failed: 1 task of group 0 failed".into())
}

pub fn refused() -> Became {
    Became::Refused("the request is still running".into())
}

pub fn pause() -> Command {
    Command::Pause { actor: anna() }
}

pub fn paused() -> Event {
    Event::Paused(Paused::By(anna()))
}

pub fn resume() -> Command {
    Command::Resume { actor: anna() }
}

pub fn resumed() -> Event {
    Event::Resumed(anna())
}

pub fn cancel() -> Command {
    Command::Cancel {
        actor: anna(),
        reason: "enough".into(),
    }
}

pub fn cancelled() -> Event {
    Event::Cancelled(Cancelled {
        actor: anna(),
        reason: "enough".into(),
    })
}

pub fn stopped(failed: u32) -> Event {
    Event::Stopped(Stopped { failed })
}
