//! Tests with a program of somebody else's that this machine lacks.
//!
//! `scripts/install-test-tools.sh` installs all of them. A test that is passed over proves nothing, so with
//! `RIVERGEN_REQUIRE_TOOLS=1`, as `make test` sets it, it fails instead.

/// Says why a test is passed over, or fails it where nothing may be missing.
#[track_caller]
pub fn passed_over(missing: &str) {
    let required = std::env::var_os("RIVERGEN_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{missing}; see scripts/install-test-tools.sh");
    println!("SKIPPED: {missing}; see scripts/install-test-tools.sh");
}
