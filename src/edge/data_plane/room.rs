//! Room for a call, wherever it has to be taken: in the ledger of its grant, and in its user's account where the grant names one.
//!
//! An operator's grant names none: one round trip, as ever. A member's takes a second, and a third for its first call after the policy
//! has changed (`domain::ledger::govern`).

use super::booking::give_back;
use crate::{
    domain::{
        id::{DelegationId, GrantId, UserId},
        ledger::{Claim, Command, ProofUse, Refusal, Reply, Reservation, Ticket},
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

impl Asked<'_> {
    /// Asks everybody who has to say yes.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub async fn take(self, grant_id: &GrantId) -> Result<Room, NoRoom> {
        let granted = said(ledgers::send(grant_id, &self.of_grant(self.proof)).await, Failure::Refused)?;
        let Some(account) = granted.account.clone() else { return Ok(Room { reservation: granted, account: None }) };
        let asked_tokens = granted.output_tokens;
        let allowed = match said(ledgers::send(&account, &self.of_account(asked_tokens)).await, Failure::NotAllowed) {
            Ok(allowed) => allowed,
            Err(no) => {
                give_back(grant_id, granted.ticket).await;
                return Err(no);
            }
        };
        let granted = match granted.outdated_by(&allowed) {
            None => granted,
            Some(govern) => {
                let (release, govern) = (Command::Release(granted.ticket), Command::Govern(Box::new(govern)));
                // The proof was used up by the first.
                let answer = ledgers::send_all(grant_id, [&release, &govern, &self.of_grant(None)]).await;
                match said(answer.map(|[_, _, reply]| reply), Failure::Refused) {
                    Ok(granted) => granted,
                    Err(no) => {
                        give_back(&account, allowed.ticket).await;
                        return Err(no);
                    }
                }
            }
        };
        let reservation = granted.within(&allowed, asked_tokens);
        Ok(Room { reservation, account: Some((account, allowed.ticket)) })
    }

    fn of_grant(&self, proof: Option<ProofUse>) -> Command {
        Command::Reserve {
            claim: self.claim.clone(),
            hold_ttl_seconds: self.hold_ttl_seconds,
            ahead: self.ahead,
            delegation: self.delegation.clone(),
            proof,
        }
    }

    fn of_account(&self, output_tokens: Option<u64>) -> Command {
        Command::Reserve {
            claim: self.claim.for_account(output_tokens),
            hold_ttl_seconds: self.hold_ttl_seconds,
            ahead: self.ahead,
            delegation: None,
            proof: None,
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
