//! The creation of streams and consumers, and the check of those that exist.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::object_store;
use async_nats::jetstream::stream::{self, ConsumerErrorKind, DiscardPolicy, StorageType, Stream};

use crate::topology::{
    DEAD_LETTERS, DEPLOYMENT, LIFECYCLE, OPERATIONS, QUARANTINE, REPORTS, TASKS, WEBHOOKS,
};
use crate::{Connection, Error};

/// Whether a stream is on disk, where earlier versions put the queues.
pub(crate) async fn is_on_disk(connection: &Connection, name: &str) -> Result<bool, Error> {
    match connection.jetstream.get_stream(name).await {
        Ok(stream) => Ok(stream.cached_info().config.storage == StorageType::File),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(connection.failed(format_args!("STREAM.INFO.{name}"), error)),
    }
}

/// Whether the broker answered that the stream does not exist.
pub(crate) fn is_missing(error: &GetStreamError) -> bool {
    let GetStreamErrorKind::JetStream(answer) = error.kind() else {
        return false;
    };
    answer.error_code() == ErrorCode::STREAM_NOT_FOUND
}

/// Creates a stream where it is missing.
pub(crate) async fn create_stream(
    connection: &Connection,
    wanted: stream::Config,
) -> Result<Stream, Error> {
    let name = wanted.name.clone();
    let made = connection.jetstream.get_or_create_stream(wanted).await;
    made.map_err(|error| {
        for call in ["STREAM.CREATE", "STREAM.INFO"] {
            if let denied @ Error::Denied(_) =
                connection.failed(format_args!("{call}.{name}"), &error)
            {
                return denied;
            }
        }
        let said = format!("stream {name} cannot be made: {error}");
        match error.kind() {
            // It has no leader now, for example.
            CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::JetStreamUnavailable => {
                Error::Unavailable(said)
            }
            _ => Error::Unsuitable(said),
        }
    })
}

pub(crate) async fn declare_stream(
    connection: &Connection,
    mut wanted: stream::Config,
) -> Result<(), Error> {
    let name = wanted.name.clone();
    let existing = create_stream(connection, wanted.clone()).await?;
    let found = &existing.cached_info().config;
    if name != TASKS {
        take_limit(&mut wanted, found);
    }
    // Earlier versions did without these fields. No other program reads them, and adding them loses
    // nothing.
    let mut before = wanted.clone();
    before.allow_batch_publish &= found.allow_batch_publish;
    if found.republish.is_none() {
        before.republish = None;
    }
    // The feed had the subjects of one tenant only.
    if name == LIFECYCLE && found.subjects.iter().all(|s| wanted.subjects.contains(s)) {
        before.subjects.clone_from(&found.subjects);
    }
    if difference(&before, found).is_none() && difference(&wanted, found).is_some() {
        // Every other field stays as an operator may have set it.
        let update = stream::Config {
            subjects: wanted.subjects,
            republish: wanted.republish,
            allow_batch_publish: wanted.allow_batch_publish,
            ..found.clone()
        };
        let updated = connection.jetstream.update_stream(&update).await;
        return updated
            .map(|_| ())
            .map_err(|error| connection.failed(format_args!("STREAM.UPDATE.{name}"), error));
    }
    match difference(&wanted, found) {
        None => Ok(()),
        Some(difference) => Err(another(&name, &difference)),
    }
}

/// Takes over the size limit of an existing stream. The operator sets it, or the account required
/// it when the stream was created. A full stream whose messages must not be lost then refuses new
/// messages, and does not drop old ones.
pub(crate) fn take_limit(wanted: &mut stream::Config, found: &stream::Config) {
    wanted.max_bytes = found.max_bytes;
    if wanted.name == WEBHOOKS {
        // Earlier versions left this stream as it was when the facts changed.
        (wanted.max_age, wanted.num_replicas) = (found.max_age, found.num_replicas);
    }
    if found.max_bytes > 0 {
        wanted.discard = match wanted.name.as_str() {
            LIFECYCLE | DEAD_LETTERS | OPERATIONS | QUARANTINE | DEPLOYMENT | REPORTS
            | WEBHOOKS => found.discard,
            _ => DiscardPolicy::New,
        };
    } else {
        wanted.discard = DiscardPolicy::Old;
    }
}

fn another(stream: &str, difference: &str) -> Error {
    Error::Unsuitable(format!(
        "stream {stream} exists with another configuration: {difference}. Change the setting, or \
         edit the stream with `nats stream edit {stream}`. Once facts are stored, \
         `fanfold deployment set` changes them and the streams together"
    ))
}

