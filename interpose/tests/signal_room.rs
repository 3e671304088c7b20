//! The room of an alternate stack, for the frames of several processors.

#[path = "../src/shared/room.rs"]
mod room;

use room::{of_this_processor, Room, VECTORS};

const KIB: usize = 1024;
/// The largest frames that the kernel announces: without AVX-512, with it, and with AMX.
const FRAMES: [usize; 3] = [1776, 3632, 11952];

#[test]
fn frames_with_avx_512_take_what_they_always_took() {
    assert_eq!(Room::of(3632), Room { departure: 8 * KIB, kernel: 48 * KIB });
}

#[test]
fn a_larger_state_gets_a_larger_stack() {
    for frame in FRAMES {
        let room = Room::of(frame);
        // The departure holds the context and the vector state, which is less than a whole frame.
        assert!(room.departure >= VECTORS + frame, "{room:?} for {frame}");
        // Three frames, and 36 KiB for the handlers between them.
        assert!(room.kernel - 36 * KIB >= 3 * frame, "{room:?} for {frame}");
        assert_eq!(room.whole() % (4 * KIB), 0);
    }
    assert!(Room::of(11952).kernel > Room::of(3632).kernel + 20 * KIB);
}

#[test]
fn this_processor_says_how_large_its_frames_are() {
    let room = of_this_processor();
    assert!(room.kernel >= 48 * KIB && room.departure >= 8 * KIB, "{room:?}");
    assert_eq!(room, of_this_processor());
}
