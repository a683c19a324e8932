//! Writing views: guarded scripts, each on one key, sent many at a time.

use redis::{Cmd, ErrorKind, Pipeline, Script, ServerErrorKind, ToRedisArgs};

use crate::view::View;
use crate::{Error, Kind, Store, content, key};

/// How many scripts are sent at once. Redis answers them all within the timeout of one.
const AT_ONCE: usize = 200;

/// How many groups one script writes. More than its `unpack` takes would fail the script, and no
/// script may stop Redis for long.
const GROUPS_AT_ONCE: usize = 1_000;

/// How many arguments most scripts have. A command grows where it needs more.
const ARGUMENTS: usize = 32;
/// How many bytes the arguments of most scripts have. See [`ARGUMENTS`].
const BYTES: usize = 512;

/// A script with its key and arguments.
struct Write {
    kind: Kind,
    command: Cmd,
}

impl Write {
    fn new(kind: Kind, script: &Script, key: String) -> Self {
        let mut command = Cmd::with_capacity(ARGUMENTS, BYTES);
        command
            .arg("EVALSHA")
            .arg(script.get_hash())
            .arg(1)
            .arg(key);
        Self { kind, command }
    }

    fn with(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }
}

impl Store {
    /// Writes the parts of a view that are newer than sequence `written`; 0 means all of it.
    pub async fn put(&self, view: &View, written: u64) -> Result<(), Error> {
        self.put_all(&[(view, written)]).await
    }

    /// Writes many views, as `put` does. After an error any part may be written.
    pub async fn put_all(&self, views: &[(&View, u64)]) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(AT_ONCE);
        for (view, written) in views {
            writes.extend(self.writes(view, *written));
            if writes.len() >= AT_ONCE {
                let rest = writes.split_off(writes.len() / AT_ONCE * AT_ONCE);
                self.send(std::mem::replace(&mut writes, rest)).await?;
            }
        }
        self.send(writes).await
    }

    /// Writes only the keys of these kinds.
    pub(crate) async fn put_kinds(&self, view: &View, kinds: &[Kind]) -> Result<(), Error> {
        let mut writes = self.writes(view, 0);
        writes.retain(|write| kinds.contains(&write.kind));
        self.send(writes).await
    }

    async fn send(&self, writes: Vec<Write>) -> Result<(), Error> {
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut pipeline = Pipeline::with_capacity(AT_ONCE.min(writes.len()));
            for write in writes.by_ref().take(AT_ONCE) {
                pipeline.add_command(write.command).ignore();
            }
            let mut connection = self.connection();
            let sent: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
            match sent {
                Err(error) if is_unknown(&error) => {
                    self.scripts.load(&mut connection).await;
                    // The scripts that Redis knew have run. A second run changes nothing.
                    let again: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
                    again.map_err(Error::of_write)?;
                }
                sent => sent.map_err(Error::of_write)?,
            }
        }
        Ok(())
    }

    fn writes(&self, view: &View, written: u64) -> Vec<Write> {
        let expiry = self.expiry(view);
        let terminal = view.status.is_terminal();
        let mut writes = vec![self.put_request(view, expiry)];
        self.put_groups(view, written, expiry, &mut writes);
        if written == 0 || terminal {
            self.put_submission(view, expiry, &mut writes);
        }
        if let Some(response) = &view.response {
            let key = key::response(view.request_id);
            let write = Write::new(Kind::Response, &self.scripts.once, key);
            writes.push(write.with(content::reference(response)).with(expiry));
        }
        // A redrive deletes the failure, whatever this view already has of the new run.
        if view.failure.is_some() || view.redriven {
            writes.extend(self.put_failure(view, expiry));
        }
        writes
    }

    fn put_request(&self, view: &View, expiry: i64) -> Write {
        let key = key::request(view.request_id);
        let write = Write::new(Kind::Request, &self.scripts.hash, key);
        let write = write.with(view.seq).with(expiry);
        content::request(view)
            .into_iter()
            .fold(write, |write, (name, value)| write.with(name).with(value))
    }

    /// Writes the groups that changed. The end of a request gives the key its expiry, and a redrive
    /// removes the expiry. Both happen even where no group changed.
    fn put_groups(&self, view: &View, written: u64, expiry: i64, writes: &mut Vec<Write>) {
        let all = (0_u32..).zip(&view.groups);
        let changed: Vec<_> = all.filter(|(_, group)| group.seq > written).collect();
        let lasts_otherwise = view.status.is_terminal() || view.redriven;
        if view.groups.is_empty() || (changed.is_empty() && !lasts_otherwise) {
            return;
        }
        let write = || {
            let key = key::groups(view.request_id);
            let write = Write::new(Kind::Groups, &self.scripts.groups, key);
            write.with(view.seq).with(expiry)
        };
        if changed.is_empty() {
            writes.push(write());
        }
        for groups in changed.chunks(GROUPS_AT_ONCE) {
            let fields = groups.iter();
            writes.push(fields.fold(write(), |write, (index, group)| {
                write.with(*index).with(content::group(group))
            }));
        }
    }

    /// Writes the keys that never change after the submission.
    fn put_submission(&self, view: &View, expiry: i64, writes: &mut Vec<Write>) {
        if !view.metadata.is_empty() {
            let key = key::metadata(view.request_id);
            let write = Write::new(Kind::Metadata, &self.scripts.hash, key);
            let write = write.with(view.seq).with(expiry);
            let fields = view.metadata.iter();
            writes.push(fields.fold(write, |write, (name, value)| write.with(name).with(value)));
        }
        if let Some(idempotency_key) = &view.idempotency_key {
            let key = key::idempotency(idempotency_key);
            let write = Write::new(Kind::Idempotency, &self.scripts.once, key);
            writes.push(write.with(view.request_id.to_string()).with(expiry));
        }
    }

    fn put_failure(&self, view: &View, expiry: i64) -> Option<Write> {
        let json = match &view.failure {
            Some(failure) => serde_json::to_string(failure).ok()?,
            None => String::new(),
        };
        let key = key::failure(view.request_id);
        let write = Write::new(Kind::Failure, &self.scripts.json, key);
        Some(write.with(view.seq).with(expiry).with(json))
    }
}

/// Whether Redis does not know a script: Redis was restarted, or its scripts were flushed.
fn is_unknown(error: &redis::RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
