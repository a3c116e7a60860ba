//! The instance that all tests of a run share.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

use url::Url;

use crate::{
    account::{Account, run},
    port,
};

/// The superuser of an instance that we start.
const USER: &str = "rivergen_test";
const PASSWORD: &str = "rivergen_test";

/// The superuser's address of the instance, which runs.
pub fn url() -> Url {
    static INSTANCE: LazyLock<Url> = LazyLock::new(|| match std::env::var("RIVERGEN_TEST_POSTGRES_URL") {
        Ok(url) if !url.is_empty() => url.parse().expect("RIVERGEN_TEST_POSTGRES_URL is no address"),
        _ => shared(),
    });
    let url = INSTANCE.clone();
    // For the keeper: somebody uses it still.
    if let Ok(file) = File::options().write(true).open(folder().join("used")) {
        file.set_modified(SystemTime::now()).unwrap();
    }
    url
}

/// Where an instance of our own lies.
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("rivergen-tests-postgres-{}", user_id()))
}

/// Joins the instance that another test started, or starts it.
fn shared() -> Url {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    File::create(folder.join("used")).unwrap();
    let known = fs::read_to_string(folder.join("port")).ok().and_then(|text| text.parse::<u16>().ok());
    let port = match known {
        Some(port) if TcpStream::connect(("127.0.0.1", port)).is_ok() => port,
        _ => start(&folder),
    };
    format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres").parse().unwrap()
}

fn start(folder: &Path) -> u16 {
    let programs = programs();
    let home = folder.join("home");
    if home.exists() {
        fs::remove_dir_all(&home).unwrap();
    }
    fs::create_dir(&home).unwrap();
    fs::write(home.join("password"), PASSWORD).unwrap();
    let account = Account::of("postgres");
    account.take(&home);
    let data = home.join("data");
    run(account
        .command(&programs.join("initdb"), &home)
        .args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
        .arg("--pwfile")
        .arg(home.join("password"))
        .arg("-D")
        .arg(&data));
    let port = port::for_a_program();
    let mut server = account.command(&programs.join("postgres"), &home);
    server
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
        .args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"])
        .args(["-c", "max_connections=200", "-c", "log_min_messages=fatal"]);
    keep(folder, &server);
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "PostgreSQL did not start within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::write(folder.join("port"), port.to_string()).unwrap();
    port
}

/// Runs the server under a keeper that outlives every test: it ends the server when the file `used` has not been
/// touched for a while.
fn keep(folder: &Path, server: &Command) {
    let script = r#"
        folder=$1
        shift
        (
            "$@" &
            server=$!
            while kill -0 "$server" && [ -n "$(find "$folder/used" -mmin -2)" ]; do sleep 5; done
            kill -INT "$server"
            wait "$server"
            rm -rf "$folder"
        ) &
    "#;
    let mut keeper = Command::new("sh");
    keeper.args(["-c", script, "keeper"]).arg(folder).arg(server.get_program()).args(server.get_args());
    // In a group of its own, so that Ctrl-C at the tests does not end it.
    keeper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    assert!(keeper.current_dir("/").status().unwrap().success());
}

/// Where `initdb` and `postgres` are.
fn programs() -> PathBuf {
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = packaged.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.sort_by_key(|bin| bin.parent().and_then(|v| v.file_name()?.to_str()?.parse::<u32>().ok()));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    all.extend(found);
    let complete = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    all.into_iter().rfind(complete).expect("these tests need PostgreSQL: install the package `postgresql`")
}

fn user_id() -> &'static str {
    static ID: LazyLock<String> = LazyLock::new(|| {
        let output = Command::new("id").arg("-u").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    });
    &ID
}
