//! Sealing: what opens, and above all what does not.

use rivergen_kernel::OrganizationId;
use rivergen_platform::vault::{Owner, Sealed, ServerKeys, Vault, VaultError};
use sea_orm::{FromQueryResult, Statement};

use crate::database::{KEY_A, KEY_B, TestDatabase};

const ACME: OrganizationId = OrganizationId(7);
const OTHER: OrganizationId = OrganizationId(8);
const CONTEXT: &str = "data_sources.credentials";

on_both_databases!(
    opens_for_its_owner_and_context_only,
    a_changed_value_does_not_open,
    old_values_open_after_a_rotation,
    the_server_key_can_be_changed,
    a_lost_server_key_is_noticed_at_start,
    shredding_makes_values_unreadable_on_every_node,
    a_rolled_back_key_is_not_used_again,
    two_nodes_make_one_first_key,
    a_key_is_fetched_where_the_database_is_at_home,
);

async fn seal(test: &TestDatabase, vault: &Vault, owner: impl Into<Owner>, text: &str) -> Sealed {
    let tx = test.db.begin().await.unwrap();
    let owner = owner.into();
    let sealed = vault.seal(&tx, owner, CONTEXT, text.as_bytes()).await.unwrap();
    tx.commit().await.unwrap();
    sealed
}

