//! `rivergen eval`: how well a planner answers a set of questions.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand, ValueEnum};
use rivergen_kernel::{Error, Result};
use rivergen_platform::net::Outbound;
use rivergen_studio::{
    eval::{self, Suite, Verdict},
    planner::{EmbeddedPlanner, Planner},
};

use crate::{
    assembly::{chat_planner, local_model, local_planner},
    config::Config,
};

#[derive(Debug, Args)]
pub struct EvalCommand {
    #[command(subcommand)]
    set: Set,
    /// Which planner: the embedded one, the model of the settings' [planner], or the one on this machine of [planner.local]
    #[arg(long, global = true, value_enum, default_value_t = Choice::Embedded)]
    planner: Choice,
    /// Only so many questions, evenly from the whole set
    #[arg(long, global = true, value_name = "N")]
    limit: Option<usize>,
    /// Print each question with what became of it
    #[arg(long, global = true)]
    each: bool,
    /// Fail when fewer percent than this are right
    #[arg(long, global = true, value_name = "PERCENT")]
    at_least: Option<f64>,
    /// Fail when more percent than this are wrong
    #[arg(long, global = true, value_name = "PERCENT")]
    at_most_wrong: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Choice {
    Embedded,
    Chat,
    Local,
}

#[derive(Debug, Subcommand)]
enum Set {
    /// Spider: a folder with tables.json, the questions, and database/<db_id>/<db_id>.sqlite
    Spider {
        folder: PathBuf,
        /// The file of questions in the folder
        #[arg(long, default_value = "dev.json")]
        questions: PathBuf,
    },
    /// WikiSQL: dev.jsonl with dev.tables.jsonl beside it
    Wikisql { questions: PathBuf },
    /// A CSV with the columns question, query and db_name; a question without a query cannot be answered from the data
    Csv {
        questions: PathBuf,
        /// Where <db_name>.sql or <db_name>.sqlite lie; beside the CSV without it
        #[arg(long, value_name = "FOLDER")]
        databases: Option<PathBuf>,
    },
}

impl EvalCommand {
    pub async fn run(&self, config: &Config) -> Result<ExitCode> {
        let suite = match &self.set {
            Set::Spider { folder, questions } => Suite::spider(folder, &questions.to_string_lossy()),
            Set::Wikisql { questions } => Suite::wikisql(questions),
            Set::Csv { questions, databases } => Suite::csv(questions, databases.as_deref()),
        };
        let suite = suite.map_err(Error::internal)?.sampled(self.limit.unwrap_or_default());
        let planner = planner(self.planner, config)?;
        let report = eval::run(&suite, planner.as_ref(), |case, asked| {
            if self.each {
                let became = match asked.verdict {
                    Verdict::Right => "right",
                    Verdict::Wider => "wider",
                    Verdict::Wrong => "wrong",
                    Verdict::Abstained => "abstained",
                    Verdict::Unmeasured => "unmeasured",
                };
                println!("{became:<10} {:<20} {}\n           {}", case.database, case.question, asked.said);
            }
        });
        let report = report.await.map_err(Error::internal)?;
        print!("{report}");
        let total = report.total();
        let percent = |count: usize| 100.0 * count as f64 / total.measured().max(1) as f64;
        let too_few = self.at_least.is_some_and(|least| percent(total.right) < least);
        let too_many = self.at_most_wrong.is_some_and(|most| percent(total.wrong) > most);
        // Where nothing could be measured nothing was wrong either, which proves nothing.
        let is_check = self.at_least.is_some() || self.at_most_wrong.is_some();
        let is_unproven = is_check && total.measured() == 0;
        Ok(if too_few || too_many || is_unproven { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn planner(choice: Choice, config: &Config) -> Result<Arc<dyn Planner>> {
    if choice == Choice::Embedded {
        return Ok(Arc::new(EmbeddedPlanner::new()));
    }
    if choice == Choice::Local {
        let reason = "--planner local asks the model of the settings' [planner.local], and none is set";
        let model = local_model(config)?.ok_or_else(|| Error::internal(reason))?;
        return Ok(Arc::new(local_planner(config, Some(model))));
    }
    if config.planner.kind.protocol().is_none() {
        return Err(Error::internal("--planner chat asks the model of the settings' [planner], and none is set"));
    }
    let outbound = Outbound::new(&config.outbound).map_err(Error::internal)?;
    Ok(Arc::new(chat_planner(config, outbound.http_without_redirects().clone())?))
}
