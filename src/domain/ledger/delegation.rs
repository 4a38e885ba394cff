//! Delegations: narrower parts of a grant that its app hands on (token exchange, RFC 8693), and that can be narrowed again.
//!
//! They live in the ledger of the grant. A call of a delegation counts there, in the delegation, and in every one that it was narrowed
//! from, in one step: so all limits of all of them bind, each for the sum of what is below it, and what ends one ends all below it.
//!
//! - A delegation allows nothing that each one above it doesn't allow, and ends no later.
//! - Its limits may be as high as those above, though others take from the same: what is left there binds.
//! - Every call of a delegation has a row of its own before it is let through; no room is set aside for it ([`super::ahead`]).
//! - One that has ended is forgotten as soon as none of its calls is in flight. What it used stays counted above it.

use serde::{Deserialize, Serialize};

use super::{
    super::{id::DelegationId, limits::Limits, permission::Permission, time::Timestamp},
    Effect, Hold, Ledger, Refusal, Reply,
    command::{Claim, Scope},
    reserve::find_permission,
    scope::{Booked, Counters},
    usage::DelegationUsage,
};

/// Most delegations between a call and its grant.
pub const MAX_DEPTH: usize = 4;

/// Most delegations that live in one grant.
pub const MAX_DELEGATIONS: usize = 100;

/// What is delegated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    /// What it is called from now on. New.
    pub id: DelegationId,
    /// The delegation that it is narrowed from; `None`: the grant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<DelegationId>,
    /// Each lies within one of the parent's, its limits too. Where several cover a call, the first carries it.
    pub permissions: Vec<Permission>,
    /// Over the whole delegation. What isn't named is limited by the parent alone.
    #[serde(default)]
    pub limits: Limits,
    /// From this moment on every call is refused.
    pub expires_at: Timestamp,
    /// When the access token of the grant was issued that this is narrowed from; `None`: it is narrowed from a delegation, or was by a
    /// version of the broker that didn't note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
}

/// In what way something reaches beyond what it was to be narrowed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// There is no permission, or no single permission above covers the one at this position.
    Permission(usize),
    /// The permission at this position has a limit above one that covers it.
    PermissionLimits(usize),
    /// A limit over everything is above the one there.
    Limits,
    /// It ends later.
    ExpiresAt,
    /// It would be further from the grant than [`MAX_DEPTH`].
    Depth,
}

/// What is stored of a delegation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// What was delegated.
    pub terms: Delegate,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Over the whole delegation.
    pub overall: Booked,
    /// Per permission.
    pub permissions: Vec<Booked>,
}

/// That a call counts in a delegation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which.
    pub delegation: DelegationId,
    /// Position in [`Delegate::permissions`].
    pub permission: usize,
}

/// A delegation as it lives in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Child {
    terms: Delegate,
    revoked_at: Option<Timestamp>,
    pub(super) overall: Counters,
    pub(super) permissions: Vec<Counters>,
}

impl Child {
    fn new(terms: Delegate) -> Self {
        let permissions = terms.permissions.iter().map(|_| Counters::default()).collect();
        Self { terms, revoked_at: None, overall: Counters::default(), permissions }
    }

    pub(super) fn restore(stored: Delegation) -> Self {
        let mut child = Self::new(stored.terms);
        child.revoked_at = stored.revoked_at;
        child.overall.booked = stored.overall;
        for (counters, booked) in child.permissions.iter_mut().zip(stored.permissions) {
            counters.booked = booked;
        }
        child
    }

    fn stored(&self) -> Delegation {
        Delegation {
            terms: self.terms.clone(),
            revoked_at: self.revoked_at,
            overall: self.overall.booked.clone(),
            permissions: self.permissions.iter().map(|counters| counters.booked.clone()).collect(),
        }
    }

    fn check_alive(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.revoked_at.is_some() {
            return Err(Refusal::Revoked);
        }
        if now >= self.terms.expires_at { Err(Refusal::Expired) } else { Ok(()) }
    }

    fn usage(&self, now: Timestamp) -> DelegationUsage {
        let permissions = self.permissions.iter().zip(&self.terms.permissions);
        DelegationUsage {
            terms: self.terms.clone(),
            revoked_at: self.revoked_at,
            overall: self.overall.usage(&self.terms.limits, now),
            permissions: permissions.map(|(counters, terms)| counters.usage(&terms.limits, now)).collect(),
        }
    }
}

