//! Policies as they are evaluated: compiled once for each organization, sorted by the permissions that they are about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr as _,
    sync::Arc,
};

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Effect as CedarEffect, Entities, EntityUid, Policy, PolicyId,
    PolicySet, Request, ValidationMode, Validator,
};
use rivergen_kernel::{
    Error, Permission, Result,
    access::{AccessPolicies, Asker, Resource, Verdict},
    caller::Membership,
};
use rivergen_platform::Clock;
use serde_json::{Value, json};

use super::{
    Effect, Model,
    condition::{self, fault},
    facts::Facts,
    schema,
};

/// What a policy says, read and checked.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub effect: Effect,
    /// What it is about, for good.
    pub permissions: BTreeSet<Permission>,
    /// Whether it looks at the single object, and so has a say only where one is known.
    pub looks_at_object: bool,
    policy: Policy,
}

/// What a rule is made of, as the API takes it.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub effect: Effect,
    pub resource_type: &'a str,
    pub actions: &'a [String],
    pub conditions: Option<&'a Value>,
    pub cedar: Option<&'a str>,
}

impl Written<'_> {
    /// 422 with the field where something is wrong.
    pub fn read(&self) -> Result<Rule> {
        let permissions = self.permissions()?;
        let (rule, field) = match (self.conditions, self.cedar) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid_field("cedar", "replaces conditions: send one or the other"));
            }
            (_, Some(text)) => (self.in_cedar(text, permissions)?, "cedar"),
            (conditions, None) => (self.in_conditions(conditions, permissions)?, "conditions"),
        };
        rule.check_objects(field)?;
        Ok(rule)
    }

    /// The permissions of the catalogue that it is about.
    fn permissions(&self) -> Result<BTreeSet<Permission>> {
        let of_type =
            |permission: &Permission| self.resource_type == "*" || permission.resource() == self.resource_type;
        let known: BTreeSet<Permission> = Permission::ALL.iter().copied().filter(of_type).collect();
        if known.is_empty() {
            let types: BTreeSet<&str> = Permission::ALL.iter().map(|permission| permission.resource()).collect();
            let types = types.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Error::invalid_field("resource_type", format!("must be * or one of {types}")));
        }
        let mut meant = BTreeSet::new();
        for (place, action) in self.actions.iter().enumerate() {
            match action.parse::<Permission>() {
                _ if action == "*" => meant.extend(&known),
                Ok(permission) if known.contains(&permission) => {
                    meant.insert(permission);
                }
                _ => {
                    let names = known.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(", ");
                    return Err(Error::invalid_field(
                        format!("actions[{place}]"),
                        format!("must be * or one of {names}"),
                    ));
                }
            }
        }
        match meant.is_empty() {
            true => Err(Error::invalid_field("actions", "must be * or a list of at least one permission")),
            false => Ok(meant),
        }
    }

    fn in_conditions(&self, conditions: Option<&Value>, permissions: BTreeSet<Permission>) -> Result<Rule> {
        let read = conditions.map(condition::read).transpose()?;
        let when: Vec<Value> = read.iter().map(|read| json!({"kind": "when", "body": read.expression})).collect();
        let policy = json!({
            "effect": self.effect.in_cedar(),
            "principal": {"op": "All"},
            "action": {"op": "All"},
            "resource": {"op": "All"},
            "conditions": when,
        });
        let policy = Policy::from_json(None, policy).map_err(|error| fault("conditions", [error.to_string()]))?;
        let attributes = read.as_ref().map(|read| read.attributes.clone()).unwrap_or_default();
        check(&policy, &attributes, "conditions")?;
        let looks_at_object = read.is_some_and(|read| read.looks_at_object);
        Ok(Rule { effect: self.effect, permissions, looks_at_object, policy })
    }

    fn in_cedar(&self, text: &str, permissions: BTreeSet<Permission>) -> Result<Rule> {
        let set = PolicySet::from_str(text).map_err(|errors| fault("cedar", errors.iter().map(ToString::to_string)))?;
        let mut policies = set.policies();
        let (Some(policy), None, 0) = (policies.next(), policies.next(), set.templates().count()) else {
            return Err(Error::invalid_field("cedar", "must be a single policy, without slots"));
        };
        let expected = match self.effect {
            Effect::Allow => CedarEffect::Permit,
            Effect::Deny => CedarEffect::Forbid,
        };
        if policy.effect() != expected {
            return Err(Error::invalid_field("effect", "does not match the effect in the policy's text"));
        }
        check(policy, &BTreeMap::new(), "cedar")?;
        let tree = policy.to_json().map_err(|error| fault("cedar", [error.to_string()]))?;
        let looks_at_object = condition::looks_at_object(&tree);
        Ok(Rule { effect: self.effect, permissions, looks_at_object, policy: policy.clone() })
    }
}

