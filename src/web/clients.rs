//! Clients, whichever way the broker came to know them.
//!
//! A `client_id` that is an address names a client metadata document
//! ([draft](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)), which is read from there, kept, and read
//! again once it is no longer fresh. Who asks decides how fresh it has to be:
//!
//! | asked by | the document |
//! |---|---|
//! | a person's browser, at `/authorize` | is fresh, or read now; a person without a session makes the broker read none |
//! | a program, at `/par` and `/device_authorization` | was fresh within the last day, or is read now |
//! | a program, at `/token` and the like | the same, but one that is not known yet is not read: strangers would make the broker read |
//!
//! A document that can't be read, or isn't one, is an error: what it said before counts for nothing then.

use super::{
    ending::end_grant,
    ports::{Ports, StoreError, Write},
    state::AppState,
};
use crate::domain::{
    audit::{Actor, Entry, Event},
    id::{ClientId, UserId},
    jose::{JwkSet, jwk_set::JwkSetError},
    network::NetworkHash,
    oauth::{
        client::{Client, ClientAuth, ClientKeys, ClientKind},
        client_metadata::{AuthMethod, ClientMetadata, DocumentError, FetchError, is_address},
        remote_address::{InvalidAddress, RemoteAddress, serves_programs},
    },
};

/// Most documents that are kept of apps that nobody has granted anything, nor was asked to within a day.
const MAX_UNUSED_DOCUMENTS: u32 = 1000;
/// Grants that are revoked in one go when an app is deleted; then the database is asked for more.
const REVOKE_BATCH: u32 = 50;
/// The platform bounds what one request may do; whoever has more asks again.
const MAX_REVOKE_BATCHES: u32 = 8;

/// Why it isn't known what a client is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The store can't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its document can't be used.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Why there are no keys to check a client's signature with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// It is none that signs.
    #[error("this app has no keys")]
    DoesNotSign,
    /// `jwks_uri` is none that is fetched, any longer.
    #[error("jwks_uri: {0}")]
    Address(#[from] InvalidAddress),
    /// Nothing came from there.
    #[error("jwks_uri: {0}")]
    Fetch(#[from] FetchError),
    /// What came is no key set.
    #[error("jwks: {0}")]
    Set(#[from] JwkSetError),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Somebody who is about to be shown what the client says of itself.
    Person,
    /// The client itself, to begin something.
    Starting,
    /// The client itself, with something that it was given: one that is not known yet was given nothing, and isn't read.
    Program,
}

/// How removing a client went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    /// It and its grants are gone.
    Done,
    /// It wasn't there.
    Gone,
    /// It has very many grants: not all are revoked yet, and it is still there.
    MoreToDo,
}

/// What is known of a client without reading anything of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// This; `None`: there is no such client.
    Ready(Option<Client>),
    /// Its document has to be read, by [`read_document`]; what it said before, if it was read before.
    Unread(Option<Client>),
}

/// Whether a client of this name could only be known by its document.
pub fn is_document<P>(state: &AppState<P>, id: &ClientId) -> bool {
    state.config.registration.takes_documents && is_address(id)
}

/// Looks a client up.
///
/// # Errors
/// The store can't answer.
pub async fn look_up<P: Ports>(state: &AppState<P>, id: &ClientId, asks: Asks) -> Result<Known, StoreError> {
    let found = state.ports.find_client(id).await?;
    if !is_document(state, id) {
        return Ok(Known::Ready(found));
    }
    Ok(match found {
        Some(client) if serves(&client, state, asks) => Known::Ready(Some(client)),
        None if asks == Asks::Program => Known::Ready(None),
        found => Known::Unread(found),
    })
}

fn serves<P>(client: &Client, state: &AppState<P>, asks: Asks) -> bool {
    match (&client.kind, asks) {
        (ClientKind::Document { fresh_until }, Asks::Person) => state.now < *fresh_until,
        (ClientKind::Document { fresh_until }, Asks::Starting | Asks::Program) => {
            serves_programs(*fresh_until, state.now)
        }
        (ClientKind::Registered(_) | ClientKind::Dynamic(_), _) => true,
    }
}

