//! Tokens that prove that a form was shown to the session that posts it.

use super::mac::MacKey;
use crate::domain::{
    encoding::{base64url, from_base64url},
    secret::{SecretHash, Session},
};

const PURPOSE: &str = "csrf token v1";

/// The token for the forms of one session.
#[must_use]
pub fn csrf_token(key: &MacKey, session: &SecretHash<Session>) -> String {
    base64url(&key.mac(PURPOSE, session.as_str()))
}

/// Whether a form of this session carries its token; constant-time.
#[must_use]
pub fn is_csrf_token(key: &MacKey, session: &SecretHash<Session>, presented: &str) -> bool {
    from_base64url(presented).is_some_and(|tag| key.verifies(PURPOSE, session.as_str(), &tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_worth_nothing_in_another_session() {
        let key = MacKey::new([3; 32]);
        let mine = SecretHash::from_stored("aa".into());
        let token = csrf_token(&key, &mine);
        assert!(is_csrf_token(&key, &mine, &token));
        assert!(!is_csrf_token(&key, &SecretHash::from_stored("bb".into()), &token));
        assert!(!is_csrf_token(&key, &mine, ""));
    }
}
