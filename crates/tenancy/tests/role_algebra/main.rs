//! The algebra of permissions, tried out: random people do random things to roles, bring others in and fold accounts
//! together, and a naive model of the same house does them too. The model knows people, roles and places as lists of words
//! and asks each question by going through all of them; the house is [`Standing`] and [`Deed`], as the operations use them.
//!
//! After each deed:
//!
//! ```text
//! decided   the house allows it exactly where the model does
//! held      what everybody may do, everywhere, is what the model says
//! moved     nobody gained or lost what the actor did not hold in that place; who comes in gets a Viewer's at the least
//! reached   nobody has what they had not at first and no actor so far held
//! ```
//!
//! Who comes in by an invitation is let in by whoever made it: what that person holds when it is accepted counts, not what
//! they held when they sent it. Who comes in by a domain is let in by nobody; they reach no further than the others did.

mod act;
mod house;
mod model;
mod newcomers;
mod roles;
mod trial;

use std::collections::HashMap;

use act::{Act, act};
use house::{FOUNDERS, PLACES, VIEWER};
use proptest::prelude::*;
use rivergen_kernel::Permission;
use trial::Trial;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nobody_reaches_what_nobody_who_acted_held(acts in prop::collection::vec(act(), 1..60)) {
        let mut trial = Trial::new();
        acts.iter().for_each(|act| trial.run(act));
    }
}

/// The same by hand, so that it is seen that the trial does not pass because everything is refused.
#[test]
fn much_of_what_is_tried_is_done() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut done: HashMap<_, usize> = HashMap::new();
    for _ in 0..20 {
        let acts = prop::collection::vec(act(), 100).new_tree(&mut runner).unwrap().current();
        let mut trial = Trial::new();
        for act in &acts {
            let before = trial.done;
            trial.run(act);
            *done.entry(std::mem::discriminant(act)).or_default() += trial.done - before;
        }
    }
    let kinds = done.values().filter(|times| **times > 0).count();
    let times: usize = done.values().sum();
    // All but those that nobody does: who is suspended, who is let in again, and the time that passes.
    assert!(kinds == 13 && times > 200, "{kinds} kinds of acts, {times} of 2000");
}

/// What somebody holds in one workspace is not carried out of it: the person deals with roles everywhere and with data
/// in the second workspace alone.
#[test]
fn a_role_in_a_workspace_gives_nothing_elsewhere() {
    let mut trial = Trial::new();
    let (delegate, second) = (4, PLACES[2]);
    assert!(trial.everything()[&(delegate, second)].contains(&Permission::DataSourceWrite));
    assert_eq!(trial.create(delegate, &[Permission::DataSourceWrite]), None);
    assert_eq!(trial.assign(delegate, delegate, 2, None, None), None);
    assert_eq!(trial.assign(delegate, 3, 2, PLACES[1], None), None);
    assert_eq!(trial.assign(delegate, 3, 2, second, None), Some((delegate, second)));
}

/// An invitation is good for what its inviter holds when it is accepted, and is over where they do not hold it any more.
#[test]
fn who_invites_must_hold_it_still() {
    let mut trial = Trial::new();
    let (admin, developer, newcomer) = (1, 2, FOUNDERS);
    assert_eq!(trial.invite(admin, developer, None), Some((admin, None)));
    trial.run(&Act::Suspend { person: admin });
    assert_eq!(trial.accept(newcomer, 0), None);
    assert!(trial.house.pending.is_empty());
    trial.run(&Act::LetIn { person: admin });
    assert_eq!(trial.invite(admin, developer, PLACES[1]), Some((admin, None)));
    trial.run(&Act::Accept { person: newcomer, nth: 0 });
    let everything = trial.everything();
    assert_eq!(everything[&(newcomer, None)], trial.permissions_of(VIEWER));
    assert!(everything[&(newcomer, PLACES[1])].contains(&Permission::DataSourceWrite));
    assert!(!everything[&(newcomer, PLACES[2])].contains(&Permission::DataSourceWrite));
}

/// Who may fold accounts together gets nobody a role that they do not hold, in a workspace neither.
#[test]
fn a_merge_hands_over_what_its_actor_holds() {
    let mut trial = Trial::new();
    let (owner, admin_of_first, delegate, newcomer) = (0, 3, 4, FOUNDERS);
    assert_eq!(trial.create(owner, &[Permission::UserMerge]), Some((owner, None)));
    let merges = trial.house.roles.len() - 1;
    for role in [VIEWER, merges] {
        assert_eq!(trial.assign(owner, delegate, role, None, None), Some((owner, None)));
    }
    // What the person holds in the whole organization, the delegate holds, too.
    assert!(!trial.merge(delegate, admin_of_first, newcomer));
    let held = trial.everything()[&(admin_of_first, PLACES[1])].clone();
    trial.run(&Act::Merge { actor: owner, from: admin_of_first, to: newcomer });
    let everything = trial.everything();
    assert_eq!(everything[&(newcomer, PLACES[1])], held);
    assert!(everything[&(admin_of_first, PLACES[1])].is_empty());
}

/// Nobody lets others come in with a role that they do not hold; who does come in gets the default, whatever it is by then.
#[test]
fn a_domain_lets_in_by_the_default_role() {
    let mut trial = Trial::new();
    let (owner, developer, newcomer) = (0, 2, FOUNDERS);
    trial.run(&Act::Join { person: newcomer });
    assert!(!trial.house.members[newcomer]);
    assert_eq!(trial.open_domain(developer), None);
    trial.run(&Act::OpenDomain { actor: owner });
    assert_eq!(trial.set_default(developer, developer), None);
    trial.run(&Act::SetDefault { actor: owner, role: developer });
    trial.run(&Act::Join { person: newcomer });
    assert_eq!(trial.everything()[&(newcomer, None)], trial.permissions_of(developer));
}

/// What takes the place of another role must be held as well as that.
#[test]
fn another_role_instead_moves_both() {
    let mut trial = Trial::new();
    let (owner, admin, developer, viewer) = (0, 1, 2, 3);
    assert_eq!(trial.give_instead(admin, developer, owner), None);
    assert_eq!(trial.give_instead(admin, owner, VIEWER), None);
    // The last owner stays one.
    assert_eq!(trial.give_instead(owner, owner, VIEWER), None);
    assert_eq!(trial.give_instead(admin, viewer, developer), Some((admin, None)));
    assert!(trial.everything()[&(viewer, None)].is_superset(&trial.permissions_of(developer)));
}
