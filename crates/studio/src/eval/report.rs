//! The figures of an evaluation.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{Asked, Verdict};

/// What became of the questions of one difficulty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    pub right: usize,
    pub wider: usize,
    pub wrong: usize,
    pub abstained: usize,
    pub unmeasured: usize,
}

impl Row {
    /// Questions that count.
    pub fn measured(self) -> usize {
        self.right + self.wider + self.wrong + self.abstained
    }

    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Right => self.right += 1,
            Verdict::Wider => self.wider += 1,
            Verdict::Wrong => self.wrong += 1,
            Verdict::Abstained => self.abstained += 1,
            Verdict::Unmeasured => self.unmeasured += 1,
        }
    }
}

/// All figures; printed as a table.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub rows: BTreeMap<String, Row>,
    times: Vec<Duration>,
}

impl Report {
    pub(super) fn add(&mut self, difficulty: &str, asked: &Asked) {
        self.rows.entry(difficulty.to_owned()).or_default().add(asked.verdict);
        self.times.push(asked.took);
    }

    pub fn total(&self) -> Row {
        let mut total = Row::default();
        for row in self.rows.values() {
            total.right += row.right;
            total.wider += row.wider;
            total.wrong += row.wrong;
            total.abstained += row.abstained;
            total.unmeasured += row.unmeasured;
        }
        total
    }

    /// From -2 (all wrong) to 1 (all right): a wrong answer counts double. One with further columns is not quite what was
    /// asked for and counts as nothing.
    pub fn score(&self) -> f64 {
        let total = self.total();
        (total.right as f64 - 2.0 * total.wrong as f64) / (total.measured().max(1) as f64)
    }

    /// The time that this part of the questions took at most.
    pub fn quantile(&self, part: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        times.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:>9} {:>8} {:>8} {:>8} {:>10}", "", "questions", "right", "wider", "wrong", "abstained")?;
        let mut line = |name: &str, row: Row| {
            let share = |count: usize| format!("{:.1} %", 100.0 * count as f64 / row.measured().max(1) as f64);
            writeln!(
                f,
                "{name:<12} {:>9} {:>8} {:>8} {:>8} {:>10}",
                row.measured(),
                share(row.right),
                share(row.wider),
                share(row.wrong),
                share(row.abstained)
            )
        };
        for (name, row) in &self.rows {
            line(name, *row)?;
        }
        let total = self.total();
        if self.rows.len() > 1 {
            line("all", total)?;
        }
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        writeln!(
            f,
            "score {:.3} (a wrong answer counts double); {:.1} ms a question at the median, {:.1} at the 95th percentile",
            self.score(),
            milliseconds(self.quantile(0.5)),
            milliseconds(self.quantile(0.95))
        )?;
        if total.unmeasured > 0 {
            writeln!(
                f,
                "{} more could not be measured: their gold SQL does not run here, or the planner could not be reached",
                total.unmeasured
            )?;
        }
        Ok(())
    }
}
