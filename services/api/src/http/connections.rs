//! All connections: how many there may be, and which one closes when there are too many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::Id;
use tokio::time::Instant;

use crate::http::line::Line;
use crate::http::sharing::{Beyond, Caller, Part, Shared};

/// File descriptors reserved for everything other than callers' connections.
const KEPT_DESCRIPTORS: u64 = 256;
/// How long to wait after a search found no idle connection, before the next search.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The server closes one in this many of the allowed connections at once, because each search takes
/// time.
const CLOSED_TOGETHER: usize = 64;

/// The open connections.
pub struct Connections {
    places: Shared,
    lines: HashMap<Id, Arc<Line>>,
    closed_together: usize,
    /// When a search last found no idle connection: among all, and among those of one address.
    in_vain: [Option<Instant>; 2],
}

impl Connections {
    /// Allows this many connections.
    pub fn new(most: usize) -> Self {
        Self {
            places: Shared::places(most),
            lines: HashMap::new(),
            closed_together: (most / CLOSED_TOGETHER).max(1),
            in_vain: [None; 2],
        }
    }

    /// Takes a place for one more connection. When no place is free, closes the connections that
    /// have been idle longest: among all connections, or among the caller's own when the caller has
    /// used up its share.
    pub fn place(&mut self, caller: Caller) -> Result<Part, Beyond> {
        match self.places.take(caller, 1) {
            Err(Beyond::All) => self.close_idle(None),
            Err(Beyond::Share) => self.close_idle(Some(caller)),
            taken => return taken,
        }
        self.places.take(caller, 1)
    }

    fn close_idle(&mut self, of: Option<Caller>) {
        let in_vain = &mut self.in_vain[usize::from(of.is_some())];
        if in_vain.is_some_and(|then| then.elapsed() < LOOK_AGAIN) {
            return;
        }
        let lines = self.lines.values();
        let lines = lines.filter(|line| of.is_none_or(|of| line.caller == of));
        let mut idle: Vec<(Instant, &Arc<Line>)> = lines
            .filter_map(|line| Some((line.idle_since()?, line)))
            .collect();
        *in_vain = idle.is_empty().then(Instant::now);
        let most = self.closed_together.min(idle.len());
        if most > 0 && most < idle.len() {
            idle.select_nth_unstable_by_key(most - 1, |(since, _)| *since);
        }
        for (_, line) in &idle[..most] {
            line.close();
        }
    }

    pub fn insert(&mut self, task: Id, line: Arc<Line>) {
        self.lines.insert(task, line);
    }

    pub fn remove(&mut self, task: Id) {
        self.lines.remove(&task);
    }
}

/// The maximum number of connections: the setting, or less when this process may open fewer files.
/// Raises the process's limit on open files as far as the system allows.
pub fn most(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "could not raise the limit of open files");
    }
    let most = allowed(wanted, getrlimit(Resource::Nofile).current);
    if most < wanted {
        tracing::warn!(
            most,
            "HTTP_CONNECTIONS_MAX exceeds the limit of open files: raise the limit (ulimit -n), or lower the setting"
        );
    }
    most
}

fn allowed(wanted: usize, descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else {
        return wanted;
    };
    let left = descriptors.saturating_sub(KEPT_DESCRIPTORS).max(1);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

/// Limits a warning to once a second. Each warning has the number of occurrences since the last
/// one.
#[derive(Default)]
pub struct Warnings {
    last: Option<Instant>,
    kept_back: u64,
}

impl Warnings {
    /// The number of occurrences since the last warning; `None` while the next warning is not due.
    pub fn due(&mut self) -> Option<u64> {
        self.kept_back += 1;
        if self
            .last
            .is_some_and(|last| last.elapsed() < Duration::from_secs(1))
        {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn caller(last: u8) -> Caller {
        SocketAddr::from(([10, 0, 0, last], 1)).into()
    }

    /// Opens one more connection, together with the task that serves it.
    async fn connect(connections: &mut Connections, last: u8) -> Option<Arc<Line>> {
        let place = connections.place(caller(last)).ok()?;
        let line = Line::new(caller(last), place);
        let task = tokio::spawn(std::future::ready(()));
        connections.insert(task.id(), line.clone());
        task.await.unwrap();
        // Give every connection a different start time.
        tokio::time::advance(Duration::from_millis(1)).await;
        Some(line)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_is_closed_and_an_active_one_stays() {
        let mut connections = Connections::new(3);
        let busy = connect(&mut connections, 1).await.unwrap();
        busy.called();
        let oldest = connect(&mut connections, 2).await.unwrap();
        let younger = connect(&mut connections, 3).await.unwrap();
        let fourth = connect(&mut connections, 4).await.unwrap();
        assert_eq!(oldest.idle_since(), None, "it is closed");
        assert!(younger.idle_since().is_some() && fourth.idle_since().is_some());
        for line in [&younger, &fourth] {
            line.came();
        }
        assert!(
            connect(&mut connections, 5).await.is_none(),
            "nobody is idle"
        );
        assert!(!younger.close(), "of a call some has come");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_with_its_full_share_takes_no_place_from_others() {
        let mut connections = Connections::new(300);
        let other = connect(&mut connections, 2).await.unwrap();
        let mut own = Vec::new();
        for _ in 0..256 {
            own.push(connect(&mut connections, 1).await.unwrap());
        }
        assert!(own.iter().all(|line| line.idle_since().is_some()));
        for line in &own[10..] {
            line.called();
        }
        connect(&mut connections, 1).await.unwrap();
        let closed = own
            .iter()
            .filter(|line| line.phase() == crate::http::line::Phase::Closing);
        assert_eq!(closed.count(), 4, "one in 64 of all there may be");
        assert!(other.idle_since().is_some(), "it is older than all of them");
    }

    #[test]
    fn some_file_descriptors_are_reserved_for_the_process() {
        assert_eq!(allowed(10_000, None), 10_000);
        assert_eq!(allowed(10_000, Some(10_256)), 10_000);
        assert_eq!(allowed(10_000, Some(10_255)), 9_999);
        assert_eq!(allowed(10_000, Some(1_024)), 768);
        assert_eq!(allowed(10_000, Some(64)), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_comes_once_a_second() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.due(), Some(1));
        assert_eq!(warnings.due(), None);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(warnings.due(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(warnings.due(), Some(3));
    }
}
