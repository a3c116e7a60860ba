//! Signing keys: what is signed verifies, through rotations and on every node.

use chrono::Duration;
use jsonwebtoken::{Validation, decode, decode_header};
use rivergen_platform::signing::{Purpose, SigningAlgorithm, SigningKeys, VERIFIES_AFTER_RETIREMENT};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::database::TestDatabase;

on_both_databases!(
    what_is_signed_verifies,
    every_algorithm_works,
    nodes_that_start_together_share_a_key,
    a_rotated_key_still_verifies_for_a_while,
    keys_that_could_not_be_read_are_read_later,
    a_key_is_published_before_it_signs,
    a_key_that_was_announced_under_another_setting_never_signs,
    a_key_of_each_algorithm_signs_for_applications,
    keys_of_before_verify_what_they_signed,
    an_algorithm_that_is_named_no_more_signs_no_more,
);

async fn keys(test: &TestDatabase, algorithm: SigningAlgorithm) -> SigningKeys {
    SigningKeys::load_or_create(test.db.clone(), test.vault(), test.clock.clone(), Purpose::Sessions, algorithm)
        .await
        .unwrap()
}

async fn verified(keys: &SigningKeys, token: &str) -> Option<Value> {
    let kid = decode_header(token).unwrap().kid.unwrap();
    let key = keys.verifying(&kid).await.unwrap()?;
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    decode::<Value>(token, &key.key, &validation).ok().map(|token| token.claims)
}

async fn what_is_signed_verifies(test: &TestDatabase) {
    let keys = keys(test, SigningAlgorithm::EdDSA).await;
    let token = keys.sign("at+jwt", &json!({"sub": "3"})).unwrap();
    assert_eq!(decode_header(&token).unwrap().typ.as_deref(), Some("at+jwt"));
    assert_eq!(verified(&keys, &token).await, Some(json!({"sub": "3"})));

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let forged = format!("{header}.eyJzdWIiOiI0In0.{signature}");
    assert_eq!(verified(&keys, &forged).await, None);
    assert!(keys.verifying("made-up").await.unwrap().is_none());

    let published = serde_json::to_value(keys.jwks()).unwrap();
    assert_eq!(published["keys"][0]["kid"], keys.current().kid.as_str());
    assert_eq!(published["keys"][0]["crv"], "Ed25519");
    assert_eq!(published["keys"][0]["use"], "sig");
    assert!(published["keys"][0].get("d").is_none(), "the private part is not published");
}

