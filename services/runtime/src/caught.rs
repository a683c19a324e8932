use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

/// Runs some work and catches a panic, returning its message as the error. The caller must drop
/// anything that the work may have left half done.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.map_err(|panic| said(panic.as_ref()))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it said nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_message() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let number = 7;
        let panicking = async { panic!("out of cheese, {number}") };
        assert_eq!(
            caught::<()>(panicking).await,
            Err("out of cheese, 7".into())
        );
    }
}