/// Creates or updates a bucket of payloads that the log refers to. Where the log is kept for longer
/// than it was when the bucket was created, the bucket keeps its payloads for longer too, which
/// loses nothing. Where the log is kept for less, the bucket stays as it is, because older events
/// may still be there.
pub(crate) async fn declare_bucket(
    connection: &Connection,
    wanted: object_store::Config,
) -> Result<(), Error> {
    let (name, max_age) = (format!("OBJ_{}", wanted.bucket), wanted.max_age);
    let replicas = wanted.num_replicas;
    let jetstream = &connection.jetstream;
    let stream = match jetstream.get_stream(&name).await {
        Err(error) if is_missing(&error) => {
            let made = jetstream.create_object_store(wanted).await;
            made.map_err(|error| connection.failed(format_args!("STREAM.CREATE.{name}"), error))?;
            jetstream.get_stream(&name).await
        }
        there => there,
    };
    let stream =
        stream.map_err(|error| connection.failed(format_args!("STREAM.INFO.{name}"), error))?;
    let found = &stream.cached_info().config;
    if found.num_replicas != replicas {
        let found = found.num_replicas;
        let difference = format!("num_replicas is {found:?}, wanted {replicas:?}");
        return Err(another(&name, &difference));
    }
    let long_enough = !max_age.is_zero() && found.max_age >= max_age;
    let update = stream::Config {
        max_age: if found.max_age.is_zero() || long_enough {
            found.max_age
        } else {
            max_age
        },
        // A replica that lags would answer that a new payload does not exist.
        allow_direct: replicas == 1,
        ..found.clone()
    };
    if (update.max_age, update.allow_direct) == (found.max_age, found.allow_direct) {
        return Ok(());
    }
    tracing::info!(stream = name, max_age = ?update.max_age, "updated the retention of the object store");
    let updated = jetstream.update_stream(&update).await;
    updated
        .map(|_| ())
        .map_err(|error| connection.failed(format_args!("STREAM.UPDATE.{name}"), error))
}

/// Returns the first of these fields in which two configurations differ, in words.
macro_rules! compare {
    ($wanted:ident, $found:ident: $($field:ident),+ $(,)?) => {
        $(if $wanted.$field != $found.$field {
            return Some(format!(
                "{} is {:?}, wanted {:?}",
                stringify!($field), $found.$field, $wanted.$field
            ));
        })+
    };
}
pub(crate) use compare;

/// The first field in which an existing stream differs from the wanted one.
pub(crate) fn difference(wanted: &stream::Config, found: &stream::Config) -> Option<String> {
    compare!(
        wanted, found:
        subjects,
        retention,
        storage,
        num_replicas,
        max_age,
        discard,
        discard_new_per_subject,
        allow_direct,
        allow_atomic_publish,
        allow_batch_publish,
        allow_message_schedules,
        republish,
        deny_delete,
        deny_purge,
    );
    // The broker writes -1 for no limit.
    let limits = |config: &stream::Config| {
        [
            (
                "max_messages_per_subject",
                config.max_messages_per_subject.max(0),
            ),
            ("max_bytes", config.max_bytes.max(0)),
        ]
    };
    let differs = limits(wanted).into_iter().zip(limits(found));
    differs
        .filter(|(wanted, found)| wanted != found)
        .map(|((name, wanted), (_, found))| format!("{name} is {found}, wanted {wanted}"))
        .next()
}

pub(crate) async fn declare_consumer(
    connection: &Connection,
    stream: &str,
    mut config: pull::Config,
) -> Result<(), Error> {
    config.max_ack_pending = connection.ack_pending(config.max_ack_pending);
    let name = config.durable_name.clone().unwrap_or_default();
    // A consumer that was created again after somebody deleted it begins later in the log. The
    // broker does not change where a consumer begins.
    let found: Result<PullConsumer, _> = connection
        .jetstream
        .get_consumer_from_stream(&name, stream)
        .await;
    if let Ok(found) = found {
        config.deliver_policy = found.cached_info().config.deliver_policy;
    }
    let made = connection
        .jetstream
        .create_consumer_on_stream(config, stream)
        .await;
    made.map(|_| ()).map_err(|error| {
        let call = format_args!("CONSUMER.CREATE.{stream}.{name}");
        match connection.failed(call, &error) {
            denied @ Error::Denied(_) => denied,
            _ if error.kind() == ConsumerErrorKind::TimedOut => Error::Unavailable(format!(
                "consumer {name} of stream {stream} cannot be made: {error}"
            )),
            _ => Error::Unsuitable(format!(
                "consumer {name} of stream {stream} cannot be made: {error}"
            )),
        }
    })
}
