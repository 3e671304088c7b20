//! What glibc's malloc lets programs ask and tune: answered truthfully, tuned not at all.

use crate::shared::{engine, gauges};
use crate::statistics;
use core::ffi::c_int;

/// mallopt(3): accepted and without effect.
pub fn mallopt(_parameter: c_int, _value: c_int) -> c_int {
    1
}

/// malloc_trim(3): empty pages go back to the arena; 1 if there may have been any.
pub fn malloc_trim(_pad: usize) -> c_int {
    c_int::from(engine::get().is_some())
}

/// mallinfo(3), with the numbers of the arena as far as they fit.
pub fn mallinfo() -> libc::mallinfo {
    let info = mallinfo2();
    let clamp = |n: usize| c_int::try_from(n).unwrap_or(c_int::MAX);
    libc::mallinfo {
        arena: clamp(info.arena),
        ordblks: clamp(info.ordblks),
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: 0,
        fsmblks: 0,
        uordblks: clamp(info.uordblks),
        fordblks: clamp(info.fordblks),
        keepcost: 0,
    }
}

/// mallinfo2(3), with the numbers of the arena.
pub fn mallinfo2() -> libc::mallinfo2 {
    let used = gauges::bytes_in_use();
    let arena = engine::get().map_or(0, |engine| engine.pool_frames() as usize * engine.page());
    libc::mallinfo2 {
        arena,
        ordblks: 1,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: 0,
        fsmblks: 0,
        uordblks: used,
        fordblks: arena.saturating_sub(used),
        keepcost: 0,
    }
}

/// malloc_stats(3): the short table on stderr.
pub fn malloc_stats() {
    statistics::print_table();
}

/// malloc_info(3): one heap, with the numbers of the arena.
///
/// # Safety
/// As the original.
pub unsafe fn malloc_info(options: c_int, stream: *mut libc::FILE) -> c_int {
    if options != 0 {
        return libc::EINVAL;
    }
    let info = mallinfo2();
    let format = c"<malloc version=\"1\">\n<heap nr=\"0\">\n</heap>\n<total type=\"rest\" count=\"1\" size=\"%zu\"/>\n\
        <system type=\"current\" size=\"%zu\"/>\n</malloc>\n";
    // SAFETY: the caller's stream; the format takes two sizes.
    unsafe { libc::fprintf(stream, format.as_ptr(), info.fordblks, info.arena) };
    0
}
