//! Recovery codes: the way in for somebody whose passkeys are gone. Each works once.
//!
//! A code is sixteen letters that can't be mistaken for each other, 69 bits: nobody finds one by trying, however many addresses they try
//! from, so nothing has to be counted against the person whose codes they are, and nobody can lock them out. What is stored is a keyed
//! hash ([`MacKey`]), by which the code alone finds its owner: nobody types a name here either.

use core::{fmt, iter, str::FromStr};

use zeroize::Zeroizing;

use super::{
    encoding::{hex, sha256},
    oauth::{
        device::{LETTERS, letter},
        mac::MacKey,
    },
};

/// How many a person has at once.
pub const CODES: usize = 10;

const LENGTH: usize = 16;
const GROUP: usize = 4;
const PURPOSE: &str = "recovery code v1";

/// A code in clear. `Debug` shows nothing; memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Zeroizing<String>);

/// Text that can't be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code is sixteen letters")]
pub struct MalformedRecoveryCode;

/// What is stored of a code: lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCodeHash(String);

impl RecoveryCodeHash {
    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RecoveryCode {
    /// A new one. Bytes that would favour some letters are skipped; a hash of the entropy makes more, should they not suffice.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        let blocks = iter::successors(Some(entropy), |block| Some(sha256(block)));
        Self(Zeroizing::new(blocks.flatten().filter_map(letter).take(LENGTH).collect()))
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self, key: &MacKey) -> RecoveryCodeHash {
        RecoveryCodeHash(hex(&key.mac(PURPOSE, &self.0)))
    }

    /// As it is shown, once: `XXXX-XXXX-XXXX-XXXX`.
    #[must_use]
    pub fn expose_secret(&self) -> String {
        let mut shown = String::with_capacity(LENGTH + LENGTH / GROUP);
        for (at, letter) in self.0.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }
}

impl FromStr for RecoveryCode {
    type Err = MalformedRecoveryCode;

    /// Forgives small letters, spaces and dashes, and nothing else.
    fn from_str(text: &str) -> Result<Self, MalformedRecoveryCode> {
        let mut letters = Zeroizing::new(String::with_capacity(LENGTH));
        for found in text.chars().filter(|found| !matches!(found, ' ' | '-')) {
            let found = found.to_ascii_uppercase();
            if letters.len() == LENGTH || !LETTERS.contains(&found) {
                return Err(MalformedRecoveryCode);
            }
            letters.push(found);
        }
        if letters.len() == LENGTH { Ok(Self(letters)) } else { Err(MalformedRecoveryCode) }
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_shown_and_as_people_type_it() {
        let code = RecoveryCode::from_entropy([3; 32]);
        let shown = code.expose_secret();
        assert_eq!(shown.len(), 19);
        for typed in
            [shown.clone(), shown.to_lowercase(), shown.replace('-', ""), format!(" {} ", shown.replace('-', " "))]
        {
            assert_eq!(typed.parse(), Ok(code.clone()));
        }
    }

    #[test]
    fn a_code_of_another_length_or_other_letters_is_none() {
        for text in ["", "BCDF-GHJK-LMNP-QRS", "BCDF-GHJK-LMNP-QRSTT", "BCDF-GHJK-LMNP-QRSA", "ＢCDF-GHJK-LMNP-QRST"] {
            assert_eq!(text.parse::<RecoveryCode>(), Err(MalformedRecoveryCode), "{text}");
        }
    }

    #[test]
    fn a_hash_says_nothing_without_the_key() {
        let code = RecoveryCode::from_entropy([3; 32]);
        assert_ne!(code.hash(&MacKey::new([1; 32])), code.hash(&MacKey::new([2; 32])));
        assert!(!code.hash(&MacKey::new([1; 32])).as_str().contains(code.0.as_str()));
        assert_eq!(format!("{code:?}"), "RecoveryCode[redacted]");
    }

    proptest! {
        #[test]
        fn every_entropy_gives_a_whole_code(entropy in any::<[u8; 32]>()) {
            let code = RecoveryCode::from_entropy(entropy);
            prop_assert_eq!(code.expose_secret().parse(), Ok(code));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<RecoveryCode>();
        }
    }
}