/// Reads a client's document, and keeps it. `network`: of whoever made the broker read it.
///
/// # Errors
/// [`Unresolved`].
pub async fn read_document<P: Ports>(
    state: &AppState<P>,
    id: &ClientId,
    known: Option<Client>,
    network: &NetworkHash,
) -> Result<Client, Unresolved> {
    let reach = state.config.registration.reach;
    let address = RemoteAddress::parse(id.as_str(), reach).map_err(DocumentError::from)?;
    let fetched = state.ports.fetch_document(&address).await.map_err(DocumentError::from)?;
    let metadata = ClientMetadata::parse_document(&fetched.body, &address, reach)?;
    let fresh_until = state.now.plus_seconds(fetched.fresh_for);
    let auth = match metadata.auth_method {
        AuthMethod::None => ClientAuth::Public,
        AuthMethod::PrivateKeyJwt(keys) => ClientAuth::PrivateKey(keys),
        AuthMethod::SecretBasic | AuthMethod::SecretPost => return Err(DocumentError::SecretMethod.into()),
    };
    let client = Client {
        id: id.clone(),
        kind: ClientKind::Document { fresh_until },
        name: metadata.name,
        home_page: metadata.client_uri,
        logo_uri: metadata.logo_uri,
        redirect_uris: metadata.redirect_uris,
        grant_types: metadata.grant_types,
        auth,
        prefers_secret_in_body: false,
        requires_par: metadata.requires_par,
        requires_dpop: metadata.requires_dpop,
        access_token_alg: metadata.access_token_alg,
        described: metadata.described,
        created_at: known.map_or(state.now, |known| known.created_at),
    };
    state.ports.put_document_client(&client, network, MAX_UNUSED_DOCUMENTS).await?;
    Ok(client)
}

/// The keys that a client signs with: those that it registered, or those that lie at its `jwks_uri`, at most five minutes old.
///
/// # Errors
/// [`NoKeys`].
pub async fn keys_of<P: Ports>(state: &AppState<P>, client: &Client) -> Result<JwkSet, NoKeys> {
    match &client.auth {
        ClientAuth::PrivateKey(ClientKeys::Inline(json)) => Ok(JwkSet::parse(json)?),
        ClientAuth::PrivateKey(ClientKeys::Uri(uri)) => {
            let address = RemoteAddress::parse(uri, state.config.registration.reach)?;
            Ok(JwkSet::parse(&state.ports.fetch_jwks(&address).await?)?)
        }
        ClientAuth::Public | ClientAuth::Confidential(_) => Err(NoKeys::DoesNotSign),
    }
}

/// Takes back every grant that a client has, from whomever, and then the client.
///
/// # Errors
/// A ledger or the database can't answer: then the client is still there, to try again.
pub async fn remove<P: Ports>(state: &AppState<P>, id: &ClientId) -> Result<Removal, StoreError> {
    if !end_grants(state, id).await? {
        return Ok(Removal::MoreToDo);
    }
    if state.ports.delete_client(id).await? == Write::Lost {
        return Ok(Removal::Gone);
    }
    // What was allowed between the two; from here on nothing can be.
    Ok(if end_grants(state, id).await? { Removal::Done } else { Removal::MoreToDo })
}

/// Whether all of them are ended.
async fn end_grants<P: Ports>(state: &AppState<P>, id: &ClientId) -> Result<bool, StoreError> {
    for _ in 0..MAX_REVOKE_BATCHES {
        let grants = state.ports.list_active_grants_of_client(id, state.now, REVOKE_BATCH).await?;
        if grants.is_empty() {
            return Ok(true);
        }
        for grant in &grants {
            end_grant(state, grant).await?;
        }
        // Where the one who deletes the app sits is nothing to those who gave it grants.
        let entry = Entry::new(Event::GrantRevoked, UserId::from_entropy([0; 16]), state.now);
        let entry = entry.by(Actor::Broker).detail("the app was deleted");
        state.ports.record_ended_grants(id, &entry).await?;
    }
    Ok(false)
}
