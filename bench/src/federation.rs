//! Queries over PostgreSQL: TPC-H with all of its tables there, TPC-H with half of them in Parquet files, and some simple
//! queries, against the same SQL sent to PostgreSQL by hand; and how many bytes PostgreSQL sends for it.
//!
//! What crosses the wire tells how much of a query the source was left with. By hand it is the result alone, so a query
//! that is pushed down whole reads as much, and one that is not reads what its own part of the work needs.

use std::{
    net::ToSocketAddrs,
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

use crate::{
    database,
    duckdb::DuckDb,
    engine::Engine,
    error::{BenchError, Result},
    median,
    postgres::ByHand,
    report::{Goal, Report},
    tpch::{self, QUERIES, TABLES},
    wire::Meter,
};

const RUNS: usize = 3;
/// What takes so long is measured once: it needs no warming up, and all of them thrice would take too long.
const LONG: Duration = Duration::from_secs(2);
/// So much is let pass in a comparison of bytes: results of a few rows are less than what surrounds them.
const SMALL: u64 = 4096;

/// The tables that are files where half of them are.
const IN_FILES: [&str; 4] = ["customer", "lineitem", "nation", "part"];
const IN_POSTGRES: [&str; 4] = ["orders", "partsupp", "region", "supplier"];

const CREATE: &str = include_str!("../tpch/tables.sql");
const INDEXES: &str = include_str!("../tpch/indexes.sql");

/// Simple ones, the same text on both sides.
const SIMPLE: [(&str, &str); 4] = [
    (
        "filter and limit",
        "SELECT l_orderkey, l_partkey, l_extendedprice, l_shipdate FROM lineitem \
         WHERE l_shipdate = DATE '1995-06-17' AND l_shipmode = 'AIR' LIMIT 100",
    ),
    (
        "filter",
        "SELECT o_orderkey, o_custkey, o_orderdate, o_totalprice FROM orders \
         WHERE o_orderdate >= DATE '1995-01-01' AND o_orderdate < DATE '1995-04-01' AND o_orderpriority = '1-URGENT'",
    ),
    (
        "aggregate",
        "SELECT l_returnflag, l_linestatus, count(*) AS lines, sum(l_quantity) AS quantity, max(l_shipdate) AS last \
         FROM lineitem GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
    ),
    (
        "scan of six columns",
        "SELECT l_orderkey, l_linenumber, l_quantity, l_extendedprice, l_shipdate, l_shipmode FROM lineitem",
    ),
];

/// Measures all of it. Nothing is where PostgreSQL or the tools that make the tables are missing, and said so.
pub fn measure(python: Option<&Path>, postgres: Option<&str>, scale: f64, report: &mut Report) -> Result<()> {
    let (Some(python), Some(postgres)) = (python, postgres) else {
        report.note("Federation: not measured: it needs PostgreSQL and the Python packages duckdb and tpchgen-cli.");
        return Ok(());
    };
    let directory = TempDir::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let url = database::empty_postgres(postgres, "rivergen_bench_tpch")?;
    tpch::generate(python, "parquet", scale, directory.path())?;
    tpch::generate(python, "csv", scale, directory.path())?;
    let by_hand = runtime.block_on(load(&url, directory.path()))?;
    let places = runtime.block_on(Places::open(&url, directory.path(), by_hand))?;
    let mut duckdb = DuckDb::start(python, &tpch::parquet(&TABLES, directory.path()))?;
    eprintln!("simple queries over PostgreSQL …");
    for (name, sql) in SIMPLE {
        simple(&runtime, &places, name, sql, report)?;
    }
    eprintln!("TPC-H over PostgreSQL, and over PostgreSQL and files …");
    let mut ratios = Ratios::default();
    for (name, sql) in QUERIES {
        query(&runtime, &places, &mut duckdb, (name, sql), &mut ratios, report)?;
    }
    let mut mean = |what: &str, measured: &str, against: &str, ratios: &[f64], goal| {
        let what = format!("{what}, geometric mean of {}", ratios.len());
        report.compare(what, measured.to_owned(), against.to_owned(), tpch::geometric_mean(ratios), goal);
    };
    mean("TPC-H, PostgreSQL", "governed", "ungoverned", &ratios.governed, Goal::AtMost(1.05));
    mean("TPC-H, half PostgreSQL", "governed", "ungoverned", &ratios.governed_mixed, Goal::AtMost(1.05));
    mean("TPC-H, PostgreSQL", "ungoverned", "by hand", &ratios.by_hand, Goal::AtMost(1.1));
    if !ratios.pushed_whole.is_empty() {
        mean("TPC-H, pushed down whole", "ungoverned", "by hand", &ratios.pushed_whole, Goal::AtMost(1.1));
    }
    report.note(format!(
        "Federation: scale {scale}, PostgreSQL as it comes. Answers up to {SMALL} bytes count as so many where bytes are \
         compared; pushed down whole is what reads no more than that ratio allows. Queries that take longer than {} s \
         are measured once.",
        LONG.as_secs()
    ));
    Ok(())
}

/// The tables with their keys and statistics.
async fn load(url: &str, directory: &Path) -> Result<ByHand> {
    let by_hand = ByHand::connect(url).await?;
    by_hand.execute(CREATE).await?;
    for table in TABLES {
        let file = directory.join(format!("{table}.csv"));
        by_hand.copy_csv(table, &file).await?;
        std::fs::remove_file(file)?;
    }
    by_hand.execute("SET maintenance_work_mem = '256MB'").await?;
    by_hand.execute(INDEXES).await?;
    by_hand.execute("VACUUM ANALYZE").await?;
    by_hand.execute("RESET maintenance_work_mem").await?;
    Ok(by_hand)
}

/// The ways to the tables.
struct Places {
    by_hand: ByHand,
    postgres: Engine,
    /// The same through the meter.
    metered: Engine,
    meter: Meter,
    mixed: Engine,
}

impl Places {
    async fn open(url: &str, directory: &Path, by_hand: ByHand) -> Result<Self> {
        let wrong = || BenchError::Answer("the URL of PostgreSQL names no server".into());
        let mut through = Url::parse(url).map_err(|_| wrong())?;
        let (host, port) = (through.host_str().ok_or_else(wrong)?, through.port().unwrap_or(5432));
        let server = (host, port).to_socket_addrs()?.next().ok_or_else(wrong)?;
        let meter = Meter::before(server).await?;
        through.set_ip_host(meter.address.ip()).map_err(|()| wrong())?;
        through.set_port(Some(meter.address.port())).map_err(|()| wrong())?;
        let engine = || Ok::<_, BenchError>(Engine::new(directory, tpch::policies()?));
        let mixed = engine()?.and_files(&tpch::parquet(&IN_FILES, directory)).await?;
        Ok(Self {
            by_hand,
            postgres: engine()?.and_postgres(url, &TABLES).await?,
            metered: engine()?.and_postgres(through.as_str(), &TABLES).await?,
            meter,
            mixed: mixed.and_postgres(url, &IN_POSTGRES).await?,
        })
    }
}

#[derive(Default)]
struct Ratios {
    governed: Vec<f64>,
    governed_mixed: Vec<f64>,
    by_hand: Vec<f64>,
    pushed_whole: Vec<f64>,
}

fn simple(runtime: &Runtime, places: &Places, name: &'static str, sql: &str, report: &mut Report) -> Result<()> {
    places.meter.take();
    runtime.block_on(places.metered.drain(sql, false))?;
    let read = places.meter.take();
    let mut wanted = 0;
    let [ours, theirs] = in_turn(|| {
        let (rows, ours) = runtime.block_on(places.postgres.drain(sql, false))?;
        let theirs = runtime.block_on(places.by_hand.read(sql))?;
        wanted = theirs.bytes;
        alike(name, rows, theirs.rows)?;
        Ok([ours, theirs.took])
    })?;
    let what = format!("PostgreSQL, {name}");
    let (figure, beside) = (format!("{ours:.1} ms"), format!("{theirs:.1} ms by hand"));
    report.compare(what.clone(), figure, beside, ours / theirs, Goal::AtMost(1.1));
    compare_bytes(what, read, wanted, report);
    Ok(())
}

fn query(
    runtime: &Runtime,
    places: &Places,
    duckdb: &mut DuckDb,
    (name, sql): (&'static str, &str),
    ratios: &mut Ratios,
    report: &mut Report,
) -> Result<()> {
    let right = duckdb.run(sql)?;
    places.meter.take();
    runtime.block_on(places.metered.run(sql, false))?;
    let read = places.meter.take();
    let mut wanted = 0;
    let [governed, theirs, ungoverned] = in_turn(|| {
        let governed = runtime.block_on(places.postgres.run(sql, true))?;
        let theirs = runtime.block_on(places.by_hand.read(sql))?;
        let ungoverned = runtime.block_on(places.postgres.run(sql, false))?;
        tpch::same(name, "DuckDB", &governed, &right)?;
        tpch::same(name, "DuckDB", &ungoverned, &right)?;
        alike(name, right.rows.len() as u64, theirs.rows)?;
        wanted = theirs.bytes;
        Ok([governed.took, theirs.took, ungoverned.took])
    })?;
    let [mixed, mixed_ungoverned] = in_turn(|| {
        let governed = runtime.block_on(places.mixed.run(sql, true))?;
        let ungoverned = runtime.block_on(places.mixed.run(sql, false))?;
        tpch::same(name, "DuckDB", &governed, &right)?;
        Ok([governed.took, ungoverned.took])
    })?;
    let what = format!("TPC-H {name}, PostgreSQL");
    let ratio = ungoverned / theirs;
    let (figure, beside) = (format!("{ungoverned:.0} ms"), format!("{theirs:.0} ms by hand"));
    report.compare(what.clone(), figure, beside, ratio, Goal::AtMost(1.1));
    let as_much = compare_bytes(what.clone(), read, wanted, report);
    ratios.by_hand.push(ratio);
    if as_much {
        ratios.pushed_whole.push(ratio);
    }
    for (what, governed, ungoverned, ratios) in [
        (what, governed, ungoverned, &mut ratios.governed),
        (format!("TPC-H {name}, half PostgreSQL"), mixed, mixed_ungoverned, &mut ratios.governed_mixed),
    ] {
        let (figure, beside) = (format!("{governed:.0} ms"), format!("{ungoverned:.0} ms ungoverned"));
        report.compare(what, figure, beside, governed / ungoverned, Goal::AtMost(1.05));
        ratios.push(governed / ungoverned);
    }
    Ok(())
}

/// How often as much is read as the result has by hand; whether it is as much.
fn compare_bytes(what: String, read: u64, wanted: u64, report: &mut Report) -> bool {
    const MOST: f64 = 1.1;
    let ratio = read.max(SMALL) as f64 / wanted.max(SMALL) as f64;
    let kilobytes = |bytes: u64| format!("{:.0} kB", bytes as f64 / 1e3);
    let (figure, beside) = (kilobytes(read), format!("{} by hand", kilobytes(wanted)));
    report.compare(format!("{what}, bytes read"), figure, beside, ratio, Goal::AtMost(MOST));
    ratio <= MOST
}

fn alike(name: &str, ours: u64, theirs: u64) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    Err(BenchError::Answer(format!("{name} has {ours} rows here and {theirs} by hand")))
}

/// The sides' medians in milliseconds, over rounds in which each has its turn; the first round warms them up.
fn in_turn<const SIDES: usize>(mut round: impl FnMut() -> Result<[Duration; SIDES]>) -> Result<[f64; SIDES]> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let begin = Instant::now();
    let first = round()?.map(milliseconds);
    if begin.elapsed() >= LONG {
        return Ok(first);
    }
    let mut times: [Vec<f64>; SIDES] = std::array::from_fn(|_| Vec::new());
    for _ in 0..RUNS {
        for (times, time) in times.iter_mut().zip(round()?) {
            times.push(milliseconds(time));
        }
    }
    Ok(times.map(median))
}
