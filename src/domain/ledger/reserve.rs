//! The decision about one call.

use super::{
    super::{
        id::DelegationId,
        money::NanoUsd,
        permission::{Capability, ModelPattern, Permission, Provider},
    },
    Effect, Hold, Ledger,
    amounts::Amounts,
    bound::Bound,
    command::{Claim, HoldId, Need, Record, Refusal, Reservation, Ticket, Worst},
    delegation::Share,
    proofs::ProofUse,
    scope::Room,
    thresholds::cap_that_refused,
};

impl Ledger {
    /// As [`Self::reserve`], and uses up the proof that comes with the call before anything else is looked at.
    pub(super) fn reserve_once(
        &mut self,
        claim: Claim,
        delegation: Option<&DelegationId>,
        proof: Option<&ProofUse>,
        ttl_seconds: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<Reservation, Refusal> {
        let Some(proof) = proof else { return self.reserve(claim, delegation, ttl_seconds, effects) };
        self.proofs.admit(proof, self.clock)?;
        let answer = self.reserve(claim, delegation, ttl_seconds, effects);
        if !self.is_stored {
            // That there was a memory which has seen a proof outlives it.
            self.save_summary(effects);
        }
        answer
    }

    fn reserve(
        &mut self,
        claim: Claim,
        delegation: Option<&DelegationId>,
        ttl_seconds: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<Reservation, Refusal> {
        let now = self.clock;
        self.check_alive()?;
        if self.terms.paused {
            return Err(Refusal::Paused);
        }
        let shares = delegation.map_or_else(|| Ok(Vec::new()), |id| self.shares(id, &claim))?;
        let permission = find_permission(&self.terms.permissions, &claim)?;
        let chosen_from = delegation.map_or(&*self.terms.permissions, |id| self.permissions_of(id));
        let models = models_to_list(chosen_from, &claim);
        let bounded = matches!(claim.worst, Worst::Free | Worst::Bound(_));
        let scopes = self.scopes(permission, &shares);
        let caps_cost = scopes.iter().any(|(_, limits, _)| limits.caps_cost());
        let concurrency_limited = scopes.iter().any(|(_, limits, _)| limits.concurrency.is_some());
        let bound = match claim.worst {
            Worst::Bound(bound) => Some(bound),
            Worst::Unknown(reason) if caps_cost => return Err(Refusal::PriceUnknown(reason)),
            Worst::TooManyTools(most) if caps_cost => return Err(Refusal::TooManyTools(most)),
            Worst::Free | Worst::Unknown(_) | Worst::TooManyTools(_) => None,
        };
        let counts = u64::from(matches!(claim.need, Need::Model { .. }));
        let mut amounts = Amounts { requests: counts, calls: 1, ..Amounts::default() };
        let mut output_tokens = None;
        let fits = self.output_that_fits(permission, &shares, bound.as_ref(), &amounts);
        let fits = fits.inspect_err(|refusal| self.refused_by = cap_that_refused(refusal, permission))?;
        if let Some(bound) = bound {
            output_tokens = (fits < bound.output_tokens).then_some(fits);
            let bound = Bound { output_tokens: fits, ..bound };
            amounts = Amounts { nano_usd: bound.nano_usd(), tokens: bound.tokens(), ..amounts };
        }

        let (model, provider) = (claim.need.model(), Some(claim.provider));
        let hold = Hold {
            permission,
            shares: shares.clone(),
            amounts,
            bounded,
            reserved_at: now,
            deadline: now.plus_seconds(ttl_seconds),
            overdue: false,
            record: Record { provider, model, endpoint: claim.endpoint, ..Record::default() },
        };
        let id = self.let_through(hold, effects);
        let scopes = self.scopes(permission, &shares);
        let rooms: Vec<Room> = scopes.iter().map(|(_, limits, counters)| counters.room(limits, now)).collect();
        Ok(Reservation {
            ticket: Ticket { hold: id, permission, amounts, bounded, delegation: delegation.cloned() },
            output_tokens,
            requests_remaining: rooms.iter().filter_map(|room| room.requests).min(),
            budget_remaining: rooms.iter().filter_map(|room| room.nano_usd).min(),
            tokens_remaining: rooms.iter().filter_map(|room| room.tokens).min(),
            models,
            concurrency_limited,
            account: self.terms.account.clone(),
            ceiling: self.terms.ceiling,
            policy: self.terms.policy,
        })
    }

    /// Whether the smallest call of this provider could be let through, whatever its model.
    pub(super) fn look(&self, provider: Provider, delegation: Option<&DelegationId>) -> Result<(), Refusal> {
        self.check_alive()?;
        if self.terms.paused {
            return Err(Refusal::Paused);
        }
        let (need, worst) = (Need::Models { model: None }, Worst::Free);
        let claim = Claim { provider, need, endpoint: String::new(), worst };
        let shares = delegation.map_or_else(|| Ok(Vec::new()), |id| self.shares(id, &claim))?;
        find_permission(&self.terms.permissions, &claim)?;
        let call = Amounts { requests: 1, calls: 1, ..Amounts::default() };
        let least = Bound {
            input_nano_usd: NanoUsd(1),
            input_tokens: 1,
            output_pico_usd: 0,
            output_tokens: 0,
            choices: 1,
            least_output_tokens: None,
        };
        // Limits of single permissions are left out: which one covers the call isn't known yet.
        let shares: Vec<Share> = shares.into_iter().map(|share| Share { permission: usize::MAX, ..share }).collect();
        for (scope, limits, counters) in self.scopes(usize::MAX, &shares) {
            counters.calls_fit(scope, limits, &call, self.clock)?;
            counters.output_that_fits(scope, limits, &least, self.clock)?;
        }
        Ok(())
    }

    /// Whether the call fits under every limit, and how much each choice may write. What is refused for good is said before what only
    /// has to be waited for.
    fn output_that_fits(
        &self,
        permission: usize,
        shares: &[Share],
        bound: Option<&Bound>,
        call: &Amounts,
    ) -> Result<u64, Refusal> {
        let now = self.clock;
        let mut output = bound.map_or(0, |bound| bound.output_tokens);
        let mut refusal: Option<Refusal> = None;
        let mut refuse = |next: Refusal| {
            if refusal.as_ref().is_none_or(|first| next.is_final() && !first.is_final()) {
                refusal = Some(next);
            }
        };
        for (scope, limits, counters) in self.scopes(permission, shares) {
            if let Err(next) = counters.calls_fit(scope, limits, call, now) {
                refuse(next);
            }
            match bound.map(|bound| counters.output_that_fits(scope, limits, bound, now)) {
                Some(Ok(most)) => output = output.min(most),
                Some(Err(next)) => refuse(next),
                None => {}
            }
        }
        refusal.map_or(Ok(output), Err)
    }

    /// Records a hold: within what is set aside, or else in a row of its own.
    fn let_through(&mut self, hold: Hold, effects: &mut Vec<Effect>) -> HoldId {
        let id = HoldId(self.next_hold);
        let (permission, amounts, at) = (hold.permission, hold.amounts, hold.reserved_at);
        if self.step.used_at.day() != at.day() && (self.step.like.is_some() || !self.unsaved.is_empty()) {
            // What was set aside yesterday was measured by yesterday's room, and after a crash all of it would count as today's.
            self.checkpoint(effects);
        }
        self.next_hold = self.next_hold.saturating_add(1);
        self.last_used_at = Some(at);
        self.step.used_at = at;
        let mut is_rated = false;
        self.on_every_scope(permission, &hold.shares, |counters, limits| {
            counters.hold(limits, &amounts, at);
            is_rated |= limits.requests_per_minute.is_some();
        });
        if is_rated {
            self.touch(&hold);
        }
        if !hold.shares.is_empty() {
            effects.push(Effect::SaveHold(id, Box::new(hold.clone())));
            self.insert_hold(id, hold);
            self.save_summary(effects);
            return id;
        }
        self.insert_hold(id, hold);
        self.unsaved.insert(id);
        self.on_both_scopes(permission, |counters| counters.unsaved = counters.unsaved.plus(&amounts));
        if self.step.calls > 0 && self.is_covered() {
            return id;
        }
        if self.step.calls > 0 && amounts.requests > 0 {
            self.step.like = Some((permission, amounts));
        }
        let spare = if self.step.calls > 0 { self.spare_calls(permission, &amounts) } else { 0 };
        if spare == 0 {
            self.unsaved.remove(&id);
            self.on_both_scopes(permission, |counters| counters.unsaved = counters.unsaved.minus(&amounts));
            if let Some(hold) = self.holds.get(&id) {
                effects.push(Effect::SaveHold(id, Box::new(hold.clone())));
            }
        }
        self.save_summary(effects);
        id
    }
}

/// The first permission that covers the claim, or the reason that is nearest to a yes.
pub(super) fn find_permission(permissions: &[Permission], claim: &Claim) -> Result<usize, Refusal> {
    let mut nearest = Refusal::ProviderNotGranted;
    for (index, permission) in permissions.iter().enumerate() {
        // One without models allows nothing: an account has one for each provider.
        if permission.provider != claim.provider || permission.models.is_empty() {
            continue;
        }
        let (models, capabilities): (&[String], &[Capability]) = match &claim.need {
            Need::Model { models, capabilities } => (models, capabilities),
            Need::Models { model } => (model.as_slice(), &[]),
        };
        if let Some(model) = models.iter().find(|model| !permission.allows_model(model)) {
            if nearest == Refusal::ProviderNotGranted {
                nearest = Refusal::ModelNotGranted(model.clone());
            }
            continue;
        }
        match capabilities.iter().find(|capability| !permission.capabilities.contains(capability)) {
            Some(missing) => nearest = Refusal::CapabilityNotGranted(*missing),
            None => return Ok(index),
        }
    }
    Err(nearest)
}

/// Whether these permissions cover a claim, of themselves; if so, which models may be listed for it.
///
/// # Errors
/// The reason that is nearest to a yes.
pub fn covered(permissions: &[Permission], claim: &Claim) -> Result<Vec<ModelPattern>, Refusal> {
    find_permission(permissions, claim).map(|_| models_to_list(permissions, claim))
}

fn models_to_list(permissions: &[Permission], claim: &Claim) -> Vec<ModelPattern> {
    match claim.need {
        Need::Model { .. } => Vec::new(),
        Need::Models { .. } => permissions
            .iter()
            .filter(|permission| permission.provider == claim.provider)
            .flat_map(|permission| permission.models.iter().cloned())
            .collect(),
    }
}
