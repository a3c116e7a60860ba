//! What the test of a connection tells of a way that is wrong: what it is, and nothing of the network's or the server's.

use rivergen_connectors::{Credentials, Registry, SourceConfig, SourceContext, TestOutcome};
use rivergen_kernel::secret::Secret;

use super::port::ClosedPort;

/// Makes a way wrong.
pub type Change = Box<dyn Fn(&mut SourceConfig, &mut Credentials)>;

/// Tries what can be wrong with the way to any server of databases, and what else there is, each with the word that
/// tells it; and that nobody goes there where its address is not allowed.
pub async fn are_told(
    context: impl Fn(&Change) -> (SourceContext, tempfile::TempDir),
    more: Vec<(&'static str, Change)>,
) {
    let closed = ClosedPort::take();
    let port = closed.number();
    let usual: [(&'static str, Change); 5] = [
        ("credentials", Box::new(|_, c| c.password = Some(Secret::new("wrong")))),
        ("credentials", Box::new(|_, c| c.username = Some("nobody_knows".into()))),
        ("credentials", Box::new(|s, _| s.database_name = Some("missing".into()))),
        ("reached", Box::new(move |s, _| s.port = Some(port))),
        ("reached", Box::new(|s, _| s.host = Some("no-such-host.invalid".into()))),
    ];
    for (told, change) in usual.into_iter().chain(more) {
        let (wrong, _cache) = context(&change);
        let outcome = test(&wrong).await;
        let message = outcome.error_message.unwrap();
        assert!(!outcome.successful && outcome.error_code == Some("CONNECTION_ERROR"), "{message}");
        assert!(message.contains(told), "{message}");
        assert!(!message.contains("refused (os") && !message.contains("127.0.0.1") && !message.contains("missing"));
    }
    let nothing: Change = Box::new(|_, _| {});
    let (private, _cache) = context(&nothing);
    a_private_address_is_refused(private).await;
}

/// Where private addresses are not allowed, a server at one is not reached.
pub async fn a_private_address_is_refused(mut source: SourceContext) {
    source.guard = super::outbound(false);
    assert!(test(&source).await.error_message.unwrap().contains("not allowed"));
}

async fn test(source: &SourceContext) -> TestOutcome {
    Registry::new().connector(source.config.kind).unwrap().test(source).await
}
