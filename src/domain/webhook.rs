//! What an operator's program is told, signed by the scheme of [Standard Webhooks](https://www.standardwebhooks.com).
//!
//! A delivery is a `POST` with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`: HMAC-SHA256, in base64, over
//! `id.timestamp.body`. Its body is `{"type", "timestamp", "data"}`. It is tried again, ever less often, until it was answered with 2xx.
//!
//! The secret is nowhere stored: it follows from a name and the broker's own key.

use core::fmt;

use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    encoding::base64,
    id::{ClientId, GrantId, UserId},
    ledger::Cap,
    limits::Period,
    money::NanoUsd,
    oauth::mac::MacKey,
    permission::Provider,
    time::Timestamp,
};

/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
const SECRET_PURPOSE: &str = "aipassport webhook secret v1";
/// Seconds after the first attempt, the second, and so on; after the last of them it is given up.
pub const RETRY_SECONDS: [u64; 6] = [60, 300, 1800, 2 * 3600, 8 * 3600, 24 * 3600];
/// Until a receiver has answered.
pub const TIMEOUT_SECONDS: u32 = 10;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// A part of a cap is used, or all of it.
    LimitReached,
    /// A grant ends soon.
    Expiring,
    /// A grant was taken back.
    Revoked,
    /// A call cost more than was held for it.
    OverBound,
    /// An operator wants to know whether it works.
    Ping,
}

impl EventType {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::LimitReached, Self::Expiring, Self::Revoked, Self::OverBound, Self::Ping];

    /// As it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LimitReached => "grant.limit_reached",
            Self::Expiring => "grant.expiring",
            Self::Revoked => "grant.revoked",
            Self::OverBound => "call.over_bound",
            Self::Ping => "ping",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    /// The address isn't one that this broker asks.
    Address,
    /// Nobody answered there.
    Unreachable,
    /// Nobody answered in [`TIMEOUT_SECONDS`].
    Late,
    /// The answer led elsewhere; nobody followed.
    Redirected,
    /// It wasn't 2xx.
    Status,
    /// The webhook was turned off first.
    TurnedOff,
    /// What there was to tell could not be read.
    Unreadable,
}

impl DeliveryError {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Address,
        Self::Unreachable,
        Self::Late,
        Self::Redirected,
        Self::Status,
        Self::TurnedOff,
        Self::Unreadable,
    ];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Unreachable => "unreachable",
            Self::Late => "late",
            Self::Redirected => "redirected",
            Self::Status => "status",
            Self::TurnedOff => "turned_off",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether another attempt may go better.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        !matches!(self, Self::Unreadable)
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.as_str() == text)
    }
}

/// The secret of a webhook. `Debug` shows nothing.
pub struct WebhookSecret(Zeroizing<[u8; 32]>);

impl WebhookSecret {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str, key: &MacKey) -> Self {
        Self(Zeroizing::new(key.mac(SECRET_PURPOSE, name)))
    }

    /// As the receiver is given it.
    #[must_use]
    pub fn expose_secret(&self) -> String {
        format!("{SECRET_PREFIX}{}", base64(self.0.as_slice()))
    }

    /// The header `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: Timestamp, body: &str) -> String {
        // `new_from_slice` fails for no key length of HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return String::new() };
        mac.update(format!("{id}.{}.{body}", timestamp.seconds()).as_bytes());
        format!("v1,{}", base64(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret[redacted]")
    }
}

/// When it is tried again, after so many attempts that failed. `None`: not any more.
#[must_use]
pub fn next_attempt(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let wait = RETRY_SECONDS.get(usize::try_from(attempts.checked_sub(1)?).ok()?)?;
    Some(now.plus_seconds(*wait))
}

/// The body of a delivery.
#[derive(Debug, Serialize)]
pub struct Body {
    /// [`EventType`].
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it happened (RFC 3339).
    pub timestamp: String,
    /// More of it.
    pub data: Data,
}

/// What a [`Body`] tells. A field that says nothing is left out.
#[derive(Debug, Default, Serialize)]
pub struct Data {
    /// Whose grant, to which app.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantData>,
    /// The cap, of a `grant.limit_reached`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitData>,
    /// When the grant ends (RFC 3339), of a `grant.expiring`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// So many days before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<u32>,
    /// The call, of a `call.over_bound`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallData>,
}

