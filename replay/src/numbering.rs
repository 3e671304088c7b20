//! Pages numbered from 0 on, in the order in which they come, so that all else is arrays.

use crate::Error;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The numbers that pages have.
#[derive(Default)]
pub struct Numbering {
    numbers: HashMap<u64, u32, BuildHasherDefault<Multiply>>,
    /// Most references are to the page of the one before, or a neighbour of it in time.
    last: Option<(u64, u32)>,
}

/// One multiplication: page numbers are spread well enough by it, and nobody chooses them to collide.
#[derive(Default)]
struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte) ^ self.0));
    }

    fn write_u64(&mut self, word: u64) {
        // The table takes its place from the low bits, and its tag from the high ones.
        let product = word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

impl Numbering {
    /// The number of a page.
    #[inline]
    pub fn number(&mut self, page: u64) -> Result<u32, Error> {
        if let Some((last, number)) = self.last {
            if last == page {
                return Ok(number);
            }
        }
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(page).or_insert(next);
        if number > i32::MAX as u32 {
            return Err(Error::TooManyPages);
        }
        self.last = Some((page, number));
        Ok(number)
    }

    /// How many pages there are.
    pub fn pages(&self) -> u32 {
        self.numbers.len() as u32
    }
}