async fn open(vault: &Vault, owner: impl Into<Owner>, sealed: &Sealed) -> Result<String, VaultError> {
    let opened = vault.open(owner.into(), CONTEXT, sealed).await?;
    Ok(String::from_utf8(opened.to_vec()).unwrap())
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

async fn data_keys(test: &TestDatabase) -> i64 {
    let count = Statement::from_string(test.db.backend(), "SELECT count(*) AS count FROM data_keys");
    Count::find_by_statement(count).one(test.db.read()).await.unwrap().unwrap().count
}

async fn opens_for_its_owner_and_context_only(test: &TestDatabase) {
    let vault = test.vault();
    let sealed = seal(test, &vault, ACME, "s3cret").await;
    // The other owners have data keys of the same version, so it is not for want of a key that it fails.
    seal(test, &vault, OTHER, "x").await;
    seal(test, &vault, Owner::System, "x").await;

    assert_eq!(open(&vault, ACME, &sealed).await.unwrap(), "s3cret");
    assert!(!sealed.0.windows(6).any(|part| part == b"s3cret"));
    assert!(matches!(open(&vault, OTHER, &sealed).await, Err(VaultError::NotAuthentic)));
    assert!(matches!(open(&vault, Owner::System, &sealed).await, Err(VaultError::NotAuthentic)));
    let elsewhere = vault.open(ACME.into(), "sso.client_secret", &sealed).await;
    assert!(matches!(elsewhere, Err(VaultError::NotAuthentic)));
    assert_ne!(seal(test, &vault, ACME, "s3cret").await, sealed, "equal secrets do not look equal");
}

async fn a_changed_value_does_not_open(test: &TestDatabase) {
    let vault = test.vault();
    let sealed = seal(test, &vault, ACME, "s3cret").await;
    for index in 0..sealed.0.len() {
        let mut changed = sealed.clone();
        changed.0[index] ^= 1;
        assert!(open(&vault, ACME, &changed).await.is_err(), "byte {index}");
    }
    for length in 0..sealed.0.len() {
        assert!(open(&vault, ACME, &Sealed(sealed.0[..length].to_vec())).await.is_err(), "cut to {length}");
    }
}

async fn old_values_open_after_a_rotation(test: &TestDatabase) {
    let vault = test.vault();
    let before = seal(test, &vault, ACME, "before").await;
    let tx = test.db.begin().await.unwrap();
    assert_eq!(vault.rotate_data_key(&tx, ACME.into()).await.unwrap(), 2);
    tx.commit().await.unwrap();
    let after = seal(test, &vault, ACME, "after").await;

    assert_ne!(before.0[..5], after.0[..5], "the new value names the new key");
    for vault in [vault, test.vault()] {
        assert_eq!(open(&vault, ACME, &before).await.unwrap(), "before");
        assert_eq!(open(&vault, ACME, &after).await.unwrap(), "after");
    }
}

async fn the_server_key_can_be_changed(test: &TestDatabase) {
    let with = |keys: &str| Vault::new(test.db.clone(), ServerKeys::parse(keys).unwrap(), test.clock.clone());
    let sealed = seal(test, &with(KEY_A), ACME, "s3cret").await;

    let both = with(&format!("{KEY_B},{KEY_A}"));
    assert_eq!(open(&both, ACME, &sealed).await.unwrap(), "s3cret", "the old key still opens");
    let tx = test.db.begin().await.unwrap();
    assert_eq!(both.reseal_data_keys(&tx).await.unwrap(), 1);
    assert_eq!(both.reseal_data_keys(&tx).await.unwrap(), 0, "nothing is left to do");
    tx.commit().await.unwrap();

    assert_eq!(open(&with(KEY_B), ACME, &sealed).await.unwrap(), "s3cret", "the old key can go");
    assert!(matches!(open(&with(KEY_A), ACME, &sealed).await, Err(VaultError::NoServerKey { .. })));
}

async fn a_key_is_fetched_where_the_database_is_at_home(test: &TestDatabase) {
    let sealed = seal(test, &test.vault(), ACME, "s3cret").await;
    let vault = test.vault();
    let elsewhere = move || {
        // It has neither sockets nor a clock, so that it could not even wait for a connection.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(open(&vault, ACME, &sealed)).unwrap()
    };
    assert_eq!(tokio::task::spawn_blocking(elsewhere).await.unwrap(), "s3cret");
}

async fn a_lost_server_key_is_noticed_at_start(test: &TestDatabase) {
    seal(test, &test.vault(), ACME, "s3cret").await;
    test.vault().check().await.unwrap();
    let lost = Vault::new(test.db.clone(), ServerKeys::parse(KEY_B).unwrap(), test.clock.clone());
    assert!(matches!(lost.check().await, Err(VaultError::NoServerKey { .. })));
}

async fn shredding_makes_values_unreadable_on_every_node(test: &TestDatabase) {
    let vault = test.vault();
    let sealed = seal(test, &vault, ACME, "s3cret").await;
    let kept = seal(test, &vault, OTHER, "kept").await;
    let node = test.another_node().await;
    let elsewhere = Vault::new(node, ServerKeys::parse(KEY_A).unwrap(), test.clock.clone());
    assert_eq!(open(&elsewhere, ACME, &sealed).await.unwrap(), "s3cret");
    assert_eq!(open(&vault, ACME, &sealed).await.unwrap(), "s3cret", "it is cached now");

    let tx = test.db.begin().await.unwrap();
    vault.shred(&tx, ACME).await.unwrap();
    drop(tx);
    assert_eq!(open(&vault, ACME, &sealed).await.unwrap(), "s3cret", "a rolled back shredding changes nothing");

    let tx = test.db.begin().await.unwrap();
    vault.shred(&tx, ACME).await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(open(&vault, ACME, &sealed).await, Err(VaultError::NoDataKey { .. })));
    assert_eq!(open(&vault, OTHER, &kept).await.unwrap(), "kept");
    if test.is_postgres() {
        // SQLite has one node. Here the news travels over the database.
        for _ in 0..3_000 {
            if open(&elsewhere, ACME, &sealed).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the other node still opens it");
    }
}

async fn a_rolled_back_key_is_not_used_again(test: &TestDatabase) {
    let vault = test.vault();
    let tx = test.db.begin().await.unwrap();
    vault.seal(&tx, ACME.into(), CONTEXT, b"x").await.unwrap();
    drop(tx);
    // Had the vault cached the key of the lost transaction, this value would open only until a restart.
    let sealed = seal(test, &vault, ACME, "s3cret").await;
    assert_eq!(open(&test.vault(), ACME, &sealed).await.unwrap(), "s3cret");
}

async fn two_nodes_make_one_first_key(test: &TestDatabase) {
    let nodes = [test.vault(), test.vault(), test.vault(), test.vault()];
    let sealed = futures::future::join_all(nodes.iter().map(|vault| seal(test, vault, ACME, "s3cret"))).await;
    assert_eq!(data_keys(test).await, 1);
    for sealed in sealed {
        assert_eq!(open(&nodes[0], ACME, &sealed).await.unwrap(), "s3cret");
    }
}

#[test]
fn the_key_file_is_made_once_and_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/server.key");
    let first = ServerKeys::load_or_create(&path).unwrap();
    let second = ServerKeys::load_or_create(&path).unwrap();
    assert_eq!(format!("{first:?}"), format!("{second:?}"), "the same key, told apart by its id");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no draft is left behind");
}

#[test]
fn text_that_is_no_key_is_refused() {
    assert!(ServerKeys::parse("").is_err());
    assert!(ServerKeys::parse("# only a comment\n").is_err());
    assert!(ServerKeys::parse("c2hvcnQ=").is_err());
    assert!(ServerKeys::parse("not base64!").is_err());
    assert!(ServerKeys::parse(&format!("{KEY_A},c2hvcnQ=")).is_err());
    assert!(ServerKeys::parse(&format!("# the new one\n{KEY_B}\n{KEY_A} # the old one\n")).is_ok());
    assert!(!format!("{:?}", ServerKeys::parse(KEY_A).unwrap()).contains("AAAA"), "a key does not print");
}