/// A grant.
#[derive(Debug, Serialize)]
pub struct GrantData {
    /// Its name.
    pub grant_id: GrantId,
    /// The app that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The app, as the user saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Who allowed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

/// A cap that is used in part.
#[derive(Debug, Serialize)]
pub struct LimitData {
    /// Its name in `authorization_details`.
    pub limit: &'static str,
    /// `grant` or `permission`.
    pub scope: &'static str,
    /// The provider that the permission is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// What a budget is for.
    pub period: Period,
    /// 50, 80 or 100.
    pub threshold: u8,
    /// What is allowed.
    pub allowed: Quantity,
    /// What was used by then.
    pub used: Quantity,
}

/// A call that cost more than was held for it.
#[derive(Debug, Serialize)]
pub struct CallData {
    /// Where it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The model that it asked for.
    pub model: String,
    /// The broker's name for the call.
    pub request_id: String,
    /// What was held for it, in USD.
    pub held_usd: Quantity,
    /// What was booked, in USD.
    pub booked_usd: Quantity,
    /// The difference, in USD.
    pub over_bound_usd: Quantity,
}

/// So much of a limit: a number, or money as a decimal text in USD.
#[derive(Debug)]
pub enum Quantity {
    /// Requests or tokens.
    Count(u64),
    /// Money.
    Usd(NanoUsd),
}

impl Quantity {
    /// Of this cap.
    #[must_use]
    pub const fn of(cap: Cap, amount: u64) -> Self {
        match cap {
            Cap::BudgetUsd => Self::Usd(NanoUsd(amount)),
            Cap::Tokens | Cap::Requests => Self::Count(amount),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Usd(amount) => serializer.collect_str(amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_614_265_330);

    /// The example of the Standard Webhooks specification, whose secret has 24 bytes.
    #[test]
    fn a_delivery_is_signed_as_the_specification_shows() {
        let mut mac = Hmac::<Sha256>::new_from_slice(
            &<base64ct::Base64 as base64ct::Encoding>::decode_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
        )
        .unwrap();
        mac.update(br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
        let expected = base64(&mac.finalize().into_bytes());
        assert_eq!(expected, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_signature_covers_id_time_and_body() {
        let secret = WebhookSecret::named("a", &MacKey::new([1; 32]));
        let signed = secret.sign("msg_1", NOW, "{}");
        assert!(signed.starts_with("v1,"));
        for other in [
            secret.sign("msg_2", NOW, "{}"),
            secret.sign("msg_1", NOW.plus_seconds(1), "{}"),
            secret.sign("msg_1", NOW, "{ }"),
            WebhookSecret::named("b", &MacKey::new([1; 32])).sign("msg_1", NOW, "{}"),
            WebhookSecret::named("a", &MacKey::new([2; 32])).sign("msg_1", NOW, "{}"),
        ] {
            assert_ne!(signed, other);
        }
    }

    #[test]
    fn a_secret_is_shown_as_the_specification_writes_it_and_in_no_debug_output() {
        let secret = WebhookSecret::named("a", &MacKey::new([1; 32]));
        let shown = secret.expose_secret();
        assert_eq!(shown.len(), "whsec_".len() + 44);
        assert_eq!(format!("{secret:?}"), "WebhookSecret[redacted]");
    }

    #[test]
    fn it_is_tried_seven_times_ever_less_often_and_then_given_up() {
        let waits: Vec<u64> =
            (1..).map_while(|attempts| next_attempt(attempts, NOW)).map(|at| NOW.seconds_until(at)).collect();
        assert_eq!(waits, RETRY_SECONDS);
        assert!(waits.is_sorted());
        assert_eq!(next_attempt(u32::MAX, NOW), None);
    }

    #[test]
    fn what_says_nothing_is_left_out_of_a_body() {
        let body = Body { kind: EventType::Ping.as_str(), timestamp: NOW.rfc3339(), data: Data::default() };
        let text = serde_json::to_string(&body).unwrap();
        assert_eq!(text, r#"{"type":"ping","timestamp":"2021-02-25T15:02:10Z","data":{}}"#);
    }

    #[test]
    fn money_is_a_decimal_text_and_everything_else_a_number() {
        let data = |cap| LimitData {
            limit: Cap::as_str(cap),
            scope: "grant",
            provider: None,
            period: Period::Day,
            threshold: 80,
            allowed: Quantity::of(cap, 5_000_000_000),
            used: Quantity::of(cap, 4_000_000_000),
        };
        let data = |cap| Data { limit: Some(data(cap)), ..Data::default() };
        assert_eq!(
            serde_json::to_string(&data(Cap::BudgetUsd)).unwrap(),
            r#"{"limit":"budget_usd","scope":"grant","period":"day","threshold":80,"allowed":"5.00","used":"4.00"}"#
        );
        assert!(serde_json::to_string(&data(Cap::Tokens)).unwrap().contains(r#""allowed":5000000000,"#));
    }

    #[test]
    fn a_type_is_stored_by_the_name_that_it_is_sent_with() {
        for kind in EventType::ALL {
            assert_eq!(EventType::from_stored(kind.as_str()), Some(kind));
        }
    }
}
