//! How the claims of an access token stand in the JWT. `iat` and `exp` are jwt-compact's.

use jwt_compact::Claims;
use serde::{Deserialize, Serialize};

use super::AccessClaims;
use crate::domain::{
    id::{ClientId, DelegationId, GrantId, UserId},
    jose::JwkThumbprint,
    limits::Limits,
    permission::Permission,
    time::Timestamp,
};

#[derive(Serialize, Deserialize)]
pub(super) struct WireClaims {
    iss: String,
    aud: Audience,
    sub: UserId,
    client_id: ClientId,
    grant_id: GrantId,
    jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegation: Option<DelegationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorization_details: Option<Vec<Detail>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
}

/// RFC 7519 §4.1.3: one is a string, several are an array.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// RFC 9449 §6.1. Proof of another kind is none that could be checked here: such a token is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jkt: JwkThumbprint,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Detail {
    #[serde(rename = "ai_access")]
    Access(Permission),
}

impl From<&AccessClaims> for Claims<WireClaims> {
    fn from(claims: &AccessClaims) -> Self {
        let without_limits =
            |permission: &Permission| Detail::Access(Permission { limits: Limits::default(), ..permission.clone() });
        let mut wire = Self::new(WireClaims {
            iss: claims.issuer.clone(),
            aud: match claims.audience.as_slice() {
                [one] => Audience::One(one.clone()),
                several => Audience::Several(several.to_vec()),
            },
            sub: claims.subject.clone(),
            client_id: claims.client_id.clone(),
            grant_id: claims.grant_id.clone(),
            jti: claims.jwt_id.clone(),
            delegation: claims.delegation.clone(),
            scope: claims.scope.clone(),
            authorization_details: claims
                .narrowed
                .as_ref()
                .map(|permissions| permissions.iter().map(without_limits).collect()),
            cnf: claims.confirmation.clone().map(|jkt| Confirmation { jkt }),
            auth_time: claims.auth_time.map(Timestamp::seconds),
        });
        wire.issued_at = date_time(claims.issued_at);
        wire.expiration = date_time(claims.expires_at);
        wire
    }
}

/// The claims as they were signed, or `None` when `iat` or `exp` is missing or before the epoch.
pub(super) fn read(claims: Claims<WireClaims>) -> Option<AccessClaims> {
    let custom = claims.custom;
    Some(AccessClaims {
        issuer: custom.iss,
        audience: match custom.aud {
            Audience::One(one) => vec![one],
            Audience::Several(several) => several,
        },
        subject: custom.sub,
        client_id: custom.client_id,
        grant_id: custom.grant_id,
        delegation: custom.delegation,
        scope: custom.scope,
        narrowed: custom
            .authorization_details
            .map(|details| details.into_iter().map(|Detail::Access(permission)| permission).collect()),
        confirmation: custom.cnf.map(|confirmation| confirmation.jkt),
        auth_time: custom.auth_time.map(Timestamp::from_seconds),
        jwt_id: custom.jti,
        issued_at: timestamp(claims.issued_at)?,
        expires_at: timestamp(claims.expiration)?,
    })
}

fn date_time(at: Timestamp) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(i64::try_from(at.seconds()).ok()?, 0)
}

fn timestamp(at: Option<chrono::DateTime<chrono::Utc>>) -> Option<Timestamp> {
    Some(Timestamp::from_seconds(u64::try_from(at?.timestamp()).ok()?))
}
