//! Copies between memory of ours and the buffers that a call names: one, a vector, or those of a message.

use super::MOST;
use crate::syscalls::memory;
use crate::syscalls::pins::claims::Claims;
use crate::syscalls::pins::slots::Slot;
use crate::syscalls::pins::Pins;
use crate::syscalls::shapes::walk::each_buffer;
use crate::syscalls::table::transfer::{Form, Transfer};
use vmcore::engine::Engine;

/// Copies between the call's buffers, from `skip` bytes on, and our memory; how many bytes.
pub fn exchange(engine: &'static Engine, slot: &Slot, transfer: Transfer, len: usize, to_program: bool) -> usize {
    let (ours, skip) = (slot.temporary.0, slot.done);
    match transfer.form {
        Form::Buffer => memory::copy(engine, ours, slot.args[transfer.arg].wrapping_add(skip), len, to_program),
        Form::Vector(_) => spread(engine, (slot.args[transfer.arg], slot.args[transfer.arg + 1]), skip, ours, len, to_program),
        Form::Message => spread(engine, (slot.scratch[10], slot.scratch[11]), skip, ours, len, to_program),
    }
}

/// Copies between the buffers of a vector, from `skip` bytes on, and our memory; how many bytes.
pub fn spread(engine: &'static Engine, vector: (usize, usize), skip: usize, ours: usize, len: usize, to_program: bool) -> usize {
    let mut none = Pins::NONE;
    let mut claims = Claims::new(engine, &mut none);
    let (mut skip, mut done, mut failed) = (skip, 0, false);
    each_buffer(&mut claims, vector.0, vector.1, |_, base, size| {
        let passed = skip.min(size);
        skip -= passed;
        let n = (size - passed).min(len - done);
        if n > 0 && !failed {
            let copied = memory::copy(engine, ours + done, base.wrapping_add(passed), n, to_program);
            done += copied;
            failed = copied < n;
        }
    });
    done
}

/// The bytes of all buffers of a vector.
pub fn vector_total(engine: &'static Engine, at: usize, count: usize) -> usize {
    let mut none = Pins::NONE;
    let mut claims = Claims::new(engine, &mut none);
    let mut total = 0usize;
    each_buffer(&mut claims, at, count, |_, _, len| total = total.saturating_add(len));
    total.min(MOST)
}
