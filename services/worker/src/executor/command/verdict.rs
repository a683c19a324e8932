//! The verdict of a program's exit, in the manner of `sysexits.h`.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::executor::Fault;

/// `EX_USAGE`: the program was called wrongly.
const USAGE: i32 = 64;
/// `EX_DATAERR`: the document is wrong.
const DATA: i32 = 65;
/// `EX_TEMPFAIL`: try again later.
const TEMPORARY: i32 = 75;

/// The fault of a program that did not succeed.
pub(super) fn of(status: ExitStatus) -> Result<(), Fault> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code @ (USAGE | DATA)) => Err(Fault::permanent(
            format!("exit-{code}"),
            format!("the program refused the task with exit code {code}"),
        )),
        Some(TEMPORARY) => Err(Fault::transient(
            format!("exit-{TEMPORARY}"),
            "the program asks to be tried again later",
        )),
        Some(code) => Err(Fault::transient(
            format!("exit-{code}"),
            format!("the program failed with exit code {code}"),
        )),
        None => {
            let signal = status.signal().unwrap_or_default();
            Err(Fault::transient(
                format!("signal-{signal}"),
                format!("the program was ended by signal {signal}"),
            ))
        }
    }
}
