//! The control plane's ports over the platform: D1, the ledgers, rate limits, entropy.

use std::{sync::Arc, time::Duration};

use worker::{Delay, Env, send::SendFuture};

use super::{
    d1::Database,
    documents, entropy,
    ledgers::{self, HasLedger},
    settings::Settings,
    signatures,
};
use crate::{
    domain::{
        grant::Terms,
        id::{DelegationId, GrantId, UserId},
        jose::{SignatureFails, SignatureHolds, SignatureToCheck},
        ledger::{Change, Command, Delegate, Govern, Refusal, Reply, Snapshot},
        money::NanoUsd,
        oauth::{client_metadata::FetchError, remote_address::RemoteAddress},
        permission::Provider,
        time::Timestamp,
    },
    web::ports::{self, Fetched, StoreError},
};

/// Everything that [`ports::Ports`] asks for.
#[derive(Clone, Debug)]
pub struct EdgePorts {
    pub(super) database: Arc<Database>,
    pub(super) env: Env,
}

impl EdgePorts {
    /// From the bindings, for a job behind everybody's back.
    ///
    /// # Errors
    /// A binding that `wrangler.toml` should have and doesn't.
    pub fn of_job(env: &Env) -> worker::Result<Self> {
        Ok(Self { database: Arc::new(Database::of_job(env)?), env: env.clone() })
    }

    /// The same for a request, which waits so many seconds for the database.
    ///
    /// # Errors
    /// As [`Self::of_job`].
    pub fn of_request(env: &Env, seconds: u64) -> worker::Result<Self> {
        Ok(Self { database: Arc::new(Database::of_request(env, seconds)?), env: env.clone() })
    }

    async fn read(&self, id: &impl HasLedger) -> Result<Snapshot, StoreError> {
        match ledgers::send(id, &Command::Read).await {
            Ok(Reply::Snapshot(snapshot)) => Ok(*snapshot),
            Ok(other) => Err(StoreError(format!("unexpected reply {other:?}"))),
            Err(error) => Err(StoreError(error.to_string())),
        }
    }

    /// Carries out a command that has nothing to say.
    async fn tell(&self, id: &impl HasLedger, command: &Command) -> Result<(), StoreError> {
        match ledgers::send(id, command).await {
            Ok(Reply::Done) => Ok(()),
            Ok(other) => Err(StoreError(format!("unexpected reply {other:?}"))),
            Err(error) => Err(StoreError(error.to_string())),
        }
    }
}

impl ports::Ledgers for EdgePorts {
    async fn revoke_ledger(&self, id: &GrantId) -> Result<(), StoreError> {
        SendFuture::new(async {
            match ledgers::send(id, &Command::Revoke).await {
                Ok(_) => Ok(()),
                Err(error) => Err(StoreError(error.to_string())),
            }
        })
        .await
    }

    async fn change_ledger(&self, id: &GrantId, change: Change) -> Result<Result<Terms, Refusal>, StoreError> {
        SendFuture::new(async {
            match ledgers::send(id, &Command::Change(change)).await {
                Ok(Reply::Changed(terms)) => Ok(Ok(terms)),
                Ok(Reply::Refused(refusal)) => Ok(Err(refusal)),
                Ok(other) => Err(StoreError(format!("unexpected reply {other:?}"))),
                Err(error) => Err(StoreError(error.to_string())),
            }
        })
        .await
    }

    async fn delegate(&self, id: &GrantId, delegate: Delegate) -> Result<Result<(), Refusal>, StoreError> {
        SendFuture::new(async {
            match ledgers::send(id, &Command::Delegate(Box::new(delegate))).await {
                Ok(Reply::Delegated(_)) => Ok(Ok(())),
                Ok(Reply::Refused(refusal)) => Ok(Err(refusal)),
                Ok(other) => Err(StoreError(format!("unexpected reply {other:?}"))),
                Err(error) => Err(StoreError(error.to_string())),
            }
        })
        .await
    }

    async fn revoke_delegation(&self, id: &GrantId, delegation: &DelegationId) -> Result<(), StoreError> {
        SendFuture::new(async {
            match ledgers::send(id, &Command::RevokeDelegation(delegation.clone())).await {
                Ok(_) => Ok(()),
                Err(error) => Err(StoreError(error.to_string())),
            }
        })
        .await
    }

    async fn revoke_tokens(&self, id: &GrantId, until: Timestamp) -> Result<(), StoreError> {
        SendFuture::new(async {
            // A ledger that refuses has no such grant, and no token of it is good.
            match ledgers::send(id, &Command::RevokeTokens(until)).await {
                Ok(_) => Ok(()),
                Err(error) => Err(StoreError(error.to_string())),
            }
        })
        .await
    }

    async fn govern_ledger(&self, id: &GrantId, govern: Govern) -> Result<(), StoreError> {
        SendFuture::new(self.tell(id, &Command::Govern(Box::new(govern)))).await
    }

    async fn govern_account(&self, id: &UserId, govern: Govern) -> Result<(), StoreError> {
        SendFuture::new(self.tell(id, &Command::Govern(Box::new(govern)))).await
    }

    async fn revoke_account(&self, id: &UserId) -> Result<(), StoreError> {
        SendFuture::new(self.tell(id, &Command::Revoke)).await
    }

    async fn read_accounts(&self, ids: &[UserId]) -> Vec<Result<Snapshot, StoreError>> {
        SendFuture::new(futures_util::future::join_all(ids.iter().map(|id| self.read(id)))).await
    }

    async fn read_ledgers(&self, ids: &[GrantId]) -> Vec<Result<Snapshot, StoreError>> {
        // The platform allows six requests at once; more wait their turn there.
        SendFuture::new(futures_util::future::join_all(ids.iter().map(|id| self.read(id)))).await
    }
}

impl ports::Prices for EdgePorts {
    fn price_of_chat(&self, provider: Provider, model: &str, tokens: (u64, u64)) -> Option<NanoUsd> {
        Settings::get(&self.env).ok()?.prices.of_chat(provider, model, tokens)
    }
}

impl ports::Signatures for EdgePorts {
    async fn verify_signature(&self, to_check: &SignatureToCheck<'_>) -> Result<SignatureHolds, SignatureFails> {
        SendFuture::new(signatures::holds(to_check)).await
    }
}

impl ports::Documents for EdgePorts {
    async fn fetch_document(&self, address: &RemoteAddress) -> Result<Fetched, FetchError> {
        SendFuture::new(documents::fetch(address)).await
    }

    async fn fetch_jwks(&self, address: &RemoteAddress) -> Result<String, FetchError> {
        SendFuture::new(documents::key_set(address)).await
    }
}

impl ports::Pauses for EdgePorts {
    async fn wait(&self, milliseconds: u64) {
        SendFuture::new(Delay::from(Duration::from_millis(milliseconds))).await;
    }
}

impl ports::Entropy for EdgePorts {
    fn entropy32(&self) -> [u8; 32] {
        entropy::bytes()
    }

    fn entropy16(&self) -> [u8; 16] {
        entropy::bytes()
    }
}
