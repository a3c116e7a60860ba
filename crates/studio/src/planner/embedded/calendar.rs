//! Expressions of time: "in 2025", "last 30 days", "since March", "between Q1 2024 and Q2 2025".
//!
//! All of them become a half-open range of moments in UTC. The rules, which the explanation states
//! as concrete dates: "last month" is the calendar month before this one; "last 30 days" starts at
//! the midnight 30 days ago and has no end; a month without a year is the latest that has begun;
//! "between A and B", "from A to B" and "until B" include the whole of B; "after A" starts when A
//! is over.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::token::{self, Kind, Token};

/// A half-open range of time; an absent end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) from: Option<NaiveDateTime>,
    pub(super) to: Option<NaiveDateTime>,
}

/// The steps into which time is cut by "by month" and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Grain {
    /// The grain that a unit of time names.
    pub(super) fn of_unit(singular: &str) -> Option<Self> {
        Some(match singular {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The name that `date_trunc` has for it, and people too.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The start of the step in which `day` lies.
    fn start(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Hour | Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))),
            Self::Month => day.with_day(1),
            Self::Quarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        }
    }

    fn add(self, day: NaiveDate, count: u32) -> Option<NaiveDate> {
        match self {
            Self::Hour | Self::Day => day.checked_add_days(Days::new(u64::from(count))),
            Self::Week => day.checked_add_days(Days::new(7 * u64::from(count))),
            _ => day.checked_add_months(Months::new(self.months().checked_mul(count)?)),
        }
    }

    fn subtract(self, day: NaiveDate, count: u32) -> Option<NaiveDate> {
        match self {
            Self::Hour | Self::Day => day.checked_sub_days(Days::new(u64::from(count))),
            Self::Week => day.checked_sub_days(Days::new(7 * u64::from(count))),
            _ => day.checked_sub_months(Months::new(self.months().checked_mul(count)?)),
        }
    }

    fn months(self) -> u32 {
        match self {
            Self::Quarter => 3,
            Self::Year => 12,
            Self::Hour | Self::Day | Self::Week | Self::Month => 1,
        }
    }
}

/// Where a reading of time stands: what precedes it decides whether a bare number is a year.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// "2025" without any word before it is a year here.
    pub(super) bare_year: bool,
    /// A number was just named: "between 2000 and 3000" are no years here.
    pub(super) after_number_noun: bool,
}

/// The expression of time that starts at `tokens[0]`: how many tokens it takes, and its range.
pub(super) fn time_at(tokens: &[Token], now: DateTime<Utc>, standing: Standing) -> Option<(usize, TimeRange)> {
    let reader = Reader { tokens, now };
    reader.range(standing)
}

/// Whether some expression of time in it is another one at another moment: "last month", "since March".
pub(super) fn is_relative(tokens: &[Token]) -> bool {
    // Later than any year that people say, and so far from each other that no month is the latest of its name at both.
    let [one, other] = [100_000, 100_500].map(|days| DateTime::UNIX_EPOCH + TimeDelta::days(days));
    let standing = Standing { bare_year: true, after_number_noun: false };
    let mut rest = tokens;
    while !rest.is_empty() {
        let time = time_at(rest, one, standing);
        if time != time_at(rest, other, standing) {
            return true;
        }
        // In "from January to March 2025" January alone would be another one.
        rest = &rest[time.map_or(1, |(length, _)| length.clamp(1, rest.len()))..];
    }
    false
}

/// A number of four digits as a year.
pub(super) fn year(number: &str) -> Option<TimeRange> {
    let year = NaiveDate::from_ymd_opt(token::year(number)?, 1, 1)?;
    let period = Period::step(Grain::Year, year)?;
    Some(span(period, period))
}

struct Reader<'a> {
    tokens: &'a [Token],
    now: DateTime<Utc>,
}

/// A period with both ends: `[from, to)`; `to` is open for rolling periods that end now.
#[derive(Clone, Copy)]
struct Period {
    from: NaiveDateTime,
    to: Option<NaiveDateTime>,
}

