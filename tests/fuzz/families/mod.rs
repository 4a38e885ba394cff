//! Every parser that reads what a stranger sends, and what must hold of each whatever is sent.
//!
//! An input is a letter and what that family reads. With the highest bit of the letter set, what is read is `head 0xff part 0xff tail`
//! with the part repeated up to the family's most bytes: what takes more than linear time shows as a timeout there.
//! `npm run fuzz` makes inputs; `tests/corpus_replay.rs` runs those that are kept in `tests/fuzz/corpus`.

mod gateway;
mod jose;
mod metadata;
mod narrowing;
mod oauth;
mod pages;
mod passkeys;
mod proofs;
mod tokens;

use aipassport::domain::{oauth::mac::MacKey, time::Timestamp};

const ISSUER: &str = "https://broker.example";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn mac_key() -> MacKey {
    MacKey::new([9; 32])
}

fn other_mac_key() -> MacKey {
    MacKey::new([8; 32])
}

/// A parser, or several that read the same.
struct Family {
    /// What its inputs begin with; never changes, or the kept inputs lose their meaning.
    letter: u8,
    /// Most that it is given: what its endpoint takes, or enough to show what isn't linear.
    most_bytes: usize,
    run: fn(&[u8]),
}

const fn family(letter: u8, most_bytes: usize, run: fn(&[u8])) -> Family {
    Family { letter, most_bytes, run }
}

/// Adding one is a line here, its function, and a seed in `tests/fuzz/corpus`.
const FAMILIES: &[Family] = &[
    family(b'a', 64 * 1024, oauth::authorize),
    family(b'b', 128 * 1024, gateway::call),
    family(b'c', 16 * 1024, tokens::cookies),
    family(b'd', 20 * 1024, oauth::details),
    family(b'e', 64 * 1024, narrowing::wanted),
    family(b'f', 128 * 1024, oauth::form),
    family(b'g', 8 * 1024, proofs::assertion),
    family(b'h', 16 * 1024, tokens::token_of_headers),
    family(b'i', 16 * 1024, jose::signed),
    family(b'j', 8 * 1024, tokens::access_token),
    family(b'k', 20 * 1024, jose::keys),
    family(b'l', 8 * 1024, tokens::sign_in_link),
    family(b'm', 128 * 1024, gateway::list_of_models),
    family(b'n', 16 * 1024, oauth::registration),
    family(b'o', 40 * 1024, narrowing::narrowing),
    family(b'p', 1024, tokens::pkce),
    family(b'q', 8 * 1024, proofs::proof),
    family(b'r', 4 * 1024, oauth::redirect_uri),
    family(b's', 20 * 1024, oauth::scope),
    family(b't', 128 * 1024, oauth::token),
    family(b'u', 128 * 1024, gateway::answer),
    family(b'v', 1024, proofs::nonce),
    family(b'w', 1024, tokens::secrets),
    family(b'x', 64 * 1024, gateway::failure),
    family(b'y', 8 * 1024, proofs::target),
    family(b'z', 64 * 1024, oauth::device),
    family(b'A', 20 * 1024, metadata::client_metadata),
    family(b'B', 12 * 1024, passkeys::registration),
    family(b'C', 12 * 1024, passkeys::authenticator_data),
    family(b'D', 20 * 1024, passkeys::answer),
    family(b'E', 64, passkeys::passkey_challenge),
    family(b'F', 16 * 1024, pages::list_of_grants),
    family(b'G', 16 * 1024, pages::form_of_a_token),
];

/// What stands between the fields of an input; nothing that is read means anything by it.
const FIELD: u8 = 0x1f;
const STRETCHED: u8 = 0x80;
const STRETCH: u8 = 0xff;

/// Runs an input through its family.
pub fn run(input: &[u8]) {
    let Some((letter, rest)) = input.split_first() else { return };
    let Some(family) = FAMILIES.iter().find(|family| family.letter == letter & !STRETCHED) else { return };
    if letter & STRETCHED == 0 {
        (family.run)(rest.get(..family.most_bytes).unwrap_or(rest));
    } else if let Some(stretched) = stretched(rest, family.most_bytes) {
        (family.run)(&stretched);
    }
}

fn stretched(input: &[u8], most_bytes: usize) -> Option<Vec<u8>> {
    let mut parts = input.splitn(3, |byte| *byte == STRETCH);
    let (head, part, tail) = (parts.next()?, parts.next()?, parts.next()?);
    let room = most_bytes.checked_sub(head.len() + tail.len())?;
    let times = room.checked_div(part.len())?;
    Some([head, &part.repeat(times), tail].concat())
}

/// The first fields of an input; the last one holds all the rest.
fn fields<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut fields = input.splitn(N, |byte| *byte == FIELD);
    core::array::from_fn(|_| fields.next().unwrap_or_default())
}

/// The same, as text. Bytes that aren't UTF-8 never get this far in the broker: headers and queries are text by then.
fn texts<const N: usize>(input: &[u8]) -> Option<[&str; N]> {
    let mut texts = [""; N];
    for (text, field) in texts.iter_mut().zip(fields::<N>(input)) {
        *text = core::str::from_utf8(field).ok()?;
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_means_one_family() {
        for (at, family) in FAMILIES.iter().enumerate() {
            assert!(FAMILIES[..at].iter().all(|other| other.letter != family.letter && family.letter < STRETCHED));
        }
    }

    #[test]
    fn every_family_has_an_input_that_is_kept() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        let kept: Vec<u8> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| std::fs::read(entry.unwrap().path()).unwrap().first().copied())
            .collect();
        for family in FAMILIES {
            assert!(kept.contains(&family.letter), "{:?}", char::from(family.letter));
        }
    }

    #[test]
    fn a_part_is_repeated_up_to_the_most_bytes() {
        assert_eq!(stretched(b"[\xffab\xff]\xff", 8).as_deref(), Some(&b"[abab]\xff"[..]));
        assert_eq!(stretched(b"[\xff\xff]", 8), None);
    }
}
