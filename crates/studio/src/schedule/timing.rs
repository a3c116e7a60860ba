//! When a schedule is due: by the clock on the wall of its time zone.
//!
//! Where the clock is put forward over a time, that time is the first one after the gap; where it is put back, the first of
//! the two counts. A month without the day has it on its last one.

use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use rivergen_kernel::{Error, ErrorCode, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far ahead the next time is looked for: further than from one end of a month to that of the next.
const DAYS_AHEAD: u64 = 62;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduleEvery)]
pub enum Every {
    Hour,
    Day,
    Week,
    Month,
}

impl Every {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduleWeekday)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Weekday> for chrono::Weekday {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// When a schedule is due, as it is sent and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScheduleTiming, example = json!({"every": "week", "on": ["monday", "thursday"], "at": "08:00", "time_zone": "Europe/Berlin"}))]
pub struct Timing {
    /// An hour is the least.
    pub every: Every,
    /// With `hour`: of the hour, from 0 to 59.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 59)]
    pub minute: Option<u8>,
    /// With `day`, `week` and `month`: the time of the day, `HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("08:00"))]
    pub at: Option<String>,
    /// With `week`: one day or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<Weekday>>,
    /// With `month`: from 1 to 31; a month that has no such day is due on its last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31)]
    pub day: Option<u8>,
    /// Of the IANA database.
    #[schema(examples("Europe/Berlin"))]
    pub time_zone: String,
}

/// A [`Timing`] that holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rhythm {
    beat: Beat,
    zone: Tz,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Beat {
    Hour { minute: u32 },
    Day { at: NaiveTime },
    Week { on: Vec<chrono::Weekday>, at: NaiveTime },
    Month { day: u32, at: NaiveTime },
}

impl Timing {
    /// 422 with each field of `timing` that is wrong.
    pub fn rhythm(&self) -> Result<Rhythm> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, reason: String| faults.push(FieldError::new(format!("timing.{field}"), reason));
        let belongs = [
            ("minute", self.minute.is_some(), self.every == Every::Hour),
            ("at", self.at.is_some(), self.every != Every::Hour),
            ("on", self.on.is_some(), self.every == Every::Week),
            ("day", self.day.is_some(), self.every == Every::Month),
        ];
        for (field, is_given, is_wanted) in belongs {
            let every = self.every.as_str();
            match (is_given, is_wanted) {
                (true, false) => fault(field, format!("cannot be combined with every {every}")),
                (false, true) => fault(field, format!("is required with every {every}")),
                _ => {}
            }
        }
        let minute = self.minute.unwrap_or_default();
        if minute > 59 {
            fault("minute", "must be from 0 to 59".to_owned());
        }
        let day = self.day.unwrap_or(1);
        if !(1..=31).contains(&day) {
            fault("day", "must be from 1 to 31".to_owned());
        }
        let on: Vec<chrono::Weekday> = self.on.iter().flatten().map(|day| (*day).into()).collect();
        if self.on.is_some() && !(1..=7).contains(&on.len()) {
            fault("on", "must name one to seven days".to_owned());
        }
        let at = match self.at.as_deref().map(time_of_day) {
            Some(None) => {
                fault("at", "must be a time of the day, HH:MM".to_owned());
                NaiveTime::MIN
            }
            at => at.flatten().unwrap_or(NaiveTime::MIN),
        };
        let zone: Tz = self.time_zone.parse().unwrap_or_else(|_| {
            fault("time_zone", "is not a time zone of the IANA database, such as Europe/Berlin".to_owned());
            Tz::UTC
        });
        if !faults.is_empty() {
            return Err(Error::new(ErrorCode::ValidationError).with_details(faults));
        }
        let beat = match self.every {
            Every::Hour => Beat::Hour { minute: minute.into() },
            Every::Day => Beat::Day { at },
            Every::Week => Beat::Week { on, at },
            Every::Month => Beat::Month { day: day.into(), at },
        };
        Ok(Rhythm { beat, zone })
    }
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    (text.len() == 5).then(|| NaiveTime::parse_from_str(text, "%H:%M").ok()).flatten()
}