impl Delegate {
    /// Whether it lies within what these permissions, these limits and this end allow.
    fn check_within(&self, permissions: &[Permission], limits: &Limits, expires_at: Timestamp) -> Result<(), Beyond> {
        if self.permissions.is_empty() {
            return Err(Beyond::Permission(0));
        }
        for (index, mine) in self.permissions.iter().enumerate() {
            let mut covering = permissions.iter().filter(|theirs| mine.is_within(theirs)).peekable();
            if covering.peek().is_none() {
                return Err(Beyond::Permission(index));
            }
            let fits = |theirs: &Limits| mine.limits.or(*theirs).is_within(theirs);
            if !fits(limits) || !covering.any(|theirs| fits(&theirs.limits)) {
                return Err(Beyond::PermissionLimits(index));
            }
        }
        if !self.limits.or(*limits).is_within(limits) {
            return Err(Beyond::Limits);
        }
        if self.expires_at > expires_at { Err(Beyond::ExpiresAt) } else { Ok(()) }
    }
}

impl Ledger {
    pub(super) fn delegate(&mut self, asked: Delegate, effects: &mut Vec<Effect>) -> Reply {
        match self.check_delegate(&asked) {
            Ok(None) => {}
            Ok(Some(known)) => return Reply::Delegated(Box::new(known)),
            Err(refusal) => return Reply::Refused(refusal),
        }
        self.touched.insert(asked.id.clone());
        self.delegations.insert(asked.id.clone(), Child::new(asked.clone()));
        // A ledger is found again by its summary.
        self.save_summary(effects);
        Reply::Delegated(Box::new(asked))
    }

    /// Whether it can be delegated; if it was already, as what.
    fn check_delegate(&self, asked: &Delegate) -> Result<Option<Delegate>, Refusal> {
        let now = self.clock;
        self.check_alive()?;
        self.check_token(asked.issued_at)?;
        if let Some(known) = self.delegations.get(&asked.id) {
            self.line(&asked.id)?;
            return Ok(Some(known.terms.clone()));
        }
        let line = asked.parent.as_ref().map_or_else(|| Ok(Vec::new()), |parent| self.line(parent))?;
        if now >= asked.expires_at {
            return Err(Refusal::Expired);
        }
        if line.len() >= MAX_DEPTH {
            return Err(Refusal::NotWithinParent(Beyond::Depth));
        }
        let above = line.iter().map(|child| (&child.terms.permissions, &child.terms.limits, child.terms.expires_at));
        for (permissions, limits, expires_at) in
            above.chain([(&self.terms.permissions, &self.terms.limits, self.terms.expires_at)])
        {
            asked.check_within(permissions, limits, expires_at).map_err(Refusal::NotWithinParent)?;
        }
        let alive = self.delegations.values().filter(|child| child.check_alive(now).is_ok()).count();
        if alive >= MAX_DELEGATIONS { Err(Refusal::TooManyDelegations) } else { Ok(None) }
    }

    /// Ends a delegation and all below it.
    pub(super) fn revoke_delegation(&mut self, id: DelegationId) {
        let now = self.clock;
        let mut ended = vec![id];
        while let Some(id) = ended.pop() {
            let below = self.delegations.values().filter(|child| child.terms.parent.as_ref() == Some(&id));
            ended.extend(below.map(|child| child.terms.id.clone()));
            if let Some(child) = self.delegations.get_mut(&id)
                && child.revoked_at.is_none()
            {
                child.revoked_at = Some(now);
                self.touched.insert(id);
            }
        }
    }

    /// The delegations that were narrowed from an access token of the grant itself that was issued until then.
    pub(super) fn delegations_of_tokens(&self, until: Timestamp) -> Vec<DelegationId> {
        let first = self.delegations.values().map(|child| &child.terms).filter(|terms| terms.parent.is_none());
        first.filter(|terms| terms.issued_at.is_none_or(|at| at <= until)).map(|terms| terms.id.clone()).collect()
    }

