//! CBOR ([RFC 8949](https://www.rfc-editor.org/rfc/rfc8949)), as much of it as authenticators send: integers, bytes, text, arrays, maps.
//!
//! They write it in the canonical form of CTAP2 (§8: definite lengths, each number as short as it can be, four levels at most). What is
//! written in any other way is refused: two readers might understand it differently.

/// Levels of arrays and maps within each other (CTAP 2.1 §8).
const MAX_DEPTH: u8 = 4;

/// Bytes that aren't canonical CBOR, or not of the type that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the canonical CBOR that is expected here")]
pub struct CborError;

/// Reads one item after the other. After an error what is left means nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

impl<'a> Reader<'a> {
    /// At the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Says that nothing may follow.
    ///
    /// # Errors
    /// [`CborError`] when something does.
    pub const fn end(self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError) }
    }

    /// An integer.
    ///
    /// # Errors
    /// [`CborError`], also beyond 63 bits.
    pub fn integer(&mut self) -> Result<i64, CborError> {
        let (major, argument) = self.head()?;
        let value = i64::try_from(argument).map_err(|_| CborError)?;
        match major {
            UNSIGNED => Ok(value),
            NEGATIVE => Ok(-1 - value),
            _ => Err(CborError),
        }
    }

    /// A byte string.
    ///
    /// # Errors
    /// [`CborError`].
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        match self.head()? {
            (BYTES, length) => self.take(length),
            _ => Err(CborError),
        }
    }

    /// A text string.
    ///
    /// # Errors
    /// [`CborError`], also for what isn't UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        match self.head()? {
            (TEXT, length) => core::str::from_utf8(self.take(length)?).map_err(|_| CborError),
            _ => Err(CborError),
        }
    }

    /// The beginning of a map; how many pairs follow.
    ///
    /// # Errors
    /// [`CborError`].
    pub fn map(&mut self) -> Result<u64, CborError> {
        match self.head()? {
            (MAP, pairs) => Ok(pairs),
            _ => Err(CborError),
        }
    }

    /// Whatever stands here, unread.
    ///
    /// # Errors
    /// [`CborError`], also when it is too deep.
    pub fn skip(&mut self) -> Result<(), CborError> {
        self.skip_below(MAX_DEPTH)
    }

    fn skip_below(&mut self, depth: u8) -> Result<(), CborError> {
        let (major, argument) = self.head()?;
        match major {
            UNSIGNED | NEGATIVE => Ok(()),
            BYTES => self.take(argument).map(drop),
            TEXT => core::str::from_utf8(self.take(argument)?).map(drop).map_err(|_| CborError),
            ARRAY | MAP => {
                let depth = depth.checked_sub(1).ok_or(CborError)?;
                let items = if major == MAP { argument.checked_mul(2).ok_or(CborError)? } else { argument };
                // Each takes a byte at least: a length that lies ends here, and not after 2^64 rounds.
                for _ in 0..items {
                    self.skip_below(depth)?;
                }
                Ok(())
            }
            // false, true, null; floats and everything else have no place here.
            SIMPLE if (20..=22).contains(&argument) => Ok(()),
            _ => Err(CborError),
        }
    }

    /// Major type and argument (RFC 8949 §3), the shortest that says it (§4.2.1).
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let [first] = self.array()?;
        let (major, short) = (first >> 5, first & 0x1f);
        let (argument, least) = match short {
            0..=23 => return Ok((major, u64::from(short))),
            24 => (u64::from(u8::from_be_bytes(self.array()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.array()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.array()?), 1 << 32),
            // Reserved, or a length that isn't known yet.
            _ => return Err(CborError),
        };
        // With a longer argument a simple value is one of none that are known here, or a float.
        if argument < least || major == SIMPLE { Err(CborError) } else { Ok((major, argument)) }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| CborError)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(CborError)?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skipped(bytes: &[u8]) -> Result<usize, CborError> {
        let mut reader = Reader::new(bytes);
        reader.skip().map(|()| reader.rest().len())
    }

    #[test]
    fn integers_are_read_as_rfc_8949_appendix_a_writes_them() {
        let vectors: [(&[u8], i64); 9] = [
            (&[0x00], 0),
            (&[0x17], 23),
            (&[0x18, 0x18], 24),
            (&[0x19, 0x03, 0xe8], 1000),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], 1_000_000),
            (&[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0], 1_000_000_000_000),
            (&[0x20], -1),
            (&[0x26], -7),
            (&[0x39, 0x03, 0xe7], -1000),
        ];
        for (bytes, value) in vectors {
            assert_eq!(Reader::new(bytes).integer(), Ok(value));
        }
    }

    #[test]
    fn a_number_that_could_be_written_shorter_is_refused() {
        for bytes in [&[0x18, 23][..], &[0x19, 0, 24], &[0x1a, 0, 0, 1, 0], &[0x1b, 0, 0, 0, 0, 0, 1, 0, 0]] {
            assert_eq!(Reader::new(bytes).integer(), Err(CborError), "{bytes:x?}");
        }
    }

    #[test]
    fn indefinite_lengths_tags_and_floats_are_refused() {
        for bytes in [&[0x5f, 0x41, 0, 0xff][..], &[0xbf, 0xff], &[0xc0, 0x00], &[0xf9, 0x3c, 0x00], &[0xf8, 0x20]] {
            assert_eq!(skipped(bytes), Err(CborError), "{bytes:x?}");
        }
    }

    #[test]
    fn four_levels_are_read_and_five_are_not() {
        assert_eq!(skipped(&[0x81, 0x81, 0x81, 0x81, 0x00]), Ok(0));
        assert_eq!(skipped(&[0x81, 0x81, 0x81, 0x81, 0x80]), Err(CborError));
    }

    #[test]
    fn a_length_that_lies_is_refused_at_once() {
        assert_eq!(skipped(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]), Err(CborError));
        assert_eq!(skipped(&[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]), Err(CborError));
        assert_eq!(Reader::new(&[0x5a, 0xff, 0xff, 0xff, 0xff]).bytes(), Err(CborError));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_read_beyond_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(left) = skipped(&bytes) {
                prop_assert!(left < bytes.len());
            }
            let _ = Reader::new(&bytes).integer();
            let _ = Reader::new(&bytes).text();
            let _ = Reader::new(&bytes).map();
        }

        #[test]
        fn what_was_skipped_is_the_same_whatever_follows(
            bytes in proptest::collection::vec(any::<u8>(), 1..60),
            more in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            if let Ok(left) = skipped(&bytes) {
                let longer = [bytes.as_slice(), &more].concat();
                prop_assert_eq!(skipped(&longer), Ok(left + more.len()));
            }
        }
    }
}
