//! libCacheSim's oracleGeneral: records of 24 bytes, little endian and packed: the time (4 bytes), the
//! object (8), its size (4), and when it is used next (8), which we find out ourselves.

use super::{Reference, Trace, TraceError};
use std::io::{ErrorKind, Read};
use vmcore::page::Access;

const RECORD: usize = 24;

impl<R: Read> Trace<R> {
    pub(super) fn read_record(&mut self) -> Result<Option<Reference>, TraceError> {
        let mut record = [0; RECORD];
        let mut got = 0;
        while got < RECORD {
            match self.input.read(&mut record[got..]) {
                Ok(0) if got == 0 => return Ok(None),
                Ok(0) => return Err(TraceError::CutRecord { path: self.path.clone(), record: self.lines + 1 }),
                Ok(more) => got += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(TraceError::io(&self.path, source)),
            }
        }
        self.lines += 1;
        self.bytes += RECORD as u64;
        let object = record[4..12].try_into().map_or(0, u64::from_le_bytes);
        Ok(Some(Reference { page: object, access: Access::Read }))
    }
}