impl Rhythm {
    /// The first time after that one at which it is due.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = match &self.beat {
            Beat::Hour { minute } => return self.next_hour(after, *minute),
            Beat::Day { at } | Beat::Week { at, .. } | Beat::Month { at, .. } => *at,
        };
        let today = after.with_timezone(&self.zone).date_naive();
        (0..=DAYS_AHEAD)
            .filter_map(|days| today.checked_add_days(Days::new(days)))
            .filter(|date| self.is_on(*date))
            .filter_map(|date| self.instant(date, at))
            .find(|instant| *instant > after)
    }

    fn is_on(&self, date: NaiveDate) -> bool {
        match &self.beat {
            Beat::Hour { .. } | Beat::Day { .. } => true,
            Beat::Week { on, .. } => on.contains(&date.weekday()),
            Beat::Month { day, .. } => date.day() == Ord::min(*day, u32::from(date.num_days_in_month())),
        }
    }

    /// By the zone's own minutes, which are not everywhere those of UTC.
    fn next_hour(&self, after: DateTime<Utc>, minute: u32) -> Option<DateTime<Utc>> {
        let this_minute = after.with_second(0)?.with_nanosecond(0)?;
        let mut minutes = (1..=120).map(|ahead| this_minute + Duration::minutes(ahead));
        minutes.find(|instant| instant.with_timezone(&self.zone).minute() == minute)
    }

    /// When the clock shows the time on that day, or for the first time a later one.
    fn instant(&self, date: NaiveDate, at: NaiveTime) -> Option<DateTime<Utc>> {
        let wanted = date.and_time(at);
        let shown = |minutes: i64| self.zone.from_local_datetime(&(wanted + Duration::minutes(minutes))).earliest();
        (0..=24 * 60).find_map(shown).map(|instant| instant.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(timing: serde_json::Value) -> Rhythm {
        serde_json::from_value::<Timing>(timing).unwrap().rhythm().unwrap()
    }

    /// The next times after one, one after the other.
    fn next(timing: serde_json::Value, after: &str, count: usize) -> Vec<String> {
        let rhythm = rhythm(timing);
        let mut at: DateTime<Utc> = after.parse().unwrap();
        let mut times = Vec::new();
        for _ in 0..count {
            at = rhythm.next(at).unwrap();
            times.push(at.format("%m-%dT%H:%M").to_string());
        }
        times
    }

    #[test]
    fn days_weeks_and_months_are_those_of_the_zone() {
        let zone = "Europe/Berlin";
        let daily = serde_json::json!({"every": "day", "at": "00:30", "time_zone": zone});
        assert_eq!(next(daily, "2026-01-01T23:00:00Z", 2), ["01-01T23:30", "01-02T23:30"]);
        let weekly =
            serde_json::json!({"every": "week", "on": ["monday", "thursday"], "at": "08:00", "time_zone": zone});
        assert_eq!(next(weekly, "2026-01-01T07:00:00Z", 3), ["01-05T07:00", "01-08T07:00", "01-12T07:00"]);
        let monthly = serde_json::json!({"every": "month", "day": 31, "at": "08:00", "time_zone": zone});
        assert_eq!(next(monthly, "2026-01-31T07:00:00Z", 3), ["02-28T07:00", "03-31T06:00", "04-30T06:00"]);
    }

    #[test]
    fn a_clock_that_is_put_forward_or_back_makes_one_run_a_day() {
        let daily = serde_json::json!({"every": "day", "at": "02:30", "time_zone": "Europe/Berlin"});
        // 02:30 is not there on the 29th of March, and twice on the 25th of October.
        let forward = next(daily.clone(), "2026-03-28T00:00:00Z", 3);
        assert_eq!(forward, ["03-28T01:30", "03-29T01:00", "03-30T00:30"]);
        assert_eq!(next(daily, "2026-10-24T12:00:00Z", 2), ["10-25T00:30", "10-26T01:30"]);
    }

    #[test]
    fn an_hour_is_that_of_the_zone() {
        let hourly = |zone: &str| serde_json::json!({"every": "hour", "minute": 0, "time_zone": zone});
        assert_eq!(next(hourly("UTC"), "2026-01-01T00:00:00Z", 2), ["01-01T01:00", "01-01T02:00"]);
        assert_eq!(next(hourly("Asia/Kolkata"), "2026-01-01T00:00:00Z", 2), ["01-01T00:30", "01-01T01:30"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let faults = |timing: serde_json::Value| -> Vec<String> {
            let error = serde_json::from_value::<Timing>(timing).unwrap().rhythm().unwrap_err();
            error.details.into_iter().map(|detail| detail.field).collect()
        };
        let wrong =
            serde_json::json!({"every": "week", "on": [], "minute": 60, "day": 0, "at": "8", "time_zone": "Mars"});
        let expected =
            ["minute", "day", "minute", "day", "on", "at", "time_zone"].map(|field| format!("timing.{field}"));
        assert_eq!(faults(wrong), expected);
        assert_eq!(faults(serde_json::json!({"every": "month", "time_zone": "UTC"})), ["timing.at", "timing.day"]);
    }
}
