//! What a browser needs to ask for a passkey (`WebAuthn` §5.4, §5.5), as JSON for `parseCreationOptionsFromJSON()` and its sister.

use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::{IntoResponse, Json},
};
use serde_json::{Value, json};

use crate::domain::{
    encoding::base64url,
    id::UserId,
    webauthn::{
        CredentialId, RelyingParty,
        challenge::CHALLENGE_TTL_SECONDS,
        public_key::{EDDSA, ES256, RS256},
    },
};

/// How the broker is called beside its host.
const NAME: &str = "AIPassport";

/// For a new passkey: discoverable, with its owner verified, not on an authenticator that has one of theirs, and without a statement about
/// its maker.
#[must_use]
pub fn creation<'a>(
    party: &RelyingParty<'_>,
    challenge: &str,
    user: &UserId,
    name: &str,
    theirs: impl Iterator<Item = &'a CredentialId>,
) -> Response<Body> {
    let algorithms = [ES256, EDDSA, RS256].map(|alg| json!({ "type": "public-key", "alg": alg }));
    answer(&json!({
        "challenge": challenge,
        "rp": { "id": party.id, "name": NAME },
        "user": { "id": base64url(user.as_str().as_bytes()), "name": name, "displayName": name },
        "pubKeyCredParams": algorithms,
        "timeout": CHALLENGE_TTL_SECONDS * 1000,
        "excludeCredentials": descriptors(theirs),
        "authenticatorSelection": { "residentKey": "required", "requireResidentKey": true, "userVerification": "required" },
        "attestation": "none",
    }))
}

/// For a passkey that is used: one of `theirs`, or, where nobody is known yet, any.
#[must_use]
pub fn request<'a>(
    party: &RelyingParty<'_>,
    challenge: &str,
    theirs: impl Iterator<Item = &'a CredentialId>,
) -> Response<Body> {
    answer(&json!({
        "challenge": challenge,
        "rpId": party.id,
        "timeout": CHALLENGE_TTL_SECONDS * 1000,
        "allowCredentials": descriptors(theirs),
        "userVerification": "required",
    }))
}

/// What the form shows instead of asking for a passkey. `text` is a whole sentence, in the language of the page.
#[must_use]
pub fn not_now(status: StatusCode, text: &str) -> Response<Body> {
    (status, Json(json!({ "message": text }))).into_response()
}

fn answer(options: &Value) -> Response<Body> {
    Json(json!({ "publicKey": options })).into_response()
}

fn descriptors<'a>(credentials: impl Iterator<Item = &'a CredentialId>) -> Vec<Value> {
    credentials.map(|id| json!({ "type": "public-key", "id": id.as_str() })).collect()
}
