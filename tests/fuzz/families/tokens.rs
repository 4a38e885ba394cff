//! What proves something: tokens, secrets, links, cookies, and the headers that they come in.

use core::cell::OnceCell;

use aipassport::{
    domain::{
        access_token::{AccessClaims, SigningAlgorithm, SigningKeys},
        encoding::{base64url, sha256},
        oauth::{
            csrf::{csrf_token, is_csrf_token},
            pkce::{CodeChallenge, CodeVerifier},
            sign_in_link,
        },
        secret::{
            AuthorizationCode, ClientSecret, ConsentRequest, DeviceCode, Kind, PushedRequest, RefreshToken,
            RegistrationToken, Secret, SecretHash, Session,
        },
    },
    gateway::headers::{Presented, TOKEN_HEADERS, token},
    web::{SESSION_COOKIE, cookie},
};
use http::{HeaderMap, HeaderValue, header};

use super::{ISSUER, NOW, fields, mac_key, other_mac_key, texts};

/// `Cookie` headers, one a field.
pub fn cookies(input: &[u8]) {
    let mut headers = HeaderMap::new();
    let lines: [&[u8]; 3] = fields(input);
    for line in lines {
        let Ok(line) = HeaderValue::from_bytes(line) else { return };
        headers.append(header::COOKIE, line);
    }
    let Some(value) = cookie(&headers, SESSION_COOKIE) else { return };
    assert!(!value.contains(';'));
    let sent = format!("{SESSION_COOKIE}={value}");
    assert!(headers.get_all(header::COOKIE).iter().any(|line| line.to_str().is_ok_and(|line| line.contains(&sent))));
}

/// `Authorization`, and each of the headers where SDKs put a key.
pub fn token_of_headers(input: &[u8]) {
    let Some([authorization, first, second]) = texts(input) else { return };
    let header = |name: &str| {
        let value = match name {
            "authorization" => authorization,
            _ if name == TOKEN_HEADERS[0] => first,
            _ => second,
        };
        (!value.is_empty()).then(|| value.to_owned())
    };
    let Some(Presented { token: found, with_proof }) = token(header) else { return };
    let says_dpop = authorization.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("dpop "));
    assert_eq!(with_proof, says_dpop, "a proof belongs to a token that comes with DPoP");
    assert!(
        authorization.ends_with(&found) || authorization.trim().ends_with(&found) || [first, second].contains(&&*found)
    );
    for other in [first, second] {
        assert!(other.is_empty() || other == found, "two tokens are none");
    }
}

pub fn example_claims() -> AccessClaims {
    AccessClaims {
        issuer: ISSUER.to_owned(),
        audience: vec![ISSUER.to_owned()],
        subject: "user_1".parse().unwrap(),
        client_id: "app_1".parse().unwrap(),
        grant_id: "grant_1".parse().unwrap(),
        delegation: None,
        scope: Some("openai:chat".to_owned()),
        narrowed: None,
        confirmation: None,
        auth_time: Some(NOW),
        jwt_id: "1".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus_seconds(3600),
    }
}

pub fn with_keys(run: impl FnOnce(&SigningKeys)) {
    thread_local! {
        static KEYS: SigningKeys = SigningKeys::from_jwk_set(
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}"#,
        ).unwrap();
    }
    KEYS.with(run);
}

/// Where and how a genuine token is changed, and a token.
pub fn access_token(input: &[u8]) {
    thread_local! {
        static GENUINE: (AccessClaims, OnceCell<String>) = (example_claims(), OnceCell::new());
    }
    let [change, sent] = fields(input);
    with_keys(|keys| {
        GENUINE.with(|(claims, genuine)| {
            let genuine = genuine.get_or_init(|| keys.sign(claims, SigningAlgorithm::EdDSA).unwrap());
            let verified = |token: &str| keys.verify(token, ISSUER, NOW);
            if let Ok(sent) = core::str::from_utf8(sent) {
                assert!(sent == genuine || verified(sent).is_err(), "nobody else can sign");
            }
            let mut changed = genuine.clone().into_bytes();
            if let [at, by, new] = *change {
                let at = usize::from(at) * 2 + usize::from(by & 1);
                if let Some(place) = changed.get_mut(at) {
                    *place = new & 0x7f;
                }
            }
            let changed = String::from_utf8(changed).unwrap();
            if changed == *genuine {
                assert_eq!(verified(&changed).as_ref(), Ok(claims));
            } else {
                assert!(verified(&changed).is_err(), "{changed}");
            }
        });
    });
}

/// A payload that the operator's key signs, and a link.
pub fn sign_in_link(input: &[u8]) {
    let [payload, link] = fields(input);
    let key = mac_key();
    if let Ok(link) = core::str::from_utf8(link) {
        assert!(sign_in_link::verify(&key, link, NOW).is_err(), "nobody else can sign");
    }
    let payload = base64url(payload);
    let tag = base64url(&key.mac("aipassport sign-in link v1", &payload));
    let signed = format!("{}{payload}.{tag}", sign_in_link::PREFIX);
    if let Ok(nonce) = sign_in_link::verify(&key, &signed, NOW) {
        assert_eq!(nonce.as_str().len(), 64);
        assert!(sign_in_link::verify(&other_mac_key(), &signed, NOW).is_err());
        assert!(sign_in_link::verify(&key, &signed, NOW.plus_seconds(700)).is_err());
    }
}

/// Challenge, and verifier.
pub fn pkce(input: &[u8]) {
    let Some([challenge, text]) = texts(input) else { return };
    let Ok(verifier) = CodeVerifier::try_from(text.to_owned()) else { return };
    let own = base64url(&sha256(text.as_bytes()));
    assert!(CodeChallenge::try_from(own.clone()).unwrap().is_met_by(&verifier));
    if let Ok(parsed) = CodeChallenge::try_from(challenge.to_owned()) {
        assert_eq!(parsed.as_str(), challenge);
        assert_eq!(parsed.is_met_by(&verifier), challenge == own);
    }
}

fn is_secret<K: Kind>(text: &str) -> bool {
    let Ok(secret) = Secret::<K>::parse(text) else { return false };
    assert_eq!(secret.expose_secret(), text);
    assert!(text.starts_with(K::PREFIX) && secret.hash().as_str().len() == 64);
    assert!(!format!("{secret:?}").contains(text));
    true
}

/// A secret of any kind, or the proof of a form.
pub fn secrets(input: &[u8]) {
    let Some([text]) = texts(input) else { return };
    let kinds = [
        is_secret::<RefreshToken>(text),
        is_secret::<AuthorizationCode>(text),
        is_secret::<ClientSecret>(text),
        is_secret::<Session>(text),
        is_secret::<ConsentRequest>(text),
        is_secret::<RegistrationToken>(text),
        is_secret::<PushedRequest>(text),
        is_secret::<DeviceCode>(text),
    ];
    assert!(kinds.iter().filter(|is_one| **is_one).count() <= 1, "a secret is of one kind");
    let session = SecretHash::from_stored("ab".repeat(32));
    assert_eq!(is_csrf_token(&mac_key(), &session, text), csrf_token(&mac_key(), &session) == text);
}
