//! Writing views: guarded scripts, each on one key, sent many at a time.

use domain::request::Sequence;
use redis::{AsyncCommands, Cmd, ErrorKind, Pipeline, Script, ServerErrorKind, ToRedisArgs};

use crate::circuit::key_of;
use crate::error::is_of_its_key;
use crate::view::View;
use crate::{Error, Kind, Store};

/// How many scripts are sent at once. Redis answers them all within the timeout of one.
const AT_ONCE: usize = 200;

/// How many arguments most scripts have. A command grows where it needs more.
const ARGUMENTS: usize = 32;
/// How many bytes the arguments of most scripts have. See [`ARGUMENTS`].
const BYTES: usize = 512;

/// A view that is to be written.
pub(crate) struct Change<'a> {
    pub view: &'a View,
    /// The sequence up to which the view was written before; `NONE` for never.
    pub written: Sequence,
    /// When its keys expire, in Unix seconds; 0 while the request has not ended.
    pub expiry: i64,
}

impl Change<'_> {
    /// Whether to write what never changes after the submission: with the rest of the view, at the
    /// end because of the expiry, and after a redrive, which takes the expiry back.
    pub fn has_submission(&self) -> bool {
        self.written == Sequence::NONE || self.view.status.is_terminal() || self.view.redriven
    }
}

/// One run of a guarded script, with its key and arguments.
pub(crate) struct Write(Cmd);

impl Write {
    pub fn new(script: &Script, key: String) -> Self {
        let mut command = Cmd::with_capacity(ARGUMENTS, BYTES);
        command
            .arg("EVALSHA")
            .arg(script.get_hash())
            .arg(1)
            .arg(key);
        Self(command)
    }

    pub fn with(mut self, argument: impl ToRedisArgs) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds fields of a hash, each with its value.
    pub fn with_fields(
        self,
        fields: impl IntoIterator<Item = (impl ToRedisArgs, impl ToRedisArgs)>,
    ) -> Self {
        let fields = fields.into_iter();
        fields.fold(self, |write, (name, value)| write.with(name).with(value))
    }
}

impl Store {
    /// Writes the parts of a view that are newer than sequence `written`; after `NONE`, that is all of it.
    pub async fn put(&self, view: &View, written: Sequence) -> Result<(), Error> {
        self.put_all(&[(view, written)]).await
    }

    /// Writes many views, as `put` does. After an error any part may be written. A key that no
    /// script can write, for example because it has another type, is deleted, and its view is
    /// written anew.
    pub async fn put_all(&self, views: &[(&View, Sequence)]) -> Result<(), Error> {
        match self.put_once(views).await {
            Err(Error::Refused(refused)) => {
                tracing::warn!(%refused, "a key that cannot be written is deleted and written anew");
                let whole = views.iter().map(|(view, _)| (*view, Sequence::NONE));
                let whole: Vec<_> = whole.collect();
                Box::pin(self.clear(Kind::all(), &whole)).await?;
                Box::pin(self.put_once(&whole)).await
            }
            put => put,
        }
    }

    async fn put_once(&self, views: &[(&View, Sequence)]) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(AT_ONCE);
        for (view, written) in views {
            self.write(Kind::all(), view, *written, &mut writes);
            if writes.len() >= AT_ONCE {
                let rest = writes.split_off(writes.len() / AT_ONCE * AT_ONCE);
                self.send(std::mem::replace(&mut writes, rest)).await?;
            }
        }
        self.send(writes).await
    }

    /// Deletes the keys of these views that refuse their write.
    async fn clear(
        &self,
        kinds: impl Iterator<Item = Kind> + Clone,
        views: &[(&View, Sequence)],
    ) -> Result<(), Error> {
        let mut connection = self.connection();
        let mut writes = Vec::new();
        for (view, written) in views {
            self.write(kinds.clone(), view, *written, &mut writes);
        }
        for Write(write) in writes {
            let written: redis::RedisResult<()> = write.query_async(&mut connection).await;
            let Err(error) = written else { continue };
            if !is_of_its_key(&error) {
                return Err(Error::of_write(&error));
            }
            if let Some(key) = key_of(&write) {
                let _: i64 = connection.del(key).await?;
            }
        }
        Ok(())
    }

    /// Writes only the keys of these kinds.
    pub(crate) async fn put_kinds(&self, view: &View, kinds: &[Kind]) -> Result<(), Error> {
        let put = || {
            let mut writes = Vec::new();
            self.write(kinds.iter().copied(), view, Sequence::NONE, &mut writes);
            self.send(writes)
        };
        match put().await {
            Err(Error::Refused(_)) => {
                let whole = [(view, Sequence::NONE)];
                Box::pin(self.clear(kinds.iter().copied(), &whole)).await?;
                put().await
            }
            put => put,
        }
    }

    fn write(
        &self,
        kinds: impl Iterator<Item = Kind>,
        view: &View,
        written: Sequence,
        writes: &mut Vec<Write>,
    ) {
        let change = Change {
            view,
            written,
            expiry: self.expiry(view),
        };
        for kind in kinds {
            let script = self.scripts.of(kind);
            kind.part().write(&change, script, writes);
        }
    }

    async fn send(&self, writes: Vec<Write>) -> Result<(), Error> {
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut pipeline = Pipeline::with_capacity(AT_ONCE.min(writes.len()));
            for write in writes.by_ref().take(AT_ONCE) {
                pipeline.add_command(write.0).ignore();
            }
            let mut connection = self.connection();
            let sent: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
            match sent {
                Err(error) if is_unknown(&error) => {
                    self.scripts.load(&mut connection).await?;
                    // The scripts that Redis knew have run. A second run changes nothing.
                    let again: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
                    again.map_err(|error| Error::of_write(&error))?;
                }
                sent => sent.map_err(|error| Error::of_write(&error))?,
            }
        }
        Ok(())
    }
}

/// Whether Redis does not know a script: Redis was restarted, or its scripts were flushed.
fn is_unknown(error: &redis::RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
