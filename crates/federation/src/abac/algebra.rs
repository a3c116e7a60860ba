//! The laws of access, held over random roles, policies, people and requests.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use proptest::prelude::*;
use rivergen_kernel::{
    Federation, OrganizationId, Permission, PermissionSet, Proofs, Scope, Scopes, UserId, WorkspaceId,
    access::{AccessPolicies, Asker, Resource},
    caller::Membership,
};
use rivergen_platform::Clock;
use serde_json::{Value, json};

use super::{
    Effect,
    compiled::{Compiled, OfMember, Rule, Written},
};

/// Those that the cases are about: of the organization, of single objects, and the policies' own.
const PERMISSIONS: [Permission; 4] =
    [Permission::RoleRead, Permission::DataSourceQuery, Permission::DataSourceWrite, Permission::SsoManage];

#[derive(Debug, Clone)]
struct Case {
    roles: PermissionSet,
    is_owner: bool,
    policies: Vec<(Effect, Vec<Permission>, Value)>,
    scopes: Option<Scopes>,
    mfa: bool,
    region: Option<Value>,
    ip: Option<IpAddr>,
    object: Option<Resource>,
}

fn condition() -> impl Strategy<Value = Value> {
    let is = |attribute: &str, operator: &str, value: Value| json!({"attribute": attribute, "operator": operator, "value": value});
    let leaf = prop_oneof![
        any::<bool>().prop_map(move |held| is("subject.mfa", "eq", json!(held))),
        prop::sample::select(vec!["EU", "US"]).prop_map(move |region| is(
            "subject.attributes.region",
            "eq",
            json!(region)
        )),
        (0i64..3).prop_map(move |level| is("subject.attributes.region", "gt", json!(level))),
        prop::sample::select(vec!["10.0.0.0/8", "192.0.2.0/24"]).prop_map(move |network| is(
            "environment.ip",
            "ip_in_range",
            json!(network)
        )),
        (1i64..3).prop_map(move |id| is("resource.id", "eq", json!(id))),
        (1i64..3).prop_map(move |id| is("resource.workspace", "ne", json!(id))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| json!({"not": inner})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"all": all})),
            prop::collection::vec(inner, 1..3).prop_map(|any| json!({"any": any})),
        ]
    })
}

fn permissions() -> impl Strategy<Value = Vec<Permission>> {
    prop::sample::subsequence(PERMISSIONS.to_vec(), 1..=PERMISSIONS.len())
}

prop_compose! {
    fn case()(
        roles in prop::sample::subsequence(PERMISSIONS.to_vec(), 0..=PERMISSIONS.len()),
        is_owner in prop::bool::weighted(0.2),
        policies in prop::collection::vec(
            (prop::sample::select(vec![Effect::Allow, Effect::Deny]), permissions(), condition()), 0..5),
        scopes in prop::option::weighted(0.3, prop::sample::subsequence(PERMISSIONS.to_vec(), 0..=PERMISSIONS.len())),
        mfa in any::<bool>(),
        region in prop::option::of(prop::sample::select(vec![json!("EU"), json!("US"), json!(1), json!(["EU", "US"])])),
        ip in prop::option::of(prop::sample::select(vec!["10.0.0.7", "192.0.2.7", "2001:db8::1"])),
        object in prop::option::of((1i64..3, prop::option::of(1i64..3))),
    ) -> Case {
        Case {
            roles: roles.into_iter().collect(),
            is_owner,
            policies,
            scopes: scopes.map(|scopes| Scopes(scopes.into_iter().map(Scope::Only).collect())),
            mfa,
            region,
            ip: ip.map(|ip| ip.parse().unwrap()),
            object: object.map(|(id, workspace)| Resource {
                id: Some(id), workspace_id: workspace.map(WorkspaceId), owner_id: None }),
        }
    }
}

/// The rule, where it is one that may be saved.
fn rule(effect: Effect, permissions: &[Permission], conditions: &Value) -> Option<Rule> {
    let actions: Vec<String> = permissions.iter().map(ToString::to_string).collect();
    let written = Written { effect, resource_type: "*", actions: &actions, conditions: Some(conditions), cedar: None };
    written.read().ok()
}

impl Case {
    fn rules(&self) -> Vec<Rule> {
        self.policies.iter().filter_map(|(effect, permissions, when)| rule(*effect, permissions, when)).collect()
    }

    fn membership(&self, rules: &[Rule]) -> Membership {
        let held: PermissionSet =
            if self.is_owner { Permission::ALL.iter().copied().collect() } else { self.roles.clone() };
        let held = self.scopes.as_ref().map_or(held.clone(), |scopes| scopes.narrow(&held));
        let mut compiled = Compiled::default();
        for (id, rule) in (1..).zip(rules) {
            compiled.add(id, rule);
        }
        let policies = OfMember { compiled: Arc::new(compiled), groups: Arc::new([]), clock: Clock::system() };
        let policies: Arc<dyn AccessPolicies> = Arc::new(policies);
        Membership {
            organization_id: OrganizationId(1),
            workspace_id: None,
            role_ids: Vec::new(),
            role_names: Vec::new(),
            roles_elsewhere: Vec::new(),
            permissions: held.clone(),
            organization_permissions: held,
            attributes: self.region.iter().map(|region| ("region".to_owned(), region.clone())).collect(),
            valid_until: None,
            policies: (!rules.is_empty()).then_some(policies),
        }
    }

