//! Room that a call took in its ledger, until it is settled or given back.

use crate::{
    domain::{
        id::GrantId,
        ledger::{Command, Cost, Record, Settlement, Ticket},
    },
    edge::{ledgers::Ledgers, log},
};

/// How often it is tried before it is left to the hold's deadline.
const ATTEMPTS: usize = 3;

/// A hold and where it lies. Ending it takes it: it can't be ended twice.
#[derive(Debug)]
pub struct Booking {
    ledgers: Ledgers,
    grant_id: GrantId,
    ticket: Ticket,
}

impl Booking {
    /// Of a hold that the ledger just recorded.
    #[must_use]
    pub const fn new(ledgers: Ledgers, grant_id: GrantId, ticket: Ticket) -> Self {
        Self { ledgers, grant_id, ticket }
    }

    /// Whose ledger it lies in.
    #[must_use]
    pub const fn grant_id(&self) -> &GrantId {
        &self.grant_id
    }

    /// What it takes.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The call was made. Without a cost it is booked at its bound.
    pub async fn settle(self, cost: Option<Cost>, record: Record) {
        let settlement = Settlement { ticket: self.ticket.clone(), cost, record };
        self.finish(Command::Settle(Box::new(settlement))).await;
    }

    /// Nothing was billed.
    pub async fn release(self) {
        self.finish(Command::Release(self.ticket.clone())).await;
    }

    async fn finish(&self, command: Command) {
        for attempt in 1..=ATTEMPTS {
            match self.ledgers.send(&self.grant_id, command.clone()).await {
                Ok(_) => return,
                // The hold's deadline books it: too much rather than too little.
                Err(error) if attempt == ATTEMPTS => log::failure("settle", &error.to_string()),
                Err(_) => {}
            }
        }
    }
}
