//! Numbers of the checks that are kept.

use chrono::{DateTime, Duration, Utc};

use super::history::Model;
use crate::source::Status;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Statistics {
    pub uptime_percentage: Option<f64>,
    pub average_ms: Option<f64>,
    pub least_ms: Option<i64>,
    pub most_ms: Option<i64>,
    pub failures_of_a_day: u64,
    pub last_failure_at: Option<DateTime<Utc>>,
}

/// Of checks with the newest first. Uptime is a share of the time and not of the checks: a source that fails is checked
/// less and less often, and would look better for it.
pub(super) fn of(checks: &[Model], now: DateTime<Utc>) -> Statistics {
    let failed = |check: &&Model| check.status == Status::Failed;
    let times: Vec<i64> =
        checks.iter().filter(|check| !failed(check)).filter_map(|check| check.response_time_ms).collect();
    let (mut up, mut all) = (0, 0);
    let mut until = now;
    for check in checks {
        let held = (until - check.checked_at).num_milliseconds().max(0);
        all += held;
        if !failed(&check) {
            up += held;
        }
        until = check.checked_at;
    }
    let uptime = match checks.first() {
        None => None,
        Some(_) if all > 0 => Some(100.0 * up as f64 / all as f64),
        Some(last) => Some(if failed(&last) { 0.0 } else { 100.0 }),
    };
    let two_places = |number: f64| (number * 100.0).round() / 100.0;
    Statistics {
        uptime_percentage: uptime.map(two_places),
        average_ms: (!times.is_empty()).then(|| two_places(times.iter().sum::<i64>() as f64 / times.len() as f64)),
        least_ms: times.iter().min().copied(),
        most_ms: times.iter().max().copied(),
        failures_of_a_day: checks
            .iter()
            .filter(failed)
            .filter(|check| check.checked_at > now - Duration::hours(24))
            .count() as u64,
        last_failure_at: checks.iter().find(failed).map(|check| check.checked_at),
    }
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::{DataSourceId, OrganizationId};

    use super::{super::check::Origin, *};

    fn check(now: DateTime<Utc>, hours_ago: i64, status: Status, response_time_ms: i64) -> Model {
        Model {
            id: 0,
            organization_id: OrganizationId(1),
            data_source_id: DataSourceId(1),
            origin: Origin::Scheduled,
            status,
            response_time_ms: Some(response_time_ms),
            error_code: None,
            error_message: None,
            checked_at: now - Duration::hours(hours_ago),
        }
    }

    #[test]
    fn uptime_is_a_share_of_the_time() {
        let now = Utc::now();
        let checks = [
            check(now, 1, Status::Active, 30),
            check(now, 7, Status::Failed, 3000),
            check(now, 8, Status::Active, 10),
            check(now, 30, Status::Failed, 3000),
            check(now, 40, Status::Active, 20),
        ];
        let numbers = of(&checks, now);
        // Down for 6 hours and for 22, of 40.
        assert_eq!(numbers.uptime_percentage, Some(30.0));
        assert_eq!((numbers.average_ms, numbers.least_ms, numbers.most_ms), (Some(20.0), Some(10), Some(30)));
        assert_eq!(numbers.failures_of_a_day, 1);
        assert_eq!(numbers.last_failure_at, Some(now - Duration::hours(7)));
    }

    #[test]
    fn nothing_is_told_of_what_was_never_checked() {
        assert_eq!(of(&[], Utc::now()), Statistics::default());
        let now = Utc::now();
        assert_eq!(of(&[check(now, 0, Status::Failed, 1)], now).uptime_percentage, Some(0.0));
    }
}
