//! Blocks that change their length: in place, by new pages, by moved page table entries, or by a copy.

use super::blocks::{allocate, allocate_at_hand, enter, failed, free, free_at_hand, granules, own, Bad, GRANULE, MOST};
use super::native;
use crate::start;
use core::ptr::NonNull;
use vmcore::heap::{Ground, Heap};
use vmcore::pager::Place;

/// The bytes that the program may use of the block at `address`.
pub fn usable_size(address: usize) -> Result<usize, Bad> {
    match measure(address) {
        Ok((_, n)) => Ok(n as usize * GRANULE),
        Err(Bad::Foreign) => native::usable_size(address).ok_or(Bad::Foreign),
        Err(bad) => Err(bad),
    }
}

/// The region of the block at `address`, unless it is the shared one, and the block's granules.
fn measure(address: usize) -> Result<(Option<Place>, u64), Bad> {
    let engine = start::engine().ok_or(Bad::Foreign)?;
    let Some(place) = own().map(|(_, place)| place).filter(|own| own.contains(address)).or_else(|| engine.find(address)) else {
        return if engine.is_shared(address) { Ok((None, granules(engine.shared_size(address)?))) } else { Err(Bad::Foreign) };
    };
    if !address.is_multiple_of(GRANULE) {
        return Err(Bad::Middle);
    }
    let n = Heap::measure(&place, place.granule(address))?;
    Ok((Some(place), n))
}

/// Makes the block at `address` hold `size` bytes, here or elsewhere; `Ok(None)` if there is no
/// memory, and then the block is as it was.
pub fn reallocate(address: usize, size: usize) -> Result<Option<NonNull<u8>>, Bad> {
    let (place, old) = match measure(address) {
        Err(Bad::Foreign) => return native::reallocate(address, size).ok_or(Bad::Foreign),
        known => known?,
    };
    if size > MOST {
        return Ok(failed());
    }
    let new = granules(size);
    if new == old || resize(place, address, old, new) {
        return Ok(NonNull::new(address as *mut u8));
    }
    let Some(target) = allocate_at_hand(size).or_else(|| allocate(size, GRANULE, false)) else {
        // A block that is to be shorter can stay.
        return Ok(NonNull::new(address as *mut u8).filter(|_| new < old));
    };
    let to = target.as_ptr() as usize;
    let moved = place.map_or(0, |place| move_whole_pages(&place, address, old, to, new));
    let rest = (old as usize * GRANULE).min(size).saturating_sub(moved);
    if rest > 0 {
        // SAFETY: both blocks hold that much and do not overlap; pages may fault, no lock is held.
        unsafe { core::ptr::copy_nonoverlapping((address + moved) as *const u8, (to + moved) as *mut u8, rest) };
    }
    if !free_at_hand(address) {
        free(address)?;
    }
    Ok(Some(target))
}

/// Makes the block `new` granules long where it lies, if it is the caller's and that can be done.
fn resize(place: Option<Place>, address: usize, old: u64, new: u64) -> bool {
    let (Some((thread, own)), Some(place)) = (own(), place) else {
        return false;
    };
    if !core::ptr::eq(own.region, place.region) {
        return false;
    }
    let Some(resized) = enter(&own).map(|mut heap| heap.resize(&place, place.granule(address), old, new)) else {
        return false;
    };
    if resized {
        let now = Heap::measure(&place, place.granule(address)).unwrap_or(new);
        thread.note_resized((now as i64 - old as i64) * GRANULE as i64);
    }
    resized
}

/// Takes the pages that two large blocks share in length along instead of their bytes: how many bytes.
fn move_whole_pages(from: &Place, address: usize, old: u64, to: usize, new: u64) -> usize {
    match from.engine.find(to) {
        Some(target) if Heap::is_large(from, old) && Heap::is_large(&target, new) => {
            let pages = old.min(new) >> from.page_shift();
            from.engine.move_pages(from, from.page_of(address), &target, target.page_of(to), pages);
            (pages << from.page_shift()) as usize * GRANULE
        }
        _ => 0,
    }
}
