//! What clients sign with keys of their own: DPoP proofs and assertions. That the signature is genuine is answered here with yes;
//! what must hold is all the rest.

use aipassport::domain::{
    encoding::{base64url, sha256},
    jose::{Algorithm, JwkThumbprint, Jws},
    oauth::{
        client_assertion::{self, ClientAssertion},
        dpop::{self, DpopError, Nonces, Proof, Target},
    },
    time::Timestamp,
};
use serde_json::{Map, Value};
use url::Url;

use super::{
    ISSUER, NOW, fields,
    jose::{compact, registered},
    mac_key, texts,
};

/// Whom a proof of a token is sent with, for the seeds: `ath` is `TM8VwcpcfDItYMCE1jqrGXCl3Y_Oxua3E28sH7pFXBw`.
const TOKEN: &str = "eyJ0.eyJ1.AA";

fn nonces() -> Nonces {
    Nonces::new(mac_key())
}

fn claims(payload: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(payload).expect("another parser reads an object too")
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Length of the signature, method and address of the request, header, and claims.
pub fn proof(input: &[u8]) {
    let [length, method, url, header, payload] = fields(input);
    let (Some([method]), Some([url])) = (texts(method), texts(url)) else { return };
    let sent = compact(header, payload, length);
    let Ok(unverified) = dpop::parse(&sent) else { return };
    assert!(unverified.signature().answered(false).is_err());
    let jkt = unverified.signature().key().thumbprint();
    let holds = unverified.signature().answered(true).unwrap();
    let more = compact(header, &[payload, b" "].concat(), length);
    if let Ok(other) = dpop::parse(&more) {
        assert!(other.verified(&holds).is_err(), "what was answered of one text says nothing of another");
    }
    let signed = unverified.verified(&holds).unwrap();
    let own = claims(payload);
    let check = |now: Timestamp, access_token: Option<&str>, jkt: Option<&JwkThumbprint>| {
        signed.clone().check(&dpop::Expected { method, url, now, access_token, jkt }, &nonces())
    };
    let stranger: JwkThumbprint = base64url(&[7; 32]).parse().unwrap();
    assert!(check(NOW, None, Some(&stranger)).is_err(), "a token is bound to one key");
    let bare = check(NOW, None, None);
    assert_eq!(check(NOW, None, Some(&jkt)), bare);
    let with_token = check(NOW, Some(TOKEN), None);
    if let Ok(proof) = &with_token {
        assert_eq!(text(&own, "ath"), base64url(&sha256(TOKEN.as_bytes())));
        assert_eq!(bare.as_ref(), Ok(proof), "no ath is asked for without a token");
    }
    match bare {
        Ok(proof) => {
            is_for_this_request(&proof, &own, (method, url));
            assert_eq!(proof.jkt, jkt);
            assert!(check(proof.forget_at(), None, None).is_err(), "what may be forgotten is over");
            assert!(text(&own, "ath") != base64url(&sha256(TOKEN.as_bytes())) || with_token.is_ok());
        }
        Err(error) => {
            assert!(["use_dpop_nonce", "invalid_dpop_proof"].contains(&error.code()));
            assert_eq!(error.code() == "use_dpop_nonce", error == DpopError::UseNonce);
        }
    }
}

fn is_for_this_request(proof: &Proof, own: &Map<String, Value>, (method, url): (&str, &str)) {
    assert_eq!(text(own, "htm"), method);
    assert!(Target::is_same(text(own, "htu"), url));
    assert_eq!(nonces().issue(proof.nonce_at), text(own, "nonce"));
    assert!(proof.nonce_at <= NOW.plus_seconds(5) && NOW < proof.forget_at());
    let issued_at = own["iat"].as_f64().unwrap();
    assert!((1_799_999_700.0..1_800_000_301.0).contains(&issued_at), "{issued_at}");
    assert!((1..=256).contains(&text(own, "jti").len()));
    let named = base64url(&sha256(format!("{}{}", proof.jkt, text(own, "jti")).as_bytes())[..16]);
    assert_eq!(proof.id.as_str(), named, "a proof is one however else it is written");
}

/// Two addresses.
pub fn target(input: &[u8]) {
    let Some([one, other]) = texts(input) else { return };
    let (first, second) = (Target::parse(one), Target::parse(other));
    assert_eq!(Target::is_same(one, one), first.is_some());
    assert_eq!(Target::is_same(one, other), Target::is_same(other, one));
    assert_eq!(Target::is_same(one, other), first.is_some() && first == second);
    if first.is_none() {
        return;
    }
    let url = Url::parse(one).unwrap();
    assert!(url.username().is_empty() && url.password().is_none() && url.has_host());
    if one.len() < 2000 && !one.contains(['?', '#']) {
        assert!(["?", "?a=/../b", "#a"].iter().all(|more| Target::is_same(&format!("{one}{more}"), one)));
    }
    if first == second {
        let place = |text: &str| {
            let url = Url::parse(text).unwrap();
            let segments: Vec<Vec<u8>> = url.path().split('/').map(decoded).collect();
            (url.scheme().to_owned(), url.host().map(|host| host.to_owned()), url.port_or_known_default(), segments)
        };
        assert_eq!(place(one), place(other));
    }
}

fn decoded(segment: &str) -> Vec<u8> {
    let mut parts = segment.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// When a genuine one is made (eight bytes, or fewer: milliseconds since 310 seconds ago), where and how it is changed, and a text.
pub fn nonce(input: &[u8]) {
    let [made_at, change, sent] = fields(input);
    let number = made_at.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let is_any = made_at.len() >= 8;
    let made_at = Timestamp::from_millis(if is_any { number } else { NOW.millis() - 310_000 + number });
    let is_alive = made_at <= NOW.plus_seconds(5) && NOW < made_at.plus_seconds(300);
    let genuine = nonces().issue(made_at);
    assert_eq!(nonces().read(&genuine, NOW).ok(), is_alive.then_some(made_at));
    assert!(Nonces::new(super::other_mac_key()).read(&genuine, NOW).is_err());
    let mut changed = genuine.clone().into_bytes();
    if let [at, new] = *change
        && let Some(place) = changed.get_mut(usize::from(at))
    {
        *place = new & 0x7f;
    }
    let changed = String::from_utf8(changed).unwrap();
    assert!(changed == genuine || nonces().read(&changed, NOW).is_err(), "{changed}");
    if let Ok(sent) = core::str::from_utf8(sent)
        && let Ok(made_at) = nonces().read(sent, NOW)
    {
        assert_eq!(nonces().issue(made_at), sent, "nobody else can make one");
    }
}

/// Length of the signature, header, and claims.
pub fn assertion(input: &[u8]) {
    let [length, header, payload] = fields(input);
    let sent = compact(header, payload, length);
    let Ok(assertion) = ClientAssertion::parse(&sent) else { return };
    let (own, head) = (claims(payload), claims(header));
    let client_id = assertion.unverified_client_id().clone();
    assert_eq!((text(&own, "iss"), text(&own, "sub")), (client_id.as_str(), client_id.as_str()));
    let Ok(unverified) = assertion.signed_with(&registered()) else { return };
    let key = unverified.signature().key().clone();
    let algorithm = Algorithm::parse(text(&head, "alg")).unwrap();
    assert!(registered().keys().contains(&key) && algorithm.fits(&key), "whatever key it carries");
    assert_eq!(registered().find(algorithm, head.get("kid").and_then(Value::as_str)), Ok(&key));
    assert!(unverified.signature().answered(false).is_err());
    let holds = unverified.signature().answered(true).unwrap();
    let signed = unverified.verified(&holds).unwrap();
    let check = |client_id, now| signed.clone().check(&client_assertion::Expected { client_id, issuer: ISSUER, now });
    let stranger = "somebody_else".parse().unwrap();
    assert!(check(&stranger, NOW).is_err() || client_id == stranger);
    let Ok(authenticated) = check(&client_id, NOW) else { return };
    assert_eq!(authenticated.client_id, client_id);
    assert!(own["aud"] == ISSUER || own["aud"] == serde_json::json!([ISSUER]), "it is for this server alone");
    assert!(NOW < authenticated.expires_at && authenticated.expires_at <= NOW.plus_seconds(600));
    assert!(check(&client_id, authenticated.expires_at).is_err(), "what may be forgotten is over");
    for name in ["nbf", "iat"] {
        assert!(own.get(name).is_none_or(|time| time.as_f64().unwrap() < 1_800_000_061.0));
    }
    let named = base64url(&sha256(format!("{client_id}\n{}", text(&own, "jti")).as_bytes())[..16]);
    assert_eq!(authenticated.id.as_str(), named, "an assertion is one however else it is written");
    assert!(Jws::parse(&sent, sent.len()).is_ok());
}
