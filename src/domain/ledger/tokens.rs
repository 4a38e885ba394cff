//! Access tokens of a grant that its app took back before their end (RFC 7009 §2.1), while the grant lives on.
//!
//! No list of tokens is kept, but a number: no token that was issued at this second or before is good. So what was issued together with
//! a token that is taken back goes with it, and an app that wants another token gets a later one (`web::revoke`).

use super::{Effect, Ledger, Refusal, Timestamp};

impl Ledger {
    /// Whether an access token of the grant itself that was issued then is still good; `None`: there is no token.
    pub(super) fn check_token(&self, issued_at: Option<Timestamp>) -> Result<(), Refusal> {
        let is_revoked = issued_at.is_some_and(|at| self.tokens_revoked_until.is_some_and(|until| at <= until));
        if is_revoked { Err(Refusal::Revoked) } else { Ok(()) }
    }

    /// From now on no token that was issued until then is good, nor what was narrowed from one.
    pub(super) fn revoke_tokens(&mut self, until: Timestamp, effects: &mut Vec<Effect>) {
        if self.tokens_revoked_until.is_some_and(|before| before >= until) {
            return;
        }
        self.tokens_revoked_until = Some(until);
        for id in self.delegations_of_tokens(until) {
            self.revoke_delegation(id);
        }
        self.save_summary(effects);
    }
}
