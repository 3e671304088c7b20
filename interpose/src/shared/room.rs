//! How large the alternate stack is that we give to a thread.
//!
//! The processor decides: a signal frame holds the state of its vector units, 3 KiB with AVX-512 and 11 KiB with AMX.
//! Pure but for [`of_this_processor`].

use core::num::NonZeroUsize;
use once_cell::race::OnceNonZeroUsize;

const PAGE: usize = 4096;
/// What the handlers themselves use, all that are nested together.
const HANDLERS: usize = 36 * 1024;
/// The kernel's frames that lie there at once at most: a trap or a signal, a fault of its handler, a signal of ours in that.
const NESTED: usize = 3;
/// Where the vector state lies in the departure, behind the context: as XSAVE wants it aligned.
pub const VECTORS: usize = 512;

/// The two parts of a thread's alternate stack, from its lower end up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Bytes of the departure: a frame that lies in paged memory is returned from here.
    pub departure: usize,
    /// Bytes that the kernel knows of, and puts frames in.
    pub kernel: usize,
}

impl Room {
    /// For a processor whose largest signal frame has so many bytes.
    pub const fn of(frame: usize) -> Room {
        let frame = frame.next_multiple_of(PAGE);
        Room { departure: (VECTORS + frame).next_multiple_of(PAGE), kernel: HANDLERS + NESTED * frame }
    }

    /// Bytes of both.
    pub const fn whole(self) -> usize {
        self.departure + self.kernel
    }
}

/// The room that this processor's frames take.
pub fn of_this_processor() -> Room {
    /// The entry of the auxiliary vector that says how large a signal frame can be.
    const AT_MINSIGSTKSZ: core::ffi::c_ulong = 51;
    static FRAME: OnceNonZeroUsize = OnceNonZeroUsize::new();
    let asked = || {
        // SAFETY: it reads the auxiliary vector, which the dynamic loader noted before it ran any code of ours.
        let said = unsafe { libc::getauxval(AT_MINSIGSTKSZ) } as usize;
        // A kernel that does not say it (before Linux 5.14) enables nothing larger than AVX-512.
        NonZeroUsize::new(said.max(PAGE)).unwrap_or(NonZeroUsize::MIN)
    };
    Room::of(FRAME.get_or_init(asked).get())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
