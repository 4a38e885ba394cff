//! Why a person says no. The app learns which of a few reasons it is, and nothing that they wrote.

/// The reason of a denial. Its text is `error_description` (RFC 6749 §4.1.2.1): ASCII, for the app's developer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// They gave none.
    #[default]
    #[error("the user denied the request")]
    Unsaid,
    /// Another time, perhaps.
    #[error("the user denied the request: not now")]
    NotNow,
    /// It asks for too much.
    #[error("the user denied the request: it may spend too much money")]
    TooMuchMoney,
    /// They didn't expect it.
    #[error("the user denied the request: they do not know this app")]
    UnknownApp,
    /// None of these.
    #[error("the user denied the request: for another reason")]
    SomethingElse,
}

impl Denial {
    /// Every one of them, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::Unsaid, Self::NotNow, Self::TooMuchMoney, Self::UnknownApp, Self::SomethingElse];

    /// As a form names it; empty for none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "",
            Self::NotNow => "not_now",
            Self::TooMuchMoney => "money",
            Self::UnknownApp => "unknown_app",
            Self::SomethingElse => "other",
        }
    }

    /// As a form names it. What is none of them is no reason: a denial is never refused for its words.
    #[must_use]
    pub fn from_form(text: &str) -> Self {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6749_4_1_2_1_a_reason_has_only_characters_that_a_description_may_have() {
        for reason in Denial::ALL {
            let text = reason.to_string();
            assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
        }
    }

    #[test]
    fn what_is_no_reason_is_none() {
        for text in ["", "because", "not_now ", "MONEY"] {
            assert_eq!(Denial::from_form(text), Denial::Unsaid, "{text}");
        }
        for reason in Denial::ALL {
            assert_eq!(Denial::from_form(reason.as_str()), reason);
        }
    }
}
