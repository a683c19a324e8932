use std::path::PathBuf;

/// Why a server does not run, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such program.
    #[error(
        "{0} is not on this machine: `pip install 'fanfold[servers]'` or, in a clone, `make tools` brings it; or set {1} to a server that runs"
    )]
    NotInstalled(&'static str, &'static str),
    /// Another process listens on the port.
    #[error("127.0.0.1:{port}, where {program} is to listen, is in use: free it")]
    PortInUse {
        /// The program.
        program: &'static str,
        /// The port.
        port: u16,
    },
    /// The program ended before it answered.
    #[error("{program} ended at once ({status}); its log is {}: {tail}", log.display())]
    Ended {
        /// The program.
        program: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last line of its log.
        tail: String,
    },
    /// The program did not answer in time.
    #[error("{program} did not answer within {seconds} s; its log is {}", log.display())]
    Silent {
        /// The program.
        program: &'static str,
        /// The time limit.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// The program ended repeatedly.
    #[error("{program} ended {times} times within a minute; its log is {}", log.display())]
    KeepsEnding {
        /// The program.
        program: &'static str,
        /// The number of ends.
        times: usize,
        /// Its log.
        log: PathBuf,
    },
    /// The folder or process of the program could not be used.
    #[error("{what}: {source}")]
    Io {
        /// The action that failed.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}
