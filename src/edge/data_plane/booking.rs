//! Room that a call took in its ledger, until it is settled or given back.

use std::rc::Rc;

use futures_util::future::join;

use crate::{
    domain::{
        id::{GrantId, UserId},
        ledger::{Command, Cost, Record, Reservation, Settlement, Ticket},
        money::NanoUsd,
        time::Timestamp,
    },
    edge::{
        clock,
        ledgers::{self, HasLedger, LedgerUnavailable},
        log,
        settings::Settings,
    },
    gateway::{
        Meterage,
        usage::{AnswerKind, Reading, Used},
    },
};

/// How often it is tried before it is left to the hold's deadline.
const ATTEMPTS: usize = 3;

/// A hold and where it lies. It is ended once: what ends it leaves nothing to end.
pub struct Booking {
    grant_id: GrantId,
    ticket: Option<Ticket>,
    /// The hold in the account of the grant's user, where it has one. It ends with the grant's, at the same cost.
    account: Option<(UserId, Ticket)>,
    concurrency_limited: bool,
    /// The maximum that the broker set.
    output_tokens: Option<u64>,
    meterage: Meterage,
    settings: Rc<Settings>,
    began: Timestamp,
    record: Record,
}

/// What is known of a call before it is made.
pub struct Made {
    /// How what it uses becomes what it costs.
    pub meterage: Meterage,
    /// The provider's own path.
    pub endpoint: String,
    /// When it came.
    pub began: Timestamp,
    /// The broker's name for it.
    pub request_id: String,
}

impl Booking {
    /// Of holds that the ledgers just recorded.
    #[must_use]
    pub fn new(
        grant_id: GrantId,
        (reservation, account): (&Reservation, Option<(UserId, Ticket)>),
        settings: Rc<Settings>,
        made: Made,
    ) -> Self {
        let record = Record {
            provider: Some(made.meterage.provider),
            model: made.meterage.models.first().cloned().unwrap_or_default(),
            endpoint: made.endpoint,
            price_version: settings.prices.version().to_owned(),
            request_id: made.request_id,
            ..Record::default()
        };
        Self {
            grant_id,
            ticket: Some(reservation.ticket.clone()),
            account,
            concurrency_limited: reservation.concurrency_limited,
            output_tokens: reservation.output_tokens,
            meterage: made.meterage,
            settings,
            began: made.began,
            record,
        }
    }

    /// Whose ledger it lies in.
    #[must_use]
    pub const fn grant_id(&self) -> &GrantId {
        &self.grant_id
    }

    /// The model that was asked for; empty for a list of models.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.record.model
    }

    /// Whether no more tokens than these can be written, all choices taken together.
    #[must_use]
    pub fn writes_at_most(&self, tokens: u64) -> bool {
        let bound = self.meterage.bound.as_ref();
        bound.is_some_and(|bound| {
            let each = self.output_tokens.map_or(bound.output_tokens, |most| most.min(bound.output_tokens));
            each.saturating_mul(bound.choices) <= tokens
        })
    }

    /// What says in the answer what was used.
    #[must_use]
    pub const fn answer_kind(&self) -> AnswerKind {
        self.meterage.answer
    }

    /// The call was made, and its answer said this.
    pub async fn settle(&mut self, reading: &Reading, status: u16) {
        let Some(ticket) = self.ticket.take() else { return };
        if let Used::Complete(usages) | Used::Partial(usages) = &reading.used {
            for usage in usages {
                self.record.input_tokens = self.record.input_tokens.saturating_add(usage.input_tokens);
                self.record.cached_tokens = self.record.cached_tokens.saturating_add(usage.cached_tokens);
                self.record.output_tokens = self.record.output_tokens.saturating_add(usage.output_tokens);
            }
        }
        let cost = self.meterage.cost(&self.settings.prices, reading, &ticket, self.output_tokens);
        if cost.is_none() && ticket.bounded && matches!(reading.used, Used::Complete(_)) {
            let Record { model, input_tokens, output_tokens, .. } = &self.record;
            let (read, written, held) = (input_tokens, output_tokens, ticket.amounts.nano_usd);
            log::failure(
                "usage that can't be believed",
                &format!("{model}: {read} tokens read and {written} written; booked at the {held} USD held"),
            );
        }
        self.end(ticket, cost, status).await;
    }

    /// The call was made, and costs nothing.
    pub async fn settle_free(mut self, status: u16) {
        let Some(ticket) = self.ticket.take() else { return };
        self.end(ticket, Some(Cost { nano_usd: NanoUsd::ZERO, tokens: 0, exact: true }), status).await;
    }

    /// Nobody knows what became of the call.
    pub async fn settle_at_bound(mut self, status: u16) {
        let Some(ticket) = self.ticket.take() else { return };
        self.end(ticket, None, status).await;
    }

    /// Nothing was billed.
    pub async fn release(mut self) {
        if let Some(ticket) = self.ticket.take() {
            let account = self.account.take().map(|(id, ticket)| (id, Command::Release(ticket)));
            self.send(&Command::Release(ticket), account).await;
        }
    }

    async fn end(&mut self, ticket: Ticket, cost: Option<Cost>, status: u16) {
        if let Some(cost) = cost.filter(|_| ticket.bounded) {
            let (held, model) = (ticket.amounts, &self.record.model);
            let more = (cost.nano_usd.minus(held.nano_usd), cost.tokens.saturating_sub(held.tokens));
            if more != (NanoUsd::ZERO, 0) {
                // Worth knowing: a price is out of date, or a bound is wrong.
                let (usd, tokens) = more;
                log::failure(
                    "usage above the bound",
                    &format!(
                        "{model}: {usd} USD and {tokens} tokens more than the {} USD and {} held",
                        held.nano_usd, held.tokens
                    ),
                );
            }
        }
        let mut record = core::mem::take(&mut self.record);
        record.status = status;
        record.duration_ms = clock::now().millis().saturating_sub(self.began.millis());
        let account = self.account.take().map(|(id, ticket)| {
            // Who wants to know what the call was asks the grant.
            (id, Command::Settle(Box::new(Settlement { ticket, cost, record: Record::default() })))
        });
        self.send(&Command::Settle(Box::new(Settlement { ticket, cost, record })), account).await;
    }

    /// To both ledgers at once. One that can't be reached doesn't keep the other.
    async fn send(&self, command: &Command, account: Option<(UserId, Command)>) {
        let to_grant = insist(&self.grant_id, command, self.concurrency_limited);
        match account {
            None => to_grant.await,
            Some((id, command)) => drop(join(to_grant, insist(&id, &command, false)).await),
        }
    }
}

/// Gives room back that a call took in one ledger and doesn't need, since another ledger said no.
pub async fn give_back(owner: &impl HasLedger, ticket: Ticket) {
    insist(owner, &Command::Withdraw(ticket), false).await;
}

/// Sends until it is carried out, or given up. `now`: the next call waits for the room.
async fn insist(owner: &impl HasLedger, command: &Command, now: bool) {
    for attempt in 1..=ATTEMPTS {
        match send_once(owner, command, now || attempt > 1).await {
            Ok(()) => return,
            // The hold's deadline books it: too much rather than too little.
            Err(error) if attempt == ATTEMPTS => log::failure("settle", &error.to_string()),
            Err(_) => {}
        }
    }
}

/// Together with others of the ledger, but where it has to be now.
async fn send_once(owner: &impl HasLedger, command: &Command, now: bool) -> Result<(), LedgerUnavailable> {
    if now { ledgers::send(owner, command).await.map(drop) } else { ledgers::send_soon(owner, command).await }
}
