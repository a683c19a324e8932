//! The codes with which requests and attempts fail.

use std::fmt;

/// The scope of a failure code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The failure of a request.
    Request,
    /// The fault of an attempt.
    Attempt,
    /// Both.
    Both,
}

macro_rules! failure_codes {
    ($($variant:ident = $code:literal, $scope:ident, $meaning:literal;)+) => {
        /// A code that Fanfold itself gives to a failure. An executor may give others to its
        /// attempts, so that a stored code is a text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FailureCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl FailureCode {
            /// Every code, in the order of `docs/failures.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The scope of the code.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)+ }
            }

            /// The meaning of the code.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

failure_codes! {
    TasksFailed = "tasks-failed", Request, "Tasks of the group were given up. The failure lists them with their attempts.";
    GroupTimedOut = "group-timed-out", Request, "The group had tasks without a result at its deadline.";
    RequestTimedOut = "request-timed-out", Request, "The request was not finished within `REQUEST_TIMEOUT_MS`.";
    DocumentUnreadable = "document-unreadable", Request, "This build of Fanfold does not accept the stored document.";
    ResultUnreadable = "result-unreadable", Request, "A recorded result cannot be put into the document.";
    HydrationAmbiguous = "hydration-ambiguous", Request, "An expression gives several values where one is expected.";
    HydrationCycle = "hydration-cycle", Request, "References lead back to themselves, or refer on more than 64 times.";
    HydrationFetchFailed = "hydration-fetch-failed", Request, "A referenced document could not be fetched or read.";
    HydrationNoContext = "hydration-no-context", Request, "An expression needs the node of a `use`, and there is none.";
    HydrationNoMatch = "hydration-no-match", Request, "An expression or a reference matches nothing.";
    HydrationNotAllowed = "hydration-not-allowed", Request, "The document refers to a place outside `HREF_ALLOW`.";
    HydrationSyntax = "hydration-syntax", Request, "An expression or a reference cannot be parsed.";
    HydrationTooCostly = "hydration-too-costly", Request, "The tasks exceed a limit of the document; the message names the limit.";
    PayloadMissing = "payload-missing", Both, "The object store no longer has the payload. For an attempt this is permanent; a redrive stores task documents again.";
    PayloadUnreadable = "payload-unreadable", Attempt, "A stored payload is damaged. This is permanent.";
    PayloadTooLarge = "payload-too-large", Attempt, "The result is larger than the object store takes. This is permanent.";
    Unreadable = "unreadable", Both, "The stored data cannot be read.";
    CommitTooLarge = "commit-too-large", Request, "The next commit is larger than one message of the log (1 MiB packed), or than Fanfold can read back (64 MiB).";
    Internal = "internal", Request, "Work on the request ended the work itself, again and again. Report it with the log of the orchestrator.";
    AttemptsExhausted = "attempts-exhausted", Attempt, "The workers that took the task ended without a report, until no attempt was left.";
    TaskTimedOut = "task-timed-out", Attempt, "The attempt did not end within its time limit.";
    TaskCancelled = "task-cancelled", Attempt, "The request ended before the attempt did.";
    TaskDocumentInvalid = "task-document-invalid", Attempt, "The built-in executor cannot read the task document.";
    ResultInvalid = "result-invalid", Attempt, "The result is no VNML result.";
    ResultTooBig = "result-too-big", Attempt, "The result is larger than `RESULT_MAX_BYTES`.";
    WorkerFailed = "worker-failed", Attempt, "The worker itself failed while it ran the attempt.";
    ProgramNotFound = "program-not-found", Attempt, "The executor's program, its interpreter or its directory does not exist.";
    ProgramNotExecutable = "program-not-executable", Attempt, "The executor's program may not be executed on this machine.";
    ProgramNotStarted = "program-not-started", Attempt, "The executor's program could not be started.";
    ProgramLost = "program-lost", Attempt, "The worker lost the running program.";
    HttpUnreachable = "http-unreachable", Attempt, "The executor's service cannot be reached.";
    HttpBrokenOff = "http-broken-off", Attempt, "The exchange with the executor's service broke off.";
    HttpRequestInvalid = "http-request-invalid", Attempt, "No HTTP request can be made of the task.";
    ReferenceNoInstrument = "reference-no-instrument", Attempt, "The reference executor finds neither a bond nor a loan.";
    ReferenceMissingNumber = "reference-missing-number", Attempt, "The reference executor lacks a number.";
    ReferenceBadNumber = "reference-bad-number", Attempt, "The reference executor cannot use a number.";
    ReferenceOutOfRange = "reference-out-of-range", Attempt, "The numbers lead beyond 28 decimal digits.";
}

impl FailureCode {
    /// The code with this text, if Fanfold has it.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == code)
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<FailureCode> for String {
    fn from(code: FailureCode) -> Self {
        code.as_str().to_owned()
    }
}

impl AsRef<str> for FailureCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
