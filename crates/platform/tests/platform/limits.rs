//! Limits under a clock that the test moves.

use std::{sync::Arc, time::Duration};

use chrono::Duration as Span;
use rivergen_kernel::{Error, ErrorCode};
use rivergen_platform::{
    Clock,
    clock::MovableTime,
    limits::{LOGIN_BY_IP, Limits, LimitsConfig, Rule, RuleConfig, ip_key},
};

use crate::database::TestDatabase;

on_both_databases!(
    a_durable_limit_survives_a_restart_and_holds_for_all_nodes,
    what_is_not_kept_is_not_counted,
    of_many_keys_each_counts_for_itself_on_all_nodes
);

async fn a_durable_limit_survives_a_restart_and_holds_for_all_nodes(test: &TestDatabase) {
    let key = "203.0.113.9";
    for _ in 0..5 {
        // Each time a process that knows nothing of the ones before.
        let node = Limits::new(test.clock.clone());
        let uses = node.check_durably(test.db.read(), &[(&LOGIN_BY_IP, key)]).await.unwrap();
        let tx = test.db.begin().await.unwrap();
        uses.keep(&tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    let node = Limits::new(test.clock.clone());
    let other = test.another_node().await;
    let refused = node.check_durably(other.read(), &[(&LOGIN_BY_IP, key)]).await.err().expect("five were used");
    assert_eq!(refused.code, ErrorCode::RateLimited);
    let wait = refused.retry_after.unwrap();
    assert!(about(wait, Duration::from_secs(180)), "{wait:?}");
    // Others are not concerned, and one more is free when it says so.
    assert!(node.check_durably(other.read(), &[(&LOGIN_BY_IP, "198.51.100.7")]).await.is_ok());
    test.time.advance(Span::from_std(wait).unwrap() + Span::seconds(1));
    assert!(Limits::new(test.clock.clone()).check_durably(test.db.read(), &[(&LOGIN_BY_IP, key)]).await.is_ok());
}

async fn what_is_not_kept_is_not_counted(test: &TestDatabase) {
    for _ in 0..10 {
        let node = Limits::new(test.clock.clone());
        let uses = node.check_durably(test.db.read(), &[(&LOGIN_BY_IP, "203.0.113.9")]).await.unwrap();
        let tx = test.db.begin().await.unwrap();
        uses.keep(&tx).await.unwrap();
        // Rolled back with what it was for.
        drop(tx);
    }
}

async fn of_many_keys_each_counts_for_itself_on_all_nodes(test: &TestDatabase) {
    let rule = Rule::new("mails_to_address", 1, Duration::from_secs(3600));
    let all = ["ada@acme.example", "bob@acme.example", "eve@acme.example"];
    let [ada, bob, eve] = all;
    // Of two that may have one, one got it.
    let node = Limits::new(test.clock.clone());
    let mut each = node.each(test.db.read(), &rule, &all).await.unwrap();
    each.check(ada).unwrap();
    each.check(bob).unwrap();
    let tx = test.db.begin().await.unwrap();
    each.uses_of(|key| key == ada).keep(&tx).await.unwrap();
    tx.commit().await.unwrap();

    let (node, other) = (Limits::new(test.clock.clone()), test.another_node().await);
    let mut each = node.each(other.read(), &rule, &all).await.unwrap();
    let refused = each.check(ada).unwrap_err();
    assert!(about(refused.retry_after, Duration::from_secs(3600)), "{refused}");
    assert!(each.check(bob).is_ok() && each.check(eve).is_ok());
    // One key by itself finds the same.
    let node = Limits::new(test.clock.clone());
    assert!(node.check_durably(other.read(), &[(&rule, ada)]).await.is_err());
    assert!(node.check_durably(other.read(), &[(&rule, bob)]).await.is_ok());
}

fn limits() -> (Arc<MovableTime>, Clock, Limits) {
    let time = Arc::new(MovableTime::default());
    let clock = Clock::from(time.clone());
    (time, clock.clone(), Limits::new(clock))
}

/// The system's time runs on under the movable clock; half a minute is enough for a test, and far from the next
/// allowance.
fn about(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) < Duration::from_secs(30)
}

#[test]
fn five_at_once_then_one_every_three_minutes() {
    let (time, clock, limits) = limits();
    for left in (0..5).rev() {
        let allowance = limits.check(&LOGIN_BY_IP, "203.0.113.9").unwrap();
        assert_eq!((allowance.limit, allowance.remaining), (5, left));
        let reset = (allowance.reset_at - clock.now()).to_std().unwrap();
        assert!(about(reset, Duration::from_secs(180) * (5 - left)), "{reset:?}");
    }
    let limited = limits.check(&LOGIN_BY_IP, "203.0.113.9").unwrap_err();
    assert!(about(limited.retry_after, Duration::from_secs(180)), "{limited:?}");
    assert!(about((limited.reset_at - clock.now()).to_std().unwrap(), Duration::from_secs(900)), "{limited:?}");
    assert_eq!(limits.check(&LOGIN_BY_IP, "198.51.100.7").unwrap().remaining, 4, "keys do not touch each other");

    time.advance(Span::seconds(178));
    assert!(limits.check(&LOGIN_BY_IP, "203.0.113.9").is_err(), "a refused use does not count, nor does it help");
    time.advance(Span::seconds(3));
    assert_eq!(limits.check(&LOGIN_BY_IP, "203.0.113.9").unwrap().remaining, 0);
    assert!(limits.check(&LOGIN_BY_IP, "203.0.113.9").is_err());
    time.advance(Span::minutes(15));
    assert_eq!(limits.check(&LOGIN_BY_IP, "203.0.113.9").unwrap().remaining, 4, "a quiet quarter of an hour frees all");
}

#[test]
fn a_refusal_is_answered_with_429_and_a_wait() {
    let (_, _, limits) = limits();
    let rule = Rule::new("once", 1, Duration::from_secs(60));
    limits.check(&rule, "x").unwrap();
    let error = Error::from(limits.check(&rule, "x").unwrap_err());
    assert_eq!(error.code, ErrorCode::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(60)), "rounded up to whole seconds");
}

