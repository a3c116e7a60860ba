//! Takes the web console into the binary, where it has been built: `npm run build` in `console/` writes `console/dist`.
//! Without it the server builds all the same, and says that the console is not in it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let console = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../console");
    let root = console.join("dist");
    // What is not there counts as changed at every build, so until there is a dist, a file is watched that is touched when
    // there is one (scripts/build-console.sh).
    let watched = if root.is_dir() { root.clone() } else { console.join("package.json") };
    println!("cargo::rerun-if-changed={}", watched.display());
    let mut files = Vec::new();
    if root.join("index.html").is_file() {
        collect(&root, &root, &mut files)?;
    }
    files.sort();
    let entries = files.iter().map(|(name, path)| format!("    ({name:?}, include_bytes!({path:?})),\n"));
    let list: String = entries.collect();
    let code = format!(
        "/// The files of the console, by their paths below its root.\nstatic FILES: &[(&str, &[u8])] = &[\n{list}];\n"
    );
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("console.rs");
    fs::write(target, code)
}

/// All files below a folder, with their paths relative to the root and on this machine.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push((name.to_string_lossy().replace('\\', "/"), path.canonicalize()?));
        }
    }
    Ok(())
}
