//! Client data ([WebAuthn §5.8.1](https://www.w3.org/TR/webauthn-3/#dictdef-collectedclientdata)): what the browser says of where and for
//! what it was asked.

use serde_json::Value;

use crate::domain::{encoding::from_base64url, jose::strict};

/// Longest one. Browsers write about 200 bytes.
pub const MAX_CLIENT_DATA_BYTES: usize = 4096;

/// Making a credential or using one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceremony {
    /// `webauthn.create`.
    Create,
    /// `webauthn.get`.
    Get,
}

impl Ceremony {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Why the browser's words don't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientDataError {
    /// Not JSON of its shape, or a member stands twice.
    #[error("the client data is malformed")]
    Malformed,
    /// It was made for the other ceremony.
    #[error("the client data is of another ceremony")]
    OtherCeremony,
    /// The page that asked was not ours, or stood in a frame of somebody else's.
    #[error("the client data is from another origin")]
    OtherOrigin,
}

/// The challenge that the browser answered on a page of `origin`, in `ceremony`. Whether it is one of ours is for
/// [`super::challenge`] to say.
///
/// # Errors
/// [`ClientDataError`].
pub fn challenge_of(json: &[u8], ceremony: Ceremony, origin: &str) -> Result<Vec<u8>, ClientDataError> {
    let malformed = ClientDataError::Malformed;
    if json.len() > MAX_CLIENT_DATA_BYTES {
        return Err(malformed);
    }
    let members = strict::object(json).ok_or(malformed)?;
    let text = |name| members.get(name).and_then(Value::as_str).ok_or(malformed);
    if text("type")? != ceremony.as_str() {
        return Err(ClientDataError::OtherCeremony);
    }
    // Our pages forbid frames; `topOrigin` is there in a frame alone (§5.8.1).
    let is_framed = match members.get("crossOrigin") {
        None | Some(Value::Bool(false)) => members.contains_key("topOrigin"),
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(malformed),
    };
    if text("origin")? != origin || is_framed {
        return Err(ClientDataError::OtherOrigin);
    }
    from_base64url(text("challenge")?).ok_or(malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: &str = "https://broker.example";

    fn read(json: &str) -> Result<Vec<u8>, ClientDataError> {
        challenge_of(json.as_bytes(), Ceremony::Get, ORIGIN)
    }

    fn with(origin: &str, more: &str) -> String {
        format!(r#"{{"type":"webauthn.get","challenge":"AQID","origin":"{origin}"{more}}}"#)
    }

    #[test]
    fn the_challenge_is_found_and_members_that_are_not_known_are_passed_over() {
        assert_eq!(
            read(&with(ORIGIN, r#","crossOrigin":false,"other_keys_can_be_added_here":"x""#)),
            Ok(vec![1, 2, 3])
        );
        assert_eq!(read(&with(ORIGIN, "")), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn another_origin_is_refused_however_near() {
        for origin in [
            "http://broker.example",
            "https://broker.example:8443",
            "https://broker.example.evil.example",
            "https://Broker.example",
            "https://broker.example/",
            "",
        ] {
            assert_eq!(read(&with(origin, "")), Err(ClientDataError::OtherOrigin), "{origin}");
        }
    }

    #[test]
    fn a_page_in_somebody_elses_frame_is_refused() {
        assert_eq!(read(&with(ORIGIN, r#","crossOrigin":true"#)), Err(ClientDataError::OtherOrigin));
        assert_eq!(read(&with(ORIGIN, r#","topOrigin":"https://evil.example""#)), Err(ClientDataError::OtherOrigin));
    }

    #[test]
    fn an_answer_to_the_other_ceremony_is_refused() {
        let json = with(ORIGIN, "");
        let read = challenge_of(json.as_bytes(), Ceremony::Create, ORIGIN);
        assert_eq!(read, Err(ClientDataError::OtherCeremony));
    }

    #[test]
    fn a_member_that_stands_twice_is_refused() {
        assert_eq!(read(&with(ORIGIN, r#","origin":"https://broker.example""#)), Err(ClientDataError::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,60}") {
            let _ = challenge_of(&bytes, Ceremony::Get, ORIGIN);
            let _ = read(&with(ORIGIN, &text));
        }
    }
}