    /// A delegation and those above it, if all of them live.
    fn line(&self, id: &DelegationId) -> Result<Vec<&Child>, Refusal> {
        let mut line = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let child = self.delegations.get(id).ok_or(Refusal::NoSuchDelegation)?;
            child.check_alive(self.clock)?;
            line.push(child);
            next = child.terms.parent.as_ref();
            if line.len() > MAX_DEPTH {
                return Err(Refusal::NoSuchDelegation);
            }
        }
        Ok(line)
    }

    /// Where a call of this delegation counts, the delegation itself first.
    pub(super) fn shares(&self, id: &DelegationId, claim: &Claim) -> Result<Vec<Share>, Refusal> {
        let share = |child: &&Child| {
            let permission = find_permission(&child.terms.permissions, claim)?;
            Ok(Share { delegation: child.terms.id.clone(), permission })
        };
        self.line(id)?.iter().map(share).collect()
    }

    pub(super) fn permissions_of(&self, id: &DelegationId) -> &[Permission] {
        self.delegations.get(id).map_or(&[], |child| &child.terms.permissions)
    }

    /// Every set of limits that a call is under, and what is counted there: the nearest first.
    pub(super) fn scopes(&self, permission: usize, shares: &[Share]) -> Vec<(Scope, &Limits, &Counters)> {
        let mut scopes = Vec::with_capacity(shares.len().saturating_add(1).saturating_mul(2));
        for share in shares {
            let Some(child) = self.delegations.get(&share.delegation) else { continue };
            if let (Some(terms), Some(counters)) =
                (child.terms.permissions.get(share.permission), child.permissions.get(share.permission))
            {
                scopes.push((Scope::Delegation, &terms.limits, counters));
            }
            scopes.push((Scope::Delegation, &child.terms.limits, &child.overall));
        }
        if let (Some(terms), Some(counters)) =
            (self.terms.permissions.get(permission), self.permissions.get(permission))
        {
            scopes.push((Scope::Permission, &terms.limits, counters));
        }
        scopes.push((Scope::Grant, &self.terms.limits, &self.overall));
        if self.ceiling.budget_usd.is_some() {
            scopes.push((Scope::Ceiling, &self.ceiling, &self.overall));
        }
        scopes
    }

    /// Wherever a call counts. A delegation that was forgotten has no counters any more; those above it have theirs.
    pub(super) fn on_every_scope(
        &mut self,
        permission: usize,
        shares: &[Share],
        mut change: impl FnMut(&mut Counters, &Limits),
    ) {
        change(&mut self.overall, &self.terms.limits);
        if let (Some(terms), Some(counters)) =
            (self.terms.permissions.get(permission), self.permissions.get_mut(permission))
        {
            change(counters, &terms.limits);
        }
        for share in shares {
            let Some(child) = self.delegations.get_mut(&share.delegation) else { continue };
            change(&mut child.overall, &child.terms.limits);
            if let (Some(terms), Some(counters)) =
                (child.terms.permissions.get(share.permission), child.permissions.get_mut(share.permission))
            {
                change(counters, &terms.limits);
            }
        }
    }

    /// What is booked of these delegations has changed.
    pub(super) fn touch(&mut self, hold: &Hold) {
        self.touched.extend(hold.shares.iter().map(|share| share.delegation.clone()));
    }

    /// Forgets delegations that have ended, and stores those that have changed.
    pub(super) fn save_delegations(&mut self, effects: &mut Vec<Effect>) {
        if self.delegations.is_empty() && self.touched.is_empty() {
            return;
        }
        let (now, all_ended) = (self.clock, self.check_alive().is_err());
        self.delegations.retain(|id, child| {
            let stays = child.overall.held.calls > 0 || (!all_ended && child.check_alive(now).is_ok());
            if !stays {
                effects.push(Effect::DropDelegation(id.clone()));
            }
            stays
        });
        for id in core::mem::take(&mut self.touched) {
            if let Some(child) = self.delegations.get(&id) {
                effects.push(Effect::SaveDelegation(Box::new(child.stored())));
            }
        }
    }

    pub(super) fn delegations_usage(&self) -> Vec<DelegationUsage> {
        self.delegations.values().map(|child| child.usage(self.clock)).collect()
    }
}