impl Rule {
    /// Whether the head of a policy in Cedar takes in any of the permissions; there are no groups of actions.
    pub fn takes_any_in(&self) -> bool {
        let is_one = |action: &EntityUid| {
            let name = action.id().unescaped();
            self.permissions.iter().any(|permission| permission.as_str() == name)
        };
        match self.policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(action) => is_one(&action),
            ActionConstraint::In(actions) => actions.iter().any(is_one),
        }
    }

    /// Single objects are known of data sources alone, so a policy on anything else that looked at one would be ignored in
    /// silence. And what is given on single objects alone, roles in a workspace give.
    fn check_objects(&self, field: &'static str) -> Result<()> {
        if !self.looks_at_object {
            return Ok(());
        }
        let reason = if self.effect == Effect::Allow {
            "uses resource.id, resource.workspace or resource.owner, which only a policy that denies may use: to allow \
             something in a workspace, assign a role there"
        } else if self.permissions.iter().any(|permission| permission.resource() != "datasource") {
            "uses resource.id, resource.workspace or resource.owner, which are only known for the type datasource: set \
             resource_type to it"
        } else {
            return Ok(());
        };
        Err(Error::invalid_field(field, reason))
    }
}

/// Types and names, by Cedar's own validator.
fn check(policy: &Policy, attributes: &BTreeMap<String, condition::Kind>, field: &'static str) -> Result<()> {
    let set = PolicySet::from_policies([policy.clone()]).map_err(Error::internal)?;
    let result = Validator::new(schema::of(attributes)?).validate(&set, ValidationMode::Strict);
    match result.validation_passed() {
        true => Ok(()),
        false => Err(fault(field, result.validation_errors().map(ToString::to_string))),
    }
}

/// The active policies of one organization.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    by_permission: BTreeMap<Permission, Bundle>,
}

/// The policies on one permission.
#[derive(Debug, Default)]
struct Bundle {
    /// Those that need no object to be evaluated.
    general: Option<PolicySet>,
    /// All of them, where some look at the object.
    on_objects: Option<PolicySet>,
    /// One that cannot be read any more denies, as one that cannot be evaluated.
    is_broken: bool,
}

/// What the policies said, and which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub verdict: Verdict,
    /// The ids of those that decided.
    pub decided: Vec<i64>,
    /// The ids of those that could not be evaluated.
    pub broken: Vec<i64>,
}

impl Decision {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, decided: Vec::new(), broken: Vec::new() }
    }
}

impl Compiled {
    /// `None` where no policy is active.
    pub fn of(rows: &[Model]) -> Option<Self> {
        let mut compiled = Self::default();
        for row in rows.iter().filter(|row| row.is_active) {
            match row.rule() {
                Ok(rule) => compiled.add(row.id.0, &rule),
                Err(error) => {
                    tracing::error!(policy = row.id.0, %error, "an access policy cannot be read, so everything is denied");
                    for permission in Permission::ALL {
                        compiled.by_permission.entry(*permission).or_default().is_broken = true;
                    }
                }
            }
        }
        (!compiled.by_permission.is_empty()).then_some(compiled)
    }

