//! A real browser, driven by the scripts in `interop/`.

use std::process::Stdio;

use serde_json::Value;

use crate::missing::passed_over;

/// Runs a script of `interop/` with the browser's path and these arguments; answers the JSON that it printed. `None`,
/// with a word about it, where there is no browser or no node.
pub async fn run(script: &str, arguments: &[&str]) -> Option<Value> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let paths: Vec<_> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let Some(browser) =
        names.iter().flat_map(|name| paths.iter().map(move |path| path.join(name))).find(|p| p.exists())
    else {
        passed_over("there is no Chromium");
        return None;
    };
    let script = crate::manifest_dir().join("interop").join(script);
    let mut node = tokio::process::Command::new("node");
    node.arg(&script).arg(browser).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let Ok(ended) = node.output().await else {
        passed_over("node, which drives the browser, cannot be started");
        return None;
    };
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {}\n{errors}", script.display(), ended.status);
    Some(
        serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{errors}", script.display())),
    )
}