impl Period {
    fn days(from: NaiveDate, to: NaiveDate) -> Self {
        Self { from: midnight(from), to: Some(midnight(to)) }
    }

    fn step(grain: Grain, day: NaiveDate) -> Option<Self> {
        let from = grain.start(day)?;
        Some(Self::days(from, grain.add(from, 1)?))
    }
}

/// From the start of one period to the end of another. In "from January to March 2025" the year
/// is said once, at the end: a start after the end moves back into the year of the end.
fn span(first: Period, last: Period) -> TimeRange {
    let mut from = first.from;
    if last.to.is_some_and(|to| from >= to) {
        let year = last.from.year();
        let moved = from.with_year(year).filter(|from| *from <= last.from);
        from = moved.or_else(|| from.with_year(year - 1)).unwrap_or(from);
    }
    TimeRange { from: Some(from), to: last.to }
}

fn midnight(day: NaiveDate) -> NaiveDateTime {
    day.and_time(NaiveTime::MIN)
}

impl Reader<'_> {
    fn word(&self, at: usize) -> &str {
        match self.tokens.get(at) {
            Some(token) if token.kind == Kind::Word => &token.lower,
            _ => "",
        }
    }

    fn singular(&self, at: usize) -> &str {
        match self.tokens.get(at) {
            Some(token) if token.kind == Kind::Word => &token.singular,
            _ => "",
        }
    }

    fn skip_the(&self, at: usize) -> usize {
        at + usize::from(self.word(at) == "the")
    }

    /// "in 1958", "before the year 1900": a year that no bare number is.
    fn early(&self) -> Option<(usize, TimeRange)> {
        let at = self.skip_the(1);
        let at = at + usize::from(self.word(at) == "year");
        let at = at + usize::from(self.word(at) == "of" && self.word(at - 1) == "year");
        let Kind::Number(number) = &self.tokens.get(at)?.kind else { return None };
        let year = token::early_year(number).filter(|_| token::year(number).is_none())?;
        let period = Period::step(Grain::Year, NaiveDate::from_ymd_opt(year, 1, 1)?)?;
        let range = match self.word(0) {
            "in" | "during" => span(period, period),
            "since" => TimeRange { from: Some(period.from), to: None },
            "after" => TimeRange { from: Some(period.to?), to: None },
            "before" => TimeRange { from: None, to: Some(period.from) },
            _ => return None,
        };
        Some((at + 1, range))
    }

    fn range(&self, standing: Standing) -> Option<(usize, TimeRange)> {
        if let Some(early) = self.early().filter(|_| !standing.after_number_noun) {
            return Some(early);
        }
        let first = self.word(0);
        let after = self.skip_the(1);
        match first {
            "between" if !standing.after_number_noun || self.year(after).is_none() => {
                let (length, from) = self.period(after, true)?;
                let and = after + length;
                (self.word(and) == "and").then_some(())?;
                let (length, to) = self.period(self.skip_the(and + 1), true)?;
                let end = self.skip_the(and + 1) + length;
                Some((end, span(from, to)))
            }
            "from" | "starting" | "beginning" => {
                let (length, from) = self.period(after, !standing.after_number_noun)?;
                let next = after + length;
                if matches!(self.word(next), "to" | "until" | "till" | "through") {
                    let start = self.skip_the(next + 1);
                    let (length, to) = self.period(start, true)?;
                    return Some((start + length, span(from, to)));
                }
                if matches!(self.word(next), "on" | "onward" | "onwards") {
                    return Some((next + 1, TimeRange { from: Some(from.from), to: None }));
                }
                let to = if first == "from" { from.to } else { None };
                Some((next, TimeRange { from: Some(from.from), to }))
            }
            "since" => {
                let (length, from) = self.period(after, true)?;
                Some((after + length, TimeRange { from: Some(from.from), to: None }))
            }
            "after" => {
                let (length, period) = self.period(after, true)?;
                Some((after + length, TimeRange { from: Some(period.to?), to: None }))
            }
            "before" => {
                let (length, period) = self.period(after, true)?;
                Some((after + length, TimeRange { from: None, to: Some(period.from) }))
            }
            "prior" if self.word(1) == "to" => {
                let after = self.skip_the(2);
                let (length, period) = self.period(after, true)?;
                Some((after + length, TimeRange { from: None, to: Some(period.from) }))
            }
            "until" | "till" | "through" => {
                let (length, period) = self.period(after, true)?;
                Some((after + length, TimeRange { from: None, to: period.to }))
            }
            "older" if self.word(1) == "than" => {
                let (length, point) = self.back(2)?;
                let ago = usize::from(self.word(2 + length) == "ago");
                Some((2 + length + ago, TimeRange { from: None, to: Some(point) }))
            }
            "newer" | "younger" if self.word(1) == "than" => {
                let (length, point) = self.back(2)?;
                Some((2 + length, TimeRange { from: Some(point), to: None }))
            }
            "more" | "less" if self.word(1) == "than" => {
                let (length, point) = self.back(2)?;
                (self.word(2 + length) == "ago").then_some(())?;
                let range = if first == "more" {
                    TimeRange { from: None, to: Some(point) }
                } else {
                    TimeRange { from: Some(point), to: None }
                };
                Some((3 + length, range))
            }
            "in" | "during" | "on" | "for" | "over" | "within" | "of" | "at" => {
                let after =
                    if self.word(after) == "year" && self.year(after + 1).is_some() { after + 1 } else { after };
                // "amount over 2000", "price of 2000" and "at 2000" compare; "revenue for 2025" does not.
                let year_alone = match first {
                    "over" | "at" => false,
                    "of" | "for" | "on" => !standing.after_number_noun,
                    _ => true,
                };
                let (length, period) = self.period(after, year_alone)?;
                Some((after + length, TimeRange { from: Some(period.from), to: period.to }))
            }
            _ => {
                let start = self.skip_the(0);
                let (length, period) = self.period(start, standing.bare_year)?;
                let next = start + length;
                if self.word(0) != "may" || length > 1 {
                    return Some((next, TimeRange { from: Some(period.from), to: period.to }));
                }
                None
            }
        }
    }

    /// "30 days", "a week": the moment that long before now.
    fn back(&self, at: usize) -> Option<(usize, NaiveDateTime)> {
        let (length, count) = match self.word(at) {
            "a" | "an" => (1, 1),
            _ => (1, self.tokens.get(at)?.count()?),
        };
        let unit = Grain::of_unit(self.singular(at + length))?;
        let point = if unit == Grain::Hour {
            self.now.naive_utc().checked_sub_signed(TimeDelta::try_hours(i64::from(count))?)?
        } else {
            midnight(unit.subtract(self.today(), count)?)
        };
        Some((length + 1, point))
    }

    fn today(&self) -> NaiveDate {
        self.now.date_naive()
    }

    fn year(&self, at: usize) -> Option<i32> {
        self.tokens.get(at).and_then(Token::year)
    }

    /// A period that starts at token `at`: how many tokens it takes, and its ends.
    fn period(&self, at: usize, year_alone: bool) -> Option<(usize, Period)> {
        let today = self.today();
        let day = |day: NaiveDate| Period::step(Grain::Day, day);
        match &self.tokens.get(at)?.kind {
            Kind::Date(date) => return Some((1, day(*date)?)),
            Kind::Month(first) => return Some((1, Period::step(Grain::Month, *first)?)),
            _ => {}
        }
        let word = self.word(at);
        match word {
            "today" | "now" => return Some((1, day(today)?)),
            "yesterday" => return Some((1, day(today.pred_opt()?)?)),
            "ytd" => return Some((1, self.year_to_date()?)),
            "year" if self.word(at + 1) == "to" && self.word(at + 2) == "date" => {
                return Some((3, self.year_to_date()?));
            }
            "this" | "current" => {
                let grain = Grain::of_unit(self.singular(at + 1))?;
                let so_far = self.word(at + 2) == "so" && self.word(at + 3) == "far";
                return Some((2 + usize::from(so_far) * 2, Period::step(grain, today)?));
            }
            "last" | "past" | "previous" => return self.last(at),
            _ => {}
        }
        self.ago(at).or_else(|| self.quarter(at)).or_else(|| self.month_name(at)).or_else(|| {
            let year = self.year(at).filter(|_| year_alone)?;
            Some((1, Period::step(Grain::Year, NaiveDate::from_ymd_opt(year, 1, 1)?)?))
        })
    }

    fn year_to_date(&self) -> Option<Period> {
        Some(Period { from: midnight(Grain::Year.start(self.today())?), to: None })
    }

    /// "last month", "last 30 days", "past two weeks"
    fn last(&self, at: usize) -> Option<(usize, Period)> {
        if let Some(grain) = Grain::of_unit(self.word(at + 1)) {
            if grain == Grain::Hour {
                let (length, from) = (2, self.now.naive_utc().checked_sub_signed(TimeDelta::try_hours(1)?)?);
                return Some((length, Period { from, to: None }));
            }
            let before = grain.subtract(grain.start(self.today())?, 1)?;
            return Some((2, Period::step(grain, before)?));
        }
        let (length, from) = self.back(at + 1)?;
        Some((1 + length, Period { from, to: None }))
    }

    /// "3 days ago"
    fn ago(&self, at: usize) -> Option<(usize, Period)> {
        let (length, point) = self.back(at)?;
        (self.word(at + length) == "ago").then_some(())?;
        Some((length + 1, Period::step(Grain::Day, point.date())?))
    }

    /// "Q1 2025", "Q1 of 2025", "2025 Q1", "first quarter of 2025", "Q3"
    fn quarter(&self, at: usize) -> Option<(usize, Period)> {
        let of_quarter = |at: usize| match self.word(at) {
            "q1" => Some((1, 1)),
            "q2" => Some((1, 2)),
            "q3" => Some((1, 3)),
            "q4" => Some((1, 4)),
            ordinal if self.word(at + 1) == "quarter" => match ordinal {
                "first" => Some((2, 1)),
                "second" => Some((2, 2)),
                "third" => Some((2, 3)),
                "fourth" => Some((2, 4)),
                _ => None,
            },
            _ => None,
        };
        let (length, year, quarter) = match self.year(at) {
            Some(year) => {
                let (length, quarter) = of_quarter(at + 1)?;
                (length + 1, Some(year), quarter)
            }
            None => {
                let (length, quarter) = of_quarter(at)?;
                let of = usize::from(matches!(self.word(at + length), "of" | "in"));
                match self.year(at + length + of) {
                    Some(year) => (length + of + 1, Some(year), quarter),
                    None => (length, None, quarter),
                }
            }
        };
        let first = self.latest(year, |year| NaiveDate::from_ymd_opt(year, quarter * 3 - 2, 1))?;
        Some((length, Period::step(Grain::Quarter, first)?))
    }

    /// "March", "March 2025", "March of 2025", "5 March 2025", "March 5th, 2025", "March 5"
    fn month_name(&self, at: usize) -> Option<(usize, Period)> {
        let day_of = |at: usize| self.tokens.get(at).and_then(Token::count).filter(|day| (1..=31).contains(day));
        let (mut length, day, month) = match month_number(self.word(at)) {
            Some(month) => match day_of(at + 1) {
                Some(day) => (2, Some(day), month),
                None => (1, None, month),
            },
            None => {
                let of = usize::from(self.word(at + 1) == "of");
                (2 + of, Some(day_of(at)?), month_number(self.word(at + 1 + of))?)
            }
        };
        let pause = |at: usize| self.tokens.get(at).is_some_and(|token| token.kind == Kind::Pause);
        let gap = usize::from(self.word(at + length) == "of" || (day.is_some() && pause(at + length)));
        let year = self.year(at + length + gap);
        if year.is_some() {
            length += gap + 1;
        }
        let first = self.latest(year, |year| NaiveDate::from_ymd_opt(year, month, day.unwrap_or(1)))?;
        let grain = if day.is_some() { Grain::Day } else { Grain::Month };
        Some((length, Period::step(grain, first)?))
    }

    /// The date in the year that was named, or the latest one that has begun.
    fn latest(&self, year: Option<i32>, date: impl Fn(i32) -> Option<NaiveDate>) -> Option<NaiveDate> {
        let this_year = self.today().year();
        match year {
            Some(year) => date(year),
            None => date(this_year).filter(|date| *date <= self.today()).or_else(|| date(this_year - 1)),
        }
    }
}