    pub fn add(&mut self, id: i64, rule: &Rule) {
        let policy = rule.policy.new_id(PolicyId::new(id.to_string()));
        for permission in &rule.permissions {
            let bundle = self.by_permission.entry(*permission).or_default();
            if rule.looks_at_object && bundle.on_objects.is_none() {
                bundle.on_objects = Some(bundle.general.clone().unwrap_or_default());
            }
            // Ids are those of rows, so none is there twice.
            if let Some(set) = &mut bundle.on_objects {
                bundle.is_broken |= set.add(policy.clone()).is_err();
            }
            if !rule.looks_at_object {
                bundle.is_broken |= bundle.general.get_or_insert_default().add(policy.clone()).is_err();
            }
        }
    }

    fn is_about(&self, permission: Permission) -> bool {
        self.by_permission.contains_key(&permission)
    }

    pub fn look_at_objects(&self, permission: Permission) -> bool {
        self.by_permission.get(&permission).is_some_and(|bundle| bundle.on_objects.is_some())
    }

    /// Answers one question. Deny overrides; what cannot be evaluated denies.
    pub fn decide(&self, facts: &Facts<'_>, permission: Permission) -> Decision {
        let Some(bundle) = self.by_permission.get(&permission) else { return Decision::of(Verdict::NotApplicable) };
        if bundle.is_broken {
            return Decision::of(Verdict::Deny);
        }
        let set = match facts.object {
            Some(_) => bundle.on_objects.as_ref().or(bundle.general.as_ref()),
            None => bundle.general.as_ref(),
        };
        let Some(set) = set else { return Decision::of(Verdict::NotApplicable) };
        match facts.question(permission) {
            Ok((request, entities)) => answered(&request, set, &entities),
            Err(error) => {
                tracing::error!(%error, "a question could not be put to the access policies, so it is denied");
                Decision::of(Verdict::Deny)
            }
        }
    }
}

fn answered(request: &Request, set: &PolicySet, entities: &Entities) -> Decision {
    let response = Authorizer::new().is_authorized(request, set, entities);
    let number = |id: &PolicyId| id.to_string().parse::<i64>().ok();
    let mut decided: Vec<i64> = response.diagnostics().reason().filter_map(number).collect();
    decided.sort_unstable();
    let failed = |error: &AuthorizationError| match error {
        AuthorizationError::PolicyEvaluationError(error) => number(error.policy_id()),
    };
    let mut broken: Vec<i64> = response.diagnostics().errors().filter_map(failed).collect();
    broken.sort_unstable();
    let verdict = match response.decision() {
        _ if response.diagnostics().errors().next().is_some() => Verdict::Deny,
        cedar_policy::Decision::Allow => Verdict::Allow,
        // Cedar denies what nothing permits, too; only a policy that forbids is a reason.
        cedar_policy::Decision::Deny if decided.is_empty() => Verdict::NotApplicable,
        cedar_policy::Decision::Deny => Verdict::Deny,
    };
    Decision { verdict, decided, broken }
}

/// The policies of an organization as they hold for one member.
pub(super) struct OfMember {
    pub compiled: Arc<Compiled>,
    pub groups: Arc<[String]>,
    pub clock: Clock,
}

impl fmt::Debug for OfMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfMember").field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl AccessPolicies for OfMember {
    fn decide(
        &self,
        asker: &Asker<'_>,
        membership: &Membership,
        permission: Permission,
        object: Option<&Resource>,
    ) -> Verdict {
        // Nothing is put together for what no policy is about.
        if !self.compiled.is_about(permission) {
            return Verdict::NotApplicable;
        }
        let facts = Facts { asker, membership, groups: &self.groups, object, now: self.clock.now() };
        self.compiled.decide(&facts, permission).verdict
    }

    fn look_at_objects(&self, permission: Permission) -> bool {
        self.compiled.look_at_objects(permission)
    }
}
