//! What is said to a source when nobody waits for it any more.
//!
//! Statements, sessions and views of a server outlive the value that stands for them here unless the server is told.
//! The drop of that value cannot wait for an answer, so a task of its own does.

/// Does the work in a task of its own. Without a runtime there is nobody to do it: the process ends, and the server
/// finds its connections closed.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}
