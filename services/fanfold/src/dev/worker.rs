//! The worker that is being written: started, and restarted when its files change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Settings, Shutdown};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::process::{Child, Command};

use super::watched::{Files, look, roots};

/// The file in the data folder with the process of the worker.
pub const PID_FILE: &str = "worker.pid";
/// How often its files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The pause before a worker that ended by itself is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How long a worker may take to end before it is killed.
const END_LIMIT: Duration = Duration::from_secs(12);

/// Keeps the worker running until the process is asked to end.
pub async fn keep(
    command: &[String],
    watch: &[PathBuf],
    settings: &Settings,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let Some((program, args)) = command.split_first() else {
        return Ok(());
    };
    let roots = roots(command, watch);
    let url = settings.connections.nats_url.as_ref();
    let url = url.map_or("", |url| url.expose_secret());
    let pid_file = Path::new(&settings.connections.data_dir).join(PID_FILE);
    while !shutdown.is_soft() {
        let files = look(&roots);
        let mut worker = Worker::start(program, args, url, &pid_file)?;
        println!("dev: started the worker ({} files watched)", files.len());
        let why = worker.until_it_must_end(&roots, &files, shutdown).await?;
        match why {
            Why::Changed(path) => {
                println!("dev: {} has changed; restarting the worker", path.display());
                worker.end().await;
            }
            Why::Asked => worker.end().await,
            Why::Ended(how) => {
                println!("dev: the worker ended ({how}); it is started again");
                drop(worker);
                shutdown.pause(RESTART_PAUSE).await;
            }
        }
    }
    Ok(())
}

/// Why a worker is not to run any longer.
enum Why {
    Changed(PathBuf),
    Ended(std::process::ExitStatus),
    Asked,
}

/// The running worker, in a process group of its own: Ctrl-C reaches `dev`, which ends it in order.
struct Worker<'a> {
    child: Child,
    pid: Option<Pid>,
    pid_file: &'a Path,
}

impl<'a> Worker<'a> {
    fn start(
        program: &str,
        args: &[String],
        url: &str,
        pid_file: &'a Path,
    ) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .args(args)
            .env("NATS_URL", url)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("the worker {program} could not be started"))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = child.id() {
            std::fs::write(pid_file, pid.to_string())
                .with_context(|| format!("writing {}", pid_file.display()))?;
        }
        Ok(Self {
            child,
            pid,
            pid_file,
        })
    }

    async fn until_it_must_end(
        &mut self,
        roots: &[PathBuf],
        files: &Files,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Why> {
        loop {
            tokio::select! {
                ended = self.child.wait() => return Ok(Why::Ended(ended?)),
                goes_on = shutdown.pause(LOOK_EVERY) => if !goes_on {
                    return Ok(Why::Asked);
                }
            }
            let now = look(roots);
            let gone = files.keys().find(|path| !now.contains_key(*path));
            let changed = now
                .iter()
                .find_map(|(path, of)| (files.get(path) != Some(of)).then_some(path));
            if let Some(path) = changed.or(gone) {
                return Ok(Why::Changed(path.clone()));
            }
        }
    }

    /// Asks it to end, so that it gives back what it has, and kills it if that takes too long.
    async fn end(mut self) {
        if let Some(pid) = self.pid {
            // It may have ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(END_LIMIT, self.child.wait())
            .await
            .is_err()
        {
            println!("dev: the worker takes too long to end; killed");
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // What it started may be left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        // A pid file without its process would be used in vain.
        let _ = std::fs::remove_file(self.pid_file);
    }
}
