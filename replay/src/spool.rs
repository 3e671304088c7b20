//! A trace in a temporary file, four bytes a reference: what needs to know the future reads it
//! backwards, however long it is. The file has no name, so nothing of it is left behind.

use crate::trace::{Reference, TraceError};
use crate::{Error, Numbering};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use vmcore::page::Access;

/// References that are held in memory at a time.
const BLOCK: usize = 1 << 18;

/// A reference: the page's number, and in the lowest bit whether it is a write.
#[derive(Clone, Copy)]
pub(crate) struct Packed(u32);

impl Packed {
    pub(crate) fn page(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) fn access(self) -> Access {
        if self.0 & 1 == 1 {
            Access::Write
        } else {
            Access::Read
        }
    }
}

/// The trace.
pub struct Spool {
    file: File,
    refs: u64,
    pages: u32,
}

impl Spool {
    /// Reads a trace to its end.
    pub fn new(references: impl IntoIterator<Item = Result<Reference, TraceError>>) -> Result<Spool, Error> {
        let mut numbering = Numbering::default();
        let mut file = BufWriter::with_capacity(BLOCK, tempfile::tempfile()?);
        let mut refs = 0;
        for reference in references {
            let reference = reference?;
            let word = numbering.number(reference.page)? << 1 | u32::from(reference.access == Access::Write);
            file.write_all(&word.to_ne_bytes())?;
            refs += 1;
        }
        if refs == 0 {
            return Err(Error::Empty);
        }
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(Spool { file, refs, pages: numbering.pages() })
    }

    /// How many references there are.
    pub fn refs(&self) -> u64 {
        self.refs
    }

    /// How many pages there are.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    fn blocks(&self) -> u64 {
        self.refs.div_ceil(BLOCK as u64)
    }

    /// Gives the references to `take`, one after the other.
    pub(crate) fn each(&self, mut take: impl FnMut(Packed)) -> Result<(), Error> {
        let mut block = Vec::new();
        for number in 0..self.blocks() {
            self.read(number, &mut block)?;
            block.iter().copied().for_each(&mut take);
        }
        Ok(())
    }

    /// Gives the references to `take`, one after the other, each with the number of the next reference to
    /// its page; [`NEVER`] if there is none.
    pub(crate) fn each_with_next(&self, mut take: impl FnMut(Packed, u64)) -> Result<(), Error> {
        let mut nexts = tempfile::tempfile()?;
        self.write_nexts(&mut nexts)?;
        let (mut block, mut bytes) = (Vec::new(), Vec::new());
        for number in 0..self.blocks() {
            self.read(number, &mut block)?;
            bytes.resize(block.len() * 8, 0);
            nexts.read_exact_at(&mut bytes, number * BLOCK as u64 * 8)?;
            for (reference, next) in block.iter().zip(bytes.as_chunks::<8>().0) {
                take(*reference, u64::from_ne_bytes(*next));
            }
        }
        Ok(())
    }

    /// Writes the next reference of each, from the last block to the first.
    fn write_nexts(&self, file: &mut File) -> Result<(), Error> {
        let mut next_of = vec![NEVER; self.pages as usize];
        let (mut block, mut bytes) = (Vec::new(), Vec::new());
        for number in (0..self.blocks()).rev() {
            self.read(number, &mut block)?;
            bytes.resize(block.len() * 8, 0);
            let first = number * BLOCK as u64;
            for (i, (reference, bytes)) in block.iter().zip(bytes.as_chunks_mut::<8>().0).enumerate().rev() {
                let next = &mut next_of[reference.page() as usize];
                *bytes = std::mem::replace(next, first + i as u64).to_ne_bytes();
            }
            file.seek(SeekFrom::Start(first * 8))?;
            file.write_all(&bytes)?;
        }
        Ok(())
    }

    fn read(&self, number: u64, block: &mut Vec<Packed>) -> Result<(), Error> {
        let first = number * BLOCK as u64;
        let mut bytes = vec![0; ((self.refs - first) as usize).min(BLOCK) * 4];
        self.file.read_exact_at(&mut bytes, first * 4)?;
        block.clear();
        block.extend(bytes.as_chunks::<4>().0.iter().map(|word| Packed(u32::from_ne_bytes(*word))));
        Ok(())
    }
}

/// The page is not used again.
pub(crate) const NEVER: u64 = u64::MAX;
