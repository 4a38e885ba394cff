//! Room for a call, wherever it has to be taken: in the ledger of its grant, and in its user's account where the grant names one.
//!
//! An operator's grant names none: one round trip, as ever. A member's takes a second, and a third for its first call after the policy
//! has changed, or where the grant's ceiling says no: that may have been raised (`domain::ledger::govern`).

use super::booking::give_back;
use crate::{
    domain::{
        id::{DelegationId, GrantId, UserId},
        ledger::{Claim, Command, ProofUse, Refusal, Reply, Reservation, Ticket},
        time::Timestamp,
    },
    edge::ledgers::{self, LedgerUnavailable},
    gateway::Failure,
};

/// A call, as its grant is asked for it.
pub struct Asked<'a> {
    /// What it wants.
    pub claim: &'a Claim,
    /// Seconds after which a hold is booked.
    pub hold_ttl_seconds: u64,
    /// Calls that room is set aside for.
    pub ahead: u32,
    /// The delegation that calls, if one does.
    pub delegation: Option<DelegationId>,
    /// The proof that comes with it.
    pub proof: Option<ProofUse>,
    /// When its access token was issued.
    pub issued_at: Timestamp,
}

/// All have said yes.
pub struct Room {
    /// What the call may do.
    pub reservation: Reservation,
    /// The hold in the account.
    pub account: Option<(UserId, Ticket)>,
}

/// One has not; what was taken was given back.
pub enum NoRoom {
    /// It said no.
    Refused(Failure),
    /// It can't be asked. For the log.
    Unavailable(String),
}

impl NoRoom {
    const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(Failure::NotAllowed(refusal)) if refusal.is_final())
    }
}

impl Asked<'_> {
    /// Asks everybody who has to say yes. `user`: whose grant it is.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub async fn take(self, grant_id: &GrantId, user: &UserId) -> Result<Room, NoRoom> {
        let first = said(ledgers::send(grant_id, &self.of_grant(self.proof)).await, Failure::Refused);
        let (account, asked_tokens) = match &first {
            Ok(Reservation { account: Some(account), output_tokens, .. }) => (account.clone(), *output_tokens),
            Err(NoRoom::Refused(Failure::Refused(refusal))) if refusal.is_of_ceiling() => (user.clone(), None),
            Ok(_) | Err(_) => return first.map(|reservation| Room { reservation, account: None }),
        };
        let allowed = said(ledgers::send(&account, &self.of_account(asked_tokens)).await, Failure::NotAllowed);
        let (first, allowed) = match (first, allowed) {
            (Ok(granted), Err(no)) => {
                give_back(grant_id, granted.ticket).await;
                return Err(no);
            }
            // The ceiling may be an old one. What the account says for good is true today.
            (Err(no), Err(of_account)) => return Err(if of_account.is_final() { of_account } else { no }),
            (first, Ok(allowed)) => (first, allowed),
        };
        // The proof was used up by the first.
        let again = self.of_grant(None);
        let granted = if let Ok(granted) = first {
            if let Some(govern) = granted.outdated_by(&allowed) {
                let (release, govern) = (Command::Withdraw(granted.ticket), Command::Govern(Box::new(govern)));
                let answer = ledgers::send_all(grant_id, [&release, &govern, &again]).await;
                said(answer.map(|[_, _, reply]| reply), Failure::Refused)
            } else {
                Ok(granted)
            }
        } else {
            let govern = Command::Govern(Box::new(allowed.of_policy()));
            let answer = ledgers::send_all(grant_id, [&govern, &again]).await;
            said(answer.map(|[_, reply]| reply), Failure::Refused)
        };
        match granted {
            Ok(granted) => {
                let reservation = granted.within(&allowed, asked_tokens);
                Ok(Room { reservation, account: Some((account, allowed.ticket)) })
            }
            Err(no) => {
                give_back(&account, allowed.ticket).await;
                Err(no)
            }
        }
    }

    fn of_grant(&self, proof: Option<ProofUse>) -> Command {
        Command::Reserve {
            claim: self.claim.clone(),
            hold_ttl_seconds: self.hold_ttl_seconds,
            ahead: self.ahead,
            delegation: self.delegation.clone(),
            proof,
            issued_at: Some(self.issued_at),
        }
    }

    fn of_account(&self, output_tokens: Option<u64>) -> Command {
        Command::Reserve {
            claim: self.claim.for_account(output_tokens),
            hold_ttl_seconds: self.hold_ttl_seconds,
            ahead: self.ahead,
            delegation: None,
            proof: None,
            issued_at: None,
        }
    }
}

fn said(answer: Result<Reply, LedgerUnavailable>, no: fn(Refusal) -> Failure) -> Result<Reservation, NoRoom> {
    match answer {
        Ok(Reply::Reserved(reservation)) => Ok(reservation),
        Ok(Reply::Refused(refusal)) => Err(NoRoom::Refused(no(refusal))),
        Ok(other) => Err(NoRoom::Unavailable(format!("unexpected reply {other:?}"))),
        Err(error) => Err(NoRoom::Unavailable(error.to_string())),
    }
}
