//! How quickly the console stands: its pages in a headless Chromium, by the browser's own clock.
//!
//! The goals are what web-vitals calls good; the first paint is held to less, because no network lies between. Beside each
//! time stands the first paint of a document of the same server that runs nothing, so that the ratio says little of the
//! machine.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{
    error::{BenchError, Result},
    median,
    report::{Goal, Report},
};

const RUNS: usize = 5;

/// What the browser told.
#[derive(Debug, Deserialize)]
struct Measured {
    /// Its version.
    browser: String,
    pages: Vec<Page>,
}

#[derive(Debug, Deserialize)]
struct Page {
    name: String,
    /// First paints of the document that runs nothing.
    bare: Vec<f64>,
    /// Loads with an empty cache.
    cold: Vec<Load>,
    /// Loads with what the one before has left in it.
    warm: Vec<Load>,
    /// From an interaction to the paint that follows it, the slowest of each run.
    interactions: Vec<f64>,
    /// Bytes of script on the wire, in this encoding.
    gzip: f64,
    brotli: f64,
}

/// Times are in milliseconds from the beginning of the navigation.
#[derive(Debug, Deserialize)]
struct Load {
    paint: f64,
    largest: f64,
    requests: f64,
}

/// Measures a demo of the server. Without the console's folder, which has what drives the browser, nothing is measured.
pub fn measure(binary: &Path, console: Option<&Path>, report: &mut Report) -> Result<()> {
    let Some(console) = console else {
        report.note("The console: not measured: it needs Node and Chromium.");
        return Ok(());
    };
    let measured = drive(binary, console)?;
    for page in &measured.pages {
        judge(page, report);
    }
    report.note(format!(
        "The console: Chromium {}, medians of {RUNS}. Interactions that are quicker than 16 ms count as so many.",
        measured.browser
    ));
    Ok(())
}

fn drive(binary: &Path, console: &Path) -> Result<Measured> {
    let mut node = Command::new("node");
    node.arg(console.join("tests/quickness.mjs")).arg(RUNS.to_string());
    // Else a server that somebody else has started would be measured.
    node.env("RIVERGEN_BIN", binary).env_remove("CONSOLE_URL");
    let output = node.stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| BenchError::Start { program: "node".into(), source })?;
    if !output.status.success() {
        let output = "its error is above".to_owned();
        return Err(BenchError::Command { command: "node quickness.mjs".into(), output });
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn judge(page: &Page, report: &mut Report) {
    let what = |figure: &str| format!("console, {}, {figure}", page.name);
    let bare = median(page.bare.clone());
    for (cache, loads) in [("empty cache", &page.cold), ("full cache", &page.warm)] {
        for (paint, time, most) in [
            ("first", middle(loads, |load| load.paint), 1000.0),
            ("largest", middle(loads, |load| load.largest), 2500.0),
        ] {
            let what = what(&format!("{paint} contentful paint, {cache}"));
            report.bound_beside(what, (time, bare), "ms", "for a bare document", Goal::AtMost(most));
        }
    }
    let interaction = median(page.interactions.clone());
    report.bound(what("interaction to next paint"), interaction, "ms", Goal::AtMost(200.0));
    let (gzip, brotli) = (page.gzip / 1024.0, page.brotli / 1024.0);
    report.bound_beside(what("script, gzip"), (gzip, brotli), "KiB", "as brotli", Goal::AtMost(200.0));
    let [cold, warm] = [&page.cold, &page.warm].map(|loads| middle(loads, |load| load.requests));
    report.bound_beside(what("a load, empty cache"), (cold, warm), "requests", "full cache", Goal::AtMost(40.0));
}

fn middle(loads: &[Load], figure: fn(&Load) -> f64) -> f64 {
    median(loads.iter().map(figure).collect())
}
