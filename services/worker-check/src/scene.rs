//! The scene of one story: a nats-server with the streams of a deployment, and a worker.

use std::time::Duration;

use domain::request::{GroupIndex, Payload, RequestId, TaskId, TaskNumber};
use nats::{Attempts, Connection, DeadLetters, Eavesdropper, Overheard, Payloads, Tasks, Topology};
use servers::{Group, NatsServer, Port, Server};
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

use crate::process::Worker;
use crate::record::Log;
use crate::{Error, Options, io};

/// Memory for the tasks of the check.
const TASKS_MAX_BYTES: i64 = 64 << 20;
/// How long the streams of a restarted server may take.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
/// The pause before such a server is asked again.
const RESTART_PAUSE: Duration = Duration::from_millis(50);
/// How long after the worker's end the last messages may come.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The servers, the worker, and everything that passed.
pub struct Scene<'a> {
    pub options: &'a Options,
    pub connection: Connection,
    pub payloads: Payloads,
    pub letters: DeadLetters,
    pub log: Log,
    pub worker: Worker,
    topology: Topology,
    tasks: Tasks,
    /// None while the server restarts.
    ear: Option<Eavesdropper>,
    server: Server,
    _folder: TempDir,
}

impl<'a> Scene<'a> {
    pub async fn open(options: &'a Options) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(io("a folder for the check"))?;
        let server = NatsServer {
            folder: folder.path().join("nats"),
            port: Port::Usual(0),
            sync_interval: "10s".into(),
            cluster: None,
            group: Group::Shared,
            further: String::new(),
        };
        let server = server.start().await?;
        let connection = connect(server.url()).await?;
        let topology = Topology {
            task_types: vec![options.task_type.clone()],
            task_lease: options.lease,
            tasks_max_bytes: TASKS_MAX_BYTES,
            ..Topology::default()
        };
        topology.declare(&connection).await?;
        let ear = Some(Eavesdropper::open(&connection).await?);
        let worker = Worker::start(&options.command, server.url(), folder.path())?;
        Ok(Self {
            options,
            payloads: Payloads::new(connection.clone()),
            letters: DeadLetters::new(connection.clone()),
            tasks: Tasks::new(connection.clone()),
            log: Log::default(),
            worker,
            topology,
            ear,
            server,
            connection,
            _folder: folder,
        })
    }

    /// Sends the only task of a new request, with further headers.
    pub async fn send_payload(
        &self,
        document: &Payload,
        with: Attempts,
        further: &[(&str, &str)],
    ) -> Result<TaskId, Error> {
        let id = new_task();
        self.send_as(id, document, with, further).await?;
        Ok(id)
    }

    /// Sends the task of this id.
    pub async fn send_as(
        &self,
        id: TaskId,
        document: &Payload,
        with: Attempts,
        further: &[(&str, &str)],
    ) -> Result<(), Error> {
        let task_type = &self.options.task_type;
        let sent = self.tasks.send_with(task_type, id, with, document, further);
        Ok(sent.await?)
    }

    /// Tells workers to stop the tasks of a request.
    pub async fn tell_to_stop(&self, request: RequestId) -> Result<(), Error> {
        let stop = nats::Stop {
            request,
            run: domain::request::Run::FIRST,
        };
        Ok(self.tasks.tell_to_stop(stop).await?)
    }

    /// Listens until something is so, or for this long. Says whether it is so.
    pub async fn until(
        &mut self,
        limit: Duration,
        is_so: impl Fn(&Log) -> bool,
    ) -> Result<bool, Error> {
        let deadline = Instant::now() + limit;
        while !is_so(&self.log) {
            tokio::select! {
                biased;
                heard = tokio::time::timeout_at(deadline, next(&mut self.ear)) => match heard {
                    Ok(Some(heard)) => self.log.note(heard.into()),
                    Ok(None) | Err(_) => return Ok(false),
                },
                ended = self.worker.ended() => return Err(Error::WorkerEnded(ended?)),
            }
        }
        Ok(true)
    }

    /// Listens for this long.
    pub async fn listen(&mut self, limit: Duration) -> Result<(), Error> {
        self.until(limit, |_| false).await.map(|_| ())
    }

    /// Waits until the task is delivered; within the worker's start, at first.
    pub async fn until_delivered(&mut self, task: TaskId) -> Result<bool, Error> {
        let patience = self.options.patience;
        let delivered = |log: &Log| !log.of(task.request).deliveries().is_empty();
        self.until(patience, delivered).await
    }

    /// Waits until the worker has reported and answered the task.
    pub async fn until_settled(&mut self, task: TaskId) -> Result<bool, Error> {
        let patience = self.options.patience;
        if !self.until_delivered(task).await? {
            return Ok(false);
        }
        self.until(patience, |log| log.of(task.request).is_settled())
            .await
    }

    /// Asks the worker to end, and listens until it has. Returns how it ended, if it did in time.
    pub async fn end_worker(&mut self) -> Result<Option<std::process::ExitStatus>, Error> {
        self.worker.terminate();
        let deadline = Instant::now() + self.options.grace;
        let status = loop {
            tokio::select! {
                heard = next(&mut self.ear) => match heard {
                    Some(heard) => self.log.note(heard.into()),
                    None => return Ok(None),
                },
                ended = self.worker.ended() => break ended?,
                () = tokio::time::sleep_until(deadline) => return Ok(None),
            }
        };
        let last = Instant::now() + LAST_WORDS;
        while let Ok(Some(heard)) = tokio::time::timeout_at(last, next(&mut self.ear)).await {
            self.log.note(heard.into());
        }
        Ok(Some(status))
    }

    /// Creates streams that are missing.
    pub async fn restore(&self) -> Result<(), Error> {
        Ok(self.topology.declare(&self.connection).await?)
    }

    /// Kills the server and starts it again. What was in memory is lost and is created again.
    pub async fn restart_server(&mut self) -> Result<(), Error> {
        // Its subscription would hide from the worker that nobody answers before the queues are back.
        self.ear = None;
        // The new queue counts its tasks from 1 again.
        self.log = Log::default();
        self.server.restart().await?;
        let deadline = Instant::now() + RESTART_LIMIT;
        self.connection = connect(self.server.url()).await?;
        while let Err(error) = self.topology.declare(&self.connection).await {
            if Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(RESTART_PAUSE).await;
        }
        self.ear = Some(Eavesdropper::open(&self.connection).await?);
        self.tasks = Tasks::new(self.connection.clone());
        self.payloads = Payloads::new(self.connection.clone());
        self.letters = DeadLetters::new(self.connection.clone());
        Ok(())
    }

    /// Ends everything. Returns the end of the worker's output.
    pub async fn close(self) -> String {
        let output = self.worker.output();
        drop(self.worker);
        self.server.stop().await;
        output
    }
}

async fn next(ear: &mut Option<Eavesdropper>) -> Option<Overheard> {
    ear.as_mut()?.next().await
}

async fn connect(url: &str) -> Result<Connection, Error> {
    let options = nats::Options::new(url, "fanfold-worker-check");
    Ok(Connection::open(&options).await?)
}

/// The first task of a new request.
pub fn new_task() -> TaskId {
    TaskId {
        request: RequestId::new(Uuid::now_v7()),
        group: GroupIndex::new(0),
        task: TaskNumber::new(1),
    }
}