fn month_number(word: &str) -> Option<u32> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    if word == "sept" {
        return Some(9);
    }
    NAMES
        .iter()
        .position(|name| *name == word || (word.len() == 3 && name.starts_with(word)))
        .and_then(|position| u32::try_from(position + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    fn read(text: &str) -> Option<(String, usize)> {
        let now = DateTime::parse_from_rfc3339("2026-05-20T10:30:00Z").ok()?.to_utc();
        let standing = Standing { bare_year: true, after_number_noun: false };
        let (length, range) = time_at(&tokenize(text), now, standing)?;
        let day = |moment: Option<NaiveDateTime>| match moment {
            Some(moment) => moment.format("%Y-%m-%d").to_string(),
            None => String::new(),
        };
        Some((format!("{}..{}", day(range.from), day(range.to)), length))
    }

    #[test]
    fn some_move_with_the_moment() {
        for text in ["orders last month", "since March", "before today", "in Q3", "older than 30 days", "3 days ago"] {
            assert!(is_relative(&tokenize(text)), "{text}");
        }
        for text in
            ["orders in 2025", "from January to March 2025", "since 2025-03-01", "by month", "2025 Q1", "5 orders"]
        {
            assert!(!is_relative(&tokenize(text)), "{text}");
        }
    }

    #[test]
    fn expressions_become_ranges() {
        for (text, expected) in [
            ("in 2025", "2025-01-01..2026-01-01"),
            ("2025-02", "2025-02-01..2025-03-01"),
            ("last month", "2026-04-01..2026-05-01"),
            ("last year", "2025-01-01..2026-01-01"),
            ("in the last 30 days", "2026-04-20.."),
            ("past two weeks", "2026-05-06.."),
            ("this week", "2026-05-18..2026-05-25"),
            ("this quarter", "2026-04-01..2026-07-01"),
            ("since March", "2026-03-01.."),
            ("since August", "2025-08-01.."),
            ("after March 2025", "2025-04-01.."),
            ("before 2025-03-05", "..2025-03-05"),
            ("until March 5, 2025", "..2025-03-06"),
            ("between 2024 and 2025", "2024-01-01..2026-01-01"),
            ("from January to March 2025", "2025-01-01..2025-04-01"),
            ("from 1 March 2025 to 3 March 2025", "2025-03-01..2025-03-04"),
            ("Q1 2025", "2025-01-01..2025-04-01"),
            ("in the first quarter of 2025", "2025-01-01..2025-04-01"),
            ("2025 Q4", "2025-10-01..2026-01-01"),
            ("yesterday", "2026-05-19..2026-05-20"),
            ("3 days ago", "2026-05-17..2026-05-18"),
            ("older than 90 days", "..2026-02-19"),
            ("more than a year ago", "..2025-05-20"),
            ("year to date", "2026-01-01.."),
            ("in May", "2026-05-01..2026-06-01"),
            ("may 2025", "2025-05-01..2025-06-01"),
        ] {
            let tokens = tokenize(text).len();
            assert_eq!(read(text), Some((expected.to_owned(), tokens)), "{text}");
        }
    }

    #[test]
    fn other_words_are_no_time() {
        for text in ["in EU", "may", "last 5 orders", "between 10 and 20", "the month", "last 99999999999 years"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
