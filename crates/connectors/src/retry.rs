//! Further attempts at reaching a source that was away for a moment.
//!
//! Only of what has not begun: a connection, the start of a statement. A result of which rows have been read is never
//! asked for again, because the second answer need not be the first one.

use std::time::Duration;

use crate::ConnectorError;
use crate::tunnel::TunnelFault;

/// The wait before the second attempt; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tries once, and up to `retries` times more while the source cannot be reached. The waits are spread over their upper
/// half, so that those who lost a source together do not come back together.
pub async fn reaching<T, F>(retries: u32, mut attempt: impl FnMut() -> F) -> Result<T, ConnectorError>
where
    F: Future<Output = Result<T, ConnectorError>>,
{
    let mut pause = FIRST_PAUSE;
    for retry in 1..=retries {
        match attempt().await {
            Err(error @ (ConnectorError::Unreachable { .. } | ConnectorError::Tunnel(TunnelFault::Unreachable))) => {
                tracing::debug!(error = &error as &dyn std::error::Error, retry, "a data source is tried again");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn unreachable() -> ConnectorError {
        ConnectorError::Unreachable { cause: None }
    }

    /// How often something was tried that fails so for the first so many times.
    async fn attempts(retries: u32, failures: u32, error: impl Fn() -> ConnectorError) -> (u32, bool) {
        let tried = Cell::new(0);
        let outcome = reaching(retries, || async {
            tried.set(tried.get() + 1);
            if tried.get() <= failures { Err(error()) } else { Ok(()) }
        });
        let reached = outcome.await.is_ok();
        (tried.get(), reached)
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_tried_again_so_often_and_nothing_else_is() {
        assert_eq!(attempts(3, 1, unreachable).await, (2, true));
        assert_eq!(attempts(2, 9, unreachable).await, (3, false));
        assert_eq!(attempts(0, 1, unreachable).await, (1, false));
        assert_eq!(attempts(3, 1, || ConnectorError::AuthenticationFailed { cause: None }).await, (1, false));
        assert_eq!(attempts(3, 1, || ConnectorError::Blocked).await, (1, false));
    }
}