    /// What the person may do under these rules.
    fn held(&self, rules: &[Rule]) -> BTreeSet<Permission> {
        let membership = self.membership(rules);
        let proofs = Proofs {
            second_factor: self.mfa,
            passkey: false,
            trusted_device: false,
            ip: self.ip,
            federation: Federation::No,
        };
        let asker = Asker { user_id: UserId(7), email: None, proofs, scopes: self.scopes.as_ref() };
        let holds = |permission: &Permission| membership.holds(&asker, *permission, self.object.as_ref());
        PERMISSIONS.into_iter().filter(holds).collect()
    }

    /// What roles and scopes alone give.
    fn by_role(&self) -> BTreeSet<Permission> {
        self.held(&[])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn without_policies_the_roles_decide(case in case()) {
        let membership = case.membership(&[]);
        let expected = PERMISSIONS.into_iter().filter(|permission| membership.permissions.contains(permission));
        prop_assert_eq!(case.by_role(), expected.collect());
    }

    #[test]
    fn one_more_denial_gives_nothing(case in case(), permissions in permissions(), when in condition()) {
        let mut rules = case.rules();
        let before = case.held(&rules);
        rules.extend(rule(Effect::Deny, &permissions, &when));
        let after = case.held(&rules);
        prop_assert!(after.is_subset(&before), "{:?} became {:?}", before, after);
    }

    #[test]
    fn one_more_allowance_takes_only_what_it_cannot_judge(case in case(), permissions in permissions(), when in condition()) {
        let rules = case.rules();
        let before = case.held(&rules);
        let Some(new) = rule(Effect::Allow, &permissions, &when) else { return Ok(()) };
        let after = case.held(&[rules, vec![new.clone()]].concat());
        // By itself, over everything that roles can give, a rule that can be judged takes nothing.
        let everything = Case { roles: PERMISSIONS.into_iter().collect(), scopes: None, ..case.clone() };
        let is_judged = everything.held(&[new]).len() == PERMISSIONS.len();
        prop_assert!(!is_judged || after.is_superset(&before), "{:?} became {:?}", before, after);
    }

    #[test]
    fn a_denial_that_matches_beats_everything_but_the_owners_hand(case in case(), permissions in permissions()) {
        let always = json!({"not": {"attribute": "subject.attributes.nowhere", "operator": "exists"}});
        let mut rules = case.rules();
        rules.extend(rule(Effect::Deny, &permissions, &always));
        let after = case.held(&rules);
        for permission in permissions {
            let kept = permission == Permission::SsoManage && case.is_owner && case.scopes.is_none();
            prop_assert_eq!(after.contains(&permission), kept, "{}", permission);
        }
    }

    #[test]
    fn owners_keep_their_hand_on_the_policies(case in case()) {
        let case = Case { is_owner: true, scopes: None, ..case };
        prop_assert!(case.held(&case.rules()).contains(&Permission::SsoManage));
    }

    #[test]
    fn a_token_stays_within_its_scopes(case in case()) {
        let scopes = case.scopes.clone().unwrap_or_default();
        let case = Case { scopes: Some(scopes.clone()), ..case };
        let through = scopes.narrow(&PERMISSIONS.into_iter().collect());
        prop_assert!(case.held(&case.rules()).is_subset(&through));
    }

    #[test]
    fn the_order_of_policies_means_nothing(case in case()) {
        let mut rules = case.rules();
        let before = case.held(&rules);
        rules.reverse();
        prop_assert_eq!(case.held(&rules), before);
    }

    #[test]
    fn what_looks_at_objects_says_nothing_without_one(case in case()) {
        let case = Case { object: None, ..case };
        let (general, rest): (Vec<Rule>, Vec<Rule>) = case.rules().into_iter().partition(|rule| !rule.looks_at_object);
        prop_assert_eq!(case.held(&[general.clone(), rest].concat()), case.held(&general));
    }

    #[test]
    fn no_condition_makes_the_reader_fall(depth in 0usize..40, width in 1usize..200) {
        let leaf = json!({"attribute": "subject.mfa", "operator": "eq", "value": true});
        let nested = (0..depth).fold(leaf.clone(), |inner, _| json!({"not": inner}));
        let is_deep = super::condition::read(&nested).is_err();
        prop_assert_eq!(is_deep, depth >= 8);
        let wide = super::condition::read(&json!({"any": vec![leaf; width]}));
        prop_assert_eq!(wide.is_err(), width > 100);
    }
}
