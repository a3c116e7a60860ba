//! What the tests of databases share: how a server on this machine is a source, and what each of them is asked alike.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, DiscoveredTable, OpenedSource, Registry, SourceConfig, SourceContext,
};

use super::differential::{rows, session_of};
use super::{local, open, signed_in};

/// A server of databases on this machine, and who signs in there.
pub struct Given {
    pub kind: DataSourceType,
    pub database: &'static str,
    /// Where the tables of the suite are.
    pub schema: &'static str,
    pub user: &'static str,
    pub password: &'static str,
    /// Where it is not the kind's usual one.
    pub sslmode: Option<&'static str>,
}

impl Given {
    /// A source at the port, with a change of what it is configured with.
    pub fn at(
        &self,
        port: u16,
        change: impl FnOnce(&mut SourceConfig, &mut Credentials),
    ) -> (SourceContext, tempfile::TempDir) {
        let credentials = signed_in(self.user, self.password);
        local(self.kind, port, self.database, credentials, |config, credentials| {
            config.metadata.extend(self.sslmode.map(|mode| ("sslmode".to_owned(), mode.into())));
            change(config, credentials);
        })
    }

    /// The source at the port as it is.
    pub async fn open(&self, port: u16) -> (Arc<dyn OpenedSource>, tempfile::TempDir) {
        let (context, cache) = self.at(port, |_, _| {});
        (open(&context).await, cache)
    }

    pub async fn table(&self, source: &Arc<dyn OpenedSource>, name: &str) -> Arc<dyn TableProvider> {
        source.open_table(self.schema, name, None).await.unwrap()
    }

    /// A session with the one table.
    pub async fn session_of(&self, source: &Arc<dyn OpenedSource>, name: &str) -> SessionContext {
        session_of(name, self.table(source, name).await)
    }
}

/// What was discovered of a table survives being stored, and opens the table as asking again does.
pub async fn check_kept(source: &Arc<dyn OpenedSource>, schema: &str, table: &DiscoveredTable) -> DiscoveredTable {
    let known: DiscoveredTable = serde_json::from_str(&serde_json::to_string(table).unwrap()).unwrap();
    assert_eq!(&known, table);
    let opened = source.open_table(schema, &table.name, Some(&known)).await.unwrap();
    assert_eq!(opened.schema(), source.open_table(schema, &table.name, None).await.unwrap().schema());
    known
}

/// Makes a source speak TLS in this mode, or in its kind's, with a server of this name, for which this root vouches.
pub fn tls(mode: Option<&str>, host: &str, root: Option<&String>) -> impl FnOnce(&mut SourceConfig, &mut Credentials) {
    move |config: &mut SourceConfig, _: &mut Credentials| {
        config.host = Some(host.into());
        config.metadata.remove("sslmode");
        config.metadata.extend(mode.map(|mode| ("sslmode".to_owned(), mode.into())));
        config.metadata.extend(root.map(|root| ("ssl_root_certificate".to_owned(), root.as_str().into())));
    }
}

/// A mode of TLS, the server's name, the root, and whether a connection comes about.
pub type Way<'a> = (&'a str, &'a str, Option<&'a String>, bool);

/// The modes of libpq mean what they say: what does not come about is told, and what does is encrypted as far as the
/// query over the table `own`, which asks the server of its own session, is answered with `true`.
pub async fn check_tls(given: &Given, port: u16, ways: &[Way<'_>], encrypted: &str) {
    let connector = Registry::new().connector(given.kind).unwrap().clone();
    for (mode, host, root, works) in ways.iter().copied() {
        let (context, _cache) = given.at(port, tls(Some(mode), host, root));
        let outcome = connector.test(&context).await;
        assert_eq!(outcome.successful, works, "{mode} {host}: {:?}", outcome.error_message);
        if !works {
            assert!(outcome.error_message.unwrap().contains("TLS"), "{mode}");
            continue;
        }
        let ctx = given.session_of(&open(&context).await, "own").await;
        let found = rows(&ctx.sql(encrypted).await.unwrap().collect().await.unwrap(), true);
        assert_eq!(found, [[(mode != "disable").to_string()]], "{mode}");
    }
}

/// The statement takes longer than the source gives it, and is given up.
pub async fn check_time_limit(ctx: &SessionContext, sql: &str) {
    let error = ctx.sql(sql).await.unwrap().collect().await.unwrap_err();
    assert!(matches!(ConnectorError::within(&error), Some(ConnectorError::Timeout(_))), "{error}");
}

/// A result that has begun and of which no row comes.
pub async fn waiting(ctx: &SessionContext, sql: &str) -> SendableRecordBatchStream {
    let mut stream = ctx.sql(sql).await.unwrap().execute_stream().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), stream.next()).await.is_err(), "it never comes");
    stream
}

/// The fifty thousand rows come in batches.
pub async fn check_streams(ctx: &SessionContext, sql: &str) {
    let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    assert!(batches.len() > 5);
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 50_000);
}

/// Whether it comes to be so, within a time that is ample.
pub async fn eventually(mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(15);
    while !is_so().await {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// The fields that are wrong in a configuration of the kind that is right but for the change.
pub fn wrong_fields(kind: DataSourceType, change: impl FnOnce(&mut SourceConfig)) -> Vec<String> {
    let mut config = SourceConfig::new(kind);
    config.host = Some("db.example.com".into());
    config.port = kind.default_port();
    config.database_name = Some("shop".into());
    change(&mut config);
    let wrong = Registry::new().connector(kind).unwrap().validate(&config, &signed_in("ann", "p"));
    wrong.into_iter().map(|error| error.field.to_string()).collect()
}
