//! What people call themselves.

use super::oauth::registration::is_deceptive;

/// Longest name, in characters.
pub const MAX_PERSON_NAME_CHARS: usize = 60;

/// Why a name can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongName {
    /// Nothing, or blanks.
    #[error("write a name")]
    Empty,
    /// Longer than [`MAX_PERSON_NAME_CHARS`].
    #[error("a name has at most 60 characters")]
    TooLong,
    /// What turns, hides or breaks text.
    #[error("a name is plain text on one line")]
    NotPlain,
}

/// A name as it was typed: trimmed, plain text on one line.
///
/// # Errors
/// What is wrong with it.
pub fn person_name(text: &str) -> Result<String, WrongName> {
    let name = text.trim();
    if name.is_empty() {
        return Err(WrongName::Empty);
    }
    if name.chars().count() > MAX_PERSON_NAME_CHARS {
        return Err(WrongName::TooLong);
    }
    if name.chars().any(is_deceptive) {
        return Err(WrongName::NotPlain);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_trimmed_and_kept_in_any_script() {
        for (typed, name) in [("  Ada ", "Ada"), ("홍길동", "홍길동"), ("O’Brien <b>", "O’Brien <b>")] {
            assert_eq!(person_name(typed).as_deref(), Ok(name));
        }
    }

    #[test]
    fn nothing_is_no_name() {
        for typed in ["", "   ", "\t\n"] {
            assert_eq!(person_name(typed), Err(WrongName::Empty), "{typed:?}");
        }
    }

    #[test]
    fn a_name_of_sixty_characters_is_the_longest() {
        assert!(person_name(&"가".repeat(60)).is_ok());
        assert_eq!(person_name(&"가".repeat(61)), Err(WrongName::TooLong));
    }

    #[test]
    fn a_name_that_turns_or_hides_text_is_refused() {
        for typed in ["a\nb", "a\u{202e}b", "a\u{200b}b", "a\u{0}b"] {
            assert_eq!(person_name(typed), Err(WrongName::NotPlain), "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_kept_again(typed in ".{0,80}") {
            if let Ok(name) = person_name(&typed) {
                prop_assert_eq!(person_name(&name), Ok(name.clone()));
                prop_assert!(!name.chars().any(char::is_control));
            }
        }
    }
}
