//! The table at the end.

use std::fmt;

/// How a ratio is judged.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// There is none: the figure is told.
    Told,
}

/// One line: what was measured, what it is held against, and how they compare.
#[derive(Debug)]
struct Row {
    what: String,
    measured: String,
    against: String,
    /// `None` for a figure that stands alone.
    ratio: Option<f64>,
    goal: String,
    met: &'static str,
}

/// All that was measured.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// A figure beside its yardstick, in the same unit.
    pub fn compare(&mut self, what: impl Into<String>, measured: String, against: String, ratio: f64, goal: Goal) {
        let (goal, met) = goal.judge(ratio, |bound| format!("{bound:.2}"));
        self.rows.push(Row { what: what.into(), measured, against, ratio: Some(ratio), goal, met });
    }

    /// A figure that has a bound of its own.
    pub fn bound(&mut self, what: impl Into<String>, measured: f64, unit: &str, goal: Goal) {
        let (goal, met) = goal.judge(measured, |bound| format!("{bound:.0} {unit}"));
        let measured = figure(measured, unit);
        self.rows.push(Row { what: what.into(), measured, against: String::new(), ratio: None, goal, met });
    }

    /// A figure that has a bound of its own, beside one of the same unit that says how much of it is the machine's.
    pub fn bound_beside(
        &mut self,
        what: impl Into<String>,
        (measured, against): (f64, f64),
        unit: &str,
        beside: &str,
        goal: Goal,
    ) {
        self.bound(what, measured, unit, goal);
        if let Some(row) = self.rows.last_mut() {
            row.against = format!("{} {beside}", figure(against, unit));
            row.ratio = Some(measured / against);
        }
    }

    /// What a reader must know beside the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl Goal {
    fn judge(self, figure: f64, show: impl Fn(f64) -> String) -> (String, &'static str) {
        match self {
            Self::AtLeast(least) => (format!("≥ {}", show(least)), judged(figure >= least)),
            Self::AtMost(most) => (format!("≤ {}", show(most)), judged(figure <= most)),
            Self::Told => (String::new(), ""),
        }
    }
}

fn figure(value: f64, unit: &str) -> String {
    format!("{value:.*} {unit}", usize::from(value < 10.0 && value.fract() > 0.0))
}

fn judged(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["measured", "figure", "against", "ratio", "goal", "met"].map(str::to_owned);
        let mut lines = vec![head];
        for row in &self.rows {
            let ratio = row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            lines.push([
                row.what.clone(),
                row.measured.clone(),
                row.against.clone(),
                ratio,
                row.goal.clone(),
                row.met.to_owned(),
            ]);
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..6).map(width).collect();
        for (index, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}", width = *width));
            writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
            if index == 0 {
                let rules = widths.iter().map(|width| "-".repeat(*width));
                writeln!(f, "| {} |", rules.collect::<Vec<_>>().join(" | "))?;
            }
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}
