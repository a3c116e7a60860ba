//! What a test went through, as a list: what passed, what failed, and what it did not come to.
//!
//! Of a source that cannot be reached it is not told whether its name resolves, its port is closed or nobody answers there:
//! that would make a scanner of the network around the server. The step that failed is told, and those before it that
//! would say more are not.

use rivergen_connectors::{DataSourceType, Step, TestOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use crate::create::lies_in_storage;

/// One step of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct TestStep {
    /// `configuration`, `address`, `tunnel` (where there is one), `connection`, `tls`, `sign_in`, `permission`, `content`.
    #[schema(value_type = String, examples("sign_in"))]
    pub step: Step,
    pub result: StepResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    Passed,
    Failed,
    /// A step before it failed.
    NotReached,
    /// Not known, or not told.
    Undisclosed,
}

const OF_SERVERS: [Step; 6] =
    [Step::Configuration, Step::Address, Step::Connection, Step::Tls, Step::SignIn, Step::Permission];
const BEHIND_A_TUNNEL: [Step; 7] =
    [Step::Configuration, Step::Address, Step::Tunnel, Step::Connection, Step::Tls, Step::SignIn, Step::Permission];
/// A file in storage has no address, and its permission is that of whoever entered it.
const OF_FILES: [Step; 3] = [Step::Configuration, Step::Permission, Step::Content];

/// The steps of a test of such a source.
pub fn of(kind: DataSourceType, tunnelled: bool, outcome: &TestOutcome) -> Vec<TestStep> {
    let steps: &[Step] = match tunnelled {
        _ if lies_in_storage(kind) => &OF_FILES,
        true => &BEHIND_A_TUNNEL,
        false => &OF_SERVERS,
    };
    // The first step that has to do with the network around the server.
    let first = if tunnelled { Step::Tunnel } else { Step::Connection };
    let failed_at = outcome.failed_at.map(|failed| {
        // A value that cannot be read stands behind everything else that a server asks for.
        if steps.contains(&failed) { failed } else { *steps.last().unwrap_or(&failed) }
    });
    steps
        .iter()
        .map(|step| TestStep { step: *step, result: result(*step, outcome.successful, failed_at, first) })
        .collect()
}

/// Whether it came through a tunnel.
pub fn tunnel_stands(steps: &[TestStep]) -> bool {
    steps.iter().any(|step| step.step == Step::Tunnel && step.result == StepResult::Passed)
}

fn result(step: Step, successful: bool, failed_at: Option<Step>, first: Step) -> StepResult {
    match failed_at {
        None if successful => StepResult::Passed,
        None => StepResult::Undisclosed,
        Some(failed) if step == failed => StepResult::Failed,
        Some(failed) if step > failed => StepResult::NotReached,
        Some(failed) if failed == first && step == Step::Address => StepResult::Undisclosed,
        Some(_) => StepResult::Passed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rivergen_connectors::{ConnectorError, tunnel::TunnelFault};

    use super::*;

    fn results(kind: DataSourceType, tunnelled: bool, error: Option<ConnectorError>) -> String {
        let outcome = TestOutcome::new(Duration::from_millis(1), error.map_or(Ok(None), Err));
        let letter = |step: TestStep| match step.result {
            StepResult::Passed => 'p',
            StepResult::Failed => 'F',
            StepResult::NotReached => '-',
            StepResult::Undisclosed => '?',
        };
        of(kind, tunnelled, &outcome).into_iter().map(letter).collect()
    }

    #[test]
    fn the_step_that_failed_is_named_and_no_more_than_may_be_told() {
        use DataSourceType::{Csv, Postgresql};
        for (kind, error, expected) in [
            (Postgresql, None, "pppppp"),
            (Postgresql, Some(ConnectorError::Blocked), "pF----"),
            (Postgresql, Some(ConnectorError::Unreachable { cause: None }), "p?F---"),
            (Postgresql, Some(ConnectorError::Untrusted { cause: None }), "pppF--"),
            (Postgresql, Some(ConnectorError::AuthenticationFailed { cause: None }), "ppppF-"),
            (Postgresql, Some(ConnectorError::NotFound { what: "x".into() }), "pppppF"),
            (Postgresql, Some(ConnectorError::Timeout(Duration::from_secs(1))), "??????"),
            (Csv, None, "ppp"),
            (Csv, Some(ConnectorError::NotFound { what: "x".into() }), "pF-"),
            (Csv, Some(ConnectorError::Unreadable { file: "x".into(), reason: "y".into(), line: None }), "ppF"),
        ] {
            assert_eq!(results(kind, false, error), expected);
        }
        for (error, expected) in [
            (None, "ppppppp"),
            (Some(ConnectorError::Tunnel(TunnelFault::Refused)), "p?F----"),
            (Some(ConnectorError::Unreachable { cause: None }), "pppF---"),
        ] {
            assert_eq!(results(Postgresql, true, error), expected);
        }
    }
}