#[test]
fn the_configuration_changes_numbers_and_switches_off() {
    let time = Arc::new(MovableTime::default());
    let clock = Clock::from(time);
    let mut config = LimitsConfig::default();
    config.rules.insert("login_by_ip".to_owned(), RuleConfig { limit: 1, per_seconds: 10 });
    config.rules.insert("closed".to_owned(), RuleConfig { limit: 0, per_seconds: 10 });
    let limits = Limits::with_config(clock.clone(), config);
    assert_eq!(limits.check(&LOGIN_BY_IP, "x").unwrap().limit, 1);
    assert!(limits.check(&LOGIN_BY_IP, "x").is_err());
    assert!(limits.check(&Rule::new("closed", 5, Duration::from_secs(1)), "x").is_err());

    let off = Limits::disabled(clock);
    assert!((0..1000).all(|_| off.check(&LOGIN_BY_IP, "x").is_ok()));
}

#[test]
fn threads_together_get_no_more_than_the_limit() {
    let (_, _, limits) = limits();
    let rule = Rule::new("many", 100, Duration::from_secs(3600));
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..50).filter(|_| limits.check(&rule, "x").is_ok()).count())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(allowed, 100);
}

#[test]
fn an_ipv6_customer_counts_once() {
    let key = |ip: &str| ip_key(ip.parse().unwrap());
    assert_eq!(key("2a00:1:2:3::1"), key("2a00:1:2:3:ffff:ffff:ffff:ffff"));
    assert_ne!(key("2a00:1:2:3::1"), key("2a00:1:2:4::1"));
    assert_eq!(key("::ffff:203.0.113.9"), key("203.0.113.9"));
    assert_ne!(key("203.0.113.9"), key("203.0.113.8"));
}
