//! Sizes as people type and read them: `8M`, `64K`, `4096`.
//!
//! Suffixes are powers of 1024, in either case. A size that does not fit 64 bits is an error, never
//! a smaller number.
#![forbid(unsafe_code)]

use core::fmt;

/// The size of the kernel's pages on every machine this project runs on; checked at start-up.
pub const SYSTEM_PAGE: usize = 4096;

/// The suffixes and how far each shifts, largest first.
const SUFFIXES: [(u8, u32); 4] = [(b'T', 40), (b'G', 30), (b'M', 20), (b'K', 10)];

/// Why a text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// Nothing there.
    Empty,
    /// Something else than digits and one of `K`, `M`, `G`, `T`.
    NotASize,
    /// More than 64 bits can hold.
    TooLarge,
}

/// Reads a size such as `8M`: decimal digits, then at most one suffix.
pub fn parse_size(text: &[u8]) -> Result<u64, SizeError> {
    let (&last, rest) = text.split_last().ok_or(SizeError::Empty)?;
    let suffix = SUFFIXES.iter().find(|(letter, _)| *letter == last.to_ascii_uppercase());
    let (digits, shift) = match suffix {
        Some((_, shift)) => (rest, *shift),
        None => (text, 0),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(SizeError::NotASize);
    }
    digits
        .iter()
        .try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))))
        .and_then(|value| value.checked_mul(1 << shift))
        .ok_or(SizeError::TooLarge)
}

/// `value` rounded up to a multiple of `unit`; `None` on overflow or for a unit of zero.
pub fn round_up(value: u64, unit: u64) -> Option<u64> {
    value.checked_next_multiple_of(unit)
}

/// `value` rounded down to a multiple of `unit`; zero for a unit of zero.
pub fn round_down(value: u64, unit: u64) -> u64 {
    value.checked_div(unit).unwrap_or(0).saturating_mul(unit)
}

/// Displays a size the way [`parse_size`] reads it: the largest suffix that keeps it exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanSize(pub u64);

impl fmt::Display for HumanSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HumanSize(size) = *self;
        match SUFFIXES.iter().find(|(_, shift)| size != 0 && size.trailing_zeros() >= *shift) {
            Some((letter, shift)) => write!(out, "{}{}", size >> shift, char::from(*letter)),
            None => write!(out, "{size}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_type() {
        for (text, size) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 64 << 10),
            ("8M", 8 << 20),
            ("8m", 8 << 20),
            ("2G", 2 << 30),
            ("16T", 16 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text.as_bytes()), Ok(size), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_size() {
        use SizeError::*;
        for (text, error) in [
            ("", Empty),
            ("8Q", NotASize),
            ("K", NotASize),
            ("-1", NotASize),
            ("+5", NotASize),
            ("1.5M", NotASize),
            ("1KK", NotASize),
            ("8 M", NotASize),
            (" 8M", NotASize),
            ("0x10", NotASize),
            ("18446744073709551616", TooLarge),
            ("16777216T", TooLarge),
        ] {
            assert_eq!(parse_size(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn rounds_to_pages() {
        assert_eq!(round_up(1, 4096), Some(4096));
        assert_eq!(round_up(0, 4096), Some(0));
        assert_eq!(round_up(u64::MAX, 4096), None);
        assert_eq!(round_up(1, 0), None);
        assert_eq!(round_down(8191, 4096), 4096);
        assert_eq!(round_down(8191, 0), 0);
    }

    #[test]
    fn shows_sizes_as_short_as_exact() {
        for (size, text) in [(0, "0"), (12345, "12345"), (8 << 20, "8M"), (24 << 20, "24M"), (1536, "1536"), (2048 << 10, "2M")] {
            assert_eq!(HumanSize(size).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(size: u64, shift in 0u32..50) {
            let size = size >> shift << shift;
            prop_assert_eq!(parse_size(HumanSize(size).to_string().as_bytes()), Ok(size));
        }
    }
}