async fn every_algorithm_works(test: &TestDatabase) {
    keys(test, SigningAlgorithm::EdDSA).await;
    for algorithm in [SigningAlgorithm::ES256, SigningAlgorithm::RS256] {
        let keys = keys(test, algorithm).await;
        let tx = test.db.begin().await.unwrap();
        keys.rotate(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let keys = self::keys(test, algorithm).await;
        let token = keys.sign("JWT", &json!({"sub": "3"})).unwrap();
        assert_eq!(format!("{:?}", decode_header(&token).unwrap().alg), algorithm.as_str());
        assert_eq!(verified(&keys, &token).await, Some(json!({"sub": "3"})));
    }
}

async fn nodes_that_start_together_share_a_key(test: &TestDatabase) {
    let nodes = futures::future::join_all((0..4).map(|_| keys(test, SigningAlgorithm::EdDSA))).await;
    for node in &nodes {
        assert_eq!(node.current().kid, nodes[0].current().kid);
    }
}

async fn a_rotated_key_still_verifies_for_a_while(test: &TestDatabase) {
    let keys = keys(test, SigningAlgorithm::EdDSA).await;
    let elsewhere = self::keys(test, SigningAlgorithm::EdDSA).await;
    let old = keys.sign("JWT", &json!({"sub": "3"})).unwrap();
    let tx = test.db.begin().await.unwrap();
    let kid = keys.rotate(&tx).await.unwrap();
    tx.commit().await.unwrap();
    for _ in 0..3_000 {
        if keys.current().kid == kid {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(keys.current().kid, kid);
    let new = keys.sign("JWT", &json!({"sub": "4"})).unwrap();
    test.time.advance(Duration::seconds(6));
    for node in [&keys, &elsewhere] {
        assert_eq!(verified(node, &old).await, Some(json!({"sub": "3"})));
        assert_eq!(verified(node, &new).await, Some(json!({"sub": "4"})));
    }
    assert_eq!(keys.jwks().keys.len(), 2);

    test.time.advance(VERIFIES_AFTER_RETIREMENT);
    let later = self::keys(test, SigningAlgorithm::EdDSA).await;
    assert_eq!(verified(&later, &old).await, None);
    assert_eq!(later.jwks().keys.len(), 1);
}

async fn keys_that_could_not_be_read_are_read_later(test: &TestDatabase) {
    let keys = keys(test, SigningAlgorithm::EdDSA).await;
    let old = keys.current().kid.clone();
    let tx = test.db.begin().await.unwrap();
    let new = keys.rotate(&tx).await.unwrap();
    tx.conn().execute_unprepared("UPDATE signing_keys SET public_jwk = '?' || public_jwk").await.unwrap();
    tx.commit().await.unwrap();
    // Each waits for whoever reads already, who was told at the commit.
    test.time.advance(Duration::seconds(6));
    for _ in 0..2 {
        assert!(keys.verifying("made-up").await.is_err());
    }
    assert_eq!(keys.current().kid, old);
    // Nobody is told of this.
    let tx = test.db.begin().await.unwrap();
    tx.conn().execute_unprepared("UPDATE signing_keys SET public_jwk = substr(public_jwk, 2)").await.unwrap();
    tx.commit().await.unwrap();
    for _ in 0..500 {
        if keys.current().kid == new {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(keys.current().kid, new);
}

async fn announce(test: &TestDatabase, keys: &SigningKeys) -> Option<String> {
    let tx = test.db.begin().await.unwrap();
    let kid = keys.announce(&tx).await.unwrap();
    tx.commit().await.unwrap();
    kid
}

async fn a_key_is_published_before_it_signs(test: &TestDatabase) {
    let keys = keys(test, SigningAlgorithm::EdDSA).await;
    let old = keys.current().kid.clone();
    assert_eq!(keys.announced_at(), None);
    let next = announce(test, &keys).await.unwrap();
    // One waits at a time.
    assert_eq!(announce(test, &keys).await, None);
    let elsewhere = self::keys(test, SigningAlgorithm::EdDSA).await;
    assert!(elsewhere.announced_at().is_some());
    assert_eq!(elsewhere.current().kid, old);
    let published: Vec<_> = elsewhere.jwks().keys.into_iter().filter_map(|key| key.common.key_id).collect();
    assert_eq!(published, [old, next.clone()]);
    assert!(elsewhere.verifying(&next).await.unwrap().is_some());
    let tx = test.db.begin().await.unwrap();
    assert_eq!(keys.rotate(&tx).await.unwrap(), next);
    tx.commit().await.unwrap();
    let later = self::keys(test, SigningAlgorithm::EdDSA).await;
    assert_eq!((later.current().kid.as_str(), later.announced_at()), (next.as_str(), None));
}

async fn of_applications(test: &TestDatabase, algorithm: SigningAlgorithm) -> SigningKeys {
    let (db, vault, clock) = (test.db.clone(), test.vault(), test.clock.clone());
    SigningKeys::load_or_create(db, vault, clock, Purpose::Applications, algorithm).await.unwrap()
}

async fn a_key_of_each_algorithm_signs_for_applications(test: &TestDatabase) {
    let algorithms = [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA];
    for algorithm in algorithms {
        of_applications(test, algorithm).await;
    }
    for algorithm in algorithms {
        let keys = of_applications(test, algorithm).await;
        let token = keys.sign("JWT", &json!({"sub": "3"})).unwrap();
        assert_eq!(format!("{:?}", decode_header(&token).unwrap().alg), algorithm.as_str());
        assert_eq!(keys.jwks().keys.len(), 2);
        for other in algorithms {
            assert_eq!(verified(&of_applications(test, other).await, &token).await, Some(json!({"sub": "3"})));
        }
    }
    // Each is announced and rotated for itself.
    let [first, second] = algorithms.map(|algorithm| of_applications(test, algorithm));
    let (first, second) = (first.await, second.await);
    let stays = second.current().kid.clone();
    let next = announce(test, &first).await.unwrap();
    let waits = announce(test, &second).await.unwrap();
    let tx = test.db.begin().await.unwrap();
    assert_eq!(first.rotate(&tx).await.unwrap(), next);
    tx.commit().await.unwrap();
    let (first, second) = (of_applications(test, algorithms[0]).await, of_applications(test, algorithms[1]).await);
    assert_eq!((first.current().kid.as_str(), first.announced_at().is_some()), (next.as_str(), false));
    assert_eq!((second.current().kid.as_str(), second.announced_at().is_some()), (stays.as_str(), true));
    assert!(first.verifying(&waits).await.unwrap().is_some());
    // People's sessions have keys of their own.
    assert!(keys(test, SigningAlgorithm::EdDSA).await.verifying(&stays).await.unwrap().is_none());
}

async fn keys_of_before_verify_what_they_signed(test: &TestDatabase) {
    let before = of_applications(test, SigningAlgorithm::EdDSA).await;
    let token = before.sign("at+jwt", &json!({"sub": "3"})).unwrap();
    let after = of_applications(test, SigningAlgorithm::ES256).await;
    assert_ne!(after.current().kid, before.current().kid);
    assert_eq!(verified(&after, &token).await, Some(json!({"sub": "3"})));
}

async fn an_algorithm_that_is_named_no_more_signs_no_more(test: &TestDatabase) {
    let before = of_applications(test, SigningAlgorithm::EdDSA).await;
    announce(test, &before).await.unwrap();
    let token = before.sign("at+jwt", &json!({"sub": "3"})).unwrap();
    let after = of_applications(test, SigningAlgorithm::ES256).await;
    let tx = test.db.begin().await.unwrap();
    after.retire_others(&tx, &[SigningAlgorithm::ES256]).await.unwrap();
    tx.commit().await.unwrap();
    let later = of_applications(test, SigningAlgorithm::ES256).await;
    assert_eq!((later.current().kid.as_str(), later.jwks().keys.len()), (after.current().kid.as_str(), 2));
    assert_eq!(verified(&later, &token).await, Some(json!({"sub": "3"})));
    test.time.advance(VERIFIES_AFTER_RETIREMENT + Duration::seconds(1));
    assert_eq!(of_applications(test, SigningAlgorithm::ES256).await.jwks().keys.len(), 1);
}

async fn a_key_that_was_announced_under_another_setting_never_signs(test: &TestDatabase) {
    let next = announce(test, &keys(test, SigningAlgorithm::EdDSA).await).await.unwrap();
    let keys = keys(test, SigningAlgorithm::ES256).await;
    let tx = test.db.begin().await.unwrap();
    let kid = keys.rotate(&tx).await.unwrap();
    tx.commit().await.unwrap();
    let later = self::keys(test, SigningAlgorithm::ES256).await;
    assert_ne!(kid, next);
    assert_eq!((later.current().kid.as_str(), later.announced_at()), (kid.as_str(), None));
    assert_eq!(later.current().algorithm, jsonwebtoken::Algorithm::ES256);
}
