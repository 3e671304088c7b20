//! Which slots of the swap file are in use.
//!
//! A slot is in use from the eviction that writes it until its page is freed, or changes so that the
//! copy is stale. Slots are handed out next-fit, so that pages evicted one after the other lie one
//! after the other in the file and go out in one write.
#![forbid(unsafe_code)]

use crate::bitmap::{Bitmap, BitmapState};

/// The allocation map of swap slots. A number in it is a slot number: its offset in the file
/// divided by the page size.
pub type SwapMap<'a> = Bitmap<'a>;

/// What the pager keeps of it between calls.
pub type SwapMapState = BitmapState;

/// The slot of a page that its region's own store keeps: no entry of the map.
pub const ELSEWHERE: u32 = u32::MAX - 1;
